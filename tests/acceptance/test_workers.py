"""`adyton serve --workers 2`: two processes that serve as one, whatever becomes of either."""

from __future__ import annotations

import json
import signal

import httpx
import pytest
from sqlalchemy import select

from audit.verification import faults
from db.reach import EVERY_TENANT
from db.tables import Chain
from tests.support.log import assert_holds
from tests.support.patience import SECONDS, until
from tests.support.server import is_alive, run_cli
from tests.support.site import IRIS
from tests.support.traffic import Traffic

#: Connections under load: enough that each worker has several.
CONNECTIONS = 24


@pytest.fixture
def workers(serve, any_site, redis):
    """A server of two workers, on either database."""
    return serve(any_site, workers=2, ADYTON_REDIS_URL=redis.url)


def chains(database) -> dict[str, str | None]:
    """Each chain's id, with the id of the chain that cites it for good."""
    with database.reading(EVERY_TENANT) as session:
        return dict(session.execute(select(Chain.id, Chain.cited_by)).all())


def test_a_killed_worker_loses_no_answer_and_no_chain(workers, rounds):
    """`kill -9` under load: every answer that a client received is in the log once, and another worker serves at once.

    The dead worker's chain is cited by its successor, which knows that it can grow no more.
    """
    site = workers.site
    before = chains(site.database)
    with Traffic(workers.port, site.key(), connections=CONNECTIONS) as traffic:
        for _ in range(rounds(20, 2)):
            traffic.wait_for(len(traffic.answered) + 200)
            old, other = workers.workers()
            old.kill()
            until(lambda other=other: len(found := workers.workers()) == 2 and found[0] == other)
            new = workers.workers()[1]
            # Importing what a server needs costs three seconds alone; the successor has all of it from the supervisor.
            assert sum(new.cpu_times()[:2]) < 3
            traffic.wait_for(len(traffic.answered) + 200)
    assert set(traffic.statuses) == {200}
    assert traffic.refused_connections == 0
    after = chains(site.database)
    assert len(after) == len(before) + rounds(20, 2)
    assert sum(cited_by is None for cited_by in after.values()) == 2
    assert_holds(site.database, traffic.answered)


def test_renewing_the_workers_refuses_and_loses_nothing(workers):
    """SIGHUP under load: both processes are others in the end, and every request was answered."""
    site, old = workers.site, workers.workers()
    with Traffic(workers.port, site.key(), connections=CONNECTIONS) as traffic:
        traffic.wait_for(200)
        workers.process.send_signal(signal.SIGHUP)
        until(lambda: len(found := workers.workers()) == 2 and not set(found) & set(old))
        traffic.wait_for(len(traffic.answered) + 200)
    assert set(traffic.statuses) == {200}
    assert (traffic.refused_connections, traffic.unanswered) == (0, 0)
    assert_holds(site.database, traffic.answered)


def test_workers_that_are_told_to_stop_drop_nothing(workers):
    """SIGTERM under load, twice: every request that was sent is answered and recorded, and the command ends with 0."""
    site = workers.site
    with Traffic(workers.port, site.key(), connections=CONNECTIONS) as traffic:
        traffic.wait_for(200)
        workers.process.send_signal(signal.SIGTERM)
        assert workers.terminate() == 0
    assert traffic.unanswered == 0
    assert set(traffic.statuses) == {200}
    assert_holds(site.database, traffic.answered)


def test_workers_end_when_their_supervisor_is_killed(workers):
    """They finish what is under way, and nobody listens any more."""
    site, processes = workers.site, workers.workers()
    with Traffic(workers.port, site.key(), connections=CONNECTIONS) as traffic:
        traffic.wait_for(200)
        workers.process.send_signal(signal.SIGKILL)
        until(lambda: not any(map(is_alive, processes)))
    assert set(traffic.statuses) == {200}
    assert_holds(site.database, traffic.answered)


def test_connections_are_shared_out_fairly(own_site, serve, redis):
    """Of many that come at once, neither worker takes nearly all, as the one that wakes first would."""
    server = serve(own_site, workers=2, ADYTON_REDIS_URL=redis.url)
    with Traffic(server.port, own_site.key(), connections=64) as traffic:
        traffic.wait_for(500)
        counts = [
            # Each worker has a connection to Redis, too.
            sum(
                each.status == "ESTABLISHED" and each.laddr.port == server.port
                for each in process.net_connections("tcp")
            )
            for process in server.workers()
        ]
    assert sum(counts) == 64
    assert min(counts) >= 16


def test_readiness_says_how_many_workers_serve(own_site, serve, redis):
    """`degraded` while one is missing, which is no 503: the other serves."""
    server = serve(own_site, workers=2, ADYTON_REDIS_URL=redis.url)

    def state() -> str:
        # A new connection, which either worker may take.
        answer = httpx.get(f"{server.url}/health/ready", timeout=SECONDS)
        assert answer.status_code == 200
        return answer.json()["checks"]["workers"]

    until(lambda: state() == "ok")
    first, _ = server.workers()
    first.kill()
    until(lambda: "ended by signal 9" in server.log.read_text())
    until(lambda: state() == "degraded")
    until(lambda: state() == "ok")


def test_each_line_of_the_log_output_names_its_worker(own_site, serve, redis):
    """And the supervisor's lines name none."""
    server = serve(own_site, workers=2, ADYTON_REDIS_URL=redis.url)
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert {line.get("worker") for line in lines if line["logger"] == "uvicorn.error"} == {1, 2}
    assert {line.get("worker") for line in lines if line["logger"] == "adyton.supervisor"} == {None}


def test_several_workers_without_redis_are_refused(own_site):
    """Each would allow the whole limit."""
    run = run_cli(own_site, "serve", "--workers", "2")
    assert run.returncode == 1
    assert "ADYTON_REDIS_URL" in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_workers_that_cannot_start_end_the_command_with_their_reason(own_site):
    """In one line, as one process does; the port is taken, or the secret is another one's."""
    options = {"ADYTON_REDIS_URL": "redis://127.0.0.1:1", "ADYTON_LOG_LEVEL": "error"}
    run = run_cli(own_site, "serve", "--workers", "2", "--port", "15999", **options, ADYTON_SECRET="another " * 8)
    assert run.returncode == 1
    assert run.stderr.startswith("adyton: ")
    assert len(run.stderr.splitlines()) == 1


def test_one_worker_is_one_process(own_site, serve):
    """Without a supervisor."""
    server = serve(own_site)
    answer = httpx.post(f"{server.url}/predict", json=IRIS, headers={"X-API-Key": own_site.key()}, timeout=SECONDS)
    assert answer.status_code == 200
    assert "workers" not in httpx.get(f"{server.url}/health/ready", timeout=SECONDS).json()["checks"]
    assert server.workers() == []
    assert not list(faults(own_site.database))
