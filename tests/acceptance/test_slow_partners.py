"""A partner's program that sends slowly gets nothing for an authority that ended meanwhile, whichever way it ended."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from admin.key_terms import KeyTerms
from admin.keys import revoke_key, rotate_key, set_key
from admin.models.access import ungrant_model
from admin.signing_keys import rotate_signing_key
from admin.tenants import erase_tenant, suspend_tenant
from admin.tokens import end_token
from db.reach import EVERY_TENANT
from tests.acceptance.slow_senders import NOT_BY_ROLE, People
from tests.support.site import ACTOR, IRIS
from tests.support.slow_sender import SlowSender
from values.ids import uuid7

pytestmark = pytest.mark.anyio

PRIVATE = {"x": 1.0}
#: Path and body of each operation, for the model that was granted to the caller's tenant alone where it has one.
PREDICTIONS = {
    "POST /v1/models/{model}/predict": ("/v1/models/private/predict", PRIVATE),
    "POST /v1/models/{model}/predict/batch": ("/v1/models/private/predict/batch", {"rows": [PRIVATE] * 3}),
    "POST /predict": ("/predict", IRIS),
    "POST /batch_predict": ("/batch_predict", [IRIS, IRIS]),
}
BY_NAME = {"POST /v1/models/{model}/predict", "POST /v1/models/{model}/predict/batch"}


def terms(site, who, **changed):
    set_key(site.database, actor=ACTOR, key_id=who["id"], terms=KeyTerms(**changed), tenant_id=EVERY_TENANT)


def rotate(site, who):
    rotate_key(site.database, site.keyring, actor=ACTOR, key_id=who["id"], overlap=timedelta(0), tenant_id=EVERY_TENANT)


def revoke_token(site, who):
    ends = datetime.now(UTC) + timedelta(hours=1)
    end_token(site.database, subject=who["principal"].subject, token_id=who["principal"].token_id, expires_at=ends)


#: How a caller's authority ends: for which credentials, for which operations, the refusal, and what ends it.
ENDINGS = {
    "key revoked": ("key token", PREDICTIONS, 401, lambda site, who: revoke_key(
        site.database, actor=ACTOR, key_id=who["id"], tenant_id=EVERY_TENANT)),
    "secret rotated": ("key token", PREDICTIONS, 401, rotate),
    "key expired": ("key token", PREDICTIONS, 401, lambda site, who: terms(site, who, expires_at=datetime.now(UTC))),
    "not valid yet": ("key", PREDICTIONS, 401, lambda site, who: terms(
        site, who, not_before=datetime.now(UTC) + timedelta(hours=1))),
    "another address": ("key token", PREDICTIONS, 401, lambda site, who: terms(site, who, cidrs=["203.0.113.0/24"])),
    "tenant suspended": ("key token", PREDICTIONS, 401, lambda site, who: suspend_tenant(
        site.database, actor=ACTOR, name=who["tenant"])),
    "tenant erased": ("key token", PREDICTIONS, 401, lambda site, who: erase_tenant(
        site.database, actor=ACTOR, name=who["tenant"])),
    "scope taken": ("key token", PREDICTIONS, 403, lambda site, who: terms(site, who, scopes=["models:read"])),
    "model taken": ("key token", PREDICTIONS, 404, lambda site, who: terms(site, who, models=["wine"])),
    "grant taken": ("key token", BY_NAME, 404, lambda site, who: ungrant_model(
        site.database, actor=ACTOR, name="private", tenant=who["tenant"])),
    "token revoked": ("token", PREDICTIONS, 401, revoke_token),
    "signing key retired": ("token", PREDICTIONS, 401, lambda site, _: rotate_signing_key(
        site.database, site.keyring, actor=ACTOR, overlap=timedelta(0))),
}  # fmt: skip


async def partner(site, client, credential):
    """A new tenant's program with a key or a token of its own, to whom the private model is granted."""
    tenant = site.tenant(f"t{uuid7()}")
    site.grant("private", tenant)
    issued = site.issue(tenant)
    raw = issued.raw_key
    if credential == "token":
        form = {"grant_type": "client_credentials", "client_id": issued.key.id, "client_secret": raw}
        raw = (await client.post("/auth/token", data=form)).json()["access_token"]
    headers = {"Authorization": f"Bearer {raw}"}
    while (await client.get("/v1/models/private", headers=headers)).status_code != 200:
        await asyncio.sleep(0.05)
    principal = await client.app.state.parts.directory.find_token(raw.encode()) if credential == "token" else None
    return {"id": issued.key.id, "tenant": tenant, "headers": headers, "raw": raw, "principal": principal}


async def begun(client, who, operations):
    headers = who["headers"] | {"Content-Type": "application/json"}
    senders = {
        operation: SlowSender(
            client, "POST", PREDICTIONS[operation][0], json.dumps(PREDICTIONS[operation][1]).encode(), headers
        )
        for operation in operations
    }
    for sender in senders.values():
        await sender.begun()
    return senders


@pytest.fixture
def granted_site(site):
    site.model("private", LinearRegression().fit([[0.0], [1.0], [2.0]], [1.0, 2.0, 3.0]),
               np.array([[0.0], [1.0], [2.0]]), ["x"], is_public=False)  # fmt: skip
    return site


async def test_every_way_in_which_a_partners_authority_ends_counts_for_a_slow_sender(granted_site):
    """All but the last byte, then the end; a second later the last byte gets a refusal, and no answer is in the log."""
    site, found, rows = granted_site, {}, list(ENDINGS.items())
    async with site.client() as client:
        # A signing key that is retired ends every token: that row comes last, by itself.
        for together in (rows[:-1], rows[-1:]):
            cells = []
            for way, (credentials, operations, status, end) in together:
                for credential in credentials.split():
                    who = await partner(site, client, credential)
                    cells.append((way, credential, status, end, who, await begun(client, who, operations)))
            for _, _, _, end, who, _ in cells:
                await asyncio.to_thread(end, site, who)
            await asyncio.sleep(1)
            for way, credential, status, _, _, senders in cells:
                for operation, sender in senders.items():
                    answer = await sender.finished()
                    if answer.status_code != status:
                        found[way, credential, operation] = (answer.status_code, answer.text)
        reader = {"X-API-Key": site.key(scopes=["audit:read:own"])}
        assert (await client.get("/audit/predictions?outcome=answered", headers=reader)).json()["records"] == []
    assert found == {}


async def test_a_slow_sender_whose_authority_stays_is_answered(granted_site):
    """By the version that the alias names when the body is there: a promotion meanwhile is no error."""
    site = granted_site
    async with site.client() as client:
        who = await partner(site, client, "key")
        senders = await begun(client, who, PREDICTIONS)
        site.model("private", LinearRegression().fit([[0.0], [1.0]], [7.0, 7.0]), np.array([[0.0], [1.0]]), ["x"],
                   alias="production")  # fmt: skip
        while (await client.post("/v1/models/private/predict", json=PRIVATE, headers=who["headers"])).json()[
            "version"
        ] != "2":
            await asyncio.sleep(0.05)
        answers = {operation: await sender.finished() for operation, sender in senders.items()}
    assert {answer.status_code for answer in answers.values()} == {200}
    assert {answers[operation].json()["version"] for operation in BY_NAME} == {"2"}


async def test_a_token_is_not_sold_to_whoever_lost_the_key_while_they_sent_it(granted_site):
    """The secret's last byte comes a second after the key was revoked; a person's own password alike."""
    site = granted_site
    async with site.client() as client:
        who = await partner(site, client, "key")
        body = f"grant_type=client_credentials&client_id={who['id']}&client_secret={who['raw']}".encode()
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        buying = SlowSender(client, "POST", "/auth/token", body, form)
        await buying.begun()
        person = People(site).make("admin")
        body = json.dumps({"current_password": "x" * 20, "new_password": "some other plain words"}).encode()
        own = {"Authorization": f"Bearer {person.raw_token}", "Content-Type": "application/json"}
        changing = SlowSender(client, "POST", "/auth/password", body, own)
        await changing.begun()
        await asyncio.to_thread(ENDINGS["key revoked"][3], site, who)
        await asyncio.to_thread(end_token, site.database, subject=person.principal.subject,
                                token_id=person.principal.token_id, expires_at=person.principal.expires_at)  # fmt: skip
        await asyncio.sleep(1)
        assert [(await each.finished()).status_code for each in (buying, changing)] == [401, 401]


def test_every_operation_with_a_body_is_here_or_an_admins():
    """Ending a token needs no authority but the token itself: it is sent in the body."""
    assert NOT_BY_ROLE - {"POST /auth/token", "POST /auth/password", "POST /auth/revoke"} == PREDICTIONS.keys()
