"""Model files: stored under their digests, and opened by their formats."""
