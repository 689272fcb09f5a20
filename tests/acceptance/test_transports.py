"""Another transport gets the whole life of a prediction from `admitted`: it decodes, encodes, and decides nothing."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from auth.credentials import Presented
from serving.admission import PREDICTION
from serving.call import Call
from serving.outcomes import problem_of
from serving.predictor import Question
from serving.wire.native import ROW
from tests.support.site import IRIS

pytestmark = pytest.mark.anyio


class InProcess:
    """A transport without HTTP: a call is a coroutine, and a refusal the name of its problem."""

    def __init__(self, parts, raw_key: str) -> None:
        self._parts = parts
        self._raw_key = raw_key.encode()

    async def predict(self, row, *, model="iris", before_the_body=None) -> str:
        """The prediction, or the name of the problem."""
        call = Call("127.0.0.1")
        call.route, call.presented = "in-process", Presented(self._raw_key, True, call.address)

        async def read_body() -> bytes:
            if before_the_body is not None:
                await before_the_body()
            return json.dumps(row).encode()

        question = Question(model, None, ROW, read_body, asyncio.Event().wait)
        try:
            principal = await self._parts.credentials.holder(call.presented)
            async with self._parts.admissions.admitted(call, principal, PREDICTION) as admission:
                return json.loads(await self._parts.predictor.predict(admission, question))["prediction"]
        except Exception as error:  # noqa: BLE001  whatever was raised is a fact
            return problem_of(error).name


@asynccontextmanager
async def transported(site, **terms):
    """The transport, and a function that tells the records and the requests used so far."""
    key = site.key(**terms)
    async with site.client(key) as client:

        async def told():
            records = (await client.get("/audit/predictions")).json()["records"]
            used = (await client.get("/v1/usage")).json()["policies"]
            outcomes = sorted((record["route"], record["outcome"], record["status"]) for record in records)
            return outcomes, [each["used"] for each in used if each["name"] == "key-requests-60"]

        yield InProcess(client.app.state.parts, key), client, told


async def test_a_transport_of_its_own_predicts_and_runs_out(site):
    """Charges and records are those of HTTP; the refusal by a limit is recorded, and costs nothing."""
    async with transported(site, requests=["2/minute"]) as (transport, client, told):
        assert [await transport.predict(IRIS) for _ in range(3)] == ["setosa", "setosa", "quota-exceeded"]
        assert (await client.post("/predict", json=IRIS)).status_code == 429
        outcomes, used = await told()
    # Equal refusals of one key in one second are one record; here they may be of two seconds.
    assert {outcome for outcome in outcomes if outcome[1] != "answered"} <= {
        ("in-process", "refused:quota-exceeded", 429),
        ("/predict", "refused:quota-exceeded", 429),
    }
    assert outcomes.count(("in-process", "answered", 200)) == 2
    assert used == [2]


async def test_a_bad_row_and_a_lost_caller_are_charged_and_recorded(site):
    """A cancelled request is one whose caller hung up."""
    async with transported(site, requests=["9/minute"]) as (transport, client, told):
        assert await transport.predict({}) == "invalid-rows"
        waiting = asyncio.ensure_future(transport.predict(IRIS, before_the_body=asyncio.Event().wait))
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert client.app.state.parts.quotas.under_way == 0
        outcomes, used = await told()
    assert outcomes == [
        ("in-process", "refused:invalid-rows", 422),
        ("in-process", "refused:malformed-request", 400),
    ]
    assert used == [2]


async def test_a_dead_log_gives_back_what_was_charged(site):
    """No record, no answer, and no charge."""
    async with transported(site, requests=["9/minute"]) as (transport, client, told):
        client.app.state.parts.log.close(5)
        assert await transport.predict(IRIS) == "log-unavailable"
        outcomes, used = await told()
    assert outcomes == []
    assert used == [0]
