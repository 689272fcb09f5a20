"""Events, for admins and auditors: every change and every reading of the log. A tenant's people see its own."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request

from admin.shown import shown_event
from api.dependencies import known_person
from api.http.refusals import InvalidParameter
from api.http.security import parts_of
from api.lists import Wanted, listed
from auth.principal import Person, Role
from db.events import page_of_events
from values.ids import is_uuid7

router = APIRouter(tags=["admin: events"])


@router.get("/admin/events", summary="List the events")
def list_events(
    request: Request,
    caller: Annotated[Person, known_person(Role.ADMIN, Role.AUDITOR, of_a_tenant_too=True)],
    wanted: Wanted,
) -> dict[str, Any]:
    """Every change and every reading of the log, newest first; never a secret."""
    if wanted.after is not None and not is_uuid7(wanted.after):
        raise InvalidParameter("after", "must be a `next` of an earlier page")
    with parts_of(request).database.reading(caller.reach) as session:
        page = page_of_events(session, wanted, tenant_id=caller.reach)
    return listed(page, [shown_event(*row) for row in page.rows])
