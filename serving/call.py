"""One request, as far as the inside of the program knows it."""

from __future__ import annotations

import time

from auth.principal import Principal
from inference.loading import ServedVersion
from quotas.limiter import Charge
from values.ids import uuid7
from values.instants import now_ms


class Call:
    """Who asked, when and from where, and what came of it so far. Filled in as the request goes down."""

    __slots__ = (
        "address", "at_ms", "charge", "client_request_id", "is_in_log", "is_limited", "is_prediction", "principal",
        "request_id", "route", "rows", "started", "version",
    )  # fmt: skip

    def __init__(self, address: str, client_request_id: str | None = None) -> None:
        self.started = time.perf_counter()
        self.at_ms = now_ms()
        self.request_id = uuid7(self.at_ms)
        self.client_request_id = client_request_id
        self.address = address
        self.route = ""
        self.is_prediction = False
        self.is_limited = False
        #: Whether its record was handed to the log, which from then on answers for what is written of it.
        self.is_in_log = False
        self.principal: Principal | None = None
        self.charge: Charge | None = None
        self.version: ServedVersion | None = None
        self.rows = 0

    def latency_us(self) -> int:
        """Microseconds since the request's head was complete."""
        return round((time.perf_counter() - self.started) * 1e6)
