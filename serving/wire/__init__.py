"""One file per wire format: bytes to rows, predictions to bytes."""
