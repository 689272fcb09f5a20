"""The composition root: makes each part of a process once, joins them, starts and ends them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import migrations
from admin.models.listings import read_listings
from audit.search import Searches
from audit.writer import LogWriter
from auth.callers import Callers
from auth.credentials import Credentials
from auth.directory import Directory
from auth.keyring import Keyring
from auth.passwords import PasswordThreads
from auth.sign_in import SignIns
from auth.signing_keys import SigningKeys
from auth.strangers import Strangers
from auth.tokens import Tokens
from db.database import Database
from db.log_store import LogStore
from db.turns import Turns
from inference.files.artifacts import ArtifactStore
from inference.files.own_code import own_code
from inference.loading import Loader
from inference.pool import Pool
from inference.registry import Registry
from program.following import Follower
from program.parts import Parts
from program.registrations import Registrations
from program.seeding import all_spendings, past_of, seed
from program.settings import Settings
from program.strangers import StrangersInRedis
from program.upkeep import Housekeeping
from program.worker import CLOSE_SECONDS, Worker
from quotas.failures import MAX_ADDRESSES, FailureThrottle
from quotas.limiter import Quotas
from quotas.memory import MemoryStore
from quotas.shared.seeding import Memory
from quotas.shared.store import SharedStore
from quotas.store import Store
from quotas.strategy import memory_store, shared_store
from serving.admission import Admissions
from serving.catalogue import Catalogue
from serving.predictor import Predictor
from values.ids import uuid7


def loader_of(settings: Settings, keyring: Keyring, store: ArtifactStore) -> Loader:
    """Loads versions of models, for a server or for a command that tries one."""
    return Loader(
        store,
        keyring.version_mac,
        Pool(),
        max_rows=settings.max_batch_rows,
        gathers=settings.batching,
        patience_seconds=settings.request_timeout_seconds,
        trusted=settings.skops_trusted,
        code=own_code(settings.own_code_folders()),
    )


def assemble(settings: Settings, worker: Worker | None = None) -> Parts:
    """Makes each part once, and starts none; `worker` says which of several processes this is.

    Raises `SchemaOutOfDate`, `WrongSecret`, `InvalidSettings` or `DatabaseUnavailable`.
    """
    database = Database(settings.database_url)
    migrations.check(database)
    # The parts that every caller depends on have connections of their own, which auditors' searches cannot use up.
    vital = Database(settings.database_url)
    keyring = Keyring(vital, settings.secret_bytes(), settings.previous_secret_bytes())
    signing_keys = SigningKeys(vital, keyring)
    issuer = Tokens(signing_keys)
    directory = Directory(Callers(vital, keyring, issuer, has_people=settings.password_login), keyring)
    passwords = PasswordThreads()
    store = ArtifactStore(settings.models_dir)
    loader = loader_of(settings, keyring, store)
    registry = Registry(loader, max_bytes=settings.max_loaded_bytes)
    reloads = {"signing-keys": signing_keys.reload, "peppers": keyring.reload}
    log = _log_writer(vital, worker)
    quotas = _quotas_of(settings, vital, log, worker)
    credentials = Credentials(directory)
    return Parts(
        settings=settings,
        worker=worker,
        database=database,
        vital=vital,
        keyring=keyring,
        directory=directory,
        tokens=issuer,
        passwords=passwords,
        sign_ins=SignIns(database, keyring, passwords, _strangers_of(quotas)),
        store=store,
        loader=loader,
        registry=registry,
        quotas=quotas,
        failures=FailureThrottle(_store_of_failures(quotas)),
        log=log,
        follower=Follower(vital, directory, registry, partial(read_listings, vital), reloads),
        housekeeping=Housekeeping(database, directory, is_first=worker is None or worker.post.number == 1),
        credentials=credentials,
        admissions=Admissions(quotas, log, credentials, timeout_seconds=settings.request_timeout_seconds),
        predictor=Predictor(registry),
        catalogue=Catalogue(registry),
        searches=Searches(),
        registrations=Registrations(settings.models_dir),
    )


def _log_writer(database: Database, worker: Worker | None) -> LogWriter:
    if worker is None:
        return LogWriter(database)
    turns = None if database.path is None else Turns(database.path)
    return LogWriter(database, LogStore(database, turns), chain_id=worker.post.id, ended=worker.post.ended)


def _quotas_of(settings: Settings, vital: Database, log: LogWriter, worker: Worker | None) -> Quotas:
    past = past_of(vital, settings.request_timeout_seconds)
    if settings.redis_url is None:
        return Quotas(memory_store(), past)
    memory = Memory(partial(all_spendings, vital, settings.request_timeout_seconds), settle=log.flush)
    store = shared_store(settings.redis_url.get_secret_value(), uuid7() if worker is None else worker.post.id, memory)
    if worker is not None:
        worker.on_ended = store.end_processes
    quotas = Quotas(store, past)
    memory.standing = quotas.standing
    return quotas


def _strangers_of(quotas: Quotas) -> Strangers | None:
    """Where failures to sign in as somebody unknown are counted; None if each process counts them for itself."""
    return StrangersInRedis(quotas.store) if isinstance(quotas.store, SharedStore) else None


def _store_of_failures(quotas: Quotas) -> Store:
    """The store of all processes if there is one; else one that forgets the oldest of too many addresses."""
    return memory_store(most=MAX_ADDRESSES) if isinstance(quotas.store, MemoryStore) else quotas.store


@asynccontextmanager
async def running(parts: Parts) -> AsyncIterator[None]:
    """Keeps the parts at work, from the first read of the catalogue to the log's last commit.

    Raises `DatabaseUnavailable`, or `StoreUnfit` for a Redis that must not count limits.
    """
    loop = asyncio.get_running_loop()
    parts.follower.start(loop)
    parts.log.start(loop)
    if isinstance(parts.quotas.store, MemoryStore):
        # Nothing is admitted before: a restart hands out nothing fresh.
        await seed(parts.quotas.store, all_spendings(parts.vital, parts.settings.request_timeout_seconds))
    await parts.quotas.store.start()
    if parts.worker is not None:
        # If all died at once, nobody was there to be told.
        parts.worker.on_ended(parts.worker.post.ended)
    parts.housekeeping.start()
    # Everything that lives as long as the process is loaded by now. A full collection over scikit-learn's objects
    # would stop the process for 100 ms.
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        parts.follower.close()
        await parts.housekeeping.close()
        # In a thread: the log's last groups wake their futures on this loop, which must go on meanwhile.
        await asyncio.to_thread(parts.log.close, CLOSE_SECONDS)
        parts.searches.close()
        parts.registry.close()
        parts.predictor.close()
        parts.directory.close()
        await parts.sign_ins.close()
        await parts.quotas.store.close()
        parts.passwords.close()
        parts.database.dispose()
        parts.vital.dispose()
