"""The two charges of a request: one request before its body is looked at, its rows once they are counted.

A *limit* is what people write (`100/minute`); a *policy* is a limit with its level and unit, as the database holds it;
a *meter* is a policy bound to those whose spending it counts; a *window* holds what was spent; an *account* is a
caller's meters.
"""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import slowapi

from db.policies import Policy, Unit
from quotas.allowances import Allowance
from quotas.memory import SCHEME, STRATEGY, Meter, Refusal, WindowRateLimiter
from quotas.window import NS
from values.subjects import Subject


class QuotaExceeded(Exception):
    """A limit is spent; after `retry_after_seconds` the named policies could take the same charge.

    `headers` are what the answer says of policies that are not the caller's own.
    """

    def __init__(
        self, policies: Sequence[str], retry_after_seconds: int, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self.policies = policies
        self.retry_after_seconds = retry_after_seconds
        self.headers = headers


class ExceedsQuota(Exception):
    """More rows than the named policies could ever allow at once."""

    def __init__(self, policies: Sequence[str]) -> None:
        super().__init__()
        self.policies = policies


class TooManyAtOnce(Exception):
    """The tenant has as many requests under way as its plan allows."""

    def __init__(self, concurrency: int) -> None:
        super().__init__()
        self.concurrency = concurrency


class Holder(Protocol):
    """Whom the charges are for: what quotas need to know of a caller."""

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

    policy: Policy
    name: str
    left: int
    grows_in_seconds: int


class Account(NamedTuple):
    """A holder's meters by unit, made once for as long as its policies stay the same."""

    policies: tuple[Policy, ...]
    names: list[str]
    meters: list[Meter]
    requests: list[Meter]
    rows: list[Meter]


class SlowapiLimiter(slowapi.Limiter):
    """slowapi's Limiter, deaf to the environment: it would take `RATELIMIT_ENABLED=false` from there or from `.env`."""

    def get_app_config(self, key: str, default_value: Any = None) -> Any:  # noqa: ARG002
        return default_value


_LEFT = attrgetter("left")
#: Accounts are only prepared meters: forgetting them loses nothing that was spent.
MAX_ACCOUNTS = 250_000


class Quotas:
    """Every limit of one process, through slowapi's Limiter, which owns the storage and the strategy."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        with warnings.catch_warnings():
            # It warns that the null device is no configuration file, which is why it is named.
            warnings.simplefilter("ignore", UserWarning)
            self.limiter = SlowapiLimiter(
                key_func=_no_key, storage_uri=f"{SCHEME}://", strategy=STRATEGY, storage_options={"clock": clock},  # type: ignore[dict-item]

                config_filename=os.devnull,
            )  # fmt: skip
        strategy = self.limiter.limiter
        if not isinstance(strategy, WindowRateLimiter) or not self.limiter.enabled:
            raise RuntimeError("the limiter is not the one that was asked for")
        self.strategy = strategy
        self._accounts: dict[tuple[str, str], Account] = {}
        self._under_way: dict[str, int] = {}

    def charge_request(self, holder: Holder) -> Charge:
        """Step 1: one request of every request policy, all or none. Raises `QuotaExceeded` or `TooManyAtOnce`."""
        charge = self.take_place(holder)
        try:
            charge.spend("requests", 1)
        except QuotaExceeded:
            charge.finish()
            raise
        return charge

    def take_place(self, holder: Holder) -> Charge:
        """One of the tenant's requests under way, of which nothing is charged yet. Raises `TooManyAtOnce`."""
        under_way = self._under_way.get(holder.pool_id, 0)
        if holder.concurrency is not None and under_way >= holder.concurrency:
            raise TooManyAtOnce(holder.concurrency)
        self._under_way[holder.pool_id] = under_way + 1
        return Charge(self, holder.pool_id, self.account(holder))

    def charge_allowance(self, allowance: Allowance, subject: Subject) -> None:
        """One of what the subject may do so often, whatever its limits say. Raises `QuotaExceeded`."""
        meter = allowance.of(subject)
        outcome = self.strategy.charge([meter], 1)
        if isinstance(outcome, Refusal):
            seconds = max(1, math.ceil(outcome.wait_ns / NS))
            (name,) = _policy_names([meter.name])
            policy = f'"{name}";q={meter.amount};w={meter.window_seconds}'
            fields = {"RateLimit-Policy": policy, "RateLimit": f'"{name}";r=0;t={seconds}'}
            raise QuotaExceeded([name], seconds, fields)

    def states(self, holder: Holder) -> list[PolicyState]:
        """Every policy of the holder with what is left of it, the one with the least left first."""
        account = self.account(holder)
        states = [
            PolicyState(policy, name, left, -(-wait_ns // NS))
            for policy, name, (left, wait_ns) in zip(
                account.policies, account.names, self.strategy.states(account.meters), strict=True
            )
        ]
        return sorted(states, key=_LEFT)

    def account(self, holder: Holder) -> Account:
        place = (holder.pool_id, holder.account_id)
        account = self._accounts.get(place)
        if account is None or account.policies is not holder.policies:
            if len(self._accounts) >= MAX_ACCOUNTS:
                self._accounts.clear()
            account = self._accounts[place] = _account(holder)
        return account

    def leave(self, pool_id: str) -> None:
        left = self._under_way[pool_id] - 1
        if left:
            self._under_way[pool_id] = left
        else:
            del self._under_way[pool_id]


class Charge:
    """What one request has spent; given back whole if the service itself fails to answer."""

    __slots__ = ("_account", "_is_under_way", "_pool_id", "_quotas", "_spent")

    def __init__(self, quotas: Quotas, pool_id: str, account: Account) -> None:
        self._quotas = quotas
        self._pool_id = pool_id
        self._account = account
        self._spent: list[tuple[list[Meter], int, int]] = []
        self._is_under_way = True

    def spend(self, unit: Unit, cost: int) -> None:
        """Charges every policy of that unit, all or none. Raises `QuotaExceeded`, or `ExceedsQuota`."""
        meters = self._account.rows if unit == "rows" else self._account.requests
        never = [meter.name for meter in meters if cost > meter.amount]
        if never:
            raise ExceedsQuota(_policy_names(never))
        outcome = self._quotas.strategy.charge(meters, cost)
        if isinstance(outcome, Refusal):
            names = _policy_names([meter.name for meter in outcome.meters])
            raise QuotaExceeded(names, max(1, math.ceil(outcome.wait_ns / NS)))
        self._spent.append((meters, cost, outcome))

    def give_back(self) -> None:
        """The service did not answer: nothing was spent."""
        for meters, cost, spent_at in self._spent:
            self._quotas.strategy.give_back(meters, cost, spent_at)
        self._spent.clear()

    def finish(self) -> None:
        """The request is no longer under way."""
        if self._is_under_way:
            self._is_under_way = False
            self._quotas.leave(self._pool_id)


def _account(holder: Holder) -> Account:
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


def _policy_names(meter_names: Sequence[str]) -> list[str]:
    return [name.partition(":")[0] for name in meter_names]


def _no_key(*_: object) -> str:
    # slowapi asks for a key function, for its decorator alone; an empty key would skip a limit silently.
    raise RuntimeError("charges are made by the security dependency, never by slowapi's decorator")
