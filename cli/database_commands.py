"""`adyton db ...`"""

from __future__ import annotations

import typer

import migrations
from admin.facts import Refused
from cli.output import Json, show
from db.database import Database, translated
from program.settings import Settings, read_settings

app = typer.Typer(help="The schema of the database.", no_args_is_help=True)


@app.command()
def upgrade(as_json: Json = False) -> None:
    """Brings the schema up to date, as the owner where ADYTON_DATABASE_OWNER_URL is set.

    On PostgreSQL it also lays down row-level security, and gives the role of ADYTON_DATABASE_URL what it needs.
    """
    upgrade_database(read_settings())
    show({"revision": migrations.head()}, as_json=as_json)


@app.command()
def current(as_json: Json = False) -> None:
    """Shows the revision of the database, and the one that this program needs."""
    database = Database(read_settings().database_url)
    with translated(), database.engine.connect() as connection:
        revision = migrations.current(connection)
    show({"revision": revision, "needed": migrations.head()}, as_json=as_json)


@app.command()
def check(as_json: Json = False) -> None:
    """Checks that the database is at this program's revision, and that PostgreSQL itself keeps tenants apart."""
    database = Database(read_settings().database_url)
    migrations.check(database)
    faults = migrations.isolation_faults(database)
    if faults:
        raise Refused("; ".join(faults) + ": docs/operations.md says which roles PostgreSQL needs")
    show({"revision": migrations.head(), "status": "ok"}, as_json=as_json)


def upgrade_database(settings: Settings) -> None:
    """Migrates as the owner, and gives rights to the program's role: the one in ADYTON_DATABASE_URL, if it differs."""
    database = Database(settings.database_url)
    owner = Database(settings.database_owner_url or settings.database_url)
    role = database.url.username if database.url.username != owner.url.username else None
    migrations.upgrade(owner, role=role)
    owner.dispose()
