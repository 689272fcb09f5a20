"""Origins as browsers write them (RFC 6454; the URL standard). Any other spelling would never match."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

_SHAPE = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)")
_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
#: No page has an origin with one of these schemes: a page from a file, for example, has the origin `null`.
_WITHOUT_PAGES = frozenset({"about", "blob", "data", "file", "ftp", "javascript", "ws", "wss"})
_MAX_PORT = 65535


def check_origin(text: str) -> None:
    """Raises `ValueError` for an origin that no browser would ever send; its words do not repeat the text."""
    shape = _SHAPE.fullmatch(text)
    if "*" in text:
        raise ValueError("has a wildcard: name each origin")
    if shape is None:
        raise ValueError("has no scheme: an origin is scheme://host or scheme://host:port")
    scheme, rest = shape["scheme"], shape["rest"]
    if rest.endswith("/") and rest.count("/") == 1:
        raise ValueError("ends in a slash: an origin has none")
    if re.search(r"[/?#\\]", rest):
        raise ValueError("has a path, a query or a fragment: an origin has none")
    if "@" in rest:
        raise ValueError("has user information: an origin has none")
    if text != text.lower():
        raise ValueError("has capitals: browsers send an origin in lower case")
    if scheme in _WITHOUT_PAGES:
        raise ValueError("has a scheme that serves no page")
    _check_host_and_port(scheme, rest)


def _check_host_and_port(scheme: str, rest: str) -> None:
    host, colon, port = rest.rpartition(":") if re.search(r":[^\]]*\Z", rest) else (rest, "", "")
    if colon and not (re.fullmatch(r"[1-9][0-9]{0,4}", port, re.ASCII) and int(port) <= _MAX_PORT):
        raise ValueError("has an invalid port")
    if colon and _DEFAULT_PORTS.get(scheme) == port:
        raise ValueError("names its scheme's default port: browsers leave it out")
    if not _is_written_as_by_browsers(host):
        raise ValueError("has a host that browsers write differently: no spaces, IDNs as xn--, addresses in short form")


def _is_written_as_by_browsers(host: str) -> bool:
    try:
        if host.startswith("["):
            return host == f"[{IPv6Address(host[1:-1])}]" and host.endswith("]")
        if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", host.rpartition(".")[2]):
            return host == str(IPv4Address(host))
    except ValueError:
        return False
    return _HOST.fullmatch(host) is not None
