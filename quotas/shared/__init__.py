"""The store of all processes: every limit counted once, in Redis."""
