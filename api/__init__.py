"""HTTP: everything a remote caller can touch."""
