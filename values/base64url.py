"""Base64url without padding (RFC 4648, section 5; RFC 7515, section 2), one spelling for each value."""

from __future__ import annotations

import base64
import binascii


def encoded(data: bytes) -> str:
    """Returns the bytes as text, without `=`."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decoded(text: str) -> bytes:
    """Returns the bytes that a text stands for. Raises `ValueError` unless `encoded` writes them as the same text."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise ValueError("this is not base64url") from None
    # The last character may have unused bits, which must not make a second spelling.
    if encoded(data) != text:
        raise ValueError("this is not how base64url writes these bytes")
    return data
