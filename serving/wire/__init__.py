"""Wire formats, one file each: the bytes of a body to rows, predictions to the bytes of an answer."""
