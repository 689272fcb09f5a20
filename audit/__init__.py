"""The prediction log: records and their seal, the writer, search, verification, and redaction."""
