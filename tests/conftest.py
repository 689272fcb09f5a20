"""Fixtures: sites to run in, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.support.postgres import Postgres, find_binaries
from tests.support.server import Server
from tests.support.site import Site


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """An installation with the bundled models, trained once for all tests."""
    site = Site(tmp_path_factory.mktemp("template") / "site").prepare()
    yield site
    site.close()


@pytest.fixture
def site(template, tmp_path):
    """An installation of the test's own, on SQLite."""
    site = template.copy_to(tmp_path / "site")
    yield site
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
def postgres_template(postgres, tmp_path_factory):
    """An installation on PostgreSQL with the bundled models, trained once for all tests; nobody is connected to it."""
    site = Site(tmp_path_factory.mktemp("postgres-template") / "site", *postgres.new_isolated_database()).prepare()
    site.close()
    return site


@pytest.fixture
def postgres_site(postgres, postgres_template, tmp_path):
    """An installation of the test's own, on PostgreSQL."""
    template = postgres_template.settings.database_url.rpartition("/")[2]
    shutil.copytree(postgres_template.directory, tmp_path / "postgres-site")
    site = Site(tmp_path / "postgres-site", *postgres.new_isolated_database(template))
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

    def start(site, **environment):
        servers.append(Server(site, **environment))
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
