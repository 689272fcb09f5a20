"""The caller's address, where trusted proxies say whom they forward for: `X-Forwarded-For` or `Forwarded` (RFC 7239).

Each proxy adds its peer's address at the right end, and anybody may have written what stands left of it. So the caller
is the right-most address that is not a trusted proxy's. Where that one is hidden (`unknown`, `_name`) or no address,
the caller has none: no CIDR of a key holds it, and no text of a stranger's is taken for an address.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from values.addresses import parse_address

Kind = Literal["x-forwarded-for", "forwarded"]
Networks = Sequence[IPv4Network | IPv6Network]

_NO_ADDRESS = ""
#: No chain of proxies is longer; of a longer list only the right end counts.
MAX_HOPS = 50
# RFC 9110, section 5.6: a token, and a quoted string.
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR = rf'({_WORD})=(?:({_WORD})|"((?:[^"\\]|\\.)*)")'
# RFC 7239, section 4: pairs between semicolons.
_ELEMENT = re.compile(rf"[ \t]*(?:{_PAIR}[ \t]*)?(?:;[ \t]*(?:{_PAIR}[ \t]*)?)*")
_PAIRS = re.compile(_PAIR)
# RFC 7239, section 6. A bare IPv6 address has no port, and is taken though it lacks its brackets.
_PORT = r"(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?"
_NODE = re.compile(rf"\[([0-9A-Fa-f:.]+)\]{_PORT}|([0-9.]+){_PORT}|([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)")


def caller_address(peer: str, headers: Sequence[tuple[bytes, bytes]], kind: Kind, trusted: Networks) -> str:
    """The address of the caller whose request came from `peer`; empty if a trusted proxy does not say it."""
    if not _is_trusted(peer, trusted):
        return peer
    name = kind.encode()
    nodes = _NODES[kind]
    address = peer
    hops = 0
    for _, value in reversed([header for header in headers if header[0] == name]):
        for node in nodes(value.decode("latin-1")):
            hops += 1
            address = _address_of(node)
            if hops > MAX_HOPS or not _is_trusted(address, trusted):
                return address
    return address


def _is_trusted(address: str, trusted: Networks) -> bool:
    parsed = parse_address(address)
    return parsed is not None and any(parsed in network for network in trusted)


def _address_of(node: str | None) -> str:
    """The address in canonical text, without its port; empty if it is none."""
    match = _NODE.fullmatch(node or "")
    parsed = parse_address(match[1] or match[2] or match[3]) if match else None
    return _NO_ADDRESS if parsed is None else str(parsed)


def _x_forwarded_for(value: str) -> Iterator[str | None]:
    """The nodes of one line, the right-most first."""
    parts = (part.strip(" \t") for part in reversed(value.split(",")))
    return (part for part in parts if part)


def _forwarded(value: str) -> Iterator[str | None]:
    """The nodes of one line, the right-most first; None stands for a hop that names none, or that cannot be read.

    A comma may stand in a quoted string, so an element is the shortest end of the line, from some comma on, that has
    its form. (The end of a longer one, cut inside a string, would have one quote too many.) So nothing that a caller
    wrote further left, such as a quote that is never closed, can change what a proxy wrote.
    """
    parts = value.split(",")
    while parts:
        element = parts.pop()
        for _ in range(MAX_HOPS):
            if _ELEMENT.fullmatch(element) or not parts:
                break
            element = f"{parts.pop()},{element}"
        if element.strip(" \t"):
            yield _for(element)


def _for(element: str) -> str | None:
    pairs = _PAIRS.findall(element) if _ELEMENT.fullmatch(element) else []
    values = {name.lower(): token or re.sub(r"\\(.)", r"\1", quoted) for name, token, quoted in pairs}
    # No parameter may occur twice.
    return values.get("for") if len(values) == len(pairs) else None


_NODES: dict[Kind, Callable[[str], Iterator[str | None]]] = {
    "x-forwarded-for": _x_forwarded_for,
    "forwarded": _forwarded,
}
