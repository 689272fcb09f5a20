"""A model file before it is served: opened in another process, typed, compiled, tested."""
