"""One prediction, from the admitted request to its answer: version, rows, row charge, inference, record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, TypeVar

from audit.record import ANSWERED, Record
from auth.principal import Partner
from inference.loading import ServedVersion
from inference.outputs import ModelRaised, NotComputable, Predictions
from inference.registry import ModelNotAvailable, ModelNotFound, Registry
from inference.rows.inputs import Row
from inference.rows.schema import MAX_ERRORS, InvalidRows
from inference.waiting import Busy, Hung, TakenOut, Turn, Vanished
from serving.admission import Admission, Stage
from serving.facts import ClientGone, DeadlineExceeded, ModelFailed, NoScores
from serving.failing_models import FailingModels
from serving.load import Overloaded
from serving.scribes import Scribe
from serving.wire.format import WireFormat
from values.json_pointer import Violation
from values.turns import Turns

#: A longer body is validated in a thread: it would hold the event loop for too long.
INLINE_BODY_BYTES = 32 << 10
#: The same for the record of more values than this, and for the search of more bytes of text than this.
INLINE_VALUES = 4_000
INLINE_TEXT_BYTES = 2 << 10
#: Long bodies and texts at once: for one tenant, and for all. Each holds the interpreter for milliseconds at a time.
LONG_OF_ONE_TENANT = 1
LONG_OF_ALL = 2

T = TypeVar("T")


class Question(NamedTuple):
    """A transport's question: the model, a version or an alias, and how the transport reads and writes.

    `with_scores` asks for scores beside each prediction.
    `read_body` returns the body's bytes. `hung_up` returns when the caller is gone; it is awaited only while rows are
    computed off the event loop.
    """

    model: str
    version: str | None
    wire: WireFormat
    read_body: Callable[[], Awaitable[bytes]]
    hung_up: Callable[[], Awaitable[None]]
    with_scores: bool = False


class Answered(NamedTuple):
    """A question's rows, their predictions, and these as JSON."""

    rows: Sequence[Row]
    predictions: Predictions
    items: bytes


class Predictor:
    """Answers admitted requests from the versions that the registry has loaded."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._scribes: dict[str, Scribe] = {}
        self._failing = FailingModels()
        self._turns = Turns(LONG_OF_ALL, LONG_OF_ONE_TENANT)
        self._threads = ThreadPoolExecutor(LONG_OF_ALL, thread_name_prefix="long-rows")

    async def predict(self, admission: Admission, question: Question) -> bytes:
        """The answer's bytes, once its record is durable. Raises each refusal as a fact."""
        served = admission.version = await self._find(admission, question)
        body = await admission.read(question.read_body)
        # The sender may have taken their time: a caller whose authority ended meanwhile gets nothing more.
        if admission.has_waited:
            await admission.look_again()
            served = admission.version = await self._find(admission, question)
        rows = await self._rows(admission, served, question.wire, body)
        await admission.charge_rows(len(rows))
        admission.stage = Stage.COMPUTATION
        started = time.perf_counter()
        predictions = await self._infer(admission, served, rows, question)
        items = self._scribe(served).items(predictions)
        inference_us = round((time.perf_counter() - started) * 1e6)
        if admission.has_waited:
            await admission.look_again()
        answer = question.wire.answer(admission.call.request_id, served, predictions, items)
        record = admission.record(ANSWERED, 200)
        record.inference_us = inference_us
        await self._describe(record, admission, served, Answered(rows, predictions, items), len(body))
        admission.stage = Stage.SERVICE
        await admission.append(record)
        return answer

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _find(self, admission: Admission, question: Question) -> ServedVersion:
        """The version that answers this caller now. Raises `ModelNotFound`, `ModelNotAvailable` or `NoScores`."""
        partner = _partner(admission)
        if not partner.may_use(question.model):
            raise ModelNotFound
        served = await self._registry.find(
            question.model, question.version, tenant_id=partner.tenant_id, key_id=partner.key_id
        )
        if question.with_scores and served.score_names is None:
            admission.version = served
            raise NoScores
        return served

    async def _rows(self, admission: Admission, served: ServedVersion, wire: WireFormat, body: bytes) -> Sequence[Row]:
        if len(body) <= INLINE_BODY_BYTES:
            return wire.rows(served.schema, body)
        return await self._in_thread(admission, partial(wire.rows, served.schema, body))

    async def _infer(
        self, admission: Admission, served: ServedVersion, rows: Sequence[Row], question: Question
    ) -> Predictions:
        try:
            turn = served.lane.ask(
                rows, _partner(admission).tenant_id, scored=question.with_scores, hung_up=question.hung_up
            )
            return await _awaited(admission, turn)
        except NotComputable as error:
            pointers = [question.wire.at(row) for row in error.rows[:MAX_ERRORS]]
            raise InvalidRows([Violation(at, "range", "is too large for the model") for at in pointers]) from None
        except ModelRaised as error:
            self._failing.note(served, error.kind)
            raise ModelFailed(None if error.row is None else question.wire.at(error.row)) from None
        except Hung:
            raise DeadlineExceeded(is_callers=True) from None
        except TakenOut:
            raise ModelNotAvailable from None
        except Busy as busy:
            raise Overloaded(busy.wait_seconds) from None
        except Vanished:
            raise ClientGone from None

    async def _describe(
        self, record: Record, admission: Admission, served: ServedVersion, answered: Answered, body_bytes: int
    ) -> None:
        """Writes into the record what may be stored of the rows and of their answers."""
        scribe, key = self._scribe(served), _partner(admission).fingerprint_key
        describe = partial(scribe.describe, record, *answered, key)
        is_long = len(answered.rows) * len(served.schema.names) > INLINE_VALUES
        # Text is searched by many patterns, at up to a microsecond a character.
        if is_long or (served.schema.has_text and body_bytes > INLINE_TEXT_BYTES):
            await self._in_thread(admission, describe)
        else:
            describe()

    async def _in_thread(self, admission: Admission, work: Callable[[], T]) -> T:
        tenant_id = _partner(admission).tenant_id
        async with self._turns.of(tenant_id):
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _scribe(self, served: ServedVersion) -> Scribe:
        scribe = self._scribes.get(served.listing.id)
        if scribe is None:
            scribe = self._scribes[served.listing.id] = Scribe(served)
        return scribe


async def _awaited(admission: Admission, turn: Turn) -> Predictions:
    """The turn's predictions. A deadline that passes before its call begins is the service's fault."""
    try:
        return await turn
    except asyncio.CancelledError:
        if not turn.has_begun:
            admission.stage = Stage.SERVICE
        raise


def _partner(admission: Admission) -> Partner:
    principal = admission.principal
    if not isinstance(principal, Partner):
        raise TypeError("predictions are for partners' programs")
    return principal
