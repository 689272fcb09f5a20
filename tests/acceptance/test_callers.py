"""Every operation by every kind of caller, and what a caller cannot be told."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sqlalchemy import event

from auth import api_keys
from auth.principal import Scope
from db.reach import EVERY_TENANT
from db.tables import User
from tests.acceptance.callers import BODIES, EXPECTED, FORMS, KINDS, NOBODY, credential, prepare
from tests.support.patience import SECONDS
from tests.support.site import IRIS
from values.ids import uuid7

pytestmark = pytest.mark.anyio


async def operations(client) -> list[str]:
    paths = (await client.get("/openapi.json")).json()["paths"]
    return [f"{method.upper()} {path}" for path, item in paths.items() for method in item]


async def test_every_operation_is_in_the_matrix(site):
    """A new route is refused here until somebody says who may call it."""
    async with site.client() as client:
        assert sorted(await operations(client)) == sorted(EXPECTED)


@pytest.fixture(scope="module")
def peopled(template, tmp_path_factory):
    """A site with a caller of every kind, and what each presents."""
    site = template.copy_to(tmp_path_factory.mktemp("callers") / "site")
    sample = np.array([[0.0], [1.0], [2.0]])
    private = LinearRegression().fit(sample, [1.0, 2.0, 3.0])
    site.model("private", private, sample, ["x"], is_public=False)
    site.grant("private", "acme")
    made = prepare(site)
    yield site, made
    site.close()


@pytest.fixture(scope="module")
async def unchanged(anyio_backend, peopled, tmp_path_factory):  # noqa: ARG001  the backend is what awaits it
    """The same site, with one application for all operations that change nothing."""
    site = peopled[0].copy_to(tmp_path_factory.mktemp("unchanged") / "site")
    async with site.sharing():
        yield site
    site.close()


@pytest.mark.parametrize("operation", EXPECTED)
async def test_each_caller_gets_what_the_matrix_says(peopled, unchanged, tmp_path, operation):
    """The model that is asked for is granted to `acme` alone; the record and the key that are asked for are acme's."""
    template, made = peopled
    changes_nothing = operation.startswith("GET") or "predict" in operation
    site = unchanged if changes_nothing else template.copy_to(tmp_path / "site")
    method, _, path = operation.partition(" ")
    body = {"json": BODIES[operation]} if operation in BODIES else {"data": FORMS.get(operation)}
    found, unauthorized = {}, set()
    async with site.client() as client:
        headers = {"X-API-Key": made["key"]}
        record = (await client.post("/predict", json=IRIS, headers=headers)).json()["request_id"]
        for kind in KINDS:
            target = path.format(
                model="private", request_id=record, tenant="acme", alias="production", version="1", key_id=site.issue().key.id, user_id=somebody(site),
                name={"plans": "default", "models": "private"}.get(path.split("/")[2], "acme") if "{name}" in path else "",
            )  # fmt: skip
            answer = await client.request(method, target, headers=header(credential(made, kind, operation)), **body)
            found[kind] = answer.status_code
            if answer.status_code == 401:
                problem = answer.json()
                problem.pop("request_id")
                dressed = {n: v for n, v in answer.headers.items() if n not in ("x-request-id", "date")}
                unauthorized.add((str(problem), str(dressed)))
    if not changes_nothing:
        site.close()
    assert found == EXPECTED[operation]
    assert len(unauthorized) <= 1, "a 401 says why"


def header(presented: str | None) -> dict[str, str]:
    if presented is None:
        return {}
    return {"X-API-Key": presented} if presented.startswith("ady_") else {"Authorization": f"Bearer {presented}"}


def somebody(site) -> str:
    """The id of an active person who is none of the callers."""
    with site.database.transaction(EVERY_TENANT) as session:
        user = User(id=uuid7(), email=f"{uuid7()}@example.com", role="auditor", status="active", password_digest="x",
                    must_change_password=False, generation=1, created_at=datetime.now(UTC))  # fmt: skip
        session.add(user)
    return user.id


async def test_a_key_is_taken_in_either_header_and_never_in_two(site):
    """`X-API-Key` or `Authorization: Bearer`; both, or one twice, are 400."""
    key = site.key()
    async with site.client() as client:
        for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}, {"Authorization": f"bearer {key}"}):
            assert (await client.get("/v1/me", headers=headers)).status_code == 200
        for headers in (
            [("X-API-Key", key), ("Authorization", f"Bearer {key}")],
            [("X-API-Key", key), ("X-API-Key", key)],
        ):
            assert (await client.get("/v1/me", headers=headers)).status_code == 400
        for headers in ({"Authorization": f"Basic {key}"}, {"Authorization": "Bearer"}, {"X-API-Key": ""}):
            assert (await client.get("/v1/me", headers=headers)).status_code == 401
        assert (await client.get(f"/v1/me?api_key={key}")).status_code == 401


async def test_a_wrong_checksum_costs_no_query(site):
    """Neither does anything else that cannot be a key; an unknown key costs one read."""
    key, statements = site.key(), []
    wrong = key[:-1] + ("0" if key[-1] != "0" else "1")
    async with site.client() as client:
        parts = client.app.state.parts
        parts.follower.close()
        # What the follower had still to say is said; and the news lasts for as long as this takes.
        await asyncio.sleep(0)
        parts.directory.follow((), time.monotonic() + SECONDS)
        for database in (parts.database, parts.vital):
            event.listen(database.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
        for presented in (wrong, key[:-1], key + "0", "ady_" + "é" * 50, "x" * 5000):
            answer = await client.get("/v1/me", headers={"X-API-Key": presented.encode()})
            assert answer.status_code == 401
        assert statements == []
        assert (await client.get("/v1/me", headers={"X-API-Key": api_keys.mint()})).status_code == 401
        assert len([statement for statement in statements if statement.startswith("SELECT")]) == 1


async def test_a_revoked_key_dies_within_a_second(site):
    """After the revocation's commit no request is accepted a second later; another key of the tenant lives on."""
    issued, other = site.issue(), site.key()
    async with site.client() as client:
        for _ in range(3):
            assert (await client.post("/predict", json=IRIS, headers={"X-API-Key": issued.raw_key})).status_code == 200
        site.revoke(issued.key.id)
        revoked_at = sent_at = time.monotonic()
        while (await client.get("/v1/me", headers={"X-API-Key": issued.raw_key})).status_code == 200:
            assert sent_at < revoked_at + 1
            await asyncio.sleep(0.01)
            sent_at = time.monotonic()
        assert (await client.get("/v1/me", headers={"X-API-Key": other})).status_code == 200


async def test_a_key_shows_who_it_is(site):
    """Scopes, models and expiry."""
    async with site.client(site.key(scopes=[Scope.PREDICT], models=["iris"])) as client:
        me = (await client.get("/v1/me")).json()
    assert (me["tenant"], me["scopes"], me["models"], me["expires_at"]) == ("acme", ["predict"], ["iris"], None)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_caller_is_in_the_matrix(kind):
    """The table cannot lose one of them unseen, and nobody is anybody to no operation."""
    assert all(kind in expected for expected in EXPECTED.values())
    if kind in NOBODY:
        closed = [operation for operation, expected in EXPECTED.items() if len(set(expected.values())) > 1]
        assert all(EXPECTED[operation][kind] == 401 for operation in closed)
