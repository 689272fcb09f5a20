"""`adyton peppers ...`"""

from __future__ import annotations

import typer

from admin.peppers import list_peppers, rotate_pepper
from cli.context import Context
from cli.output import Json, show

app = typer.Typer(help="The peppers that keys are digested with.", no_args_is_help=True)


@app.command()
def rotate(as_json: Json = False) -> None:
    """Adds a pepper: new digests are made with it, and old ones made again when their keys are next used."""
    context = Context()
    show({"number": rotate_pepper(context.database, context.keyring, actor=context.actor)}, as_json=as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Lists the peppers, and how many secrets are still digested under each."""
    context = Context()
    show(list_peppers(context.database, context.keyring), as_json=as_json)
