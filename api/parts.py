"""The parts of the assembled program, each made once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from api.settings import Settings
from audit.writer import LogWriter
from auth.directory import Directory
from db.database import Database
from inference.registry import Registry
from quotas.failures import FailureThrottle
from quotas.limiter import Quotas
from serving.following import Follower
from serving.predictor import Predictor


@dataclass(frozen=True, slots=True)
class Parts:
    settings: Settings
    database: Database
    vital: Database
    directory: Directory
    registry: Registry
    quotas: Quotas
    failures: FailureThrottle
    log: LogWriter
    follower: Follower
    predictor: Predictor
    #: So many searches of the log at once; the others wait, and nobody else does.
    searches: asyncio.Semaphore
