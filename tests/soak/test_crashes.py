"""Whatever dies, no answer that a client received is missing from the log."""

from __future__ import annotations

import random
import time

from tests.support.log import assert_holds
from tests.support.traffic import Traffic


def test_a_killed_server_loses_no_record_of_an_answer(site, serve, rounds):
    """64 connections predict; `kill -9`, again and again."""
    server = serve(site)
    with Traffic(server.port, site.key()) as traffic:
        for _ in range(rounds(20)):
            traffic.wait_for(len(traffic.answered) + random.randint(100, 700))
            server.kill()
            server.start()
    assert_holds(site.database, traffic.answered)


def test_a_database_stopped_at_once_loses_no_record_of_an_answer(postgres, postgres_site, serve, rounds):
    """PostgreSQL is stopped without a checkpoint under load, again and again; service returns by itself."""
    server = serve(postgres_site)
    with Traffic(server.port, postgres_site.key(), pause=0.002) as traffic:
        for _ in range(rounds(10)):
            traffic.wait_for(len(traffic.answered) + random.randint(100, 700))
            postgres.stop_at_once()
            time.sleep(random.uniform(0, 1.5))
            postgres.start()
        traffic.wait_for(len(traffic.answered) + 100)
    assert set(traffic.statuses) <= {200, 503}
    assert_holds(postgres_site.database, traffic.answered)
