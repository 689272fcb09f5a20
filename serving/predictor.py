"""One prediction: version, rows, second charge, inference, record, answer."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

import orjson

from audit.record import ANSWERED, FAILED, REFUSED, Record
from audit.redaction import Redactor
from audit.writer import LogWriter
from auth.principal import Partner
from inference.gathering import Hung, TakenOut
from inference.inputs import Row
from inference.loading import ServedVersion
from inference.outputs import NotComputable, Predictions
from inference.registry import ModelNotAvailable, ModelNotFound, Registry
from inference.schema import MAX_ERRORS, InvalidRows, RowError
from serving.call import Call
from serving.wire.native import Format, items
from values.addresses import truncated

#: Validating so many bytes takes longer than the event loop may be held; a thread shares the time with it.
INLINE_BODY_BYTES = 32 << 10
#: The same for searching texts for what must not be stored.
INLINE_TEXT_BYTES = 2 << 10

logger = logging.getLogger("adyton.serving")


class ModelFailed(Exception):
    """The model raised an error, or answered in a form that is not a prediction for each row."""


class ClientGone(Exception):
    """The caller hung up before the answer was there; nobody will read it."""


class BodyTooSlow(Exception):
    """The caller did not send the whole body in time."""


class DeadlineExceeded(Exception):
    """The request took longer than it may; nothing was answered."""


class Predictor:
    """What every prediction needs: the models, the log, and how long a request may take in seconds."""

    def __init__(self, registry: Registry, log: LogWriter, *, timeout_seconds: float) -> None:
        self._registry = registry
        self._log = log
        self._timeout_seconds = timeout_seconds
        self._redactors: dict[str, Redactor] = {}

    async def predict(
        self, call: Call, principal: Partner, *, model: str, version: str | None, form: Format,
        read_body: Callable[[], Awaitable[bytes]], hung_up: Callable[[], Awaitable[None]],
    ) -> bytes:  # fmt: skip
        """The answer's bytes, once its record is durable. Raises what the refusal is, as a fact.

        `hung_up` returns when the caller is gone; it is asked only while a computation takes its time.
        """
        if not principal.may_use(model):
            raise ModelNotFound
        is_reading = False
        try:
            async with asyncio.timeout(self._timeout_seconds):
                served = call.version = await self._registry.find(
                    model, version, tenant_id=principal.tenant_id, key_id=principal.key_id
                )
                is_reading = True
                body = await read_body()
                is_reading = False
                rows = await _rows(served, form, body)
                call.rows = len(rows)
                if call.charge is not None:
                    call.charge.spend("rows", len(rows))
                return await self._answer(call, principal, served, rows, form, hung_up, len(body))
        except TimeoutError:
            raise (BodyTooSlow if is_reading else DeadlineExceeded) from None

    async def _answer(
        self, call: Call, principal: Partner, served: ServedVersion, rows: list[Row], form: Format,
        hung_up: Callable[[], Awaitable[None]], size: int,
    ) -> bytes:  # fmt: skip
        started = time.perf_counter()
        predictions = items(await _infer(served, rows, form, hung_up), served.class_names)
        inference_us = round((time.perf_counter() - started) * 1e6)
        answer = form.render(call.request_id, served, predictions)
        record = _record(call, principal, ANSWERED, 200)
        record.inference_us = inference_us
        redact = partial(self._redactor(served).inputs, rows, principal.fingerprint_key)
        # Text is searched by many patterns, at up to a microsecond a character.
        is_long = served.schema.has_text and size > INLINE_TEXT_BYTES
        record.inputs = await asyncio.to_thread(redact) if is_long else redact()
        record.outputs = orjson.dumps(predictions).decode()
        if len(rows) == 1:
            record.fingerprint = row_fingerprint(principal.fingerprint_key, served.model, rows[0])
        call.is_in_log = True
        await self._log.append(record)
        return answer

    def note_refusal(self, call: Call, principal: Partner, problem: str, status: int) -> None:
        """Has a known caller's refusal, or the service's own failure, written to the log without waiting for it."""
        if call.is_in_log:
            return
        outcome = FAILED if status >= 500 else REFUSED + problem
        record = _record(call, principal, outcome, status)
        record.latency_us = call.latency_us()
        self._log.note(record)

    def _redactor(self, served: ServedVersion) -> Redactor:
        redactor = self._redactors.get(served.listing.id)
        if redactor is None:
            redactor = self._redactors[served.listing.id] = Redactor(served.schema.pii, has_text=served.schema.has_text)
        return redactor


async def _rows(served: ServedVersion, form: Format, body: bytes) -> list[Row]:
    if len(body) <= INLINE_BODY_BYTES:
        return form.parse(served.schema, body)
    return await asyncio.to_thread(form.parse, served.schema, body)


async def _infer(
    served: ServedVersion, rows: list[Row], form: Format, hung_up: Callable[[], Awaitable[None]]
) -> Predictions:
    try:
        answer = served.runner.answer(rows)
        predictions = answer if isinstance(answer, Predictions) else await _unless(hung_up(), answer)
    except NotComputable as error:
        places = [form.place.format(row) for row in error.rows[:MAX_ERRORS]]
        raise InvalidRows([RowError(at, "range", "is too large for the model") for at in places]) from None
    except ClientGone:
        raise
    except (TakenOut, Hung):
        raise ModelNotAvailable from None
    except Exception as error:  # noqa: BLE001  a model may raise anything, and its words may hold the rows
        logger.error("model %s failed: %s", served.listing.id, type(error).__name__)  # noqa: TRY400
        raise ModelFailed from None
    return predictions


async def _unless(hung_up: Awaitable[None], work: asyncio.Future[Predictions]) -> Predictions:
    """What the work gives. Raises `ClientGone` if the caller hangs up before, and gives the work up with them."""
    working, listening = work, asyncio.ensure_future(hung_up)
    try:
        await asyncio.wait((working, listening), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        working.cancel()
        listening.cancel()


def row_fingerprint(key: bytes, model: str, row: Row) -> str:
    """HMAC-SHA-256 under the tenant's key of a model's name and a row; says whether this row was ever predicted."""
    # `hmac.digest` would give the interpreter lock away, and getting it back costs more than the digest.
    return hmac.new(key, orjson.dumps([model, row], option=orjson.OPT_SORT_KEYS), hashlib.sha256).hexdigest()


def _record(call: Call, principal: Partner, outcome: str, status: int) -> Record:
    version = call.version
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
        rows=call.rows,
    )
