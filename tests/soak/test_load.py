"""The whole load over several processes of Locust: minutes of everybody at once, judged in full."""

from __future__ import annotations

import pytest

from locustfiles import judge, run
from locustfiles.agreement import Human, Maker
from tests.support import commands
from tests.support.people import PASSWORD, person

pytestmark = [pytest.mark.alone, pytest.mark.soak]


def test_minutes_of_everybody_are_green(site, serve, tmp_path, rounds):
    """Two processes of clients; the quiet tenant's latency counts, too."""
    if rounds(10, short=0) == 0:
        pytest.skip("measures time: only with --soak")
    server = serve(site)
    people = {role: Human(person(site, role), PASSWORD) for role in ("admin", "auditor")}
    Maker(server.url, people, window_seconds=10).make().write(tmp_path / "agreement.json")
    options = ["--alone-seconds", "30", "--beside-seconds", "180", "--processes", "2"]
    code = commands.result(commands.Forked(run.load, tmp_path, server.url, options))
    assert code == 0, (tmp_path / "locust.log").read_text()
    judgement = judge.judge(tmp_path, server.url)
    assert judgement["green"], judgement["faults"]
    assert judgement["cannot_be_told"] == []
