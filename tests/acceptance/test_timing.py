"""What somebody else's thing costs to ask for: what a thing costs that there is not."""

from __future__ import annotations

import statistics
import time

import pytest

from tests.support.people import person, token_of
from tests.support.site import IRIS
from values.ids import uuid7

pytestmark = pytest.mark.anyio

TIMES = 120
#: Between the medians. A query more, or a row that is read and thrown away, would be told apart by more than that.
CLASS = 1.5
#: What costs more does so each time; what other work of the machine costs does not.
ATTEMPTS = 3


async def test_another_tenants_thing_takes_the_time_of_one_that_there_is_not(any_site):
    """A key to be shown or changed, a tenant's keys, a record: asked for in turn, no answer and no time tells which."""
    site = any_site
    issued = site.issue(site.tenant("other"))
    admin, auditor = person(site, "admin", "acme"), person(site, "auditor", "acme")
    async with site.client() as client:
        key = {"X-API-Key": issued.raw_key}
        record = (await client.post("/predict", json=IRIS, headers=key)).json()["request_id"]
        unknown_record = uuid7()
        theirs = {"admin": await token_of(client, admin), "auditor": await token_of(client, auditor)}
        for who, method, foreign, unknown, body in (
            ("admin", "GET", f"/admin/keys/{issued.key.id}", "/admin/keys/0aA1bB2cC3dD", None),
            ("admin", "PATCH", f"/admin/keys/{issued.key.id}", "/admin/keys/0aA1bB2cC3dD", {"label": "x"}),
            ("auditor", "GET", f"/audit/predictions/{record}", f"/audit/predictions/{unknown_record}", None),
        ):
            for _ in range(ATTEMPTS):
                medians = await medians_of(client, theirs[who], method, [foreign, unknown], body)
                if max(medians) < CLASS * min(medians):
                    break
            assert max(medians) < CLASS * min(medians), (method, foreign, medians)


async def medians_of(client, headers, method, paths, body) -> list[float]:
    took: dict[str, list[float]] = {path: [] for path in paths}
    answers = set()
    for _ in range(TIMES):
        for path in paths:
            started = time.process_time()
            answer = await client.request(method, path, headers=headers, json=body)
            took[path].append(time.process_time() - started)
            answers.add((answer.status_code, str(answer.json() | {"request_id": ""})))
    assert [status for status, _ in answers] == [404], answers
    return [statistics.median(took[path]) for path in paths]
