"""The one path that every prediction takes, whatever asked for it."""
