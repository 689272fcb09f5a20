"""Tenants and plans, for admins of all tenants."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from admin.facts import InvalidValue, NotFound
from admin.limits import Limits
from admin.plans import describe_plan, set_plan
from admin.shown import shown_plans, shown_tenants
from admin.tenants import (
    create_tenant,
    describe_tenant,
    erase_tenant,
    resume_tenant,
    set_tenant,
    suspend_tenant,
)
from admin.usage import limits_of_tenant, usage_of
from api.dependencies import known_person
from api.forms import LIMITS, LIMITS_WORDS, TIME_ZONE, TimeZone, given_texts
from api.http.conditional import Revision, at_revision, has_if_match, tagged
from api.http.json_body import Form, json_body, takes
from api.http.refusals import PreconditionFailed
from api.http.security import parts_of
from api.lists import Wanted, cursor_of, listed
from auth.principal import Person, Role
from db.plans import DEFAULT_PLAN, page_of_plans
from db.reach import EVERY_TENANT, NO_TENANT
from db.tenants import DEFAULT_TIME_ZONE, page_of_tenants

router = APIRouter(tags=["admin: tenants and plans"])

Admin = Annotated[Person, known_person(Role.ADMIN)]
Texts = list[Annotated[str, Field(max_length=100)]]
Name = Annotated[str, Field(max_length=63)]


class NewTenant(Form):
    name: Name
    plan: Name = DEFAULT_PLAN
    limits: Texts | None = Field(
        None, validation_alias=LIMITS, description=LIMITS_WORDS, examples=[["100/minute", "iris: 9/second"]]
    )
    rows: Texts | None = Field(None, examples=[["10000/calendar-month"]])
    time_zone: TimeZone = Field(DEFAULT_TIME_ZONE, validation_alias=TIME_ZONE, examples=["Europe/Berlin"])


class TenantChange(Form):
    plan: Name | None = None
    limits: Texts | None = Field(None, validation_alias=LIMITS, description=LIMITS_WORDS)
    rows: Texts | None = None
    time_zone: TimeZone | None = Field(None, validation_alias=TIME_ZONE)
    status: Literal["active", "suspended"] | None = None
    revision: Revision = None


class PlanTerms(Form):
    limits: Texts | None = Field(None, validation_alias=LIMITS, description=LIMITS_WORDS)
    rows: Texts | None = Field(None, examples=[["60000/minute"]])
    concurrency: int | None = Field(None, ge=1)
    revision: Revision = None


@router.get("/admin/tenants", summary="List the tenants")
def list_tenants(request: Request, caller: Admin, wanted: Wanted) -> dict[str, Any]:
    """Every tenant with its plan and its own limits, by name."""
    with parts_of(request).database.reading(EVERY_TENANT) as session:
        page = page_of_tenants(session, wanted, tenant_id=EVERY_TENANT)
        return listed(page, shown_tenants(session, page.rows))


@router.post("/admin/tenants", summary="Make a tenant", status_code=201, openapi_extra=takes(NewTenant))
def make_tenant(request: Request, caller: Admin, body: Annotated[NewTenant, json_body(NewTenant)]) -> dict[str, Any]:
    """Makes a tenant on a plan, without keys."""
    parts = parts_of(request)
    return create_tenant(
        parts.database,
        parts.keyring,
        actor=caller,
        name=body.name,
        plan=body.plan,
        limits=Limits(body.limits, body.rows),
        time_zone=body.time_zone,
    )


@router.get("/admin/tenants/{name}", summary="Show a tenant")
def show_tenant(request: Request, response: Response, name: str, caller: Admin) -> dict[str, Any]:
    """A tenant with its plan and its own limits."""
    return tagged(response, describe_tenant(parts_of(request).database, name))


@router.patch("/admin/tenants/{name}", summary="Change a tenant", openapi_extra=takes(TenantChange))
def change_tenant(
    request: Request,
    response: Response,
    name: str,
    caller: Admin,
    body: Annotated[TenantChange, json_body(TenantChange)],
) -> dict[str, Any]:
    """Sets its plan, limits and time zone, or else its status: `suspended` shuts keys and people out."""
    database = parts_of(request).database
    given = body.model_fields_set - {"revision"}
    if body.status is not None and given != {"status"}:
        raise InvalidValue("a change of status cannot go with another change")
    statuses = {"suspended": suspend_tenant, "active": resume_tenant}
    with at_revision(request, body.revision) as revision:
        if body.status is not None:
            shown = statuses[body.status](database, actor=caller, name=name, revision=revision)
        else:
            shown = set_tenant(
                database,
                actor=caller,
                name=name,
                plan=body.plan,
                limits=Limits(given_texts(body, "limits"), given_texts(body, "rows")),
                time_zone=body.time_zone,
                revision=revision,
            )
    return tagged(response, shown)


@router.get("/admin/tenants/{name}/usage", summary="What a tenant has used of its limits")
async def show_usage(request: Request, name: str, caller: Admin, wanted: Wanted) -> dict[str, Any]:
    """Every policy with its use: the plan's and the tenant's own on the first page, and those of a page of its keys."""
    parts = parts_of(request)
    limits = await run_in_threadpool(limits_of_tenant, parts.database, name, wanted)
    return await usage_of(limits, parts.quotas.store) | {"next": limits.next and cursor_of(limits.next)}


@router.delete("/admin/tenants/{name}", summary="Erase a tenant")
def remove_tenant(request: Request, name: str, caller: Admin) -> dict[str, Any]:
    """Ends a tenant for good: keys, people, fingerprint key, and values in its records. Their seals still verify."""
    with at_revision(request) as revision:
        return erase_tenant(parts_of(request).database, actor=caller, name=name, revision=revision)


@router.get("/admin/plans", summary="List the plans")
def list_plans(request: Request, caller: Admin, wanted: Wanted) -> dict[str, Any]:
    """Every plan with its limits, by name."""
    with parts_of(request).database.reading(NO_TENANT) as session:
        page = page_of_plans(session, wanted)
        return listed(page, shown_plans(session, page.rows))


@router.get("/admin/plans/{name}", summary="Show a plan")
def show_plan(request: Request, response: Response, name: str, caller: Admin) -> dict[str, Any]:
    """A plan with its limits."""
    return tagged(response, describe_plan(parts_of(request).database, name))


@router.put("/admin/plans/{name}", summary="Make or change a plan", openapi_extra=takes(PlanTerms))
def put_plan(
    request: Request, response: Response, name: str, caller: Admin, body: Annotated[PlanTerms, json_body(PlanTerms)]
) -> dict[str, Any]:
    """Makes the plan, or changes its given terms; given limits replace all limits of their kind."""
    try:
        return _set_plan(request, response, name, caller, body, must_exist=has_if_match(request))
    except NotFound:
        raise PreconditionFailed from None


@router.patch("/admin/plans/{name}", summary="Change a plan", openapi_extra=takes(PlanTerms))
def change_plan(
    request: Request, response: Response, name: str, caller: Admin, body: Annotated[PlanTerms, json_body(PlanTerms)]
) -> dict[str, Any]:
    """Changes the given terms of a plan that exists."""
    return _set_plan(request, response, name, caller, body, must_exist=True)


def _set_plan(
    request: Request, response: Response, name: str, caller: Person, body: PlanTerms, *, must_exist: bool
) -> dict[str, Any]:
    with at_revision(request, body.revision) as revision:
        shown = set_plan(
            parts_of(request).database,
            actor=caller,
            name=name,
            limits=Limits(given_texts(body, "limits"), given_texts(body, "rows")),
            concurrency=body.concurrency,
            revision=revision,
            must_exist=must_exist,
        )
    return tagged(response, shown)
