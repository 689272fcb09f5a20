"""How many connections there are, in all and from one address; and room for the next one where there are too many.

A connection is idle while it has no request under way and no part of one was sent. Idle ones cost their owner nothing,
and us a file each: where the bound is reached, the oldest of them is closed for the newest. A connection at work is
never closed; where all are, the newest is refused.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Literal, Protocol

from program.open_files import most_connections
from program.settings import InvalidSettings, Settings
from values.addresses import network_of, parse_address
from values.alarms import TOO_MANY_CONNECTIONS

#: By default, one address has at most so many, and at most a quarter of all.
PER_ADDRESS = 1000
SHARE = 4
SAY_SECONDS = 60.0
#: For so long after the last refusal the process says that it is not ready.
FULL_SECONDS = 10.0

logger = logging.getLogger("adyton.api")

State = Literal["ok", "crowded", "unavailable"]


class Connection(Protocol):
    """What is known here of an open connection."""

    def is_flushed(self) -> bool:
        """Whether its client has taken all that was written to it."""

    def close_idle(self) -> None:
        """Closes it; to be called only while it is idle."""


class _Address:
    """The connections of one address: how many, and those of them that are idle, the oldest first."""

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
    ) -> None:
        self._most = most
        self._per_address = per_address
        self._exempt = exempt
        self._clock = clock
        self._places: dict[Connection, str] = {}
        self._addresses: dict[str, _Address] = {}
        self._idle: dict[Connection, None] = {}
        self._closed = self._refused = 0
        self._said_at = self._crowded_at = self._full_at = float("-inf")

    def admit(self, connection: Connection, address: str) -> bool:
        """Counts a new connection, idle as yet; False if there is no room for it, and none could be made."""
        place = network_of(address)
        of_address = self._addresses.get(place)
        if of_address is not None and of_address.count >= self._per_address and not self._is_exempt(address):
            has_room = self._make_room(of_address.idle)
        else:
            has_room = len(self._places) < self._most or self._make_room(self._idle)
        if has_room:
            # Not before: making room may have taken the last one of this address.
            of_address = self._addresses.setdefault(place, _Address())
            of_address.count += 1
            of_address.idle[connection] = self._idle[connection] = None
            self._places[connection] = place
        return has_room

    def leave(self, connection: Connection) -> None:
        """Forgets a connection that is closed, or was never admitted."""
        place = self._places.pop(connection, None)
        if place is not None:
            of_address = self._addresses[place]
            of_address.count -= 1
            of_address.idle.pop(connection, None)
            self._idle.pop(connection, None)
            if not of_address.count:
                del self._addresses[place]

    def begin(self, connection: Connection) -> None:
        """A request has begun to arrive."""
        if connection in self._idle:
            del self._idle[connection]
            del self._addresses[self._places[connection]].idle[connection]

    def rest(self, connection: Connection) -> None:
        """Everything that was asked is answered."""
        place = self._places.get(connection)
        if place is not None and connection not in self._idle:
            self._addresses[place].idle[connection] = self._idle[connection] = None

    def state(self) -> State:
        """`unavailable` if anybody was refused lately, `crowded` if one address was, or idle ones were closed."""
        now = self._clock()
        if now - self._full_at < FULL_SECONDS:
            return "unavailable"
        return "crowded" if now - self._crowded_at < SAY_SECONDS else "ok"

    def _is_exempt(self, address: str) -> bool:
        parsed = parse_address(address)
        return parsed is not None and any(parsed in network for network in self._exempt)

    def _make_room(self, idle: dict[Connection, None]) -> bool:
        # One that has not taken its answer yet is still being answered.
        oldest = next((each for each in idle if each.is_flushed()), None)
        now = self._crowded_at = self._clock()
        if oldest is None:
            self._refused += 1
            if idle is self._idle:
                # Not where one address has too many: that says nothing of the others.
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
                "%s: %d are open; since this was last said, %d idle were closed and %d new refused",
                TOO_MANY_CONNECTIONS,
                len(self._places),
                self._closed,
                self._refused,
            )
            self._said_at, self._closed, self._refused = now, 0, 0


def connections_of(settings: Settings) -> Connections:
    """As the settings say, and the system allows. Raises `InvalidSettings` for more than there can be files for."""
    possible = most_connections()
    most = settings.max_connections or possible
    if most > possible:
        raise InvalidSettings(f"ADYTON_MAX_CONNECTIONS: this process may open files for {possible} connections")
    per_address = settings.max_connections_per_address or max(1, min(PER_ADDRESS, most // SHARE))
    return Connections(most, per_address, settings.trusted_proxies)
