"""A caller's meters: each of their policies, bound to the key or tenant whose spending it counts."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from db.policies import Policy
from quotas.memory import Meter


class Holder(Protocol):
    """The caller whom a charge is for, as far as quotas need to know it."""

    @property
    def account_id(self) -> str: ...
    @property
    def pool_id(self) -> str: ...
    @property
    def policies(self) -> tuple[Policy, ...]: ...
    @property
    def concurrency(self) -> int | None: ...


class PolicyState(NamedTuple):
    """A policy as its holder may see it. `grows_in_seconds` is 0 while nothing is spent."""

    name: str
    unit: str
    amount: int
    window_seconds: int
    left: int
    grows_in_seconds: int


class Account(NamedTuple):
    """A holder's meters by unit, made once for as long as its policies stay the same."""

    policies: tuple[Policy, ...]
    names: list[str]
    meters: list[Meter]
    requests: list[Meter]
    rows: list[Meter]


def account_of(holder: Holder) -> Account:
    # A plan's limits apply to each of its tenants separately: its meters are the tenant's.
    meters = [
        Meter(f"{policy.name}:{_owner(holder, policy)}", policy.amount, policy.window_seconds)
        for policy in holder.policies
    ]
    pairs = list(zip(holder.policies, meters, strict=True))
    return Account(
        holder.policies,
        [policy.name for policy in holder.policies],
        meters,
        [meter for policy, meter in pairs if policy.unit == "requests"],
        [meter for policy, meter in pairs if policy.unit == "rows"],
    )


def _owner(holder: Holder, policy: Policy) -> str:
    return holder.account_id if policy.level == "key" else holder.pool_id
