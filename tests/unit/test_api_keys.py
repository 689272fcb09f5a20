"""Keys as the contract writes them."""

from __future__ import annotations

import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth import api_keys
from auth.api_keys import ALPHABET, MalformedKey, Pepper

BODIES = st.text(ALPHABET, min_size=44, max_size=44)


@given(BODIES)
def test_the_checksum_is_the_crc_of_the_44_characters_in_base62(body):
    """Read back as a number, it is zlib's CRC-32; always six characters."""
    digits = api_keys.checksum(body)
    number = 0
    for digit in digits:
        number = number * 62 + ALPHABET.index(digit)
    assert number == zlib.crc32(body.encode())
    assert len(digits) == 6


def test_a_minted_key_is_found_by_the_pattern_and_knows_its_id():
    """`ady_` and 50 base62 characters; a thousand of them are all different."""
    keys = {api_keys.mint() for _ in range(1000)}
    assert len(keys) == 1000
    for key in keys:
        assert re.fullmatch(r"ady_[0-9A-Za-z]{50}", key)
        assert api_keys.key_id_of(key.encode()) == key[4:16]


def test_a_rotated_secret_keeps_the_id():
    """The key id is the logical key's."""
    key = api_keys.mint()
    other = api_keys.mint(key[4:16])
    assert other[4:16] == key[4:16]
    assert other != key


@given(st.integers(0, 53), st.sampled_from(ALPHABET))
def test_a_mistyped_key_is_malformed(place, char):
    """Any one other character, anywhere."""
    key = "ady_" + "0" * 44 + api_keys.checksum("0" * 44)
    mistyped = key[:place] + char + key[place + 1 :]
    if mistyped != key:
        with pytest.raises(MalformedKey):
            api_keys.key_id_of(mistyped.encode())


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_malformed(raw):
    """Nothing but a key gets past."""
    with pytest.raises(MalformedKey):
        api_keys.key_id_of(raw)


def test_a_digest_depends_on_the_whole_key_and_on_the_pepper():
    """HMAC-SHA-256 (RFC 4231, test case 2), in hex."""
    vector = Pepper(1, b"Jefe").digest(b"what do ya want for nothing?")
    assert vector == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    key = api_keys.mint().encode()
    assert Pepper(1, b"a" * 32).digest(key) != Pepper(1, b"b" * 32).digest(key)
