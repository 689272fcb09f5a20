"""One caller's predictions while another is noisy within its limits, for each way of being noisy.

    python -m benchmarks.fairness [--seconds 6] [--only WORDS]

The noisy tenant has the plan `default` (600 requests and 60,000 rows a minute, 64 at once) and eight connections. The
quiet one asks for single rows of `iris` on two. Its p95 beside the noise is compared with its p95 alone.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
from itertools import repeat
from pathlib import Path

from benchmarks import load
from tests.support.noise import Noise, noises, prepare
from tests.support.server import Server
from tests.support.site import IRIS, Site

NOISY_CONNECTIONS = 8
QUIET_CONNECTIONS = 2
#: Up to here a p95 beside the noise is fair, however short it is alone.
FLOOR_MS = 30.0


def request_bytes(noise: Noise, key: str) -> bytes:
    """The bytes of one noisy request."""
    headers = noise.headers | ({"X-API-Key": key} if noise.is_known else {})
    lines = [f"{noise.method} {noise.url} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(noise.content)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + noise.content


def be_noisy(port: int, request: bytes, seconds: float) -> None:
    """Sends the noise for so long; runs in a process of its own."""
    load.run(port, repeat(request), connections=NOISY_CONNECTIONS, seconds=seconds)


def measure(server: Server, noise: Noise, noisy_key: str, quiet_key: str, seconds: float) -> dict[str, float]:
    """The quiet caller's p95 in ms alone and beside the noise, and how many of its requests were refused."""
    ask = load.post("/v1/models/iris/predict", json.dumps(IRIS).encode(), {"X-API-Key": quiet_key})
    alone = load.run(server.port, repeat(ask), connections=QUIET_CONNECTIONS, seconds=seconds / 2)
    noisy = multiprocessing.Process(
        target=be_noisy, args=(server.port, request_bytes(noise, noisy_key), seconds + 1), daemon=True
    )
    noisy.start()
    beside = load.run(server.port, repeat(ask), connections=QUIET_CONNECTIONS, seconds=seconds)
    noisy.terminate()
    noisy.join()
    refused = sum(count for status, count in beside.statuses.items() if status != 200)
    return {"alone": alone.quantile(0.95), "beside": beside.quantile(0.95), "refused": refused}


def is_fair(found: dict[str, float]) -> bool:
    """Whether the quiet caller noticed little."""
    return found["beside"] <= max(2 * found["alone"], FLOOR_MS) and not found["refused"]


def run(site: Site, server: Server, seconds: float, only: str = "") -> dict[str, dict[str, float]]:
    """Measures each way of being noisy; returns the results of `measure` by its name."""
    quiet_key, found = site.key(), {}
    for number, noise in enumerate(noises(site.key())):
        if only in noise.name:
            tenant = f"noisy-{number}"
            site.tenant(tenant, plan="default")
            found[noise.name] = measure(server, noise, site.key(tenant), quiet_key, seconds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        site = Site(Path(directory) / "site").prepare()
        prepare(site)
        server = Server(site)
        try:
            found = run(site, server, options.seconds, options.only)
        finally:
            server.kill()
            site.close()
    print("| the noise | p95 alone, ms | p95 beside it, ms | refused | fair |\n|---|---|---|---|---|")
    for name, each in found.items():
        words = "yes" if is_fair(each) else "no"
        print(f"| {name} | {each['alone']:.1f} | {each['beside']:.1f} | {each['refused']:.0f} | {words} |")


if __name__ == "__main__":
    main()
