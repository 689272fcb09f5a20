"""The life of a request, from its charge to its end, for every transport: `async with admitted(...)`.

Only this file decides what a request is charged, when its time is up, what is given back, and which refusals and
failures are recorded. A transport decodes and encodes around it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from audit.record import FAILED, REFUSED, Record
from audit.writer import LogWriter
from auth.credentials import Credentials
from auth.principal import Partner, Person, Principal, Role, Scope
from inference.loading import ServedVersion
from quotas.accounts import PolicyState
from quotas.allowances import Allowance
from quotas.limiter import Charge, Quotas
from serving import problems
from serving.call import Call
from serving.deadlines import Deadline, Deadlines
from serving.facts import BodyTooSlow, ClientGone, DeadlineExceeded, NotAllowed, PasswordChangeRequired
from serving.load import Load
from serving.outcomes import is_the_services_fault, problem_of
from values.addresses import truncated


class Need(NamedTuple):
    """A route's demands on its caller.

    One of the scopes and roles in `allowed` is enough; an empty `allowed` lets in every known caller. A prediction is
    charged as one request, and so is every request of a person. A key's other requests cost no quota: they spend an
    `allowance`, and with `takes_place` they count among the tenant's requests under way.
    """

    allowed: tuple[Scope | Role, ...] = ()
    is_prediction: bool = False
    allowance: Allowance | None = None
    takes_place: bool = False


T = TypeVar("T")

#: A caller is looked at again before anything is done for them after a longer wait: with the quarter of a second in
#: which processes hear of changes, and the time that a change takes to be read, it is well within a second.
LOOK_AGAIN_SECONDS = 0.1

PREDICTION = Need((Scope.PREDICT,), is_prediction=True)


class Stage(Enum):
    """The party that a request waits for: the service, its sender, or the computation of its own rows."""

    SERVICE = "service"
    SENDER = "sender"
    COMPUTATION = "computation"


class Admissions:
    """Admits requests. A prediction may take `timeout_seconds`."""

    def __init__(self, quotas: Quotas, log: LogWriter, credentials: Credentials, *, timeout_seconds: float) -> None:
        self.quotas = quotas
        self.log = log
        self.credentials = credentials
        self.deadlines = Deadlines(timeout_seconds)
        self.load = Load(log, timeout_seconds)

    def admitted(self, call: Call, principal: Principal, need: Need) -> Admission:
        """The admission of this request, to be entered with `async with`."""
        return Admission(self, call, principal, need)


class Admission:
    """One admitted request.

    Entering charges the request before anything else is looked at: a flood of refused requests spends its limits too.
    Raises `QuotaExceeded`, `TooManyAtOnce`, `StoreUnavailable`, `NotAllowed` or `PasswordChangeRequired`. Leaving frees
    the place. After an error, leaving gives the charge back if the service itself failed, and records a prediction's
    refusal or failure.
    """

    __slots__ = (
        "_admissions",
        "_charge",
        "_deadline",
        "_has_entered",
        "_is_charged",
        "_is_in_log",
        "_looked_at",
        "_need",
        "_sender_seconds",
        "call",
        "principal",
        "rows",
        "stage",
        "version",
    )

    def __init__(self, admissions: Admissions, call: Call, principal: Principal, need: Need) -> None:
        self._admissions = admissions
        self._need = need
        self._charge: Charge | None = None
        self._deadline: Deadline | None = None
        self._sender_seconds = 0.0
        self._looked_at = call.started
        #: Whether the log has been handed the record: from then on the log decides what is written of it.
        self._is_in_log = False
        self._has_entered = False
        self._is_charged = need.is_prediction or isinstance(principal, Person)
        self.call = call
        self.principal = principal
        self.stage = Stage.SERVICE
        self.version: ServedVersion | None = None
        self.rows = 0

    async def __aenter__(self) -> Self:
        self.call.principal, self.call.admission = self.principal, self
        try:
            self._enter()
            await self._take_charge()
            self._check_allowed()
        except BaseException as error:
            self._end(error)
            raise
        if self._need.is_prediction:
            self._deadline = self._admissions.deadlines.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fact = error
        if self._deadline is not None:
            self._admissions.deadlines.end(self._deadline)
            if self._deadline.is_why(error):
                fact = self._late()
        self._end(fact)
        if fact is not None and fact is not error:
            raise fact from None

    async def charge_rows(self, count: int) -> None:
        """Charges the rows, once they are counted. Raises `QuotaExceeded`, `ExceedsQuota` or `StoreUnavailable`."""
        self.rows = count
        if self._charge is not None:
            await self._charge.spend_rows(count)

    def limits(self) -> Sequence[PolicyState]:
        """The caller's limits as the last charge left them, if this request is charged to them."""
        return self._charge.states() if self._charge is not None and self._is_charged else ()

    async def read(self, body: Callable[[], Awaitable[T]]) -> T:
        """Receives what the sender sends. `look_again` must follow before anything is done with it."""
        started = time.monotonic()
        self.stage = Stage.SENDER
        # A deadline that passes meanwhile is the sender's fault.
        received = await body()
        self._sender_seconds += time.monotonic() - started
        self.stage = Stage.SERVICE
        return received

    @property
    def has_waited(self) -> bool:
        """Whether so much time has passed since the caller was looked at that their authority may have ended."""
        return time.perf_counter() - self._looked_at > LOOK_AGAIN_SECONDS

    async def look_again(self) -> None:
        """Checks the caller's authority again, after a wait.

        Raises `NotAuthenticated`, `DirectoryUnavailable`, `NotAllowed` or `PasswordChangeRequired`.
        """
        self._looked_at = time.perf_counter()
        presented, credentials = self.call.presented, self._admissions.credentials
        if presented is not None and not credentials.still_stands(self.principal):
            self.principal = self.call.principal = await credentials.holder(presented)
            self._check_allowed()

    def record(self, outcome: str, status: int) -> Record:
        """A record of all that is known of this request so far. The caller must be a partner's program."""
        call, version, principal = self.call, self.version, self.principal
        if not isinstance(principal, Partner):
            raise TypeError("predictions are for partners' programs")
        charge = self._charge
        return Record(
            request_id=call.request_id,
            at_ms=call.at_ms,
            tenant_id=principal.tenant_id,
            subject=principal.subject,
            key_id=principal.key_id,
            route=call.route,
            outcome=outcome,
            status=status,
            started=call.started,
            client_request_id=call.client_request_id,
            address=truncated(call.address),
            model_id=version.model_id if version else None,
            version_id=version.listing.id if version else None,
            artifact_sha256=version.listing.artifact_sha256 if version else None,
            rows=self.rows,
            charged_requests=charge.requests if charge else 0,
            charged_rows=charge.rows if charge else 0,
        )

    async def append(self, record: Record) -> None:
        """Returns once the record of the answer is durable. Raises `LogUnavailable`."""
        self._is_in_log = True
        await self._admissions.log.append(record, self._is_late_by_our_fault)

    def _is_late_by_our_fault(self) -> bool:
        """Whether the deadline has passed and the service is to blame; false for a caller who hung up."""
        is_late = self._deadline is not None and self._deadline.has_passed
        return is_late and is_the_services_fault(self._late())

    def _enter(self) -> None:
        """Counts a prediction among those under way. Raises `Overloaded`, before anything is charged."""
        if self._need.is_prediction:
            self._admissions.load.enter(self.principal.pool_id, self.call.started)
            self._has_entered = True

    async def _take_charge(self) -> None:
        quotas, principal, need = self._admissions.quotas, self.principal, self._need
        if self._is_charged:
            self._charge = await quotas.charge_request(principal, self.call.model)
            return
        if need.takes_place:
            self._charge = await quotas.take_place(principal)
        if need.allowance is not None:
            await quotas.charge_allowance(need.allowance, principal.subject)

    def _check_allowed(self) -> None:
        principal, allowed = self.principal, self._need.allowed
        if not allowed:
            return
        if isinstance(principal, Person):
            if principal.must_change_password:
                raise PasswordChangeRequired
            is_allowed = principal.role in allowed
        else:
            is_allowed = not principal.scopes.isdisjoint(allowed)
        if not is_allowed:
            raise NotAllowed(tuple(f"the {'role' if isinstance(each, Role) else 'scope'} {each}" for each in allowed))

    def _late(self) -> BodyTooSlow | DeadlineExceeded:
        """The fact for a passed deadline, by who used the time up: the sender, the caller's rows or the service."""
        if self.stage is Stage.SENDER:
            return BodyTooSlow()
        is_senders = self._sender_seconds > self._admissions.deadlines.seconds / 2
        return DeadlineExceeded(is_callers=is_senders or self.stage is Stage.COMPUTATION)

    def _end(self, error: BaseException | None) -> None:
        if error is not None:
            # A transport that loses its caller cancels the request.
            fact = ClientGone() if isinstance(error, asyncio.CancelledError) else error
            if self._charge is not None and self._is_given_back(fact):
                self._charge.give_back()
            # Afterwards: the record says what stands charged.
            self._note(fact)
        if self._charge is not None:
            self._charge.finish()
        if self._has_entered:
            self._admissions.load.leave(self.principal.pool_id)

    def _is_given_back(self, fact: BaseException) -> bool:
        is_a_fault_of_ours = self._need.is_prediction and problem_of(fact) is None
        return is_the_services_fault(fact) or (is_a_fault_of_ours and self.stage is not Stage.COMPUTATION)

    def _note(self, fact: BaseException) -> None:
        """Hands a partner's refused or failed prediction to the log, without waiting for it."""
        if self._is_in_log or not self._need.is_prediction or not isinstance(self.principal, Partner):
            return
        problem = problem_of(fact) or problems.INTERNAL
        record = self.record(FAILED if problem.status >= 500 else REFUSED + problem.name, problem.status)
        record.latency_us = self.call.latency_us()
        self._admissions.log.note(record)
