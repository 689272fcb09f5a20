"""The two charges of a request: one request before its body is read, its rows once they are counted.

A *limit* is what people write (`100/minute`); a *policy* is a limit with its level and unit, as the database holds it;
a *meter* is a policy bound to the key or tenant whose spending it counts; a *window* holds what was spent; an
*account* is a caller's meters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from db.policies import Policy
from quotas.accounts import Account, Described, Holder, PolicyState, account_of
from quotas.allowances import Allowance
from quotas.filling import Filler, Past
from quotas.store import Charged, Full, Lease, Meter, Pool, Refused, Spending, State, Store
from quotas.window import NS
from values.subjects import Subject


class QuotaExceeded(Exception):
    """A limit is spent; after `retry_after_seconds` the named policies could take the same charge."""

    def __init__(self, policies: Sequence[str], retry_after_seconds: int, states: Sequence[PolicyState]) -> None:
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

    def __init__(self, concurrency: int, states: Sequence[PolicyState] = ()) -> None:
        super().__init__()
        self.concurrency = concurrency
        self.states = states


#: Accounts only prepare meters: forgetting them forgets no spending.
MAX_ACCOUNTS = 250_000
_NONE: tuple[tuple[Policy, ...], None] = ((), None)


class Quotas:
    """Every limit, counted in a store."""

    def __init__(self, store: Store, past: Past | None = None) -> None:
        self.store = store
        self._filler = None if past is None else Filler(store, past)
        self._accounts: dict[tuple[str, str], tuple[tuple[Policy, ...], Account]] = {}
        self._under_way: set[Charge] = set()

    async def charge_request(self, holder: Holder, model: str | None = None) -> Charge:
        """Takes a place and charges one request to every request policy, or does neither.

        Policies for one model are charged if it is this one.

        Raises `QuotaExceeded`, `TooManyAtOnce` or `StoreUnavailable`.
        """
        account = self._account(holder)
        if account.is_new:
            account = await self._filled(holder, account)
        account = account.for_model(model)
        return await self._begin(holder, account, account.requests)

    async def take_place(self, holder: Holder) -> Charge:
        """Takes a place among the tenant's requests under way, and charges nothing yet.

        Raises `TooManyAtOnce` or `StoreUnavailable`.
        """
        return await self._begin(holder, self._account(holder), [])

    async def charge_allowance(self, allowance: Allowance, subject: Subject) -> None:
        """Charges one to the subject's allowance, which no limit changes.

        Raises `QuotaExceeded` or `StoreUnavailable`.
        """
        meter = allowance.of(subject)
        outcome = await self.store.charge([meter], 1)
        if isinstance(outcome, Refused):
            seconds = _whole_seconds(outcome.wait_ns)
            name = _policy_name(meter)
            about = Described(name, allowance.unit, meter.amount, allowance.window_seconds, None, None, None, None)
            state = about.at(State(0, seconds * NS))
            raise QuotaExceeded([name], seconds, [state])

    async def states(self, holder: Holder) -> list[PolicyState]:
        """Returns every policy of the holder with what is left of it, the one with the least left first.

        Raises `StoreUnavailable`.
        """
        account = await self._filled(holder, self._account(holder))
        return account.shown(await self.store.states(account.meters))

    async def check(self) -> bool:
        """Whether the store counts."""
        return await self.store.check()

    @property
    def under_way(self) -> int:
        """The number of this process' requests under way, of all holders."""
        return len(self._under_way)

    def standing(self, at_ms: int) -> Iterator[Spending]:
        """The charges of requests that are still under way: no log knows them yet."""
        for charge in self._under_way:
            for meters, cost, _ in charge.spent:
                for meter in meters:
                    yield Spending(meter, cost, at_ms)

    def end(self, charge: Charge) -> None:
        self._under_way.discard(charge)

    async def _begin(self, holder: Holder, account: Account, meters: Sequence[Meter]) -> Charge:
        pool = Pool(holder.pool_id, holder.concurrency)
        outcome = await self.store.charge(meters, 1, account.rows, pool)
        if isinstance(outcome, Charged):
            charge = Charge(self, account, meters, outcome)
            self._under_way.add(charge)
            return charge
        if isinstance(outcome, Full):
            raise TooManyAtOnce(holder.concurrency or 0, account.shown(outcome.states))
        raise _exceeded(outcome, account, outcome.states)

    async def _filled(self, holder: Holder, account: Account) -> Account:
        """Returns the account with its new policies' meters filled. Raises `StoreUnavailable`."""
        if account.is_new and self._filler is not None:
            await self._filler.fill(holder)
            account = replace(account, is_new=False)
            self._accounts[holder.pool_id, holder.account_id] = (holder.policies, account)
        return account

    def _account(self, holder: Holder) -> Account:
        ids = (holder.pool_id, holder.account_id)
        policies, account = self._accounts.get(ids, _NONE)
        if account is None or policies is not holder.policies or account.time_zone != holder.time_zone:
            if len(self._accounts) >= MAX_ACCOUNTS:
                self._accounts.clear()
            account = account_of(holder)
            self._accounts[ids] = (holder.policies, account)
        return account


class Charge:
    """The spending of one request; all of it is given back if the service itself fails to answer.

    `requests` and `rows` are what stands charged now. `spent` is the same as the store sees it.
    """

    __slots__ = ("_account", "_lease", "_quotas", "_states", "requests", "rows", "spent")

    def __init__(self, quotas: Quotas, account: Account, meters: Sequence[Meter], charged: Charged) -> None:
        self._quotas = quotas
        self._account = account
        self._lease: Lease | None = charged.lease
        self._states = charged.states
        self.spent: list[tuple[Sequence[Meter], int, int]] = []
        self.requests = self.rows = 0
        if meters is account.requests:
            self.requests = 1
            self.spent.append((meters, 1, charged.spent_at))

    def states(self) -> list[PolicyState]:
        """Every policy as the last charge left it, the one with the least left first."""
        return self._account.shown(self._states)

    async def spend_rows(self, count: int) -> None:
        """Charges the rows to every policy on rows, or to none.

        Raises `QuotaExceeded`, `ExceedsQuota` or `StoreUnavailable`.
        """
        account = self._account
        if account.rows:
            never = [_policy_name(meter) for meter in account.rows if count > meter.amount]
            if never:
                raise ExceedsQuota(never)
            outcome = await self._quotas.store.charge(account.rows, count, account.requests)
            # The store states what it charges first; an account has its requests first.
            self._states = [*outcome.states[len(account.rows) :], *outcome.states[: len(account.rows)]]
            if isinstance(outcome, Charged):
                self.spent.append((account.rows, count, outcome.spent_at))
            elif isinstance(outcome, Refused):
                raise _exceeded(outcome, account, self._states)
        self.rows = count

    def give_back(self) -> None:
        """Gives back what was spent: the service did not answer."""
        for meters, cost, spent_at in self.spent:
            self._quotas.store.give_back(meters, cost, spent_at)
        self.spent.clear()
        self.requests = self.rows = 0

    def finish(self) -> None:
        """Ends the place: the request is no longer under way."""
        self._quotas.end(self)
        if self._lease is not None:
            self._quotas.store.release(self._lease)
            self._lease = None


def _exceeded(refused: Refused, account: Account, states: Sequence[State]) -> QuotaExceeded:
    names = [_policy_name(meter) for meter in refused.over]
    return QuotaExceeded(names, _whole_seconds(refused.wait_ns), account.shown(states))


def _whole_seconds(wait_ns: int) -> int:
    return max(1, -(-wait_ns // NS))


def _policy_name(meter: Meter) -> str:
    return meter.name.partition(":")[0]
