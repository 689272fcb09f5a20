"""Alembic's entry: runs on the connection that it is given, or on the database that the command line names."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from db.database import Database
from db.tables import Base


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        compare_server_default=True,
        include_name=lambda name, kind, _: not (kind == "table" and str(name).startswith("prediction_records_")),
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    url = context.get_x_argument(as_dictionary=True).get("url") or context.config.get_main_option("sqlalchemy.url")
    with Database(url or "").engine.begin() as own:
        run(own)
