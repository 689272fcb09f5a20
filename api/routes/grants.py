"""Routes to models and to the tenants that may use them, for admins of all tenants."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request

from admin.models.access import grant_model, ungrant_model
from admin.shown import shown_model
from api.dependencies import known_person
from api.http.security import parts_of
from api.lists import Wanted, listed
from auth.principal import Person, Role
from db.catalogue import read_catalogue
from db.paging import Page
from db.reach import EVERY_TENANT

router = APIRouter(tags=["admin: models"])

Admin = Annotated[Person, known_person(Role.ADMIN)]


@router.get("/admin/models", summary="List the models")
def list_models(request: Request, caller: Admin, wanted: Wanted) -> dict[str, Any]:
    """Every model with its versions, its aliases and the ids of the tenants it is granted to, by name."""
    with parts_of(request).database.reading(EVERY_TENANT) as session:
        entries = [entry for name, entry in read_catalogue(session).items() if name > (wanted.after or "")]
    following = entries[wanted.limit - 1].model.name if len(entries) > wanted.limit else None
    kept = entries[: wanted.limit]
    return listed(Page(kept, following), [shown_model(entry) for entry in kept])


@router.put("/admin/models/{name}/grants/{tenant}", summary="Grant a model")
def grant(request: Request, name: str, tenant: str, caller: Admin) -> dict[str, Any]:
    """Lets a tenant use a model that is not public."""
    return grant_model(parts_of(request).database, actor=caller, name=name, tenant=tenant)


@router.delete("/admin/models/{name}/grants/{tenant}", summary="Take a grant back")
def ungrant(request: Request, name: str, tenant: str, caller: Admin) -> dict[str, Any]:
    """Takes the tenant's right back; within a second the model does not exist for its keys."""
    return ungrant_model(parts_of(request).database, actor=caller, name=name, tenant=tenant)
