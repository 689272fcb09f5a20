"""Model files: kept by their digests, and opened by what they are."""
