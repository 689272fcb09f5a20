"""Lists cost what they cost, however many objects they hold."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, event
from typer.testing import CliRunner

from audit.events import record_event
from cli.main import app
from db.reach import EVERY_TENANT
from db.tables import Grant, Key, Model, Plan, PolicyRow, Tenant, User
from db.tenants import find_tenant
from tests.support.people import client_of
from values.ids import uuid7

FEW, MANY = 3, 60
LISTS = ("/admin/tenants", "/admin/tenants/acme/keys", "/admin/plans", "/admin/users", "/admin/models", "/admin/events")
COMMANDS = ("tenants", "keys", "plans", "users", "models")


def make(site, numbers):
    """So many of everything that is listed; each plan, tenant and key with two limits of its own."""
    now = datetime.now(UTC)
    with site.database.transaction(EVERY_TENANT) as session:
        acme = find_tenant(session, "acme", tenant_id=EVERY_TENANT)
        for number in numbers:
            plan = Plan(id=uuid7(), name=f"plan{number}", created_at=now)
            tenant = Tenant(id=uuid7(), name=f"tenant{number}", plan_id=plan.id, status="active", created_at=now)
            key = Key(id=f"{number:012}", tenant_id=acme.id, label="", scopes=["predict"], created_at=now)
            model = Model(id=uuid7(), name=f"model{number}", description="", is_public=False, created_at=now)
            user = User(id=uuid7(), email=f"{number}@example.com", role="auditor", status="active", created_at=now,
                        password_digest="x", must_change_password=False, generation=1)  # fmt: skip
            for row in (plan, tenant, key, model, user):
                session.add(row)
                session.flush()
            session.add(Grant(model_id=model.id, tenant_id=acme.id, created_at=now))
            for owner in ({"plan_id": plan.id}, {"tenant_id": tenant.id}, {"key_id": key.id}):
                for unit in ("requests", "rows"):
                    limit = {"amount": number + 1, "window_seconds": 60, "text": f"{number + 1}/minute", "since": now}
                    session.add(PolicyRow(id=uuid7(), name=unit, unit=unit, **limit, **owner))
            record_event(session, actor="test", verb="test.make", object_id=key.id, tenant_id=acme.id)


class Statements:
    """Counts what an engine, or every engine, is asked."""

    def __init__(self, engine=Engine) -> None:
        self.count = 0
        event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, *_) -> None:
        self.count += 1


async def listed(admin, path):
    """The list's objects; asked again while a slow machine's program does not know who may be let in."""
    while (answer := await admin.get(path, params={"limit": 1000})).status_code == 503:
        await asyncio.sleep(0.05)
    assert answer.status_code == 200
    return answer.json()["items"]


async def statements_of_lists(admin, statements):
    """The statements of each list, and its objects.

    The routes' database alone: callers and changes are read through another one. What is done on the side twice a
    minute may come between, and not thrice in a row.
    """
    found = {}
    for path in LISTS:
        counts = []
        for _ in range(3):
            before = statements.count
            items = await listed(admin, path)
            counts.append(statements.count - before)
        found[path] = (min(counts), items)
    return found


@pytest.mark.anyio
async def test_a_list_asks_the_database_as_often_for_many_objects_as_for_few(any_site):
    """Every list of the API: the same number of statements, and each object with its own limits."""
    await asyncio.to_thread(make, any_site, range(FEW))
    async with client_of(any_site) as admin:
        statements = Statements(admin.app.state.parts.database.engine)
        few = await statements_of_lists(admin, statements)
        await asyncio.to_thread(make, any_site, range(FEW, MANY))
        many = await statements_of_lists(admin, statements)
    assert {path: count for path, (count, _) in few.items()} == {path: count for path, (count, _) in many.items()}
    assert all(len(many[path][1]) >= len(few[path][1]) + MANY - FEW for path in LISTS)
    assert all(count for count, _ in many.values())
    for path, name in (
        ("/admin/tenants", "tenant7"),
        ("/admin/plans", "plan7"),
        ("/admin/tenants/acme/keys", f"{7:012}"),
    ):
        (seventh,) = [each for each in many[path][1] if name in (each.get("name"), each.get("id"))]
        assert (seventh["limits"], seventh["rows"]) == (["8/minute"], ["8/minute"])


def test_a_list_on_the_command_line_does_too(site, monkeypatch):
    """`adyton keys list` and the others, which show everything at once."""
    for name, value in site.environment().items():
        monkeypatch.setenv(name, value)
    make(site, range(FEW))
    few = {command: statements_of(command) for command in COMMANDS}
    make(site, range(FEW, MANY))
    assert {command: statements_of(command) for command in COMMANDS} == few


def statements_of(command: str) -> int:
    statements = Statements()
    run = CliRunner().invoke(app, [command, "list", "--json"], catch_exceptions=False)
    event.remove(Engine, "before_cursor_execute", statements._note)
    assert run.exit_code == 0
    return statements.count
