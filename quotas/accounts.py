"""A caller's meters: each of their policies, bound to the key or tenant whose spending it counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import NamedTuple, Protocol

from db.policies import Period, Policy
from quotas.store import Calendar, Meter, State, Trailing

NS = 1_000_000_000


class Holder(Protocol):
    """The caller whom a charge is for, as far as quotas need to know it."""

    @property
    def account_id(self) -> str: ...
    @property
    def pool_id(self) -> str: ...
    @property
    def policies(self) -> tuple[Policy, ...]: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def concurrency(self) -> int | None: ...


class PolicyState(NamedTuple):
    """A policy as its holder may see it. `grows_in_seconds` is 0 while nothing is spent of a trailing window.

    Either `window_seconds` is set, or `calendar` and `time_zone`. `limit` is the text that the policy was written as.
    """

    name: str
    unit: str
    amount: int
    window_seconds: int | None
    calendar: Period | None
    time_zone: str | None
    model: str | None
    limit: str | None
    left: int
    grows_in_seconds: int


class Described(NamedTuple):
    """The part of a policy's state that does not change; the fields are the first ones of `PolicyState`."""

    name: str
    unit: str
    amount: int
    window_seconds: int | None
    calendar: Period | None
    time_zone: str | None
    model: str | None
    limit: str | None

    def at(self, state: State) -> PolicyState:
        return PolicyState(*self, state.left, -(-state.grows_in_ns // NS))


_LEFT = attrgetter("left")


@dataclass(frozen=True, slots=True)
class Account:
    """A holder's meters by unit, requests before rows; made once while its policies and its time zone stay the same."""

    policies: tuple[Policy, ...]
    time_zone: str
    described: list[Described]
    meters: list[Meter]
    requests: list[Meter]
    rows: list[Meter]
    #: Whether a policy is new to the holder: what was spent before it counts too.
    is_new: bool = False
    #: Only if policies are for one model: what is charged for each of those models, and (under None) for any other.
    by_model: Mapping[str | None, Account] = field(default_factory=dict)

    def for_model(self, model: str | None) -> Account:
        """The account without the policies that a request for that model is not charged to."""
        return (self.by_model.get(model) or self.by_model[None]) if self.by_model else self

    def shown(self, states: Sequence[State]) -> list[PolicyState]:
        """The policies in these states, which are in the order of `meters`; the one with the least left comes first."""
        pairs = zip(self.described, states, strict=True)
        # Here and not by `at`: each answer shows several.
        found = [PolicyState(*described, left, -(-wait_ns // NS)) for described, (left, wait_ns) in pairs]
        return sorted(found, key=_LEFT)


def described(policy: Policy, time_zone: str) -> Described:
    """Describes a policy; `time_zone` is its holder's."""
    return Described(
        policy.name,
        policy.unit,
        policy.amount,
        policy.window_seconds,
        policy.calendar,
        time_zone if policy.calendar else None,
        policy.model,
        policy.text or None,
    )


def _is_of_rows(policy: Policy) -> bool:
    return policy.unit == "rows"


def account_of(holder: Holder) -> Account:
    policies = holder.policies
    account = _account(holder, policies)
    models = {policy.model for policy in policies}
    if models <= {None}:
        return account
    by_model = {
        model: _account(holder, tuple(policy for policy in policies if policy.model in (None, model)))
        for model in (None, *models)
    }
    return replace(account, by_model=by_model)


def meter_of(policy: Policy, *, pool_id: str, account_id: str | None, time_zone: str) -> Meter:
    """The meter on which a policy counts what its tenant (`pool_id`) or its key (`account_id`) spends.

    A plan's limits apply to each of its tenants separately: their meters are the tenant's.
    """
    owner = account_id if policy.level == "key" else pool_id
    if policy.window_seconds is not None:
        return Meter(f"{policy.name}:{owner}", policy.amount, Trailing(policy.window_seconds))
    # The zone is no part of the name: a tenant that moves to another zone keeps what it spent.
    return Meter(f"{policy.name}:{owner}", policy.amount, Calendar(policy.calendar or "month", time_zone))


def _account(holder: Holder, policies: tuple[Policy, ...]) -> Account:
    # In the order in which a request is charged: a store answers with the states of what it charges first.
    policies = tuple(sorted(policies, key=_is_of_rows))
    ids = {"pool_id": holder.pool_id, "account_id": holder.account_id}
    meters = [meter_of(policy, **ids, time_zone=holder.time_zone) for policy in policies]
    pairs = list(zip(policies, meters, strict=True))
    return Account(
        policies,
        holder.time_zone,
        [described(policy, holder.time_zone) for policy in policies],
        meters,
        [meter for policy, meter in pairs if policy.unit == "requests"],
        [meter for policy, meter in pairs if policy.unit == "rows"],
        any(policy.since is not None for policy in policies),
    )
