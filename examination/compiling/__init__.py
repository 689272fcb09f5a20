"""Compiling a trained model, and the rows that tell whether the compiled one answers the same."""
