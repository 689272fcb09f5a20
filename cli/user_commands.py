"""`adyton users ...`"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from admin.shown import shown_user
from admin.users import create_user, disable_user, enable_user, id_of_user, reset_password
from cli.context import Context
from cli.output import Json, show
from db.paging import WHOLE
from db.reach import EVERY_TENANT
from db.users import page_of_users

app = typer.Typer(help="People: admins and auditors, of all tenants or of one.", no_args_is_help=True)

FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input instead of making one.")
]


@app.command()
def create(
    email: str,
    role: Annotated[str, typer.Option(help="admin or auditor.")],
    tenant: Annotated[str | None, typer.Option(help="The only tenant that the role is for; all if not given.")] = None,
    password_stdin: FromStdin = False,
    as_json: Json = False,
) -> None:
    """Makes a person, who must change the password at the first sign-in. A password that is made is shown this once."""
    context = Context()
    password = _read_password() if password_stdin else None
    made = create_user(context.database, actor=context.actor, email=email, role=role, tenant=tenant, password=password)
    show(made.shown, as_json=as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Lists the people."""
    with Context().database.reading(EVERY_TENANT) as session:
        users = [shown_user(*each) for each in page_of_users(session, WHOLE, tenant_id=EVERY_TENANT).rows]
    show(users, as_json=as_json)


@app.command()
def reset(email: str, password_stdin: FromStdin = False, as_json: Json = False) -> None:
    """Sets a person's password for them; their tokens end, and they must change it."""
    context = Context()
    password = _read_password() if password_stdin else None
    user_id = id_of_user(context.database, email)
    done = reset_password(context.database, actor=context.actor, user_id=user_id, password=password)
    show(done.shown, as_json=as_json)


@app.command()
def disable(email: str, as_json: Json = False) -> None:
    """Shuts a person out."""
    context = Context()
    shown = disable_user(context.database, actor=context.actor, user_id=id_of_user(context.database, email))
    show(shown, as_json=as_json)


@app.command()
def enable(email: str, as_json: Json = False) -> None:
    """Lets a person in again."""
    context = Context()
    shown = enable_user(context.database, actor=context.actor, user_id=id_of_user(context.database, email))
    show(shown, as_json=as_json)


def _read_password() -> str:
    return sys.stdin.readline().rstrip("\r\n")
