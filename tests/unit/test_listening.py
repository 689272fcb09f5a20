"""The sockets that a server listens on."""

from __future__ import annotations

import socket

import pytest

from program.listening import CannotListen, listen
from tests.support.ports import free_port


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "", "::1"])
def test_a_host_is_listened_on_at_each_of_its_addresses(host):
    """IPv4, IPv6, a name, or every address of the machine."""
    if host == "::1" and not _has_ipv6():
        pytest.skip("ipv6: this machine has none")
    port = free_port()
    listeners = listen(host, port)
    try:
        families = {each.family for each in listeners}
        for each in listeners:
            assert not each.getblocking()
            target = "::1" if each.family == socket.AF_INET6 else "127.0.0.1"
            socket.create_connection((target, port), timeout=10).close()
        assert len(families) == len(listeners) >= 1
    finally:
        for each in listeners:
            each.close()


def test_a_taken_port_is_refused_in_words():
    """And nothing stays open."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CannotListen, match=f"port {port} is taken"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["203.0.113.9", "no such host"])
def test_an_address_of_another_machine_is_refused_in_words(host):
    """Also a name that is none."""
    with pytest.raises(CannotListen, match="port 8000 on "):
        listen(host, 8000)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
