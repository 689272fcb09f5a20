"""`adyton signing-keys ...`"""

from __future__ import annotations

from typing import Annotated

import typer

from admin.signing_keys import OVERLAP, list_signing_keys, rotate_signing_key
from admin.words import duration
from cli.context import Context
from cli.output import Json, show

app = typer.Typer(help="The keys that sign tokens.", no_args_is_help=True)


@app.command()
def rotate(
    overlap: Annotated[
        str, typer.Option(help="How long the older keys are accepted; 0s ends every token at once.")
    ] = f"{int(OVERLAP.total_seconds())}s",
    as_json: Json = False,
) -> None:
    """Makes a new key; older keys go when the last tokens that they signed have ended."""
    context = Context()
    kid = rotate_signing_key(context.database, context.keyring, actor=context.actor, overlap=duration(overlap))
    show({"kid": kid, "overlap": overlap}, as_json=as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Lists all keys, past ones too."""
    context = Context()
    show(list_signing_keys(context.database, context.keyring), as_json=as_json)
