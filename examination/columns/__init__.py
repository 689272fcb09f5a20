"""The columns that a model takes: found in the model and in a sample, and described by JSON Schema."""
