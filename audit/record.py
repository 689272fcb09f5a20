"""One attempt, as it will be stored, and its canonical bytes.

A record's leaf is SHA-256(0x00 || canonical bytes), as in a Merkle tree of RFC 9162. The canonical bytes are JSON by
RFC 8785 (sorted members, no white space; only strings, integers and null). A value that may have to be erased stands in
them only as SHA-256(salt || value), with a salt of 16 random bytes: once salt and value are erased, the digest says
nothing, and the seal still verifies.

The canonical bytes have a form, and a record keeps the one that it was sealed in. Form 1 has no member `form`; every
form after it names itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import orjson

from audit.redaction import scrub_secrets
from values.ids import random_bytes
from values.instants import instant_text, now_ms

ANSWERED = "answered"
FAILED = "failed"
WITHDRAWN = "withdrawn"
REFUSED = "refused:"
SALT_BYTES = 16


@dataclass(slots=True)
class Record:
    """An attempt by a known caller. `inputs` and `outputs` are JSON text, already redacted; durations are in µs."""

    request_id: str
    at_ms: int
    tenant_id: str
    subject: str
    key_id: str | None
    route: str
    outcome: str
    status: int
    started: float
    client_request_id: str | None = None
    address: str | None = None
    model_id: str | None = None
    version_id: str | None = None
    artifact_sha256: str | None = None
    rows: int = 0
    count: int = 1
    latency_us: int = 0
    inference_us: int | None = None
    fingerprint: str | None = None
    inputs: str | None = None
    outputs: str | None = None
    charged_requests: int = 0
    charged_rows: int = 0
    trace_id: str | None = None
    job_id: str | None = None
    form: int = 2
    #: Whether the charge is given back if the answer never leaves: not to a caller who hung up on computed rows.
    gives_back: bool = True


class UnknownForm(Exception):
    """A record's canonical bytes have a form that this program does not know."""


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """A record with its salt, the digests made with it, and its leaf, all but the record in hex."""

    record: Record
    salt: str
    client_digest: str
    inputs_digest: str | None
    outputs_digest: str | None
    leaf: str


def seal(record: Record) -> SealedRecord:
    """Salts and digests a record, and makes its leaf."""
    if record.client_request_id is not None:
        # It is the caller's own text, and readers see it. Long numbers stay: many callers name requests by them.
        record.client_request_id = scrub_secrets(record.client_request_id)
    salt = random_bytes(SALT_BYTES)
    client = client_digest(salt, record.address, record.client_request_id, record.fingerprint)
    inputs, outputs = salted_digest(salt, record.inputs), salted_digest(salt, record.outputs)
    digests = {"client_digest": client, "inputs_digest": inputs, "outputs_digest": outputs}
    return SealedRecord(record, salt.hex(), client, inputs, outputs, leaf(facts(record, record.at_ms) | digests))


_FORM_1 = (
    "artifact_sha256",
    "count",
    "inference_us",
    "key_id",
    "latency_us",
    "model_id",
    "outcome",
    "request_id",
    "route",
    "rows",
    "status",
    "subject",
    "tenant_id",
    "version_id",
)
#: By form, the fields that stand in clear in the canonical bytes, beside the instant: opaque ids, and how it went.
FACTS = {1: _FORM_1, 2: (*_FORM_1, "charged_requests", "charged_rows", "form", "job_id", "trace_id")}
_FACTS_OF = {form: attrgetter(*names) for form, names in FACTS.items()}


def facts(record: Any, at_ms: int) -> dict[str, Any]:
    """The facts of a record, as it was made or as it was read from the log, and its instant. Raises `UnknownForm`."""
    form = record.form
    if form not in FACTS:
        raise UnknownForm
    return dict(zip(FACTS[form], _FACTS_OF[form](record), strict=True), at=instant_text(at_ms))


def leaf(canonical: dict[str, Any]) -> str:
    """SHA-256(0x00 || canonical bytes), in hex."""
    return hashlib.sha256(b"\x00" + orjson.dumps(canonical, option=orjson.OPT_SORT_KEYS)).hexdigest()


def salted_digest(salt: bytes, value: str | None) -> str | None:
    """SHA-256(salt || UTF-8 of the value), in hex; None for None."""
    return None if value is None else hashlib.sha256(salt + value.encode()).hexdigest()


def client_digest(salt: bytes, address: str | None, client_request_id: str | None, fingerprint: str | None) -> str:
    """The salted digest of what came from the caller's side: SHA-256(salt || JSON array of the three)."""
    return hashlib.sha256(salt + orjson.dumps([address, client_request_id, fingerprint])).hexdigest()


def withdrawal_of(record: Record) -> Record:
    """The record that says that an answer never left, although it is in the log.

    It takes back what the answer's record says was charged, so that the sum over both is what stands charged.
    """
    back = -1 if record.gives_back else 0
    return replace(
        record,
        at_ms=max(now_ms(), record.at_ms + 1),
        outcome=WITHDRAWN,
        status=503,
        charged_requests=back * record.charged_requests,
        charged_rows=back * record.charged_rows,
    )


def owed_of(refused: Iterable[Record]) -> list[Record]:
    """The records still to be written of those that could not be: all but answers whose charge is given back."""
    owed = []
    for record in refused:
        if record.outcome != ANSWERED:
            owed.append(record)
        elif not record.gives_back:
            owed += [record, withdrawal_of(record)]
    return owed
