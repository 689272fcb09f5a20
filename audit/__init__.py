"""The prediction log: records and their seal, the writer, search, verification; and what may be stored of a value."""
