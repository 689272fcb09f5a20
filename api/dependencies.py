"""Dependencies of routes: each finds out who is calling, and admits the caller to the route."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Request, Security

from api.http.accept import require_json
from api.http.security import BEARER_HEADER, KEY_HEADER, call_of, current_principal, parts_of
from auth.credentials import NotAuthenticated
from auth.principal import Person, Principal, Role, Scope
from quotas.allowances import STATUS, Allowance
from serving import problems
from serving.admission import Admission, Need
from serving.facts import NotAllowed, TransportRefusal


class NoSuchName(TransportRefusal):
    """The path holds something that cannot be the name or the id of anything."""

    problem = problems.NOT_FOUND


def admitted(request: Request, principal: Principal, need: Need) -> Admission:
    """The admission of this request, to be entered with `async with`."""
    call, parts = call_of(request), parts_of(request)
    call.route = request.scope["route"].path
    if need.is_prediction:
        call.model = request.path_params.get("model", parts.settings.default_model)
    return parts.admissions.admitted(call, principal, need)


def known_caller(*allowed: Scope | Role, allowance: Allowance = STATUS, takes_place: bool = False) -> Any:
    """A dependency on a known caller with one of these scopes or roles; if none is named, every known caller will do.

    The caller stays admitted while the route works; `Need` says what that costs the caller.
    """
    need = Need(allowed, allowance=allowance, takes_place=takes_place)

    async def admit(
        request: Request, principal: Annotated[Principal, Security(current_principal)]
    ) -> AsyncIterator[Principal]:
        async with admitted(request, principal, need):
            require_json(request)
            yield principal

    # With the scope `request`, the admission would end only after the answer was sent.
    return Depends(admit, scope="function")


def admission(need: Need) -> Any:
    """A dependency on the admission of a known caller, which lasts as long as the route works."""

    async def admit(
        request: Request, principal: Annotated[Principal, Security(current_principal)]
    ) -> AsyncIterator[Admission]:
        async with admitted(request, principal, need) as admission:
            require_json(request)
            yield admission

    return Depends(admit, scope="function")


def known_person(*roles: Role, of_a_tenant_too: bool = False) -> Any:
    """A dependency on a person with one of these roles for all tenants; with `of_a_tenant_too`, also for one tenant.

    These routes take no key as a credential. A tenant's people see only their own tenant (see `Person.reach`).
    """
    need = Need(roles)

    async def admit(
        request: Request, principal: Annotated[Principal, Security(current_principal)]
    ) -> AsyncIterator[Person]:
        if not isinstance(principal, Person):
            raise NotAuthenticated(was_presented=False)
        async with admitted(request, principal, need):
            if principal.tenant_id is not None and not of_a_tenant_too:
                raise NotAllowed((f"the role {' or '.join(roles)} for all tenants",))
            require_json(request)
            if any("\0" in str(value) for value in request.path_params.values()):
                raise NoSuchName
            yield principal

    return Depends(admit, scope="function")


async def visitor(request: Request) -> Principal | None:
    """The caller if the request has a credential, else None. A bad credential is refused here too."""
    keys, bearers = await KEY_HEADER(request), await BEARER_HEADER(request)
    return await current_principal(request, keys, bearers) if keys or bearers else None
