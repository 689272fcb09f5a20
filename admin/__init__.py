"""Changes: one function per verb, the change, its event and its announcement in one transaction."""
