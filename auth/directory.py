"""Remembers callers by key or token until they change; lets nobody in after a second without news of changes."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import heapq
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from auth.api_keys import key_id_of
from auth.callers import Callers
from auth.keyring import Keyring, WrongSecret
from auth.principal import Partner, Principal
from auth.signing_keys import THE_KEYS
from auth.tokens import check_form
from db.database import DatabaseUnavailable
from db.tables import Change

#: Every process obeys a change this long after its commit, or lets nobody in.
STALE_AFTER_SECONDS = 1.0
MAX_REMEMBERED = 250_000
LOOKUPS_AT_ONCE = 4
#: So many new callers are hidden from the garbage collector together: a full collection over a hundred thousand
#: callers would hold the event loop for nearly two seconds.
FROZEN_AT_ONCE = 2_000


class DirectoryUnavailable(Exception):
    """The directory cannot tell who is calling: the database has not answered for a second."""


#: A handle (the digest of a key or of a token) with its caller; None if no caller has it.
Found = tuple[str, Principal] | None


class Directory:
    """Finds principals by digest. Remembers a caller until a change names it; never remembers an unknown digest."""

    def __init__(
        self,
        callers: Callers,
        keyring: Keyring,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        max_remembered: int = MAX_REMEMBERED,
    ) -> None:
        self._callers = callers
        self._keyring = keyring
        self._clock, self._now = clock, now
        self._max_remembered = max_remembered
        self._remembered: dict[str, Principal] = {}
        #: A heap of the remembered tokens: the end and the handle of each, the first to end on top.
        self._token_ends: list[tuple[float, str]] = []
        #: Handles by the ids of the objects that their principals depend on, which changes name.
        self._handles: dict[str, set[str]] = {}
        self._loading: dict[str, asyncio.Task[Principal | None]] = {}
        self._used: set[str] = set()
        # Threads of its own: large bodies keep other threads busy, and must not delay the finding of callers.
        self._threads = ThreadPoolExecutor(LOOKUPS_AT_ONCE, thread_name_prefix="directory")
        self._unfrozen = 0
        self._generation = 0
        self._read_at = -STALE_AFTER_SECONDS

    @property
    def is_fresh(self) -> bool:
        """Whether the change counter was read within the last second."""
        return self._clock() - self._read_at < STALE_AFTER_SECONDS

    def is_current(self, principal: Principal) -> bool:
        """Whether nothing changed this caller since it was remembered, as of a second ago at most."""
        return self.is_fresh and self._remembered.get(principal.handle) is principal

    async def find_key(self, raw_key: bytes) -> Principal | None:
        """Returns the caller whose key this is, or None.

        Raises `MalformedKey` (without a query) or `DirectoryUnavailable`.
        """
        if not self.is_fresh:
            raise DirectoryUnavailable
        digests = self._keyring.digests(raw_key)
        for digest in digests:
            if (remembered := self._remembered.get(digest)) is not None:
                return remembered
        # A remembered key is well formed; any other text must be, before the database is asked.
        key_id_of(raw_key)
        return await self._load_once(digests[0], lambda: self._callers.by_key(digests))

    async def find_token(self, raw_token: bytes) -> Principal | None:
        """Returns the caller whose token this is, or None.

        Raises `InvalidToken` (without work) or `DirectoryUnavailable`.
        """
        if not self.is_fresh:
            raise DirectoryUnavailable
        check_form(raw_token)
        handle = hashlib.sha256(raw_token).hexdigest()
        if (remembered := self._remembered.get(handle)) is not None:
            return remembered

        def read() -> Found:
            principal = self._callers.by_token(raw_token)
            return None if principal is None else (handle, principal)

        return await self._load_once(handle, read)

    def note_use(self, principal: Principal) -> None:
        """Remembers that the caller's key was used, until `take_used` hands it over to be written."""
        if isinstance(principal, Partner):
            self._used.add(principal.key_id)

    def take_used(self) -> list[str]:
        """Returns the ids of the keys that were used since the last call."""
        used, self._used = self._used, set()
        return list(used)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def follow(self, changes: Sequence[Change], read_at: float) -> None:
        """Forgets the callers that the changes touch; `read_at` is the clock's time just before they were read."""
        for change in changes:
            self._generation += 1
            self._forget(change)
        self._read_at = read_at

    def _forget(self, change: Change) -> None:
        if change.kind in ("models", "peppers"):
            return
        if change.kind == "plan":
            self._remembered.clear()
            self._handles.clear()
            self._token_ends.clear()
            return
        for handle in list(self._handles.get(change.object_id, ())):
            self._drop(handle)

    def _drop(self, handle: str) -> None:
        for owner in self._remembered.pop(handle).depends_on:
            self._handles[owner].discard(handle)
            if not self._handles[owner]:
                del self._handles[owner]

    async def _load_once(self, handle: str, read: Callable[[], Found]) -> Principal | None:
        """Reads a caller from the database; many requests with one new credential share one query."""
        task = self._loading.get(handle)
        if task is None:
            task = self._loading[handle] = asyncio.ensure_future(self._load(read))
            task.add_done_callback(lambda _: self._loading.pop(handle, None))
        return await asyncio.shield(task)

    async def _load(self, read: Callable[[], Found]) -> Principal | None:
        try:
            async with asyncio.timeout(STALE_AFTER_SECONDS):
                while True:
                    generation = self._generation
                    found = await asyncio.get_running_loop().run_in_executor(self._threads, read)
                    # A change that came in while we read may be missing from what we read.
                    if generation == self._generation:
                        return self._remember(found)
        except (TimeoutError, DatabaseUnavailable, WrongSecret) as error:
            # `WrongSecret`: another process may have rotated SECRET, which is not the caller's fault either.
            raise DirectoryUnavailable from error

    def _remember(self, found: Found) -> Principal | None:
        if found is None:
            return None
        self._make_room()
        handle = found[0]
        principal = replace(found[1], handle=handle)
        if THE_KEYS in principal.depends_on:
            heapq.heappush(self._token_ends, (principal.valid_until, handle))
        if handle in self._remembered:
            self._drop(handle)
        self._remembered[handle] = principal
        for owner in principal.depends_on:
            self._handles.setdefault(owner, set()).add(handle)
        self._freeze()
        return principal

    def _make_room(self) -> None:
        """Forgets tokens that have ended and, while too many callers are left, the next token to end or the oldest key.

        A key buys as many tokens as it likes: they must not push out the keys of others.
        """
        ends = self._token_ends
        while ends and (ends[0][0] <= self._now() or len(self._remembered) >= self._max_remembered):
            _, handle = heapq.heappop(ends)
            if handle in self._remembered:
                self._drop(handle)
        while len(self._remembered) >= self._max_remembered:
            self._drop(next(iter(self._remembered)))

    def _freeze(self) -> None:
        """Hides remembered callers from the garbage collector now and then; their last reference still frees them."""
        self._unfrozen += 1
        if self._unfrozen >= FROZEN_AT_ONCE:
            self._unfrozen = 0
            gc.collect(1)
            gc.freeze()
