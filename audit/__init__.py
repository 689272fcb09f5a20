"""What is remembered of every prediction, and how it is sealed."""
