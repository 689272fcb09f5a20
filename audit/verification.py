"""Verification: recomputes every leaf, root and head from the stored records, and compares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from audit.chain import next_batch, origin
from audit.record import UnknownForm, client_digest, facts, leaf, salted_digest
from db.database import Database
from db.prediction_log import batches_of, chains, count_records, records_of_batch
from db.reach import EVERY_TENANT
from db.tables import PredictionRecord
from values.instants import instant_text, ms_of


def faults(database: Database) -> Iterator[str]:
    """One sentence for each disagreement between the log and its seal; none if the seal holds."""
    with database.reading(EVERY_TENANT) as session:
        heads = set()
        cited = set()
        seen = 0
        for chain in chains(session):
            head = origin(chain.id, instant_text(ms_of(chain.started_at)), chain.cites)
            cited.update(chain.cites)
            for number, batch in enumerate(batches_of(session, chain.id), start=1):
                records = records_of_batch(session, chain.id, batch.number)
                yield from _altered(records)
                sealed_at_ms = ms_of(batch.sealed_at)
                expected = next_batch(number, head, [record.leaf for record in records], sealed_at_ms)
                if (batch.number, batch.size, batch.root, batch.head) != _values(expected):
                    yield f"chain {chain.id}: batch {batch.number} does not follow from its records and the one before"
                head = batch.head
                heads.add(head)
                seen += len(records)
        if (strays := count_records(session) - seen) != 0:
            yield f"records that belong to no batch: {strays}"
        for missing in cited - heads:
            yield f"head {missing} was cited by a later chain and is missing"


def _altered(records: list[PredictionRecord]) -> Iterator[str]:
    for index, record in enumerate(records):
        try:
            is_as_sealed = record.leaf_index == index and _is_as_sealed(record)
        except UnknownForm:
            yield f"record {record.request_id} has the form {record.form}, which this program does not know"
            continue
        if not is_as_sealed:
            yield f"record {record.request_id} is not what was sealed"


def _is_as_sealed(record: PredictionRecord) -> bool:
    digests = {
        "client_digest": record.client_digest,
        "inputs_digest": record.inputs_digest,
        "outputs_digest": record.outputs_digest,
    }
    return leaf(facts(record, ms_of(record.at)) | digests) == record.leaf and _matches_digests(record)


def _matches_digests(record: PredictionRecord) -> bool:
    """Whether the digests were made from the values that are left; without the salt, no value may be left."""
    if record.salt is None:
        erasable = (record.inputs, record.outputs, record.address, record.client_request_id, record.fingerprint)
        return all(each is None for each in erasable)
    salt = bytes.fromhex(record.salt)
    return (
        salted_digest(salt, record.inputs) in (None, record.inputs_digest)
        and salted_digest(salt, record.outputs) in (None, record.outputs_digest)
        and client_digest(salt, record.address, record.client_request_id, record.fingerprint) == record.client_digest
    )


def _values(batch: Any) -> tuple[int, int, str, str]:
    return batch.number, batch.size, batch.root, batch.head
