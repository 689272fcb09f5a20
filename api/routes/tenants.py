"""Tenants and plans, for admins of all tenants."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from admin.facts import InvalidValue
from admin.limits import Limits
from admin.plans import describe_plan, named_plan, set_plan
from admin.shown import shown_plan, shown_tenant
from admin.tenants import (
    create_tenant,
    describe_tenant,
    erase_tenant,
    resume_tenant,
    set_tenant,
    suspend_tenant,
)
from api.dependencies import person
from api.http.conditional import change_at, expects_it, tagged
from api.http.json_body import Form, json_body, takes
from api.http.refusals import PreconditionFailed
from api.http.security import parts_of
from api.lists import Wanted, listed
from auth.principal import Person, Role
from db.plans import DEFAULT_PLAN, find_plan, page_of_plans
from db.reach import EVERY_TENANT, NO_TENANT
from db.tenants import page_of_tenants

router = APIRouter(tags=["admin: tenants and plans"])

Admin = Annotated[Person, person(Role.ADMIN)]
Texts = list[Annotated[str, Field(max_length=100)]]
Name = Annotated[str, Field(max_length=63)]
Revision = Annotated[int | None, Field(description="Refused with 409 unless it is at this revision.")]


class NewTenant(Form):
    name: Name
    plan: Name = DEFAULT_PLAN
    limit: Texts | None = Field(None, examples=[["100/minute"]])
    rows: Texts | None = Field(None, examples=[["10000/minute"]])


class TenantChange(Form):
    plan: Name | None = None
    limit: Texts | None = None
    rows: Texts | None = None
    status: Literal["active", "suspended"] | None = None
    revision: Revision = None


class PlanTerms(Form):
    limit: Texts | None = Field(None, examples=[["600/minute"]])
    rows: Texts | None = Field(None, examples=[["60000/minute"]])
    concurrency: int | None = Field(None, ge=1)
    revision: Revision = None


@router.get("/admin/tenants", summary="List the tenants")
def list_tenants(request: Request, caller: Admin, wanted: Wanted) -> dict[str, Any]:
    """Every tenant with its plan and its own limits, by name."""
    with parts_of(request).database.reading(EVERY_TENANT) as session:
        page = page_of_tenants(session, wanted, tenant_id=EVERY_TENANT)
        return listed(page, lambda row: shown_tenant(session, *row))


@router.post("/admin/tenants", summary="Make a tenant", status_code=201, openapi_extra=takes(NewTenant))
def make_tenant(request: Request, caller: Admin, body: Annotated[NewTenant, json_body(NewTenant)]) -> dict[str, Any]:
    """A tenant on a plan, without keys yet."""
    parts = parts_of(request)
    create_tenant(
        parts.database, parts.keyring, actor=caller.subject, name=body.name, plan=body.plan,
        limits=Limits(body.limit, body.rows),
    )  # fmt: skip
    return describe_tenant(parts.database, body.name)


@router.get("/admin/tenants/{name}", summary="Show a tenant")
def show_tenant(request: Request, response: Response, name: str, caller: Admin) -> dict[str, Any]:
    """A tenant with its plan and its own limits."""
    return tagged(response, describe_tenant(parts_of(request).database, name))


@router.patch("/admin/tenants/{name}", summary="Change a tenant", openapi_extra=takes(TenantChange))
def change_tenant(
    request: Request, response: Response, name: str, caller: Admin,
    body: Annotated[TenantChange, json_body(TenantChange)],
) -> dict[str, Any]:  # fmt: skip
    """Its plan or its limits, or else its status: `suspended` shuts its keys and people out, `active` lets them in."""
    database = parts_of(request).database
    given = body.model_fields_set - {"revision"}
    if body.status is not None and given != {"status"}:
        raise InvalidValue("a change of status stands alone")
    statuses = {"suspended": suspend_tenant, "active": resume_tenant}

    def change(revision: int | None) -> None:
        if body.status is not None:
            statuses[body.status](database, actor=caller.subject, name=name, revision=revision)
        else:
            limits = Limits(_cleared(body, "limit"), _cleared(body, "rows"))
            set_tenant(database, actor=caller.subject, name=name, plan=body.plan, limits=limits, revision=revision)

    change_at(request, body.revision, change)
    return tagged(response, describe_tenant(database, name))


@router.delete("/admin/tenants/{name}", summary="Erase a tenant")
def remove_tenant(request: Request, name: str, caller: Admin) -> dict[str, Any]:
    """Ends it for good: its keys, people and fingerprint key, and what its records say; their seals still verify."""
    database = parts_of(request).database
    erased = change_at(
        request,
        None,
        lambda revision: erase_tenant(database, actor=caller.subject, name=name, revision=revision),
    )
    return describe_tenant(database, name) | {"records_erased": erased}


@router.get("/admin/plans", summary="List the plans")
def list_plans(request: Request, caller: Admin, wanted: Wanted) -> dict[str, Any]:
    """Every plan with its limits, by name."""
    with parts_of(request).database.reading(NO_TENANT) as session:
        return listed(page_of_plans(session, wanted), lambda plan: shown_plan(session, plan))


@router.get("/admin/plans/{name}", summary="Show a plan")
def show_plan(request: Request, response: Response, name: str, caller: Admin) -> dict[str, Any]:
    """A plan with its limits."""
    return tagged(response, describe_plan(parts_of(request).database, name))


@router.put("/admin/plans/{name}", summary="Make or change a plan", openapi_extra=takes(PlanTerms))
def put_plan(
    request: Request, response: Response, name: str, caller: Admin, body: Annotated[PlanTerms, json_body(PlanTerms)]
) -> dict[str, Any]:
    """Makes the plan, or changes what is given of it; limits that are given replace their kind."""
    if expects_it(request):
        with parts_of(request).database.reading(NO_TENANT) as session:
            if find_plan(session, name) is None:
                raise PreconditionFailed
    return _set_plan(request, response, name, caller, body)


@router.patch("/admin/plans/{name}", summary="Change a plan", openapi_extra=takes(PlanTerms))
def change_plan(
    request: Request, response: Response, name: str, caller: Admin, body: Annotated[PlanTerms, json_body(PlanTerms)]
) -> dict[str, Any]:
    """Changes what is given of a plan that there is."""
    with parts_of(request).database.reading(NO_TENANT) as session:
        named_plan(session, name)
    return _set_plan(request, response, name, caller, body)


def _set_plan(request: Request, response: Response, name: str, caller: Person, body: PlanTerms) -> dict[str, Any]:
    database = parts_of(request).database
    limits = Limits(_cleared(body, "limit"), _cleared(body, "rows"))
    change_at(
        request,
        body.revision,
        lambda revision: set_plan(
            database, actor=caller.subject, name=name, limits=limits, concurrency=body.concurrency, revision=revision
        ),
    )
    return tagged(response, describe_plan(database, name))


def _cleared(body: Form, name: str) -> list[str] | None:
    """What was given: None if nothing was, and an empty list for `null`."""
    return (getattr(body, name) or []) if name in body.model_fields_set else None
