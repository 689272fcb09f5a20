"""The assembled server with its limits in Redis, whatever becomes of Redis under load."""

from __future__ import annotations

import time
from contextlib import contextmanager

import httpx

from tests.support.patience import SECONDS, until
from tests.support.server import run_cli
from tests.support.site import IRIS
from tests.support.traffic import Traffic

CONNECTIONS = 32


def test_whatever_befalls_redis_answers_are_200_or_503(own_site, serve, redis):
    """Frozen, killed, started empty and emptied, while 32 connections call: no 500, no lost answer, and back by itself."""
    server = serve(own_site, ADYTON_REDIS_URL=redis.url)
    with Traffic(server.port, own_site.key(), connections=CONNECTIONS) as traffic:
        for blow, mend in [
            (redis.freeze, redis.thaw),
            (redis.kill, redis.start),
            (lambda: redis.ask("FLUSHALL"), lambda: None),
            (lambda: redis.ask("CONFIG", "SET", "maxmemory", "1"), lambda: redis.ask("CONFIG", "SET", "maxmemory", "0")),
            (lambda: redis.ask("CLIENT", "KILL", "TYPE", "normal"), lambda: None),
        ]:  # fmt: skip
            traffic.wait_for(len(traffic.answered) + 50)
            with refusing(traffic, expected=mend.__name__ != "<lambda>"):
                blow()
            mend()
            traffic.wait_for(len(traffic.answered) + 50)
    assert set(traffic.statuses) == {200, 503}
    assert traffic.unanswered == 0
    assert "Traceback" not in server.log.read_text()
    assert redis.url not in server.log.read_text()


@contextmanager
def refusing(traffic, *, expected):
    """Ends once requests are refused, if that is expected."""
    before = traffic.statuses[503]
    yield
    if expected:
        until(lambda: traffic.statuses[503] > before)


def test_a_refusal_says_that_limits_cannot_be_counted(own_site, serve, redis):
    """503 with `Retry-After`, for predictions and for what has an allowance; readiness names the check."""
    server = serve(own_site, ADYTON_REDIS_URL=redis.url)
    with httpx.Client(base_url=server.url, headers={"X-API-Key": own_site.key()}, timeout=SECONDS) as client:
        assert client.post("/predict", json=IRIS).status_code == 200
        assert client.get("/health/ready").json()["checks"]["limits"] == "ok"
        redis.kill()
        until(lambda: client.get("/health/ready").json()["checks"]["limits"] == "unavailable")
        assert client.get("/health/ready").status_code == 503
        for refused in (client.post("/predict", json=IRIS), client.get("/v1/me"), client.get("/v1/usage")):
            assert (refused.status_code, refused.json()["type"]) == (503, "/problems/limits-unavailable")
            assert int(refused.headers["Retry-After"]) >= 1
            assert "RateLimit" not in refused.headers
        assert client.get("/nothing").status_code == 404
        redis.start()
        until(lambda: client.post("/predict", json=IRIS).status_code == 200)
        until(lambda: client.get("/health/ready").json()["checks"]["limits"] == "ok")


def test_a_redis_that_lost_its_memory_hands_out_nothing_fresh(own_site, serve, redis):
    """80 of 100 an hour are spent through two workers; Redis is emptied, then killed and started empty: 20 are left."""
    server, key = serve(own_site, workers=2, ADYTON_REDIS_URL=redis.url), own_site.key(requests=["100/hour"])

    def spend(count):
        statuses = []
        while len(statuses) < count:
            # A new connection each time, which either worker may take.
            answer = httpx.post(f"{server.url}/predict", json=IRIS, headers={"X-API-Key": key}, timeout=SECONDS)
            if answer.status_code != 503:
                statuses.append(answer.status_code)
            else:
                time.sleep(0.05)
        return statuses

    assert spend(80) == [200] * 80
    redis.ask("FLUSHALL")
    assert spend(10) == [200] * 10
    redis.restart()
    assert spend(20) == [200] * 10 + [429] * 10


def test_limits_are_counted_once_for_all_workers(own_site, serve, redis):
    """Requests, failures of an address and allowances: limit + 1, and the last is 429, whichever worker answers."""
    server, key = serve(own_site, workers=2, ADYTON_REDIS_URL=redis.url), own_site.key(requests=["30/hour"])
    statuses = [
        httpx.post(f"{server.url}/predict", json=IRIS, headers={"X-API-Key": key}, timeout=SECONDS).status_code
        for _ in range(31)
    ]
    assert statuses == [200] * 30 + [429]


def test_a_redis_that_could_forget_is_refused_at_the_start(own_site, redis):
    """In one line, without its URL."""
    redis.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    url = redis.url.replace("/0", "/7")
    run = run_cli(own_site, "serve", ADYTON_REDIS_URL=url)
    assert run.returncode == 1
    assert len(run.stderr.splitlines()) == 1
    assert "allkeys-lru" in run.stderr
    assert str(redis.port) not in run.stderr
    run = run_cli(own_site, "serve", ADYTON_REDIS_URL="http://user:pass-word@host")
    assert run.returncode == 1
    assert "pass-word" not in run.stderr
