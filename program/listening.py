"""The sockets that a server listens on, opened once for all of its workers."""

from __future__ import annotations

import errno
import socket
from typing import Any

BACKLOG = 2048
#: An address that this machine does not have, such as `::1` where IPv6 is off, is left out if the host has another.
_ABSENT = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


class CannotListen(Exception):
    """The address cannot be listened on; the message says why."""


def listen(host: str, port: int) -> list[socket.socket]:
    """A listening socket for each address of the host; an empty host stands for every address of the machine.

    Raises `CannotListen`.
    """
    found: list[socket.socket] = []
    absent: OSError | None = None
    try:
        infos = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((info[0], info[4]) for info in infos):
            try:
                found.append(_listening(family, address))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                absent = error
        if not found and absent is not None:
            raise absent
    except OSError as error:
        for each in found:
            each.close()
        is_taken = error.errno == errno.EADDRINUSE
        reason = "is taken: choose another with --port" if is_taken else f"on {host}: {error.strerror}"
        raise CannotListen(f"port {port} {reason}") from None
    return found


def _listening(family: int, address: Any) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # IPv4 has a socket of its own: the two would collide.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
