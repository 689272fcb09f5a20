"""Callers by the digest of their key: remembered until they change, and never trusted past a second without news."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network

from auth.api_keys import key_id_of
from auth.keyring import Keyring, WrongSecret
from auth.principal import Principal, Scope
from db.database import Database, DatabaseUnavailable
from db.keys import Credential, find_credential
from db.policies import policies_that_bind
from db.tables import Change

#: A change is obeyed everywhere this long after its commit, or nobody is let in.
STALE_AFTER_SECONDS = 1.0
MAX_REMEMBERED = 250_000
LOOKUPS_AT_ONCE = 4


class DirectoryUnavailable(Exception):
    """It cannot be known who is calling: the database has not answered for a second."""


class Directory:
    """Digest to `Principal`. What is not known is never remembered; what is known is, until a change names it."""

    def __init__(self, database: Database, keyring: Keyring, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._remembered: dict[str, Principal] = {}
        #: Digests by the ids of their key and their tenant: a change names those.
        self._digests: dict[str, set[str]] = {}
        self._loading: dict[str, asyncio.Task[Principal | None]] = {}
        # Its own: what keeps other threads busy, such as large bodies, must not keep callers from being known.
        self._threads = ThreadPoolExecutor(LOOKUPS_AT_ONCE, thread_name_prefix="directory")
        self._generation = 0
        self._read_at = -STALE_AFTER_SECONDS

    @property
    def is_fresh(self) -> bool:
        """Whether the change counter was read within the last second."""
        return self._clock() - self._read_at < STALE_AFTER_SECONDS

    async def find(self, raw_key: bytes) -> Principal | None:
        """The caller whose key this is, or None. Raises `MalformedKey` (without a query) or `DirectoryUnavailable`."""
        if not self.is_fresh:
            raise DirectoryUnavailable
        digests = self._keyring.digests(raw_key)
        for digest in digests:
            if (remembered := self._remembered.get(digest)) is not None:
                return remembered
        # What is remembered was a key; anything else must look like one before it is looked for.
        key_id_of(raw_key)
        return await self._load_once(digests)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def follow(self, changes: Sequence[Change], read_at: float) -> None:
        """Forgets those whom the changes touch; `read_at` is the clock's time just before the changes were read."""
        for change in changes:
            self._generation += 1
            self._forget(change)
        self._read_at = read_at

    def _forget(self, change: Change) -> None:
        if change.kind == "models":
            return
        if change.kind == "plan":
            self._remembered.clear()
            self._digests.clear()
            return
        for digest in list(self._digests.get(change.object_id, ())):
            self._drop(digest)

    def _drop(self, digest: str) -> None:
        principal = self._remembered.pop(digest)
        for owner in (principal.key_id, principal.tenant_id):
            self._digests[owner].discard(digest)
            if not self._digests[owner]:
                del self._digests[owner]

    async def _load_once(self, digests: Sequence[str]) -> Principal | None:
        """Reads a caller from the database; many requests with one new key share one query."""
        task = self._loading.get(digests[0])
        if task is None:
            task = self._loading[digests[0]] = asyncio.ensure_future(self._load(digests))
            task.add_done_callback(lambda _: self._loading.pop(digests[0], None))
        return await asyncio.shield(task)

    async def _load(self, digests: Sequence[str]) -> Principal | None:
        try:
            async with asyncio.timeout(STALE_AFTER_SECONDS):
                while True:
                    generation = self._generation
                    found = await asyncio.get_running_loop().run_in_executor(self._threads, self._read, digests)
                    # A change that came in while we read may be missing from what we read.
                    if generation == self._generation:
                        return self._remember(found)
        except (TimeoutError, DatabaseUnavailable, WrongSecret) as error:
            # A secret that was rotated by another process is not the caller's fault either.
            raise DirectoryUnavailable from error

    def _remember(self, found: tuple[str, Principal] | None) -> Principal | None:
        if found is None:
            return None
        while len(self._remembered) >= MAX_REMEMBERED:
            self._drop(next(iter(self._remembered)))
        digest, principal = found
        if digest in self._remembered:
            self._drop(digest)
        self._remembered[digest] = principal
        for owner in (principal.key_id, principal.tenant_id):
            self._digests.setdefault(owner, set()).add(digest)
        return principal

    def _read(self, digests: Sequence[str]) -> tuple[str, Principal] | None:
        with self._database.reading() as session:
            credential = find_credential(session, digests)
            if credential is None:
                return None
            key, tenant = credential.key, credential.tenant
            policies = policies_that_bind(session, plan_id=tenant.plan_id, tenant_id=tenant.id, key_id=key.id)
            fingerprint_key = self._keyring.fingerprint_key(session, tenant_id=tenant.id)
        expiries = [at for at in (key.expires_at, key.revoked_at, credential.secret.expires_at) if at is not None]
        principal = Principal(
            subject=f"key:{key.id}",
            key_id=key.id,
            tenant_id=tenant.id,
            tenant=tenant.name,
            is_active=_is_active(credential),
            scopes=frozenset(Scope(scope) for scope in key.scopes),
            models=None if key.models is None else frozenset(key.models),
            cidrs=tuple(ip_network(cidr) for cidr in key.cidrs or ()),
            policies=policies,
            concurrency=credential.plan.concurrency,
            not_before=key.not_before,
            expires_at=min(expiries, default=None),
            fingerprint_key=fingerprint_key,
            valid_from=key.not_before.timestamp() if key.not_before else 0.0,
            valid_until=min((at.timestamp() for at in expiries), default=float("inf")),
        )
        return credential.secret.digest, principal


def _is_active(credential: Credential) -> bool:
    return credential.tenant.status == "active" and credential.key.revoked_at is None
