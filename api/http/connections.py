"""Bounds how many connections are open, in all and from one address, and makes room for new ones.

A connection is idle while no request is under way on it and no part of one has arrived. An idle connection costs its
client nothing, and us an open file. At a bound, the oldest idle connection is closed for the newest. A connection at
work is never closed; if all are at work, the newest is refused.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Literal, Protocol

from program.open_files import most_connections
from program.settings import InvalidSettings, Settings
from program.worker import Worker
from values.addresses import network_of, parse_address
from values.alarms import TOO_MANY_CONNECTIONS

#: By default, one address has at most so many connections, and at most a quarter of all.
PER_ADDRESS = 1000
SHARE = 4
SAY_SECONDS = 60.0
#: For so long after the last refusal, the process reports that it is not ready.
FULL_SECONDS = 10.0

logger = logging.getLogger("adyton.api")

State = Literal["ok", "crowded", "unavailable"]


class Connection(Protocol):
    """An open connection, as far as `Connections` uses it."""

    def is_flushed(self) -> bool:
        """Whether the client has taken everything that was written to it."""

    def close_idle(self) -> None:
        """Closes the connection; to be called only while it is idle."""


class _Address:
    """The connections of one address: how many there are, and which are idle, the oldest first."""

    __slots__ = ("count", "idle")

    def __init__(self) -> None:
        self.count = 0
        self.idle: dict[Connection, None] = {}


class Connections:
    """The open connections of one process."""

    def __init__(
        self,
        most: int,
        per_address: int,
        exempt: Sequence[IPv4Network | IPv6Network] = (),
        clock: Callable[[], float] = time.monotonic,
        note: Callable[[int], None] | None = None,
    ) -> None:
        self._most = most
        self._per_address = per_address
        self._exempt = exempt
        self._clock = clock
        #: Told how many connections are open, whenever that changes.
        self._note = note
        #: Each open connection's address, or for IPv6 its /64.
        self._networks: dict[Connection, str] = {}
        self._addresses: dict[str, _Address] = {}
        self._idle: dict[Connection, None] = {}
        self._closed = self._refused = 0
        self._said_at = self._crowded_at = self._full_at = float("-inf")

    def admit(self, connection: Connection, address: str) -> bool:
        """Counts a new connection, which is idle at first; returns False if it has no room and none could be made."""
        network = network_of(address)
        of_address = self._addresses.get(network)
        if of_address is not None and of_address.count >= self._per_address and not self._is_exempt(address):
            has_room = self._make_room(of_address.idle)
        else:
            has_room = len(self._networks) < self._most or self._make_room(self._idle)
        if has_room:
            # Only now: making room may have closed this address's last connection, and its entry is gone.
            of_address = self._addresses.setdefault(network, _Address())
            of_address.count += 1
            of_address.idle[connection] = self._idle[connection] = None
            self._networks[connection] = network
            self._count_changed()
        return has_room

    def leave(self, connection: Connection) -> None:
        """Forgets a connection that is closed, or was never admitted."""
        network = self._networks.pop(connection, None)
        if network is not None:
            of_address = self._addresses[network]
            of_address.count -= 1
            of_address.idle.pop(connection, None)
            self._idle.pop(connection, None)
            if not of_address.count:
                del self._addresses[network]
            self._count_changed()

    def begin(self, connection: Connection) -> None:
        """Notes that a request has begun to arrive."""
        if connection in self._idle:
            del self._idle[connection]
            del self._addresses[self._networks[connection]].idle[connection]

    def rest(self, connection: Connection) -> None:
        """Notes that every request on the connection is answered."""
        network = self._networks.get(connection)
        if network is not None and connection not in self._idle:
            self._addresses[network].idle[connection] = self._idle[connection] = None

    def state(self) -> State:
        """`unavailable` if the bound on all refused lately; `crowded` if an address's did, or idle ones were closed."""
        now = self._clock()
        if now - self._full_at < FULL_SECONDS:
            return "unavailable"
        return "crowded" if now - self._crowded_at < SAY_SECONDS else "ok"

    def _is_exempt(self, address: str) -> bool:
        parsed = parse_address(address)
        return parsed is not None and any(parsed in network for network in self._exempt)

    def _count_changed(self) -> None:
        if self._note is not None:
            self._note(len(self._networks))

    def _make_room(self, idle: dict[Connection, None]) -> bool:
        # A client that has not taken its whole answer is still being answered.
        oldest = next((each for each in idle if each.is_flushed()), None)
        now = self._crowded_at = self._clock()
        if oldest is None:
            self._refused += 1
            if idle is self._idle:
                # Only for the bound on all: one address with too many connections shuts out no other.
                self._full_at = now
        else:
            self._closed += 1
            self.leave(oldest)
            oldest.close_idle()
        self._say(now)
        return oldest is not None

    def _say(self, now: float) -> None:
        if now - self._said_at >= SAY_SECONDS:
            logger.critical(
                "%s: %d are open; since the last such line, %d idle were closed and %d new refused",
                TOO_MANY_CONNECTIONS,
                len(self._networks),
                self._closed,
                self._refused,
            )
            self._said_at, self._closed, self._refused = now, 0, 0


def connections_of(settings: Settings, worker: Worker | None = None) -> Connections:
    """The bounds that the settings ask for; each of several workers has its share of those that are set.

    Raises `InvalidSettings` if the process may not open as many files.
    """
    possible = most_connections()
    workers = 1 if worker is None else worker.post.of
    most = _share(settings.max_connections, workers) or possible
    if most > possible:
        raise InvalidSettings(f"ADYTON_MAX_CONNECTIONS: this process may open files for {possible} connections")
    of_address = _share(settings.max_connections_per_address, workers)
    per_address = of_address or max(1, min(PER_ADDRESS, most // SHARE))
    note = None if worker is None else worker.note_connections
    return Connections(most, per_address, settings.trusted_proxies, note=note)


def _share(bound: int | None, workers: int) -> int | None:
    """One worker's part of a bound, rounded up: every worker can serve, and one that is set to 1 is not 0."""
    return bound and math.ceil(bound / workers)
