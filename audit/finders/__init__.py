"""Finders, one file for each kind of text that must not be stored: they yield the spans of what they find."""
