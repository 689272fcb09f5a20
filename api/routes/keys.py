"""API keys, for admins of all tenants and for a tenant's own admins, who reach their tenant's keys alone."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from admin.key_terms import KeyTerms, Unbounded
from admin.keys import describe_key, issue_key, revoke_key, rotate_key, set_key
from admin.shown import shown_keys
from admin.tenants import named_tenant
from admin.words import ago, duration, instant
from api.dependencies import known_person
from api.forms import LIMITS, LIMITS_WORDS, given_texts
from api.http.conditional import Revision, at_revision, tagged
from api.http.json_body import Form, json_body, takes
from api.http.security import parts_of
from api.lists import Wanted, listed
from auth.principal import Person, Role
from db.keys import page_of_keys

router = APIRouter(tags=["admin: keys"])

Admin = Annotated[Person, known_person(Role.ADMIN, of_a_tenant_too=True)]
Texts = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=100)]
Instant = Annotated[str, Field(max_length=40, examples=["90d", "2027-12-31T23:59:59Z"])]
DEFAULT_OVERLAP = "24h"


class KeyForm(Form):
    label: Annotated[str, Field(max_length=200)] | None = None
    scope: Texts | None = Field(None, examples=[["predict"]])
    limits: Texts | None = Field(
        None, validation_alias=LIMITS, description=LIMITS_WORDS, examples=[["100/minute", "iris: 9/second"]]
    )
    rows: Texts | None = Field(None, examples=[["10000/minute"]])
    model: Texts | None = Field(None, examples=[["iris"]])
    cidr: Texts | None = Field(None, examples=[["203.0.113.0/24"]])
    expires: Instant | None = None
    not_before: Instant | None = None


class KeyChange(KeyForm):
    revision: Revision = None


class Rotation(Form):
    overlap: Annotated[str, Field(max_length=10)] = DEFAULT_OVERLAP
    revision: Revision = None


@router.get("/admin/tenants/{name}/keys", summary="List a tenant's keys")
def list_keys(
    request: Request,
    name: str,
    caller: Admin,
    wanted: Wanted,
    unused_for: Annotated[str | None, Query(description="Only keys that have not been used for so long: 90d.")] = None,
) -> dict[str, Any]:
    """The tenant's keys, without their secrets, by id."""
    unused_since = None if unused_for is None else ago(unused_for)
    with parts_of(request).database.reading(caller.reach) as session:
        tenant = named_tenant(session, name, tenant_id=caller.reach)
        page = page_of_keys(session, wanted, tenant_id=tenant.id, unused_since=unused_since)
        return listed(page, shown_keys(session, page.rows, tenant_id=tenant.id))


@router.post("/admin/tenants/{name}/keys", summary="Issue a key", status_code=201, openapi_extra=takes(KeyForm))
def make_key(
    request: Request, name: str, caller: Admin, body: Annotated[KeyForm, json_body(KeyForm)]
) -> dict[str, Any]:
    """Makes a key and shows it, this once. A tenant's admin cannot give a key more than the tenant has."""
    parts = parts_of(request)
    issued = issue_key(
        parts.database, parts.keyring, actor=caller, tenant=name, terms=_terms(body), tenant_id=caller.reach
    )
    return issued.shown


@router.get("/admin/keys/{key_id}", summary="Show a key")
def show_key(request: Request, response: Response, key_id: str, caller: Admin) -> dict[str, Any]:
    """A key, without its secret."""
    return tagged(response, describe_key(parts_of(request).database, key_id, tenant_id=caller.reach))


@router.patch("/admin/keys/{key_id}", summary="Change a key", openapi_extra=takes(KeyChange))
def change_key(
    request: Request, response: Response, key_id: str, caller: Admin, body: Annotated[KeyChange, json_body(KeyChange)]
) -> dict[str, Any]:
    """A member that is not given stays as it is; `null` or an empty list clears it."""
    database, terms, reach = parts_of(request).database, _terms(body), caller.reach
    with at_revision(request, body.revision) as revision:
        shown = set_key(database, actor=caller, key_id=key_id, terms=terms, tenant_id=reach, revision=revision)
    return tagged(response, shown)


@router.delete("/admin/keys/{key_id}", summary="Revoke a key")
def end_key(request: Request, key_id: str, caller: Admin) -> dict[str, Any]:
    """Ends a key for good; within a second nothing accepts it, nor a token bought with it."""
    database = parts_of(request).database
    with at_revision(request) as revision:
        return revoke_key(database, actor=caller, key_id=key_id, tenant_id=caller.reach, revision=revision)


@router.post("/admin/keys/{key_id}/rotate", summary="Rotate a key", openapi_extra=takes(Rotation))
def replace_secret(
    request: Request, key_id: str, caller: Admin, body: Annotated[Rotation, json_body(Rotation)]
) -> dict[str, Any]:
    """Makes a new secret for the key and shows it, this once; the older secrets work for `overlap` longer."""
    parts = parts_of(request)
    overlap = duration(body.overlap)
    with at_revision(request, body.revision) as revision:
        issued = rotate_key(
            parts.database,
            parts.keyring,
            actor=caller,
            key_id=key_id,
            overlap=overlap,
            tenant_id=caller.reach,
            revision=revision,
        )
    return issued.shown


def _terms(body: KeyForm) -> KeyTerms:
    given = body.model_fields_set

    def moment(name: str) -> Any:
        text = getattr(body, name)
        return None if name not in given else Unbounded.NONE if text is None else instant(text)

    return KeyTerms(
        label=(body.label or "") if "label" in given else None,
        scopes=given_texts(body, "scope"),
        requests=given_texts(body, "limits"),
        rows=given_texts(body, "rows"),
        models=given_texts(body, "model"),
        cidrs=given_texts(body, "cidr"),
        not_before=moment("not_before"),
        expires_at=moment("expires"),
    )
