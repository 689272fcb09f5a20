"""Dependencies of routes: the caller, admitted for what the route needs of one."""

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
    call = call_of(request)
    call.route = request.scope["route"].path
    return parts_of(request).admissions.admitted(call, principal, need)


def caller(*allowed: Scope | Role, allowance: Allowance = STATUS, takes_place: bool = False) -> Any:
    """A dependency on a known caller with one of these scopes or roles; on anybody known if none is named.

    The caller is admitted for as long as the route works: see `Need` for what that is charged.
    """
    need = Need(allowed, allowance=allowance, takes_place=takes_place)

    async def known_caller(
        request: Request, principal: Annotated[Principal, Security(current_principal)]
    ) -> AsyncIterator[Principal]:
        async with admitted(request, principal, need):
            require_json(request)
            yield principal

    # Not the request's scope: it would end only once the answer is sent.
    return Depends(known_caller, scope="function")


def admission(need: Need) -> Any:
    """A dependency on the admission of a known caller, which lasts as long as the route works."""

    async def admit(
        request: Request, principal: Annotated[Principal, Security(current_principal)]
    ) -> AsyncIterator[Admission]:
        async with admitted(request, principal, need) as admission:
            require_json(request)
            yield admission

    return Depends(admit, scope="function")


def person(*roles: Role, of_a_tenant_too: bool = False) -> Any:
    """A dependency on a person with one of these roles for all tenants, or, where it says so, for one of them.

    To these routes a key is no credential at all. A tenant's people see only their tenant: see `Person.reach`.
    """
    need = Need(roles)

    async def known_person(
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

    return Depends(known_person, scope="function")


async def visitor(request: Request) -> Principal | None:
    """The caller where a credential was presented, or None; a bad one is refused all the same."""
    keys, bearers = await KEY_HEADER(request), await BEARER_HEADER(request)
    return await current_principal(request, keys, bearers) if keys or bearers else None
