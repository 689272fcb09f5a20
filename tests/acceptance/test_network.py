"""The program talks to nobody but its callers and its database: neither do the libraries that it stands on."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tests.support.postgres import free_port
from tests.support.site import IRIS, dumped

PREDICTIONS = 1_000
#: Besides calls to the network, those by which a file comes to be.
TRACED = "trace=network,openat,mkdir,mkdirat"
ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
LOOPBACK = re.compile(r"127\.|::1$|0\.0\.0\.0$|::$|::ffff:127\.")
MADE = re.compile(
    r'(?:mkdir(?:at)?\(|openat\([^"]*)[^"]*"([^"]*/\.cache/[^"]*)".*(?:O_CREAT|O_WRONLY|O_RDWR|0[0-7]{3}\))'
)


@pytest.fixture
def strace():
    path = shutil.which("strace")
    if path is None:
        if "strace" in os.environ.get("ADYTON_TEST_REQUIRE", "").split(","):
            pytest.fail("ADYTON_TEST_REQUIRE names strace, and it is not installed")
        pytest.skip("strace: it is not installed")
    return path


def foreign(trace: str) -> list[str]:
    """The lines that reach beyond this machine, or make a file in somebody's cache."""
    found = []
    for line in trace.splitlines():
        hosts = [first or second for first, second in ADDRESS.findall(line)]
        if any(not LOOPBACK.match(host) for host in hosts) or MADE.search(line):
            found.append(line)
    return found


@pytest.mark.parametrize(
    "line",
    [
        '1 connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("10.0.0.2")}, 16) = 0',
        '1 sendto(9, "x", 1, 0, {sa_family=AF_INET6, sin6_port=htons(443), inet_pton(AF_INET6, "2001:db8::1", &a)}, 28)',
        '1 openat(AT_FDCWD, "/root/.cache/Microsoft/onnxruntime.db", O_RDWR|O_CREAT|O_CLOEXEC, 0644) = 3',
        '1 mkdir("/root/.cache/Microsoft", 0755) = 0',
    ],
)
def test_the_trace_would_show_it(line):
    """The lines that ONNX Runtime's telemetry left, and others of its kind."""
    assert foreign(f'1 connect(3, {{sin_addr=inet_addr("127.0.0.1")}}, 16) = 0\n{line}\n') == [line]


def predict(port, key):
    """A thousand predictions on one connection; the statuses of their answers."""
    body = json.dumps(IRIS).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        for _ in range(PREDICTIONS // 10):
            connection.sendall(request * 10)
            wanted = received.count(b"HTTP/1.1 ") + 10
            while received.count(b"HTTP/1.1 ") < wanted:
                received += connection.recv(1 << 20)
    return re.findall(rb"HTTP/1\.1 (\d+)", received)


def test_nothing_leaves_the_machine(site, strace, tmp_path):
    """`adyton up`, `adyton models register` and a thousand predictions, traced: loopback alone, and an empty home."""
    home, port, key = tmp_path / "home", free_port(), site.key()
    home.mkdir()
    rows = np.random.default_rng(0).normal(size=(40, 2))
    (site.directory / "m.joblib").write_bytes(dumped(LogisticRegression().fit(rows, rows[:, 0] > 0)))
    environment = site.environment() | {"HOME": str(home)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    traces = [tmp_path / "up", tmp_path / "register"]

    def traced(trace, *arguments):
        command = [strace, "-f", "--seccomp-bpf", "-qq", "-e", TRACED, "-o", str(trace)]
        command += [sys.executable, "-m", "cli", *arguments]
        return subprocess.Popen(command, cwd=site.directory, env=environment, stdout=subprocess.DEVNULL)

    up = traced(traces[0], "up", "--port", str(port))
    try:
        register = traced(traces[1], "models", "register", "m", "m.joblib")
        assert register.wait(120) == 0
        until_listening(up, port)
        assert set(predict(port, key)) == {b"200"}
    finally:
        # The tracer hands the signal on to nobody: the server is its only child.
        (server,) = children(up.pid) or [up.pid]
        os.kill(server, 15)
        up.wait(60)
    for trace in traces:
        text = trace.read_text()
        assert "sin_addr" in text or "socket(" in text or "openat(" in text
        assert foreign(text) == []
    assert list(home.iterdir()) == []


def children(process_id):
    return [int(each) for each in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()]


def until_listening(process, port):
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server does not listen")
