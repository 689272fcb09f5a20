"""Routes that tell a caller about itself."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request

from admin.shown import shown_policy
from api.dependencies import known_caller
from api.http.security import parts_of
from auth.principal import Partner, Person

router = APIRouter(tags=["callers"])

Caller = Annotated[Partner | Person, known_caller()]


@router.get("/v1/me", summary="Who you are")
async def describe_caller(request: Request, caller: Caller) -> dict[str, Any]:
    """Shows who the caller is, what it may do, which models it may use and until when. Not charged."""
    life = {"not_before": caller.not_before, "expires_at": caller.expires_at}
    if isinstance(caller, Person):
        about = {"email": caller.email, "role": caller.role, "tenant": caller.tenant}
        return {"subject": caller.subject, **about, "must_change_password": caller.must_change_password, **life}
    return {
        "subject": caller.subject,
        "tenant": caller.tenant,
        "key_id": caller.key_id,
        "scopes": sorted(caller.scopes),
        "models": [model.name for model in parts_of(request).catalogue.usable(caller)],
        **life,
    }


@router.get("/v1/usage", summary="What you have used of your limits")
async def describe_usage(request: Request, caller: Caller) -> dict[str, Any]:
    """Shows each policy that limits the caller: quota, window, use, what is left, and when more comes. Not charged.

    A calendar policy has `calendar` and `time_zone` in place of `window_seconds`; a policy for one model has `model`.
    """
    return {"policies": [shown_policy(state) for state in await parts_of(request).quotas.states(caller)]}
