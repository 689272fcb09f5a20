"""Models by name, version and alias: which of them are loaded, who may use them, and which version answers.

Versions that aliases name are loaded beforehand, others when somebody asks for them. When all together pass a bound,
those that nobody has asked for longest are unloaded, and loaded again when somebody asks. An alias moves when the
version that it names is loaded and has answered a row; if that fails, it stays where it is.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock

from inference.listings import PRODUCTION, AliasListing, ModelListing, VersionListing
from inference.loading import Loader, ServedVersion, reason_of

#: A version that could not be loaded is not tried again for so long by those who ask for it.
RETRY_SECONDS = 10.0

logger = logging.getLogger("adyton.inference")

Models = Mapping[str, ModelListing]


class ModelNotFound(Exception):
    """The model or version does not exist, or this caller may not use it: the two are not told apart."""


class ModelNotAvailable(Exception):
    """The version is registered, and cannot answer: it could not be loaded, or was taken out."""


class Registry:
    """The models that are served now. Each change is built beside the present state and swapped in whole.

    `restrict` and `load` are called by one thread each, and never wait for one another; the rest on the event loop.
    `max_bytes` bounds the size of all loaded versions' files together.
    """

    def __init__(self, loader: Loader, *, max_bytes: int) -> None:
        self._loader = loader
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._models: Models = {}
        self._now: dict[str, ModelListing] | None = None
        #: Whether an alias lags behind: the version that it was moved to could not be loaded yet.
        self.is_behind = False
        #: By the version's id: what is loaded, when it was last asked for, and when it could not be loaded.
        self._loaded: dict[str, ServedVersion] = {}
        self._asked_at: dict[str, float] = {}
        self._failed_at: dict[str, float] = {}
        self._loading: dict[str, asyncio.Future[ServedVersion]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="version-loader")

    def load(self, listings: Sequence[ModelListing]) -> None:
        """Serves exactly these models, once the versions that their aliases name are loaded."""
        before = self._models
        self._failed_at.clear()
        models = {listing.name: self._prepared(listing, before.get(listing.name)) for listing in listings}
        self.is_behind = any(models[listing.name].aliases != listing.aliases for listing in listings)
        living = {version.id for model in models.values() for version in model.versions.values()}
        with self._lock:
            # Loading may take long: access to models may have been restricted meanwhile.
            self._models = models if self._now is None else _restricted(models, self._now)
            for gone in self._loaded.keys() - living:
                del self._loaded[gone]
                self._asked_at.pop(gone, None)
        # A full collection over scikit-learn's objects would be a pause of 100 ms.
        gc.freeze()

    def restrict(self, listings: Sequence[ModelListing]) -> None:
        """Restricts each model to the tenants that may use it now; at once, and without loading anything."""
        with self._lock:
            self._now = {listing.id: listing for listing in listings}
            self._models = _restricted(self._models, self._now)

    async def find(self, name: str, version: str | None, *, tenant_id: str, key_id: str | None = None) -> ServedVersion:
        """The version that answers that tenant's key: a version, or an alias, `production` for None.

        Raises `ModelNotFound` or `ModelNotAvailable`.
        """
        model = self._models.get(name)
        if model is None or not model.is_for(tenant_id):
            raise ModelNotFound
        wanted = version or PRODUCTION
        alias = model.aliases.get(wanted)
        listing = model.versions.get(wanted if alias is None else alias.for_key(model.id, wanted, key_id))
        if listing is None:
            raise ModelNotFound
        self._asked_at[listing.id] = time.monotonic()
        served = self._loaded.get(listing.id)
        if served is None:
            served = await self._fetched(model, listing)
        if served.lane.is_out:
            raise ModelNotAvailable
        return served

    def visible(self, tenant_id: str | None) -> list[ModelListing]:
        """The models that the tenant may use; for None, those that everybody may."""
        return [model for model in self._models.values() if model.is_for(tenant_id)]

    def state(self, default: str) -> str:
        """`ok`; `degraded` if a version could not be loaded or hangs; `unavailable` if that is the default model's.

        One model that fails is no reason to turn the other models' callers away.
        """
        out = {version_id for version_id, served in list(self._loaded.items()) if served.lane.is_out}
        failing = out | self._failed_at.keys()
        model = self._models.get(default)
        alias = model.aliases.get(PRODUCTION) if model else None
        if model is not None and alias is not None and model.versions[alias.version].id in failing:
            return "unavailable"
        return "degraded" if failing or self.is_behind else "ok"

    @property
    def loaded_bytes(self) -> int:
        """The size of all files of loaded versions."""
        return sum(served.size_bytes for served in list(self._loaded.values()))

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._loader.pool.close()

    def _prepared(self, listing: ModelListing, before: ModelListing | None) -> ModelListing:
        """The model with its aliases: moved if the version that they name is loaded, or else as they were."""
        aliases = {
            name: self._settled(listing, alias, before.aliases.get(name) if before is not None else None)
            for name, alias in listing.aliases.items()
        }
        return replace(listing, aliases=aliases)

    def _settled(self, model: ModelListing, alias: AliasListing, before: AliasListing | None) -> AliasListing:
        failed = [name for name in alias.targets if not self._has(model, model.versions[name])]
        if not failed:
            return alias
        if alias.version not in failed:
            # Only the canary is missing: the version answers its share as well.
            return AliasListing(alias.version)
        is_there = before is not None and set(before.targets) <= model.versions.keys()
        return before if before is not None and is_there else alias

    def _has(self, model: ModelListing, version: VersionListing) -> bool:
        """Whether the version is loaded, or can be; past the bound it is loaded when somebody asks for it."""
        if version.id in self._loaded or (self._loaded and self.loaded_bytes >= self._max_bytes):
            return True
        try:
            self._add(version.id, self._loader.load(model, version))
        except Exception as error:  # noqa: BLE001  one bad file must not take the others down
            self._note_failure(model, version, error)
            return False
        return True

    async def _fetched(self, model: ModelListing, version: VersionListing) -> ServedVersion:
        """A version that was not loaded, or is no longer; everybody who asks meanwhile waits for the same one."""
        if time.monotonic() - self._failed_at.get(version.id, -RETRY_SECONDS) < RETRY_SECONDS:
            raise ModelNotAvailable
        loading = self._loading.get(version.id)
        if loading is None:
            loop = asyncio.get_running_loop()
            loading = self._loading[version.id] = loop.run_in_executor(self._thread, self._loader.load, model, version)
            loading.add_done_callback(lambda done: self._loaded_late(model, version, done))
        try:
            # A caller who gives up must not cancel the loading for the others.
            return await asyncio.shield(loading)
        except Exception:  # noqa: BLE001  `_loaded_late` logs it
            raise ModelNotAvailable from None

    def _loaded_late(self, model: ModelListing, version: VersionListing, done: asyncio.Future[ServedVersion]) -> None:
        self._loading.pop(version.id, None)
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            self._failed_at.pop(version.id, None)
            self._add(version.id, done.result())
        else:
            self._note_failure(model, version, error)

    def _add(self, version_id: str, served: ServedVersion) -> None:
        with self._lock:
            self._loaded[version_id] = served
            self._asked_at.setdefault(version_id, time.monotonic())
            while self.loaded_bytes > self._max_bytes and len(self._loaded) > 1:
                oldest = min(self._loaded.keys() - {version_id}, key=lambda each: self._asked_at.get(each, 0.0))
                logger.info("version %s is unloaded until it is asked for", oldest)
                del self._loaded[oldest]

    def _note_failure(self, model: ModelListing, version: VersionListing, error: BaseException) -> None:
        self._failed_at[version.id] = time.monotonic()
        logger.error("model %s version %s cannot be served: %s", model.name, version.name, reason_of(error))


def _restricted(models: Models, now: Mapping[str, ModelListing]) -> dict[str, ModelListing]:
    """Those models that still exist, for the tenants that may use them now."""
    return {
        name: replace(model, is_public=new.is_public, granted_to=new.granted_to)
        for name, model in models.items()
        if (new := now.get(model.id)) is not None
    }
