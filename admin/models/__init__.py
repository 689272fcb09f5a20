"""Changes to models: who may use them, their versions, and which version answers."""
