"""Base64url without padding (RFC 4648, section 5; RFC 7515, section 2), one spelling for each value."""

from __future__ import annotations

import base64
import binascii


def encoded(data: bytes) -> str:
    """The bytes as text, without `=`."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decoded(text: str) -> bytes:
    """The bytes that a text stands for. Raises `ValueError` unless `encoded` would write them as this very text."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise ValueError("this is not base64url") from None
    # The last character may have unused bits: they must not make a second spelling.
    if encoded(data) != text:
        raise ValueError("this is not how base64url writes these bytes")
    return data
