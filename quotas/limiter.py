"""The two charges of a request: one request before its body is read, its rows once they are counted.

A *limit* is what people write (`100/minute`); a *policy* is a limit with its level and unit, as the database holds it;
a *meter* is a policy bound to the key or tenant whose spending it counts; a *window* holds what was spent; an
*account* is a caller's meters.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from operator import attrgetter

from db.policies import Unit
from quotas.accounts import Account, Holder, PolicyState, account_of
from quotas.allowances import Allowance
from quotas.memory import Meter, Refusal
from quotas.strategy import sub_window_strategy
from quotas.window import NS
from values.subjects import Subject


class QuotaExceeded(Exception):
    """A limit is spent; after `retry_after_seconds` the named policies could take the same charge.

    `states` holds the states of policies that `Quotas.states` does not show: those of allowances.
    """

    def __init__(self, policies: Sequence[str], retry_after_seconds: int, states: Sequence[PolicyState] = ()) -> None:
        super().__init__()
        self.policies = policies
        self.retry_after_seconds = retry_after_seconds
        self.states = states


class ExceedsQuota(Exception):
    """The charge is more than the named policies could ever allow at once."""

    def __init__(self, policies: Sequence[str]) -> None:
        super().__init__()
        self.policies = policies


class TooManyAtOnce(Exception):
    """The tenant has as many requests under way as its plan allows."""

    def __init__(self, concurrency: int) -> None:
        super().__init__()
        self.concurrency = concurrency


_LEFT = attrgetter("left")
#: Accounts only prepare meters: forgetting them forgets no spending.
MAX_ACCOUNTS = 250_000
_PROBE = Meter("probe", 1_000, 60)


class Quotas:
    """Every limit of one process."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.strategy = sub_window_strategy(clock)
        self._accounts: dict[tuple[str, str], Account] = {}
        self._under_way: dict[str, int] = {}

    def charge_request(self, holder: Holder) -> Charge:
        """Takes a place and charges one request to every request policy, or does neither.

        Raises `QuotaExceeded` or `TooManyAtOnce`.
        """
        charge = self.take_place(holder)
        try:
            charge.spend("requests", 1)
        except QuotaExceeded:
            charge.finish()
            raise
        return charge

    def take_place(self, holder: Holder) -> Charge:
        """Takes a place among the tenant's requests under way, and charges nothing yet. Raises `TooManyAtOnce`."""
        under_way = self._under_way.get(holder.pool_id, 0)
        if holder.concurrency is not None and under_way >= holder.concurrency:
            raise TooManyAtOnce(holder.concurrency)
        self._under_way[holder.pool_id] = under_way + 1
        return Charge(self, holder.pool_id, self.account(holder))

    def check(self) -> bool:
        """Whether the store counts: it shows a charge on a meter of its own, and no longer once that is given back."""
        before = self.strategy.states([_PROBE])
        spent_at = self.strategy.charge([_PROBE], 1)
        if isinstance(spent_at, Refusal) or self.strategy.states([_PROBE]) == before:
            return False
        self.strategy.give_back([_PROBE], 1, spent_at)
        return self.strategy.states([_PROBE])[0][0] == before[0][0]

    @property
    def under_way(self) -> int:
        """The number of requests under way, of all holders."""
        return sum(self._under_way.values())

    def charge_allowance(self, allowance: Allowance, subject: Subject) -> None:
        """Charges one to the subject's allowance, which no limit changes. Raises `QuotaExceeded`."""
        meter = allowance.of(subject)
        outcome = self.strategy.charge([meter], 1)
        if isinstance(outcome, Refusal):
            seconds = max(1, math.ceil(outcome.wait_ns / NS))
            (name,) = _policy_names([meter.name])
            raise QuotaExceeded(
                [name], seconds, [PolicyState(name, allowance.unit, meter.amount, meter.window_seconds, 0, seconds)]
            )

    def states(self, holder: Holder) -> list[PolicyState]:
        """Returns every policy of the holder with what is left of it, the one with the least left first."""
        account = self.account(holder)
        states = [
            PolicyState(name, policy.unit, policy.amount, policy.window_seconds, left, -(-wait_ns // NS))
            for policy, name, (left, wait_ns) in zip(
                account.policies, account.names, self.strategy.states(account.meters), strict=True
            )
        ]
        return sorted(states, key=_LEFT)

    def account(self, holder: Holder) -> Account:
        ids = (holder.pool_id, holder.account_id)
        account = self._accounts.get(ids)
        if account is None or account.policies is not holder.policies:
            if len(self._accounts) >= MAX_ACCOUNTS:
                self._accounts.clear()
            account = self._accounts[ids] = account_of(holder)
        return account

    def leave(self, pool_id: str) -> None:
        left = self._under_way[pool_id] - 1
        if left:
            self._under_way[pool_id] = left
        else:
            del self._under_way[pool_id]


class Charge:
    """The spending of one request; all of it is given back if the service itself fails to answer."""

    __slots__ = ("_account", "_is_under_way", "_pool_id", "_quotas", "_spent")

    def __init__(self, quotas: Quotas, pool_id: str, account: Account) -> None:
        self._quotas = quotas
        self._pool_id = pool_id
        self._account = account
        self._spent: list[tuple[list[Meter], int, int]] = []
        self._is_under_way = True

    def spend(self, unit: Unit, cost: int) -> None:
        """Charges every policy of that unit, or none. Raises `QuotaExceeded` or `ExceedsQuota`."""
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
        """Gives back what was spent: the service did not answer."""
        for meters, cost, spent_at in self._spent:
            self._quotas.strategy.give_back(meters, cost, spent_at)
        self._spent.clear()

    def finish(self) -> None:
        """Ends the place: the request is no longer under way."""
        if self._is_under_way:
            self._is_under_way = False
            self._quotas.leave(self._pool_id)


def _policy_names(meter_names: Sequence[str]) -> list[str]:
    return [name.partition(":")[0] for name in meter_names]
