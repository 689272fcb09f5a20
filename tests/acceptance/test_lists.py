"""Lists cost what they cost, however many objects they hold."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, event
from typer.testing import CliRunner

from admin.limits import Limits
from admin.models import grant_model
from admin.plans import set_plan
from cli.main import app
from db.reach import EVERY_TENANT
from db.tables import Model, User
from tests.support.people import client_of
from tests.support.site import ACTOR
from values.ids import uuid7

FEW, MANY = 3, 60
LISTS = ("/admin/tenants", "/admin/tenants/acme/keys", "/admin/plans", "/admin/users", "/admin/models", "/admin/events")
COMMANDS = ("tenants", "keys", "plans", "users", "models")


def make(site, numbers):
    """So many of everything that is listed, each with limits where it can have some."""
    for number in numbers:
        limits = Limits([f"{number + 1}/minute"], [f"{number + 1}/hour"])
        set_plan(site.database, actor=ACTOR, name=f"plan{number}", limits=limits)
        site.tenant(f"tenant{number}", requests=limits.requests, rows=limits.rows)
        site.issue(requests=limits.requests, rows=limits.rows)
        with site.database.transaction(EVERY_TENANT) as session:
            now = datetime.now(UTC)
            session.add(Model(id=uuid7(), name=f"model{number}", description="", is_public=False, created_at=now))
            session.add(User(id=uuid7(), email=f"{number}@example.com", role="auditor", status="active", created_at=now,
                             password_digest="x", must_change_password=False, generation=1))  # fmt: skip
        grant_model(site.database, actor=ACTOR, name=f"model{number}", tenant="acme")


class Statements:
    """Counts what an engine, or every engine, is asked."""

    def __init__(self, engine=Engine) -> None:
        self.count = 0
        event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, *_) -> None:
        self.count += 1


async def statements_of_lists(admin):
    """The statements of each list, and how many objects it holds.

    The routes' database alone: callers and changes are read through another one. What is done on the side twice a
    minute may come between, and not thrice in a row.
    """
    found, statements = {}, Statements(admin.app.state.parts.database.engine)
    for path in LISTS:
        counts = []
        for _ in range(3):
            before = statements.count
            answer = await admin.get(path, params={"limit": 1000})
            assert answer.status_code == 200
            counts.append(statements.count - before)
        found[path] = (min(counts), len(answer.json()["items"]))
    return found


@pytest.mark.anyio
async def test_a_list_asks_the_database_as_often_for_many_objects_as_for_few(any_site):
    """Every list of the API: the same number of statements, and each object with its own limits."""
    make(any_site, range(FEW))
    async with client_of(any_site) as admin:
        few = await statements_of_lists(admin)
        make(any_site, range(FEW, MANY))
        many = await statements_of_lists(admin)
    assert {path: count for path, (count, _) in few.items()} == {path: count for path, (count, _) in many.items()}
    assert all(many[path][1] >= few[path][1] + MANY - FEW for path in LISTS)
    assert max(count for count, _ in many.values()) <= 5


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
    assert run.exit_code == 0
    event.remove(Engine, "before_cursor_execute", statements._note)
    return statements.count
