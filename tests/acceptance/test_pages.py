"""The documentation pages in a real browser without a network: the operations are there to be seen."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    # Whatever is not on this machine does not resolve: a page that needs it stays blank.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--virtual-time-budget=20000",
]  # fmt: skip


@pytest.fixture(scope="session")
def chromium():
    """A Chromium of this machine; skipped by name where there is none and none is required."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        if "chromium" in os.environ.get("ADYTON_TEST_REQUIRE", "").split(","):
            pytest.fail("ADYTON_TEST_REQUIRE names chromium, and it is not found")
        pytest.skip("chromium: it is not found")
    return found


@pytest.mark.parametrize("page", ["docs", "redoc"])
def test_the_pages_show_the_operations_without_a_network(site, serve, chromium, tmp_path, page):
    """Rendered by scripts of ours alone, under the page's own policy."""
    server = serve(site)
    command = [chromium, *FLAGS, f"--user-data-dir={tmp_path}/profile", "--dump-dom", f"{server.url}/{page}"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    for text in ("/v1/models/{model}/predict", "/audit/predictions", "Predict one row", "Who you are"):
        assert text.replace("/", "/<wbr>") in run.stdout or text in run.stdout, text
    assert "Refused to" not in run.stderr
