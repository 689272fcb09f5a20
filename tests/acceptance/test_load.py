"""The load kit judges rightly: green on what was agreed, and red for each fault that somebody brings about by hand."""

from __future__ import annotations

import json
import sys

import pytest
from sqlalchemy import delete, text

from db.reach import EVERY_TENANT
from db.tables import PredictionRecord
from locustfiles import judge, run
from locustfiles.agreement import Agreement, Human, Maker
from locustfiles.answers import read_answers
from locustfiles.client import Client
from locustfiles.expected import EXPECTED
from tests.support import commands, processes
from tests.support.people import PASSWORD, person
from tests.support.server import Server
from tests.support.swapping import swapping_proxy

#: Few requests reach these limits, on however slow a machine: 9 of one key, for example.
TERMS = {"window_seconds": 20, "share": 0.03}
#: Time is not what is tested here.
LENIENT = {"most_times": 1e9, "most_unavailable": 1.0}


@pytest.fixture(scope="module")
def server(template, tmp_path_factory):
    """A server, on whose clock and core nobody else works."""
    site = template.copy_to(tmp_path_factory.mktemp("load") / "site")
    server = Server(site)
    yield server
    server.kill()
    site.close()


@pytest.fixture(scope="module")
def people(server):
    return {role: Human(person(server.site, role), PASSWORD) for role in ("admin", "auditor")}


def agreed(server, people, directory) -> Agreement:
    agreement = Maker(server.url, people, **TERMS).make()
    agreement.write(directory / "agreement.json")
    return agreement


def load(directory, url, *options) -> None:
    """Runs Locust in a process that is ended whatever happens."""
    code = commands.result(commands.Forked(run.load, directory, url, list(options)))
    assert code == 0, (directory / "locust.log").read_text()


def statuses(admin, tenants) -> set[str]:
    return {admin.json("GET", f"/admin/tenants/{name}")["status"] for name in tenants}


def faults(judgement) -> set[str]:
    """The names of the checks that found one."""
    return {name for name, found in judgement["faults"].items() if found}


@pytest.fixture(scope="module")
def green(server, people, tmp_path_factory):
    """A run of everybody: its directory and the judgement on it."""
    directory = tmp_path_factory.mktemp("green")
    agreed(server, people, directory)
    load(directory, server.url, "--alone-seconds", "3", "--beside-seconds", "4", "--rate", "2")
    return directory, judge.judge(directory, server.url, **LENIENT)


def test_a_run_of_everybody_is_green_and_shows_what_it_found(green):
    """Partners, abusers, slow senders, admins and auditors at once; both reports are pages, and all figures are JSON."""
    directory, judgement = green
    assert faults(judgement) == set(), judgement["faults"]
    assert judgement["green"]
    assert all(0 < limit["most_in_a_window"] <= limit["amount"] for limit in judgement["limits"])
    assert set(judgement["answers"]) == set(EXPECTED)
    for page in ("judgement.html", "report.html"):
        assert "<html" in (directory / page).read_text()[:500]
    assert "<svg" in (directory / "judgement.html").read_text()
    assert json.loads((directory / "judgement.json").read_text()) == judgement
    assert json.loads((directory / "report.json").read_text())


def test_a_deleted_record_makes_it_red(green, server):
    """By nobody but the database: the program itself deletes no record of an answer."""
    directory, _ = green
    victim = next(each for each in read_answers(directory / "answers.ndjson") if each.is_prediction)
    with server.site.owner.transaction(EVERY_TENANT) as session:
        session.execute(delete(PredictionRecord).where(PredictionRecord.request_id == victim.request_id))
    command = [sys.executable, "-m", "locustfiles.judge", str(directory), "--host", server.url]
    judged = processes.run([*command, "--most-times", "1e9", "--most-unavailable", "1"], cwd=run.ROOT)
    assert judged.returncode == 1, judged.stderr
    found = [line for line in judged.stdout.splitlines() if line.startswith("FAULT")]
    assert found == [f"FAULT (log): 1 answered requests are not in the log, such as {victim.request_id}"]


def test_a_limit_that_was_loosened_makes_it_red(server, people, tmp_path):
    """By nobody but the database, before its key was first used: three times as much as agreed."""
    agreement = agreed(server, people, tmp_path)
    with server.site.owner.transaction(EVERY_TENANT) as session:
        loosened = session.execute(
            text("UPDATE policies SET amount = amount * 3 WHERE key_id = :key_id"), {"key_id": agreement.keys["one"].id}
        )
        assert loosened.rowcount == 1
    load(tmp_path, server.url, "--beside-seconds", "1", "--only", "OfOneKey,OfFirstTenant")
    found = judge.judge(tmp_path, server.url, **LENIENT)["faults"]["limits"]
    assert [each for each in found if "never reached" not in each] == ["one key: 27 requests within 20 s, of 9 allowed"]


def test_an_answer_that_goes_to_another_tenant_makes_it_red(server, people, tmp_path):
    """A proxy gives one tenant what another was answered: its content shows it, and so does the log."""
    agreed(server, people, tmp_path)
    with swapping_proxy(server.url) as url:
        load(tmp_path, url, "--beside-seconds", "1", "--only", "OfFirstTenant,OfSecondTenant")
    found = judge.judge(tmp_path, server.url, **LENIENT)["faults"]
    assert any("not that of the rows" in each for each in found["answers"])
    assert any("another" in each for each in found["log"])


def test_any_installation_can_be_agreed_with_and_the_runs_tenants_are_erased_afterwards(server, people, tmp_path):
    """From the command line, as an admin: the run's tenants are made, and erased by `--end`."""
    command = [sys.executable, "-m", "locustfiles.agree", str(tmp_path), "--host", server.url]
    (tmp_path / "passwords").write_text(f"{PASSWORD}\n{PASSWORD}\n")
    with (tmp_path / "passwords").open() as passwords:
        emails = ["--admin", people["admin"].email, "--auditor", people["auditor"].email]
        assert processes.run([*command, *emails], cwd=run.ROOT, stdin=passwords).returncode == 0
    made = Agreement.read(tmp_path / "agreement.json").tenants
    admin = Client.signed_in(server.url, people["admin"])
    assert statuses(admin, made) == {"active"}
    assert processes.run([*command, "--end"], cwd=run.ROOT).returncode == 0
    assert statuses(admin, made) == {"erased"}


def test_only_locusts_own_process_is_patched_by_gevent():
    """Locust patches the standard library where it is imported; what runs and judges it does without."""
    program = "import locustfiles.run, locustfiles.agree, sys; assert not {'gevent', 'locust'} & set(sys.modules)"
    run_of_it = processes.run([sys.executable, "-c", program], cwd=run.ROOT)
    assert run_of_it.returncode == 0, run_of_it.stderr
