"""How many files this process may open: each connection is one, and the database, the log and the models need more."""

from __future__ import annotations

import sys

#: For everything that is no connection. A fresh server has 60 open; its two pools can take 90 more on SQLite.
RESERVE = 256
#: More connections than these are another process's.
MOST_CONNECTIONS = 10_000


def raise_file_limit() -> None:
    """Takes as many open files as the system lets this process have; it starts with fewer, often 1,024."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  it does not exist everywhere

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            # Some systems call unlimited what they do not give.
            return


def most_connections() -> int:
    """So many connections leave room for the other files; at least half of all files are theirs."""
    limit = _file_limit()
    return max(1, min(MOST_CONNECTIONS, limit - min(RESERVE, limit // 2)))


def _file_limit() -> int:
    if sys.platform == "win32":
        return MOST_CONNECTIONS + RESERVE
    import resource  # noqa: PLC0415  it does not exist everywhere

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else MOST_CONNECTIONS + RESERVE
