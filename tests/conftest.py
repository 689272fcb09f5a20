"""Fixtures: sites to run in, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import HealthCheck, settings

from tests.support import processes
from tests.support.postgres import Postgres, find_binaries
from tests.support.redis import Redis, find_redis
from tests.support.server import Server
from tests.support.site import Site
from tests.support.templates import ROOT, fill, make_template

# How long an example takes is the machine's business.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _no_process_is_left():
    """Whatever the tests started has ended with them."""
    yield
    left = processes.left_behind()
    assert not left, left


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """An installation with the bundled models, to be copied."""
    cache = ROOT / ".pytest_cache" / "template"
    cache.mkdir(parents=True, exist_ok=True)
    site = make_template(cache, tmp_path_factory.mktemp("template") / "site")
    yield site
    site.close()


@pytest.fixture
def own_site(template, tmp_path):
    """An installation of the test's own, on SQLite."""
    site = template.copy_to(tmp_path / "site")
    yield site
    site.close()


@pytest.fixture
def site(own_site):
    """The test's own, unless its file says that its tests share one."""
    return own_site


@pytest.fixture(scope="module")
async def shared_site(anyio_backend, template, tmp_path_factory):  # noqa: ARG001  the backend is what awaits it
    """An installation and one running application for a file's tests, each with keys of its own."""
    site = template.copy_to(tmp_path_factory.mktemp("shared") / "site")
    async with site.sharing():
        yield site
    site.close()


@pytest.fixture(scope="session")
def shared_server(template, tmp_path_factory):
    """A server for many tests, each with keys of its own; `site` is where it runs."""
    site = template.copy_to(tmp_path_factory.mktemp("server") / "site")
    server = Server(site)
    yield server
    server.kill()
    site.close()


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of the tests' own; skipped by name where there are no binaries and none are required."""
    binaries = find_binaries()
    if binaries is None:
        if "postgres" in os.environ.get("ADYTON_TEST_REQUIRE", "").split(","):
            pytest.fail("ADYTON_TEST_REQUIRE names postgres, and its binaries are not found")
        pytest.skip("postgres: its binaries are not found")
    server = Postgres(binaries)
    yield server
    server.close()


@pytest.fixture(scope="session")
def redis_binary():
    """Skips by name where this machine has no Redis and none is required."""
    if find_redis() is None:
        if "redis" in os.environ.get("ADYTON_TEST_REQUIRE", "").split(","):
            pytest.fail("ADYTON_TEST_REQUIRE names redis, and its binary is not found")
        pytest.skip("redis: its binary is not found")


@pytest.fixture
def redis(redis_binary):  # noqa: ARG001  it says whether there is one
    """A Redis server of the test's own."""
    server = Redis()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def new_postgres_site(postgres, template, tmp_path_factory):
    """Makes installations on PostgreSQL, all copies of one to which nobody is connected."""
    original = fill(Site(tmp_path_factory.mktemp("postgres") / "site", *postgres.new_isolated_database()), template)
    original.close()
    name = original.settings.database_url.rpartition("/")[2]
    made = []

    def new(directory, **settings):
        shutil.copytree(original.directory, directory)
        made.append(Site(directory, *postgres.new_isolated_database(name), **settings))
        return made[-1]

    yield new
    for site in made:
        site.close()


@pytest.fixture
def postgres_site(new_postgres_site, tmp_path):
    """An installation of the test's own, on PostgreSQL."""
    site = new_postgres_site(tmp_path / "postgres-site")
    yield site
    site.close()


@pytest.fixture(scope="module")
async def shared_postgres_site(anyio_backend, new_postgres_site, tmp_path_factory):  # noqa: ARG001  as above
    """The same as `shared_site`, on PostgreSQL."""
    site = new_postgres_site(tmp_path_factory.mktemp("shared") / "postgres-site")
    async with site.sharing():
        yield site
    site.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_site(request):
    """An installation on either database."""
    return request.getfixturevalue("site" if request.param == "sqlite" else "postgres_site")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request, tmp_path):
    """A database without a schema, of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def serve():
    """Starts servers, and ends them with the test."""
    servers = []

    def start(site, **options):
        servers.append(Server(site, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


def pytest_addoption(parser):
    parser.addoption("--soak", action="store_true", help="run the long trials at their full length")


@pytest.fixture
def rounds(request):
    """How often a trial is repeated: as often as it says under `--soak`, else three times, or as often as it says."""
    return lambda count, short=3: count if request.config.getoption("--soak") else min(short, count)
