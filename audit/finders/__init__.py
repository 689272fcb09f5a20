"""The kinds of text that nobody may read in the log: for each a search that gives the places of those that it finds."""
