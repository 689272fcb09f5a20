"""Routes to people's accounts, for admins of all tenants."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from admin.shown import shown_user
from admin.users import create_user, describe_user, disable_user, enable_user, reset_password
from api.dependencies import known_person
from api.http.conditional import Revision, at_revision, tagged
from api.http.json_body import Form, json_body, takes
from api.http.security import parts_of
from api.lists import Wanted, listed
from auth.principal import Person, Role
from db.reach import EVERY_TENANT
from db.users import page_of_users

router = APIRouter(tags=["admin: people"])

Admin = Annotated[Person, known_person(Role.ADMIN)]
Password = Annotated[str, Field(max_length=1024, description="If none is given, one is made and shown this once.")]


class NewUser(Form):
    email: Annotated[str, Field(max_length=254)]
    role: Literal["admin", "auditor"]
    tenant: Annotated[str, Field(max_length=63)] | None = None
    password: Password | None = None


class UserChange(Form):
    status: Literal["active", "disabled"]
    revision: Revision = None


class Reset(Form):
    password: Password | None = None
    revision: Revision = None


@router.get("/admin/users", summary="List the people")
def list_users(request: Request, caller: Admin, wanted: Wanted) -> dict[str, Any]:
    """All people, by e-mail address."""
    with parts_of(request).database.reading(EVERY_TENANT) as session:
        page = page_of_users(session, wanted, tenant_id=EVERY_TENANT)
    return listed(page, [shown_user(*row) for row in page.rows])


@router.post("/admin/users", summary="Make a person", status_code=201, openapi_extra=takes(NewUser))
def make_user(request: Request, caller: Admin, body: Annotated[NewUser, json_body(NewUser)]) -> dict[str, Any]:
    """Makes an admin or an auditor, of all tenants or of one, who must change the password at the first sign-in."""
    made = create_user(
        parts_of(request).database,
        actor=caller,
        email=body.email,
        role=body.role,
        tenant=body.tenant,
        password=body.password,
    )
    return made.shown


@router.get("/admin/users/{user_id}", summary="Show a person")
def show_user(request: Request, response: Response, user_id: str, caller: Admin) -> dict[str, Any]:
    """A person's role, tenant and state."""
    return tagged(response, describe_user(parts_of(request).database, user_id))


@router.patch("/admin/users/{user_id}", summary="Disable or enable a person", openapi_extra=takes(UserChange))
def change_user(
    request: Request,
    response: Response,
    user_id: str,
    caller: Admin,
    body: Annotated[UserChange, json_body(UserChange)],
) -> dict[str, Any]:
    """`disabled` shuts a person out within a second, `active` lets them in again."""
    change = disable_user if body.status == "disabled" else enable_user
    with at_revision(request, body.revision) as revision:
        shown = change(parts_of(request).database, actor=caller, user_id=user_id, revision=revision)
    return tagged(response, shown)


@router.post("/admin/users/{user_id}/reset", summary="Reset a password", openapi_extra=takes(Reset))
def set_password(
    request: Request, user_id: str, caller: Admin, body: Annotated[Reset, json_body(Reset)]
) -> dict[str, Any]:
    """Sets a person's password for them; their tokens end, and they must change it at their next sign-in."""
    database = parts_of(request).database
    with at_revision(request, body.revision) as revision:
        done = reset_password(database, actor=caller, user_id=user_id, password=body.password, revision=revision)
    return done.shown
