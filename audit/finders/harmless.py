"""Numbers that are surely not personal: they are blanked before personal ones are looked for."""

from __future__ import annotations

import re

_TIME = r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?(?: ?[+-][0-9]{2}:?[0-9]{2})?)?"
_DAY, _MONTH = "(?:0?[1-9]|[12][0-9]|3[01])", "(?:0?[1-9]|1[0-2])"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_HARMLESS = re.compile(
    r"(?ai)(?<![0-9a-z_])(?<![0-9][-./])(?:"
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-z])"  # UUIDs (RFC 9562)
    rf"|(?:(?:1[5-9]|2[01])[0-9]{{2}}([-/.]){_MONTH}\1{_DAY}|{_DAY}([-/.]){_DAY}\2(?:1[5-9]|2[01])[0-9]{{2}}){_TIME}"
    rf"(?![0-9]|[-./][0-9])"
    rf"|{_OCTET}(?:\.{_OCTET}){{3}}(?![0-9]|\.[0-9])"  # IPv4
    r"|[0-9a-f]{2}(?:-[0-9a-f]{2}){5}(?![0-9a-z-])"  # Ethernet
    r"|(?:0|[1-9][0-9]{0,17})\.[0-9]{3,40}(?:e[+-]?[0-9]{1,3})?(?![0-9a-z]|[-.][0-9])"  # decimals
    r"|(?<![0-9)] )[0-9]{5}-[0-9]{4}(?![0-9-])"  # ZIP+4
    r"|ISBN(?:-1[03])?:? ?[0-9](?:[ -]?[0-9]){8,11}[ -]?[0-9X](?![0-9a-z])"
    r")"
)


def blank(text: str, spans: list[tuple[int, int]]) -> str:
    """The text with those spans blanked: NUL belongs to no number and no word."""
    for start, end in spans:
        text = text[:start] + "\0" * (end - start) + text[end:]
    return text


def without_harmless(text: str) -> str:
    """The text with dates, times, addresses of machines, UUIDs, decimals, ISBNs and postal codes blanked."""
    return _HARMLESS.sub(lambda match: "\0" * len(match[0]), text)
