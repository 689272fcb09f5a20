"""Whoever sends slowly is looked at again: no change is made for a caller whose authority ended since the head."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import func, select

from admin.changes import Operator, change_by
from admin.facts import Refused
from admin.key_terms import KeyTerms
from admin.keys import issue_key, revoke_key, rotate_key, set_key
from admin.models.access import grant_model, ungrant_model
from admin.models.promotion import promote_version, retire_version, rollback_alias
from admin.models.registration import Submission, register_version
from admin.peppers import rotate_pepper
from admin.plans import set_plan
from admin.signing_keys import rotate_signing_key
from admin.tenants import create_tenant, erase_tenant, resume_tenant, set_tenant, suspend_tenant
from admin.tokens import end_token
from admin.users import create_user, disable_user, enable_user, reset_password
from auth.callers import Callers
from auth.credentials import NotAuthenticated
from auth.signing_keys import SigningKeys
from auth.tokens import Tokens
from db.database import ChangedMeanwhile, DatabaseUnavailable
from db.reach import EVERY_TENANT
from db.tables import Event, Key, User
from inference.files.artifacts import ArtifactStore
from tests.acceptance.slow_senders import ENDINGS, KINDS, NOT_BY_ROLE, People, body_of, operations, path_of
from tests.support.contents import contents
from tests.support.site import ACTOR, dumped
from tests.support.slow_sender import SlowSender
from tests.support.toy_models import Says

pytestmark = pytest.mark.anyio


async def until(status, client, headers):
    """Until the program answers the caller so: it knows the newest signing key, or it has followed the end."""
    while (await client.get("/v1/me", headers=headers)).status_code != status:
        await asyncio.sleep(0.05)


async def begun(site, client, who):
    """Every operation of the caller's, each sent but for its last byte."""
    senders = {}
    for operation in operations(client.app.openapi(), who.kind):
        body, content_type = body_of(operation)
        method, path = operation.partition(" ")[0], await asyncio.to_thread(path_of, site, operation, who)
        headers = {"Authorization": f"Bearer {who.raw_token}", "Content-Type": content_type}
        senders[operation] = SlowSender(client, method, path, body, headers)
    for sender in senders.values():
        await sender.begun()
    return senders


async def finished(senders):
    return {operation: await sender.finished() for operation, sender in senders.items()}


async def test_every_operation_with_a_body_has_its_row(site):
    """Predictions and tokens aside, each is an admin's, and each is asked for by the tests below."""
    async with site.client() as client:
        document = client.app.openapi()
    with_body = {f"{m.upper()} {p}" for p, item in document["paths"].items() for m in item if "requestBody" in item[m]}
    assert with_body - NOT_BY_ROLE == set(operations(document, "admin"))
    assert set(operations(document, "tenant's admin")) < with_body


async def test_a_slow_sender_whose_authority_stays_is_served(site):
    """Each body of the matrix is one that its operation takes; the file alone is no model."""
    people = People(site)
    async with site.client() as client:
        for kind in KINDS:
            answers = await finished(await begun(site, client, people.make(kind)))
            statuses = {operation: answer.status_code for operation, answer in answers.items()}
            assert statuses.pop("POST /admin/models/{name}/versions", 422) == 422
            # Nothing was promoted before that could be taken back.
            assert statuses.pop("POST /admin/models/{name}/rollback", 409) == 409
            assert set(statuses.values()) <= {200, 201}, statuses


@pytest.mark.parametrize("is_followed", [False, True], ids=["at once", "followed"])
async def test_nothing_is_changed_for_a_slow_sender_whose_authority_ended(site, is_followed):
    """All but the last byte, then the end, then the last byte: 401 for every operation, and every row as it was.

    Half of them are sent before the change counter can have been read: the change's own transaction refuses them.
    """
    people, found = People(site), {}
    async with site.client() as client:
        for way, (kinds, end) in ENDINGS.items():
            for kind in kinds:
                who = people.make(kind)
                own = {"Authorization": f"Bearer {who.raw_token}"}
                await until(200, client, own)
                senders = await begun(site, client, who)
                await asyncio.to_thread(end, site, who)
                if is_followed:
                    await until(401, client, own)
                before = await asyncio.to_thread(contents, site)
                for operation, answer in (await finished(senders)).items():
                    found[way, kind, operation] = answer.status_code
                assert await asyncio.to_thread(contents, site) == before, (way, kind)
    assert {cell: status for cell, status in found.items() if status != 401} == {}
    assert len(found) == 5 * 13 + 7 * 3


def verbs(site):
    """Each change that there is, by a name of its own; called with the actor."""
    database, keyring, tenant = site.database, site.keyring, site.tenant("bank")
    user_id = create_user(database, actor=ACTOR, email="u@example.com", role="auditor").user.id
    own, key = {"name": tenant}, {"key_id": site.issue(tenant).key.id, "tenant_id": EVERY_TENANT}
    return {
        "issue": lambda actor: issue_key(database, keyring, actor=actor, tenant=tenant, terms=KeyTerms(), tenant_id=EVERY_TENANT),
        "set": lambda actor: set_key(database, actor=actor, terms=KeyTerms(label="x"), **key),
        "rotate": lambda actor: rotate_key(database, keyring, actor=actor, overlap=timedelta(0), **key),
        "revoke": lambda actor: revoke_key(database, actor=actor, **key),
        "grant": lambda actor: grant_model(database, actor=actor, name="iris", tenant=tenant),
        "ungrant": lambda actor: ungrant_model(database, actor=actor, name="iris", tenant=tenant),
        "pepper": lambda actor: rotate_pepper(database, keyring, actor=actor),
        "signing key": lambda actor: rotate_signing_key(database, keyring, actor=actor),
        "plan": lambda actor: set_plan(database, actor=actor, name="wide", concurrency=5),
        "promote": lambda actor: promote_version(database, actor=actor, name="iris", version="1", trial=lambda *_: None),
        "roll back": lambda actor: rollback_alias(database, actor=actor, name="iris"),
        "retire": lambda actor: retire_version(database, actor=actor, name="iris", version="1"),
        "register": lambda actor: register(site, actor, site.store),
        "make a tenant": lambda actor: create_tenant(database, keyring, actor=actor, name="new"),
        "another plan": lambda actor: set_tenant(database, actor=actor, plan="default", **own),
        "suspend": lambda actor: suspend_tenant(database, actor=actor, **own),
        "resume": lambda actor: resume_tenant(database, actor=actor, **own),
        "erase": lambda actor: erase_tenant(database, actor=actor, **own),
        "make a person": lambda actor: create_user(database, actor=actor, email="n@example.com", role="admin"),
        "reset": lambda actor: reset_password(database, actor=actor, user_id=user_id),
        "disable": lambda actor: disable_user(database, actor=actor, user_id=user_id),
        "enable": lambda actor: enable_user(database, actor=actor, user_id=user_id),
    }  # fmt: skip


def register(site, actor, store):
    submission = Submission("says.joblib", dumped(Says("1")), schema={"properties": {"x": {"type": "number"}}})
    return register_version(
        site.database, store, site.keyring, actor=actor, name="says", submission=submission, is_apart=False
    )


def test_no_change_is_made_for_an_actor_whose_authority_ended(any_site):
    """Every change, every way of ending, on both databases: refused, and every row as it was."""
    people, changes = People(any_site), verbs(any_site)
    for way, (kinds, end) in ENDINGS.items():
        for kind in kinds:
            who = people.make(kind)
            end(any_site, who)
            before = contents(any_site)
            for name, change in changes.items():
                with pytest.raises(NotAuthenticated):
                    change(who.principal)
                    pytest.fail(f"{name} was done by a caller: {way}")
            assert contents(any_site) == before, (way, kind)


def test_authority_that_ends_while_a_version_is_tried_or_examined_is_missed_at_the_end(any_site):
    """Loading takes a while, and so does storing: the last transaction looks once more, and lists nothing."""
    people = People(any_site)

    def ending(who):
        disable_user(any_site.database, actor=ACTOR, user_id=who.principal.user_id)

    class StoreThatTakesLong(ArtifactStore):
        def put(self, content: bytes) -> str:
            ending(late)
            return super().put(content)

    hasty, late = people.make("admin"), people.make("admin")
    with pytest.raises(NotAuthenticated):
        promote_version(any_site.database, actor=hasty.principal, name="iris", version="1", alias="candidate",
                        trial=lambda *_: ending(hasty))  # fmt: skip
    with pytest.raises(NotAuthenticated):
        register(any_site, late.principal, StoreThatTakesLong(any_site.settings.models_dir))
    assert "candidate" not in str(contents(any_site, "aliases"))
    assert "says" not in str(contents(any_site, "models"))


def test_an_admin_changes_their_own_standing(any_site):
    """Disables themself, once: after that nothing is theirs to change, not even that."""
    who = People(any_site).make("admin").principal
    shown = disable_user(any_site.database, actor=who, user_id=who.user_id)
    assert (shown["status"], shown["revision"]) == ("disabled", 2)
    with pytest.raises(NotAuthenticated):
        enable_user(any_site.database, actor=who, user_id=who.user_id)


def test_two_admins_who_disable_each_other_at_once(any_site, rounds):
    """One of them does; the other is refused, and nothing of it is half done."""
    people, database = People(any_site), any_site.database
    for _ in range(rounds(20)):
        pair = [people.make("admin").principal for _ in range(2)]
        together = threading.Barrier(2)

        def disable(actor, other, together=together):
            together.wait()
            return disable_user(database, actor=actor, user_id=other.user_id)

        with ThreadPoolExecutor(2) as threads:
            tries = [threads.submit(disable, *each) for each in (pair, pair[::-1])]
        errors = [each.exception() for each in tries]
        assert errors.count(None) == 1, errors
        (refusal,) = [error for error in errors if error is not None]
        assert isinstance(refusal, NotAuthenticated | Refused | ChangedMeanwhile | DatabaseUnavailable), refusal
        with database.reading(EVERY_TENANT) as session:
            rows = [session.get_one(User, each.user_id) for each in pair]
            events = select(func.count()).select_from(Event).where(Event.object_id.in_([row.id for row in rows]))
            assert sorted((row.status, row.generation, row.revision) for row in rows) == [
                ("active", 1, 1), ("disabled", 2, 2)]  # fmt: skip
            assert session.scalar(events) == 1


def test_a_tenants_admin_makes_keys_while_the_tenant_is_erased(any_site, rounds):
    """Neither keeps the other waiting for ever: the tenant is erased, and no key of it is left."""
    people, database, keyring = People(any_site), any_site.database, any_site.keyring
    for _ in range(rounds(50, 5)):
        who = people.make("tenant's admin")
        reach, together = who.principal.reach, threading.Barrier(2)

        def issue(who=who, reach=reach, together=together):
            together.wait()
            for _ in range(20):
                issue_key(database, keyring, actor=who.principal, tenant=who.tenant, terms=KeyTerms(), tenant_id=reach)

        def erase(who=who, together=together):
            together.wait()
            return erase_tenant(database, actor=ACTOR, name=who.tenant)

        with ThreadPoolExecutor(2) as threads:
            issuing, erasing = threads.submit(issue), threads.submit(erase)
        assert erasing.result()["status"] == "erased"
        assert issuing.exception() is None or isinstance(issuing.exception(), NotAuthenticated)
        with database.reading(EVERY_TENANT) as session:
            assert session.scalar(select(func.count()).select_from(Key).where(Key.tenant_id == reach)) == 0


@pytest.mark.parametrize("way", ["disabled", "token revoked", "tenant suspended"])
def test_authority_does_not_end_in_the_middle_of_a_change(any_site, way):
    """Whoever ends it waits for the change that has begun, which is then a change from before."""
    who, end = People(any_site).make("tenant's admin"), ENDINGS[way][1]
    with ThreadPoolExecutor(1) as threads:
        with change_by(any_site.database, who.principal, who.principal.reach):
            ending = threads.submit(end, any_site, who)
            with pytest.raises(TimeoutError):
                ending.result(timeout=0.5)
        ending.result()
    with pytest.raises(NotAuthenticated), change_by(any_site.database, who.principal, who.principal.reach):
        pass


def test_only_callers_and_operators_make_changes(site):
    """A name alone is nobody who could be looked at again."""
    with pytest.raises(TypeError), change_by(site.database, SimpleNamespace(subject="cli:me"), EVERY_TENANT):
        pass
    with change_by(site.database, Operator("cli:me"), EVERY_TENANT):
        pass


@pytest.mark.parametrize("way", ["revoked", "rotated", "suspended", "erased", "token revoked"])
def test_a_key_that_reads_the_log_is_looked_at_again_too(any_site, way):
    """Its secret, its tenant and its token as the database has them now."""
    tenant = any_site.tenant("bank")
    issued = any_site.issue(tenant)
    tokens = Tokens(SigningKeys(any_site.database, any_site.keyring))
    callers = Callers(any_site.database, any_site.keyring, tokens, has_people=True)
    _, by_key = callers.by_key(any_site.keyring.digests(issued.raw_key.encode()))
    raw_token, _ = tokens.issue(subject=by_key.subject, credential=by_key.credential, scope="audit:read:own",
                                not_after=float("inf"))  # fmt: skip
    by_token = callers.by_token(raw_token.encode())
    for caller in (by_key, by_token):
        with change_by(any_site.database, caller, caller.reach):
            pass
    own = {"key_id": issued.key.id, "tenant_id": EVERY_TENANT}
    {
        "revoked": lambda: any_site.revoke(issued.key.id),
        "rotated": lambda: rotate_key(any_site.database, any_site.keyring, actor=ACTOR, overlap=timedelta(0), **own),
        "suspended": lambda: any_site.suspend(tenant),
        "erased": lambda: erase_tenant(any_site.database, actor=ACTOR, name=tenant),
        "token revoked": lambda: end_token(
            any_site.database, subject=by_token.subject, token_id=by_token.token_id, expires_at=by_token.expires_at
        ),
    }[way]()
    for caller in (by_key, by_token):
        if (way, caller) == ("token revoked", by_key):
            continue
        with pytest.raises(NotAuthenticated), change_by(any_site.database, caller, caller.reach):
            pass
