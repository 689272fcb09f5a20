"""What a route may ask for: the caller with a scope, and the parts of the assembled program."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import Depends, Request, Security

from auth.principal import Person, Principal, Role, Scope
from auth.security import BEARER_HEADER, KEY_HEADER, NotAuthenticated, current_principal
from program.parts import Parts
from quotas.allowances import Allowance
from serving.call import Call

#: Nobody lists more; who does has only the first ones looked at.
MAX_MEDIA_RANGES = 50


class NotAllowed(Exception):
    """A known caller without any of the scopes and roles that the route asks for, which are named."""

    def __init__(self, needed: tuple[str, ...]) -> None:
        super().__init__()
        self.needed = needed


class PasswordChangeRequired(Exception):
    """A person whose password was set for them, and who has not changed it yet."""


class NoSuchName(Exception):
    """What stands in the path cannot be the name or the id of anything."""


class NotAcceptable(Exception):
    """The caller accepts nothing that the route can answer."""


def parts_of(request: Request) -> Parts:
    """The program's parts, made once in `create_app`."""
    return cast("Parts", request.scope["app"].state.parts)


def call_of(request: Request) -> Call:
    """What the middleware noted of this request."""
    return cast("Call", request.scope["adyton.call"])


def caller(*allowed: Scope | Role, is_prediction: bool = False, reading: Allowance | None = None) -> Any:
    """A dependency on a known caller with one of these scopes or roles; on anybody known if none is named.

    A prediction is charged one request before anything else is looked at, and so is whatever a person asks for: a
    flood of refused ones runs out like any other. What else a key asks for costs no quota; reading the log takes one of
    the tenant's places under way, and has an allowance of its own.
    """

    async def known_caller(request: Request, principal: Annotated[Principal, Security(current_principal)]) -> Principal:
        call = call_of(request)
        call.principal, call.is_prediction = principal, is_prediction
        call.route = request.scope["route"].path
        if is_prediction or isinstance(principal, Person):
            call.is_limited = True
            call.charge = parts_of(request).quotas.charge_request(principal)
        elif reading is not None:
            call.charge = parts_of(request).quotas.take_place(principal)
            parts_of(request).quotas.charge_allowance(reading, principal.subject)
        if allowed:
            _check_allowed(principal, allowed)
        if not accepts_json(request):
            raise NotAcceptable
        return principal

    return Depends(known_caller)


def person(*roles: Role, of_a_tenant_too: bool = False) -> Any:
    """A dependency on a person with one of these roles for all tenants, or, where it says so, for one of them.

    To these routes a key is no credential at all. A tenant's people see what is their tenant's: see `Person.reach`.
    """

    async def known_person(request: Request, principal: Annotated[Principal, Security(current_principal)]) -> Person:
        if not isinstance(principal, Person):
            raise NotAuthenticated(was_presented=False)
        call = call_of(request)
        call.principal, call.is_limited = principal, True
        call.charge = parts_of(request).quotas.charge_request(principal)
        _check_allowed(principal, roles)
        if principal.tenant_id is not None and not of_a_tenant_too:
            raise NotAllowed((f"the role {' or '.join(roles)} for all tenants",))
        if not accepts_json(request):
            raise NotAcceptable
        if any("\0" in str(value) for value in request.path_params.values()):
            raise NoSuchName
        return principal

    return Depends(known_person)


def _check_allowed(principal: Principal, allowed: tuple[Scope | Role, ...]) -> None:
    if isinstance(principal, Person):
        if principal.must_change_password:
            raise PasswordChangeRequired
        is_allowed = principal.role in allowed
    else:
        is_allowed = not principal.scopes.isdisjoint(allowed)
    if not is_allowed:
        raise NotAllowed(tuple(f"the {'role' if isinstance(each, Role) else 'scope'} {each}" for each in allowed))


async def visitor(request: Request) -> Principal | None:
    """The caller where a credential was presented, or None; a bad one is refused all the same."""
    keys, bearers = await KEY_HEADER(request), await BEARER_HEADER(request)
    return await current_principal(request, keys, bearers) if keys or bearers else None


def accepts_json(request: Request) -> bool:
    """Whether `Accept` (RFC 9110, section 12.5.1) leaves room for JSON."""
    accepted = [value for name, value in request.scope["headers"] if name == b"accept"]
    ranges = b",".join(accepted).lower().split(b",", MAX_MEDIA_RANGES)[:MAX_MEDIA_RANGES]
    return not accepted or any(map(_ranges_over_json, ranges))


def _ranges_over_json(part: bytes) -> bool:
    media, _, parameters = part.partition(b";")
    is_refused = parameters.replace(b" ", b"") in {b"q=0", b"q=0.0", b"q=0.00", b"q=0.000"}
    return media.strip() in {b"*/*", b"application/*", b"application/json"} and not is_refused
