"""Who makes room for whom when there are too many connections."""

from __future__ import annotations

import logging
from ipaddress import ip_network

import pytest

from api.http import connections as module
from api.http.connections import Connections, connections_of
from program.settings import InvalidSettings, Settings


class Toy:
    """A connection that notes what became of it."""

    def __init__(self) -> None:
        self.is_closed = False
        self.has_answer_to_send = False

    def is_flushed(self) -> bool:
        return not self.has_answer_to_send

    def close_idle(self) -> None:
        self.is_closed = True


def opened(connections: Connections, count: int, address: str = "192.0.2.1") -> list[Toy]:
    made = [Toy() for _ in range(count)]
    assert all(connections.admit(each, address) for each in made)
    return made


def test_the_oldest_idle_connection_makes_room():
    """In the order in which they became idle, whoever has them; a working one is left alone."""
    connections = Connections(4, 4)
    first, working, third, fourth = opened(connections, 4)
    connections.begin(working)
    connections.begin(first)
    connections.rest(first)
    opened(connections, 1, "192.0.2.2")
    assert [each.is_closed for each in (first, working, third, fourth)] == [False, False, True, False]
    opened(connections, 2, "192.0.2.3")
    assert [each.is_closed for each in (first, working, third, fourth)] == [True, False, True, True]


def test_where_none_is_idle_the_newest_is_refused():
    """Until one rests or leaves."""
    connections = Connections(3, 3)
    working = opened(connections, 3)
    for each in working:
        connections.begin(each)
    newest = Toy()
    assert not connections.admit(newest, "192.0.2.2")
    connections.leave(newest)
    connections.rest(working[1])
    opened(connections, 1, "192.0.2.2")
    assert [each.is_closed for each in working] == [False, True, False]
    connections.leave(working[0])
    opened(connections, 1, "192.0.2.2")
    assert not working[2].is_closed


def test_an_answer_that_is_not_taken_yet_is_work():
    """Its connection is passed over while it is not, and is closed afterwards."""
    connections = Connections(2, 2)
    slow, quick = opened(connections, 2)
    slow.has_answer_to_send = True
    opened(connections, 1, "192.0.2.2")
    assert (slow.is_closed, quick.is_closed) == (False, True)


def test_one_address_takes_only_its_own_connections_away():
    """An IPv6 network of 64 bits is one address; an IPv4 address is the same in IPv6's clothes."""
    connections = Connections(100, 2)
    others = opened(connections, 2, "198.51.100.1")
    for addresses in (
        ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::2", "2001:db8:0:0:ff::"),
    ):
        made = [Toy() for _ in addresses]
        for each, address in zip(made, addresses, strict=True):
            assert connections.admit(each, address)
        assert [each.is_closed for each in made] == [True, False, False]
        for each in made[1:]:
            connections.begin(each)
        assert not connections.admit(Toy(), addresses[0])
    assert not any(each.is_closed for each in others)
    assert connections.admit(Toy(), "2001:db8:0:1::1")


def test_trusted_proxies_have_no_bound_of_their_own():
    """Behind a proxy's address is everybody; the bound for all holds for it too."""
    connections = Connections(5, 2, [ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")])
    made = opened(connections, 4, "::ffff:192.0.2.7") + opened(connections, 1, "2001:db8::1")
    assert not any(each.is_closed for each in made)
    opened(connections, 1, "192.0.2.8")
    assert [each.is_closed for each in made] == [True, False, False, False, False]


def test_nothing_is_kept_of_those_that_are_gone():
    """Neither of connections that ended nor of ones that were closed or refused, nor of their addresses."""
    connections = Connections(3, 2)
    for number in range(50):
        made = opened(connections, 2, f"192.0.2.{number}")
        connections.begin(made[0])
        for each in (*made, *made):
            connections.rest(each)
            connections.leave(each)
            connections.rest(each)
    assert (connections._networks, connections._idle, connections._addresses) == ({}, {}, {})


def test_it_is_said_once_a_minute_and_shown(caplog):
    """Critically, with what has happened since; readiness says which it is, and for how long."""
    now = [0.0]
    connections = Connections(2, 2, clock=lambda: now[0])
    assert connections.state() == "ok"
    with caplog.at_level(logging.CRITICAL, "adyton.api"):
        opened(connections, 12)
        assert connections.state() == "crowded"
        for each in list(connections._networks):
            connections.begin(each)
        assert not connections.admit(Toy(), "192.0.2.1")
        assert connections.state() == "crowded", "one address had too many: others still get in"
        assert not connections.admit(Toy(), "192.0.2.2")
        assert connections.state() == "unavailable"
        assert len(caplog.messages) == 1
        now[0] = module.FULL_SECONDS + 1
        assert connections.state() == "crowded"
        now[0] = module.SAY_SECONDS + 1
        assert connections.state() == "ok"
        assert not connections.admit(Toy(), "192.0.2.2")
    assert [record.levelname for record in caplog.records] == ["CRITICAL"] * 2
    assert "9 idle were closed and 3 new refused" in caplog.messages[1]


def test_more_connections_than_files_are_refused_at_the_start():
    """And so are none; by default there is room for everything else."""
    with pytest.raises(InvalidSettings, match="ADYTON_MAX_CONNECTIONS: this process may open files for"):
        connections_of(Settings(max_connections=10**9))
    for values in ({"max_connections": 0}, {"max_connections_per_address": 0}):
        with pytest.raises(ValueError, match="greater than or equal to 1"):
            Settings(**values)
    assert connections_of(Settings(max_connections=1)).admit(Toy(), "192.0.2.1")
