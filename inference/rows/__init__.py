"""Rows: validated by their schema, and made into the inputs of models."""
