"""JSON as clients write it: the same answer and the same record, however a number or an encoding is spelt."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tests.support.people import client_of
from tests.support.server import run_cli
from tests.support.site import IRIS, dumped

pytestmark = pytest.mark.anyio

BOM = b"\xef\xbb\xbf"
JSON = {"Content-Type": "application/json"}
CSV = b"age,door\n" + b"".join(b"%d,%d\n" % (number, number % 3) for number in range(20, 60))


@pytest.fixture
def ages(own_site):
    """A site whose default model takes two integers."""
    site = type(own_site)(own_site.directory, default_model="ages")
    model = LogisticRegression().fit(np.column_stack([np.arange(20, 60), np.arange(40) % 3]), np.arange(40) > 20)
    site.register("ages", "m.joblib", dumped(model), sample_name="a.csv", sample=CSV, is_public=True, is_apart=False)
    return site


SPELLINGS = ["41", "41.0", "4.1e1", "410E-1"]


async def test_one_row_is_the_same_however_its_integers_are_written(ages):
    """The same answer, the same stored inputs and the same fingerprint: it can be found again by any of them."""
    records = []
    async with ages.client(ages.key()) as client:
        for text in SPELLINGS:
            body = f'{{"age": {text}, "door": 2}}'.encode()
            for path in ("/predict", "/v1/models/ages/predict"):
                answer = await client.post(path, content=body, headers=JSON)
                assert answer.status_code == 200, answer.text
                record = (await client.get(f"/audit/predictions/{answer.json()['request_id']}")).json()
                records.append((record["inputs"], record["outputs"], record["fingerprint"]))
    assert records[0][0] == [{"age": 41, "door": 2}]
    assert "41.0" not in json.dumps(records[0][0])
    assert records == [records[0]] * len(records)


async def test_many_rows_are_the_same_however_their_integers_are_written(ages):
    """In an object and in a list, each spelling beside the others; half an integer is named by its pointer."""
    rows = ", ".join(f'{{"age": {text}, "door": -0.0}}' for text in SPELLINGS)
    bodies = {"/v1/models/ages/predict/batch": ('{"rows": [%s]}', "/rows/1"), "/batch_predict": ("[%s]", "/1")}
    async with ages.client(ages.key()) as client:
        for path, (around, at) in bodies.items():
            answer = await client.post(path, content=(around % rows).encode(), headers=JSON)
            assert answer.status_code == 200, answer.text
            assert answer.json()["predictions"] == answer.json()["predictions"][:1] * len(SPELLINGS)
            record = (await client.get(f"/audit/predictions/{answer.json()['request_id']}")).json()
            assert record["inputs"] == [{"age": 41, "door": 0}] * len(SPELLINGS)
            refused = await client.post(path, content=(around % rows.replace("41.0", "41.5")).encode(), headers=JSON)
            assert [each["at"] for each in refused.json()["errors"]] == [f"{at}/age"]
            huge = await client.post(path, content=(around % rows.replace("41.0", "1e300")).encode(), headers=JSON)
            assert "send them as text" in huge.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    "content_type",
    ["application/json;charset=utf8", 'application/json; charset="UTF-8"', "application/json; charset=UTF8",
     'Application/JSON;charset="utf8"', "application/json; charset=utf-8;", "application/json;"],
)  # fmt: skip
async def test_utf8_may_be_called_by_its_names(shared_site, content_type):
    """With a byte order mark and without: for rows, and for what admins send."""
    async with shared_site.client(shared_site.key()) as client:
        for body in (json.dumps(IRIS).encode(), BOM + json.dumps(IRIS).encode()):
            answer = await client.post("/predict", content=body, headers={"Content-Type": content_type})
            assert answer.status_code == 200, answer.text
        rows = BOM + json.dumps({"rows": [IRIS]}).encode()
        path = "/v1/models/iris/predict/batch"
        assert (await client.post(path, content=rows, headers={"Content-Type": content_type})).status_code == 200
        rows = BOM + json.dumps([IRIS]).encode()
        answer = await client.post("/batch_predict", content=rows, headers={"Content-Type": content_type})
        assert answer.status_code == 200


async def test_admins_bodies_and_schemas_are_read_by_the_same_rules(own_site, tmp_path):
    """A mark is taken, another encoding is named, in a body, in a form's field and in a file of the command line."""
    schema = json.dumps({"properties": {"age": {"minimum": 0}}})
    model = LogisticRegression().fit(np.column_stack([np.arange(20, 60), np.arange(40) % 3]), np.arange(40) > 20)
    (tmp_path / "m.joblib").write_bytes(dumped(model))
    (tmp_path / "a.csv").write_bytes(CSV)
    async with client_of(own_site) as admin:
        for encoding, status in (("utf-8-sig", 201), ("utf-16", 400)):
            body = json.dumps({"name": f"tenant-{status}"}).encode(encoding)
            answer = await admin.post("/admin/tenants", content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == status, answer.text
        assert "UTF-16" in answer.json()["detail"]
    for encoding, code in (("utf-8-sig", 0), ("utf-16", 1)):
        (tmp_path / "schema.json").write_bytes(schema.encode(encoding))
        run = run_cli(own_site, "models", "register", "ages", str(tmp_path / "m.joblib"), "--sample",
                      str(tmp_path / "a.csv"), "--schema", str(tmp_path / "schema.json"))  # fmt: skip
        assert run.returncode == code, run.stderr
    assert "UTF-16" in run.stderr
