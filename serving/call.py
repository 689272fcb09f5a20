"""One request, as the rooms below the transports know it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from auth.credentials import Presented
from auth.principal import Principal
from quotas.accounts import PolicyState
from values.ids import uuid7
from values.instants import now_ms

if TYPE_CHECKING:
    from serving.admission import Admission


class Call:
    """A request's instant, address and caller. A transport makes it, and fills it in on the way down."""

    __slots__ = (
        "address",
        "admission",
        "at_ms",
        "client_request_id",
        "model",
        "presented",
        "principal",
        "refused_by",
        "request_id",
        "route",
        "started",
    )

    def __init__(self, address: str, client_request_id: str | None = None) -> None:
        self.started = time.perf_counter()
        self.at_ms = now_ms()
        self.request_id = uuid7(self.at_ms)
        self.client_request_id = client_request_id
        self.address = address
        self.route = ""
        #: The name of the model that a prediction is asked of, known or not.
        self.model: str | None = None
        self.presented: Presented | None = None
        self.principal: Principal | None = None
        self.admission: Admission | None = None
        #: The caller's limits as a refusal found them.
        self.refused_by: Sequence[PolicyState] = ()

    def limits(self) -> Sequence[PolicyState]:
        """The caller's limits as the last decision on this request left them; none if it was not charged."""
        if self.refused_by:
            return self.refused_by
        return () if self.admission is None else self.admission.limits()

    def latency_us(self) -> int:
        """Microseconds since the request's head was complete."""
        return round((time.perf_counter() - self.started) * 1e6)
