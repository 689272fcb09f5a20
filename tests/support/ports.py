"""Ports for servers of the tests."""

from __future__ import annotations

import random
import socket

#: Below those that systems hand out to clients: none of those takes one before its server listens.
PORTS = range(15_000, 32_000)


def free_port() -> int:
    """A port that nobody listens on, and that another process of the tests hardly chooses at the same time."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
