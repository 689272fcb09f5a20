"""Addresses of callers, as they are compared, counted and stored."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """The address, with an IPv4 address that came as IPv6 (`::ffff:192.0.2.1`) as what it is; None for no address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=4096)
def truncated(text: str) -> str | None:
    """As it may be stored: the address's /24, or for IPv6 its /48."""
    address = parse_address(text)
    if isinstance(address, IPv6Address):
        return f"{IPv6Address(int(address) >> 80 << 80)}/48"
    return None if address is None else f"{IPv4Address(int(address) >> 8 << 8)}/24"


def place_of(text: str) -> str:
    """Whose failures it counts among: an IPv4 address's own, or its /64's, which one caller has whole."""
    address = parse_address(text)
    if isinstance(address, IPv6Address):
        return f"{int(address) >> 64:x}/64"
    return text if address is None else str(address)
