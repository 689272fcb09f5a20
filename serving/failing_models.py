"""Logs models that raise on callers' rows: once a minute for each version, with a count."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from inference.loading import ServedVersion

PERIOD_SECONDS = 60.0
MAX_VERSIONS = 10_000

logger = logging.getLogger("adyton.serving")


class FailingModels:
    """Counts failures by version. No line holds a caller's rows: it names a failure by its type."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: By the version's id: when its line was last written, and how many failures came since.
        self._said: dict[str, tuple[float, int]] = {}

    def note(self, served: ServedVersion, kind: str) -> None:
        """Counts one failure, and logs it unless this version was logged within the last minute."""
        now, version_id = self._clock(), served.listing.id
        said_at, unsaid = self._said.get(version_id, (-PERIOD_SECONDS, 0))
        if now - said_at < PERIOD_SECONDS:
            self._said[version_id] = said_at, unsaid + 1
            return
        if len(self._said) >= MAX_VERSIONS:
            self._said.clear()
        self._said[version_id] = now, 0
        logger.error(
            "model %s version %s raised %s on a caller's rows (%d times since this was last said)",
            served.model,
            served.listing.name,
            kind,
            unsaid + 1,
        )
