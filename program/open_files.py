"""How many files this process may open. Each connection takes one; the database, the log and the models take more."""

from __future__ import annotations

import sys

#: Files for everything but connections. A fresh server has 60 open; its two pools can take 90 more on SQLite.
RESERVE = 256
#: One process takes no more connections than these.
MOST_CONNECTIONS = 10_000


def raise_file_limit() -> None:
    """Lets this process open as many files as the system allows; it starts with fewer, often 1,024."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  Windows has no such module

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            # Some systems name a limit that they do not grant.
            return


def most_connections() -> int:
    """The most connections that leave room for the other files; at least half of all files are for connections."""
    limit = _file_limit()
    return max(1, min(MOST_CONNECTIONS, limit - min(RESERVE, limit // 2)))


def _file_limit() -> int:
    if sys.platform == "win32":
        return MOST_CONNECTIONS + RESERVE
    import resource  # noqa: PLC0415  Windows has no such module

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else MOST_CONNECTIONS + RESERVE
