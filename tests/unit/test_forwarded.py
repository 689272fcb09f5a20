"""Which address counts as the caller's behind trusted proxies."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.forwarded import caller_address
from values.addresses import network_of

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("2001:db8:ffff::/48")]
PROXY = "10.0.0.1"
CALLER = "203.0.113.9"


def x_forwarded_for(*lines: str, peer: str = PROXY) -> str:
    headers = [(b"host", b"x"), *((b"x-forwarded-for", line.encode("latin-1")) for line in lines)]
    return caller_address(peer, headers, "x-forwarded-for", TRUSTED)


def forwarded(*lines: str, peer: str = PROXY) -> str:
    headers = [(b"host", b"x"), *((b"forwarded", line.encode("latin-1")) for line in lines)]
    return caller_address(peer, headers, "forwarded", TRUSTED)


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        ([CALLER], CALLER),
        (["198.51.100.1, 203.0.113.9"], CALLER),
        (["198.51.100.1", "203.0.113.9"], CALLER),
        (["203.0.113.9, 10.2.3.4"], CALLER),
        (["203.0.113.9", "10.2.3.4"], CALLER),
        (["198.51.100.1, 203.0.113.9, 10.2.3.4 , 10.0.0.7"], CALLER),
        (["203.0.113.9, , 10.2.3.4,"], CALLER),
        (["203.0.113.9:4711"], CALLER),
        (["[2001:db8::9]:4711"], "2001:db8::9"),
        (["[2001:db8::9]"], "2001:db8::9"),
        (["2001:DB8:0:0::9"], "2001:db8::9"),
        (["2001:db8::9, 2001:db8:ffff::1"], "2001:db8::9"),
        (["::ffff:203.0.113.9"], CALLER),
        (["10.9.9.9, 10.2.3.4"], "10.9.9.9"),
        ([], PROXY),
        ([""], PROXY),
    ],
)
def test_x_forwarded_for_names_the_right_most_untrusted_address(lines, address):
    """Whatever stands left of it; if every hop is trusted, the left-most is the caller."""
    assert x_forwarded_for(*lines) == address


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        (["for=203.0.113.9"], CALLER),
        (["For=203.0.113.9;Proto=https;by=10.0.0.1"], CALLER),
        (['for="203.0.113.9:4711"'], CALLER),
        (['for="[2001:db8::9]"'], "2001:db8::9"),
        (['for="[2001:db8::9]:4711"'], "2001:db8::9"),
        (['for="[2001:db8::9]:_port"'], "2001:db8::9"),
        ([r'for="203.0.113\.9"'], CALLER),
        (["for=198.51.100.1, for=203.0.113.9"], CALLER),
        (["for=198.51.100.1", "for=203.0.113.9"], CALLER),
        (["for=203.0.113.9, for=10.2.3.4;proto=http"], CALLER),
        (['for=203.0.113.9;x="a, for=198.51.100.1", for=10.2.3.4'], CALLER),
        (['for=203.0.113.9;x="a, for=198.51.100.1;y=b, c"'], CALLER),
        (["for=203.0.113.9;, ,"], CALLER),
        (["for=10.9.9.9"], "10.9.9.9"),
        ([], PROXY),
    ],
)
def test_forwarded_names_the_right_most_untrusted_address(lines, address):
    """RFC 7239's forms: quoted strings, brackets, ports, several parameters, several lines."""
    assert forwarded(*lines) == address


NO_ADDRESSES = [
    "unknown",
    "_hidden",
    "example.org",
    "203.0.113",
    "1.2.3.4.5",
    "999.0.0.1",
    "01.2.3.4",
    "::g",
    "[::1",
    "1::2%e",
]


@pytest.mark.parametrize("node", NO_ADDRESSES)
def test_a_caller_without_an_address_has_none(node):
    """Neither the proxy's, which a key's CIDR may hold, nor a text that the caller chose to be counted under."""
    assert x_forwarded_for(f"203.0.113.9, {node}") == ""
    assert forwarded(f'for=203.0.113.9, for="{node}"') == ""


@pytest.mark.parametrize(
    "line", ["proto=https", 'for="203.0.113.9', "for=203.0.113.9;for=198.51.100.1", "for", "for=a b"]
)
def test_a_hop_of_forwarded_that_cannot_be_read_hides_the_caller(line):
    """It is not skipped: what stands left of it is not a proxy's word."""
    assert forwarded(f"for=198.51.100.1, {line}") == ""


@pytest.mark.parametrize(
    "left", ['for=198.51.100.1;x="', 'x="\\', '"', "for=10.0.0.7;;;", 'for="10.0.0.7', "\xff", "," * 9000, '",' * 9000]
)
def test_no_left_part_changes_what_a_proxy_wrote(left):
    """A quote that is never closed, or any other text of the caller's."""
    assert forwarded(f"{left}, for=203.0.113.9") == CALLER
    assert forwarded(f'{left}, for="[2001:db8::9]:443";host="x"') == "2001:db8::9"
    assert forwarded(f"{left}, for=203.0.113.9, for=10.0.0.3") == CALLER
    assert x_forwarded_for(f"{left}, 203.0.113.9") == CALLER


@given(left=st.text(st.characters(max_codepoint=255), max_size=60), lines=st.booleans())
def test_no_text_on_the_left_changes_the_caller(left, lines):
    """Any text, in the same line or in one before."""
    if lines:
        assert forwarded(left, "for=203.0.113.9, for=10.0.0.3") == CALLER
        assert x_forwarded_for(left, "203.0.113.9, 10.0.0.3") == CALLER
    else:
        assert forwarded(f"{left}, for=203.0.113.9, for=10.0.0.3") == CALLER
        assert x_forwarded_for(f"{left}, 203.0.113.9, 10.0.0.3") == CALLER


@given(st.text(st.characters(max_codepoint=255), max_size=80) | st.text('for="019.:af[];, %_', max_size=40))
def test_an_address_is_canonical_or_none_at_all(text):
    """So that what is counted by address cannot be split up by spellings."""
    for address in (forwarded(text), x_forwarded_for(text)):
        assert address == "" or str(ip_address(address)) == address


def test_only_a_trusted_peer_is_believed():
    """The header of anybody else is their own word."""
    assert x_forwarded_for("198.51.100.1", peer=CALLER) == CALLER
    assert forwarded("for=198.51.100.1", peer=CALLER) == CALLER
    assert x_forwarded_for(CALLER, peer="::ffff:10.0.0.1") == CALLER


def test_the_other_header_is_ignored():
    """A caller could write the one that their proxy does not touch."""
    headers = [(b"x-forwarded-for", b"203.0.113.9"), (b"forwarded", b"for=198.51.100.1")]
    assert caller_address(PROXY, headers, "x-forwarded-for", TRUSTED) == CALLER
    assert caller_address(PROXY, headers, "forwarded", TRUSTED) == "198.51.100.1"


def test_a_caller_on_ipv6_counts_by_their_network():
    """One caller owns a /64."""
    found = {network_of(x_forwarded_for(f"2001:db8::{each}")) for each in ("1", "2:3", "[ffff]")}
    assert found == {network_of("2001:db8::1"), network_of("2001:db8::2:3"), ""}
    assert network_of("2001:db8::1") == network_of("2001:db8::2:3")
