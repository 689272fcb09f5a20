"""Merkle batches and the chains they form.

The leaves of one group commit form a tree by RFC 9162, section 2.1.1: a node is SHA-256(0x01 || left || right). A
batch's head is SHA-256(0x02 || the head before || root || number || size || instant), the integers as 8 bytes,
big-endian, the instant in milliseconds since 1970. The first head of a chain follows its origin, SHA-256(0x03 || JSON
of its id, its start and the heads it cites).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson


class LogPosition(NamedTuple):
    """A record's position in the log: its chain, the number of its batch there, and its leaf in that batch."""

    chain_id: str
    batch_number: int
    leaf_index: int


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """A batch as it stands in its chain; `root` and `head` in hex."""

    number: int
    size: int
    sealed_at_ms: int
    root: str
    head: str


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """The root over 32-byte leaf hashes: the left subtree is the largest complete one (RFC 9162)."""
    level = list(leaves)
    if not level:
        return hashlib.sha256().digest()
    # Joining neighbours level by level, an odd last one rising unchanged, gives the same tree as the recursion.
    while len(level) > 1:
        joined = [hashlib.sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        level = joined + level[len(joined) * 2 :]
    return level[0]


def origin(chain_id: str, started_at: str, cites: Iterable[str]) -> str:
    """The hash that a chain's first head follows, in hex."""
    return hashlib.sha256(b"\x03" + orjson.dumps([chain_id, started_at, sorted(cites)])).hexdigest()


def next_batch(number: int, previous_head: str, leaves: Sequence[str], sealed_at_ms: int) -> SealedBatch:
    """The batch of that number over these leaves, following `previous_head`; all in hex."""
    root = merkle_root([bytes.fromhex(leaf) for leaf in leaves])
    numbers = b"".join(each.to_bytes(8, "big") for each in (number, len(leaves), sealed_at_ms))
    head = hashlib.sha256(b"\x02" + bytes.fromhex(previous_head) + root + numbers).hexdigest()
    return SealedBatch(number, len(leaves), sealed_at_ms, root.hex(), head)
