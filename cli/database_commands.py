"""`adyton db ...`"""

from __future__ import annotations

import typer

import migrations
from api.settings import read_settings
from cli.output import Json, show
from db.database import Database, translated

app = typer.Typer(help="The schema of the database.", no_args_is_help=True)


@app.command()
def upgrade(as_json: Json = False) -> None:
    """Brings the schema up to date, as the owner where ADYTON_DATABASE_OWNER_URL is set."""
    settings = read_settings()
    database = Database(settings.database_owner_url or settings.database_url)
    migrations.upgrade(database)
    show({"revision": migrations.head()}, as_json=as_json)


@app.command()
def current(as_json: Json = False) -> None:
    """Says which revision the database is at, and which one this program needs."""
    database = Database(read_settings().database_url)
    with translated(), database.engine.connect() as connection:
        revision = migrations.current(connection)
    show({"revision": revision, "needed": migrations.head()}, as_json=as_json)


@app.command()
def check(as_json: Json = False) -> None:
    """Refuses unless the database is at this program's revision."""
    migrations.check(Database(read_settings().database_url))
    show({"revision": migrations.head(), "status": "ok"}, as_json=as_json)
