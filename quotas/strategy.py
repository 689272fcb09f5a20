"""slowapi's Limiter as the owner of our storage and strategy; the only file that knows slowapi.

It uses neither decorator nor middleware: they run too late or not at all, and fail open in ten ways.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import slowapi

from quotas.memory import STRATEGY, MemoryStore
from quotas.shared.link import Link
from quotas.shared.seeding import Memory
from quotas.shared.server import Address
from quotas.shared.store import SCHEME as SHARED_SCHEME
from quotas.shared.store import STRATEGY as SHARED_STRATEGY
from quotas.shared.store import SharedStore
from quotas.window_storage import SCHEME


class SlowapiLimiter(slowapi.Limiter):
    """slowapi's Limiter without the environment: it would obey `RATELIMIT_ENABLED=false` there or in `.env`."""

    def get_app_config(self, key: str, default_value: Any = None) -> Any:  # noqa: ARG002  every setting is refused
        return default_value


def memory_store(
    clock: Callable[[], int] = time.monotonic_ns,
    wall_clock: Callable[[], int] = time.time_ns,
    most: int | None = None,
) -> MemoryStore:
    """Returns a store that counts in this process, on `clock` (nanoseconds that never go back).

    Raises `RuntimeError` if the limiter is switched off, `TypeError` if it is another.
    """
    strategy = _strategy_of(f"{SCHEME}://", STRATEGY, {"clock": clock, "wall_clock": wall_clock, "most": most})
    if not isinstance(strategy, MemoryStore):
        raise TypeError("the limiter is not the one that was asked for")
    return strategy


def shared_store(url: str, process_id: str, memory: Memory | None) -> SharedStore:
    """Returns a store that counts in Redis for all processes; without a `memory` it can only be asked for states.

    Raises `ValueError` if the URL is none of Redis', `RuntimeError` if the limiter is switched off.
    """
    strategy = _strategy_of(f"{SHARED_SCHEME}://", SHARED_STRATEGY, {"link": Link(Address(url), process_id, memory)})
    if not isinstance(strategy, SharedStore):
        raise TypeError("the limiter is not the one that was asked for")
    return strategy


def _strategy_of(uri: str, strategy: str, options: Any) -> object:
    with warnings.catch_warnings():
        # slowapi warns that the null device is no configuration file; that is why it is named.
        warnings.simplefilter("ignore", UserWarning)
        limiter = SlowapiLimiter(
            key_func=_no_key,
            storage_uri=uri,
            strategy=strategy,
            storage_options=options,
            config_filename=os.devnull,
        )
    if not limiter.enabled:
        raise RuntimeError("the limiter is switched off")
    return limiter.limiter


def _no_key(*_: object) -> str:
    # slowapi asks for a key function, for its decorator alone; an empty key would skip a limit silently.
    raise RuntimeError("charges are made on admission, never by slowapi's decorator")
