"""The parts of the assembled program, each made once."""

from __future__ import annotations

from dataclasses import dataclass

from audit.search import Searches
from audit.writer import LogWriter
from auth.credentials import Credentials
from auth.directory import Directory
from auth.keyring import Keyring
from auth.passwords import PasswordThreads
from auth.sign_in import SignIns
from auth.tokens import Tokens
from db.database import Database
from inference.files.artifacts import ArtifactStore
from inference.loading import Loader
from inference.registry import Registry
from program.following import Follower
from program.registrations import Registrations
from program.settings import Settings
from program.upkeep import Housekeeping
from program.worker import Worker
from quotas.failures import FailureThrottle
from quotas.limiter import Quotas
from serving.admission import Admissions
from serving.catalogue import Catalogue
from serving.predictor import Predictor


@dataclass(frozen=True, slots=True)
class Parts:
    settings: Settings
    #: Which of several processes this is; None if it is the only one.
    worker: Worker | None
    database: Database
    vital: Database
    keyring: Keyring
    directory: Directory
    tokens: Tokens
    passwords: PasswordThreads
    sign_ins: SignIns
    store: ArtifactStore
    loader: Loader
    registry: Registry
    quotas: Quotas
    failures: FailureThrottle
    log: LogWriter
    follower: Follower
    housekeeping: Housekeeping
    credentials: Credentials
    admissions: Admissions
    predictor: Predictor
    catalogue: Catalogue
    searches: Searches
    registrations: Registrations
