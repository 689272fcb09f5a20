"""Addresses of callers, in the forms in which they are compared, counted and stored."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Returns the address, as IPv4 if it came as IPv6 (`::ffff:192.0.2.1`); None if the text is no address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=4096)
def truncated(text: str) -> str | None:
    """Returns the part of an address that may be stored: its /24, or for IPv6 its /48."""
    address = parse_address(text)
    if isinstance(address, IPv6Address):
        return f"{IPv6Address(int(address) >> 80 << 80)}/48"
    return None if address is None else f"{IPv4Address(int(address) >> 8 << 8)}/24"


def network_of(text: str) -> str:
    """Returns the network that an address counts under: the IPv4 address itself, or its /64, which one caller owns."""
    address = parse_address(text)
    if isinstance(address, IPv6Address):
        return f"{int(address) >> 64:x}/64"
    return text if address is None else str(address)
