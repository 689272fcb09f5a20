"""The fact that a file is no model that can be served."""

from __future__ import annotations


class RefusedFile(Exception):
    """The file is not a model that can be served; the words are for the operator."""
