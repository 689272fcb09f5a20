"""Secrets and e-mail addresses in text."""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

_SECRET = re.compile(
    r"ady_[0-9A-Za-z]{20,}"
    # A JWT begins with `{"` in base64url. Its head alone can be long; its first characters are enough to tell.
    r"|(?<![\w-])eyJ(?:[\w-]{1,24}\.[\w-]|[\w-]{25})[\w.-]*"
    # Whatever `Authorization` brings is a secret; elsewhere a plain word behind "bearer" or "basic" is not.
    r"|(?i:authorization)[\"']{0,2}\s{0,4}[:=]\s{0,4}[\"']?(?P<brought>[A-Za-z]{1,20}\s{1,8}[\w.~+/=-]+)"
    r"|(?<!\w)(?i:bearer|basic)\s{1,8}(?=[\w~+/-]{0,99}?(?:[0-9._~=]\w|[a-z][A-Z]|=)|[\w.~+/=-]{16})[\w.~+/=-]+"
    # A password in a URL (RFC 3986, userinfo).
    r"|(?<=://)[^/\s:@]{0,64}:[^@\s/]{1,128}@"
)
#: A secret that is longer than a view goes on as long as these characters do.
_REST = re.compile(r"[\w.~+/=-]*")

#: A text without any of these holds no secret; looking for them is far cheaper than matching.
_SIGNS = ("ady_", "eyj", "bearer", "basic", "authorization", "://")
_AT_SIGNS = ("@", "%40", "at]", "at)", "at ]", "at )")

_AT = r"(?:@|%40|\s?[\[(]\s?(?:at|AT)\s?[\])]\s?)"
_DOT = r"(?:\.|\s?[\[(]\s?(?:dot|DOT)\s?[\])]\s?)"
_DOMAIN = re.compile(rf"{_AT}(?:[\w-]{{1,63}}{_DOT}){{1,8}}(?![0-9]+\b)[\w-]{{2,63}}")
#: The part before the at sign, read from its end.
_LOCAL = re.compile(r"\"[^\"\n]{1,64}\"|[\w.+'%~!#$*^{|}-]{1,320}")


def secrets(text: str, start: int, end: int) -> Iterator[Span]:
    """Keys, tokens, what `Authorization` brings, and passwords in URLs, that begin in `text[start:end]`."""
    lower = text.lower()
    if not any(map(lower.__contains__, _SIGNS)):
        return
    for match in _SECRET.finditer(text, start):
        if match.start() >= end:
            return
        yield match.span(match.lastgroup or 0)


def rest_of_secret(text: str, start: int) -> int:
    """Where a secret ends that has been cut at `start`."""
    match = _REST.match(text, start)
    return match.end() if match else start


def emails(text: str, start: int, end: int) -> Iterator[Span]:
    """Addresses whose at sign is in `text[start:end]`; they may begin before it."""
    lower = text.lower()
    if not any(map(lower.__contains__, _AT_SIGNS)):
        return
    last = 0
    for match in _DOMAIN.finditer(text, start):
        if match.start() >= end:
            return
        local = _LOCAL.match(text[max(last, match.start() - 320) : match.start()][::-1])
        size = len(local[0].rstrip("'%~!#$*^{|}-.+")) if local else 0
        if size:
            yield match.start() - size, match.end()
        last = match.end()
