"""No record, no answer; and service returns by itself."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.log import assert_holds
from tests.support.patience import SECONDS
from tests.support.site import IRIS
from tests.support.traffic import Traffic


def predict(server, key) -> httpx.Response:
    return httpx.post(f"{server.url}/predict", json=IRIS, headers={"X-API-Key": key}, timeout=SECONDS)


def ready(server) -> int:
    return httpx.get(f"{server.url}/health/ready", timeout=SECONDS).status_code


def until(question, answer, seconds=2 * SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while question() != answer:
        assert time.monotonic() < deadline, f"still {question()}, not {answer}"
        time.sleep(0.05)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 48 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", place], check=False, capture_output=True)
    if mount.returncode != 0:
        pytest.skip("mount: a small tmpfs cannot be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_disk_stops_predictions_until_there_is_room(template, small_disk, serve):
    """503 and not ready while the log cannot be written; both return when the disk does."""
    site = template.copy_to(small_disk / "site")
    server, key = serve(site), site.key()
    ballast = small_disk / "ballast"
    with Traffic(server.port, key, connections=16, pause=0.02) as traffic:
        traffic.wait_for(100)
        fill(ballast)
        until(lambda: ready(server), 503)
        until(lambda: predict(server, key).status_code, 503)
        before = len(traffic.answered)
        time.sleep(1)
        assert len(traffic.answered) == before, "a prediction left without a record"
        ballast.unlink()
        until(lambda: ready(server), 200)
        traffic.wait_for(before + 100)
    assert set(traffic.statuses) == {200, 503}
    assert_holds(site.database, traffic.answered)
    site.close()
    server.kill()


def test_a_read_only_database_stops_predictions_until_it_is_writable(postgres, postgres_site, serve):
    """The same for a database that answers and takes nothing; what was refused is not charged."""
    server, key = serve(postgres_site), postgres_site.key(requests=["50/minute"])
    name = postgres_site.database.url.database
    assert predict(server, key).status_code == 200
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    until(lambda: predict(server, key).status_code, 503)
    assert [predict(server, key).status_code for _ in range(60)] == [503] * 60
    until(lambda: ready(server), 503)
    postgres.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    until(lambda: predict(server, key).status_code, 200)
    until(lambda: ready(server), 200)


def test_a_frozen_database_is_503_and_never_401(postgres, postgres_site, serve):
    """While PostgreSQL answers nothing, nobody is let in on old knowledge, and nobody is called unknown."""
    server = serve(postgres_site, ADYTON_REQUEST_TIMEOUT_SECONDS="2")
    key, another = postgres_site.key(), postgres_site.key()
    assert predict(server, key).status_code == 200
    postgres.freeze()
    try:
        time.sleep(1.2)
        statuses = {predict(server, each).status_code for each in (key, another) for _ in range(5)}
        assert statuses == {503}
        assert httpx.get(f"{server.url}/health", timeout=SECONDS).status_code == 200
    finally:
        postgres.thaw()
    until(lambda: predict(server, key).status_code, 200)


def test_a_server_that_is_told_to_stop_drops_nothing(site, serve, rounds):
    """SIGTERM under load: every request that was sent is answered and recorded, and the process ends with 0."""
    for _ in range(rounds(10, 2)):
        server = serve(site, is_forked=False)
        with Traffic(server.port, site.key()) as traffic:
            traffic.wait_for(500)
            assert server.terminate() == 0
        assert traffic.unanswered == 0
        assert set(traffic.statuses) == {200}
        assert_holds(site.database, traffic.answered)


def test_a_client_that_hangs_up_frees_its_place(shared_server):
    """After a hundred callers left in the middle of their bodies, the next one is served."""
    server, key = shared_server, shared_server.site.key()
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            head = f"POST /predict HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
            connection.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
    until(lambda: predict(server, key).status_code, 200)


def fill(file) -> None:
    with file.open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while ballast.write(b"\0" * 4096):
            pass


def test_a_full_temporary_folder_is_nothing_to_the_log(site, small_disk, serve):
    """Groups of many records are written while the system's temporary folder has no room."""
    folder = {"TMPDIR": str(small_disk), "SQLITE_TMPDIR": str(small_disk)}
    server, key = serve(site, is_forked=False, **folder), site.key()
    fill(small_disk / "ballast")
    with Traffic(server.port, key, connections=32) as traffic:
        traffic.wait_for(500)
    assert set(traffic.statuses) == {200}
    assert_holds(site.database, traffic.answered)
    server.kill()


def written_groups(path, *words, **environment) -> int:
    """How many of 7,680 records a writer alone gets into its log, in groups of 256."""
    root = Path(__file__).parents[2]
    command = [sys.executable, root / "tests/support/log_groups.py", path, *words]
    run = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(root)} | environment, check=True, capture_output=True
    )
    return int(run.stdout)


def test_large_groups_need_no_temporary_folder(small_disk, tmp_path):
    """SQLite would open a journal there for each statement that changes many pages."""
    fill(small_disk / "ballast")
    folder = {"TMPDIR": str(small_disk), "SQLITE_TMPDIR": str(small_disk)}
    assert written_groups(tmp_path / "log.db", **folder) == 7_680


def test_large_groups_need_no_file_descriptor(tmp_path):
    """From the first one on."""
    assert written_groups(tmp_path / "log.db", "all-descriptors") == 7_680


def test_a_server_without_a_file_descriptor_left_still_writes_its_log(site, serve):
    """Its writer has what it needs since the start: the first record, groups of many, and the checkpoints beside."""
    server, key = serve(site), site.key()
    headers = {"X-API-Key": key, "Content-Type": "application/json"}
    with contextlib.ExitStack() as stack:
        connections = [connect(server, stack) for _ in range(24)]
        for connection in connections:
            # Its caller is known from now on; nothing was recorded yet.
            assert ask(connection, "GET", "/v1/me", headers)[0] == 200
        hold_descriptors(server, stack)
        with ThreadPoolExecutor(len(connections)) as threads:
            answers = [
                answer
                for _ in range(10)
                for answer in threads.map(
                    lambda each: ask(each, "POST", "/predict", headers, json.dumps(IRIS)), connections
                )
            ]
    assert {status for status, _ in answers} == {200}
    assert_holds(site.database, [json.loads(body)["request_id"] for _, body in answers])


def connect(server, stack):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    stack.callback(connection.close)
    connection.connect()
    return connection


def ask(connection, method, path, headers, body=None):
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def hold_descriptors(server, stack) -> None:
    """Has the server use every file descriptor that it may."""
    folder = Path(f"/proc/{server.process.pid}/fd")

    def open_ones():
        return {int(each.name) for each in folder.iterdir()}

    limit = max(open_ones()) + 1
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
    for _ in range(limit):
        if len(open_ones()) >= limit:
            return
        connection = connect(server, stack)
        assert ask(connection, "GET", "/health", {})[0] == 200
    assert len(open_ones()) >= limit
