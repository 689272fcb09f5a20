"""The tree is the one of RFC 9162, and the canonical bytes are those that are documented."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.chain import merkle_root, next_batch, origin
from audit.record import FACTS, Record, UnknownForm, facts, seal

LEAVES = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40)


def mth(leaves):
    """The recursion of RFC 9162, section 2.1.1, over leaf hashes."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + mth(leaves[:split]) + mth(leaves[split:])).digest()


@given(LEAVES)
def test_the_root_is_that_of_the_rfc(leaves):
    """For every number of leaves."""
    assert merkle_root(leaves) == mth(leaves)


@given(LEAVES, st.data())
def test_another_leaf_gives_another_root(leaves, data):
    """Wherever it stands."""
    place = data.draw(st.integers(0, len(leaves) - 1))
    changed = [*leaves[:place], bytes(32 - 1) + b"\x01", *leaves[place + 1 :]]
    if changed != leaves:
        assert merkle_root(changed) != merkle_root(leaves)


def test_a_head_depends_on_the_one_before_and_on_its_number():
    """A batch cannot be moved within its chain."""
    leaf = "ab" * 32
    start = origin("chain", "2026-01-01T00:00:00.000Z", [])
    heads = {next_batch(1, start, [leaf], 7).head, next_batch(2, start, [leaf], 7).head,
             next_batch(1, leaf, [leaf], 7).head, next_batch(1, start, [leaf, leaf], 7).head,
             next_batch(1, start, [leaf], 8).head}  # fmt: skip
    assert len(heads) == 5


FORM_1 = {
    "artifact_sha256": "s", "at": "2025-11-23T02:02:46.187Z", "client_digest": '["a","c","f"]', "count": 1,
    "inference_us": 3, "inputs_digest": "[1]", "key_id": "k", "latency_us": 5, "model_id": "m", "outcome": "answered",
    "outputs_digest": "[2]", "request_id": "01a20624-3a2b-784b-a260-86ef9931b09c", "route": "/predict", "rows": 1,
    "status": 200, "subject": "key:k", "tenant_id": "t", "version_id": "v",
}  # fmt: skip
#: By form, the documented members and their values; of a digest, the text that it is made of.
DOCUMENTS = {
    1: FORM_1,
    2: FORM_1 | {"charged_requests": 1, "charged_rows": 7, "form": 2, "job_id": None, "trace_id": None},
}


@pytest.mark.parametrize("form", DOCUMENTS)
def test_a_leaf_can_be_made_from_the_documented_bytes(form):
    """By somebody who has only the record and `docs/audit-log.md`, in plain Python."""
    record = Record("01a20624-3a2b-784b-a260-86ef9931b09c", 1_763_863_366_187, "t", "key:k", "k", "/predict", "answered",
                    200, 0.0, client_request_id="c", address="a", model_id="m", version_id="v", artifact_sha256="s",
                    rows=1, latency_us=5, inference_us=3, fingerprint="f", inputs="[1]", outputs="[2]",
                    charged_requests=1, charged_rows=7, form=form)  # fmt: skip
    sealed = seal(record)
    salt = bytes.fromhex(sealed.salt)
    document = {
        name: hashlib.sha256(salt + value.encode()).hexdigest() if name.endswith("_digest") else value
        for name, value in DOCUMENTS[form].items()
    }
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    assert sealed.leaf == hashlib.sha256(b"\x00" + canonical).hexdigest()
    assert set(facts(record, 0)) | {"client_digest", "inputs_digest", "outputs_digest"} == set(document)


def test_new_records_have_the_newest_form_and_an_unknown_one_is_none():
    """A form is never guessed."""
    record = Record("r", 0, "t", "s", None, "/", "answered", 200, 0.0)
    assert record.form == max(FACTS) == 2
    record.form = 3
    with pytest.raises(UnknownForm):
        seal(record)


def test_the_same_record_is_salted_anew_each_time():
    """Equal inputs cannot be recognized by their digests."""
    record = Record("r", 0, "t", "s", None, "/", "answered", 200, 0.0, inputs="[1]")
    assert seal(record).inputs_digest != seal(record).inputs_digest
