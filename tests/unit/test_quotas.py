"""Charges against a clock that the test owns."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from api.limit_fields import limit_fields
from db.policies import Policy
from quotas.allowances import REVOCATIONS, TOKENS
from quotas.failures import MAX_FAILURES, FailureThrottle, TooManyFailures
from quotas.limiter import ExceedsQuota, QuotaExceeded, Quotas, TooManyAtOnce
from quotas.policies import InvalidLimit, parse_limit, parse_limits
from quotas.strategy import memory_store
from quotas.window import NS
from values.subjects import Subject

pytestmark = pytest.mark.anyio


class Clock:
    now = 0

    def __call__(self) -> int:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += int(seconds * NS)


@dataclass(frozen=True)
class Holder:
    policies: tuple[Policy, ...]
    account_id: str = "key"
    pool_id: str = "tenant"
    concurrency: int | None = None
    time_zone: str = "UTC"


KEY = Policy("key", "requests", 5, 60)
TENANT = Policy("tenant", "requests", 100, 3600)
ROWS = Policy("key", "rows", 150, 60)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def quotas(clock):
    return Quotas(memory_store(clock))


async def left(quotas, holder):
    return {state.name: state.left for state in await quotas.states(holder)}


async def test_a_key_gets_its_requests_and_then_waits_as_long_as_it_is_told(quotas, clock):
    """Five, then none until `retry_after_seconds` have passed; then exactly what has expired."""
    holder = Holder((KEY, TENANT))
    for _ in range(5):
        await quotas.charge_request(holder)
    with pytest.raises(QuotaExceeded) as refused:
        await quotas.charge_request(holder)
    assert refused.value.policies == ["key-requests-60"]
    assert refused.value.retry_after_seconds == 60 + 1
    clock.pass_seconds(refused.value.retry_after_seconds)
    await quotas.charge_request(holder)
    assert await left(quotas, holder) == {"key-requests-60": 4, "tenant-requests-3600": 94}


async def test_an_allowance_is_each_subjects_own_and_no_limits(quotas, clock):
    """So often in any trailing window, true in what it says of waiting, and charged to nothing else."""
    holder = Holder((KEY, TENANT))
    for _ in range(TOKENS.amount):
        await quotas.charge_allowance(TOKENS, Subject.of_key("a"))
    with pytest.raises(QuotaExceeded) as refused:
        await quotas.charge_allowance(TOKENS, Subject.of_key("a"))
    wait = refused.value.retry_after_seconds
    assert (refused.value.policies, wait) == (["key-tokens-60"], 61)
    assert limit_fields(refused.value.states) == [
        (b"ratelimit-policy", b'"key-tokens-60";q=60;w=60'),
        (b"ratelimit", f'"key-tokens-60";r=0;t={wait}'.encode()),
    ]
    await quotas.charge_allowance(TOKENS, Subject.of_key("b"))
    await quotas.charge_allowance(REVOCATIONS, Subject.of_key("a"))
    assert await left(quotas, holder) == {"key-requests-60": 5, "tenant-requests-3600": 100}
    clock.pass_seconds(wait)
    for _ in range(TOKENS.amount):
        await quotas.charge_allowance(TOKENS, Subject.of_key("a"))


async def test_a_refusal_at_step_one_is_free(quotas):
    """What the key's limit refuses is not charged to its tenant."""
    holder = Holder((KEY, TENANT))
    for _ in range(20):
        try:
            await quotas.charge_request(holder)
        except QuotaExceeded:
            continue
    assert (await left(quotas, holder))["tenant-requests-3600"] == 95


async def test_rows_are_charged_all_or_none_and_keep_the_requests_charge(quotas):
    """150 rows a minute: a hundred fit once; the second hundred charge a request and no row."""
    holder = Holder((KEY, ROWS))
    await (await quotas.charge_request(holder)).spend_rows(100)
    second = await quotas.charge_request(holder)
    with pytest.raises(QuotaExceeded):
        await second.spend_rows(100)
    assert await left(quotas, holder) == {"key-requests-60": 3, "key-rows-60": 50}


async def test_what_could_never_fit_is_not_a_matter_of_waiting(quotas):
    """More rows than the quota itself is another refusal."""
    with pytest.raises(ExceedsQuota) as refused:
        await (await quotas.charge_request(Holder((KEY, ROWS)))).spend_rows(151)
    assert refused.value.policies == ["key-rows-60"]


async def test_what_the_service_failed_to_answer_is_given_back(quotas):
    """Both charges, as if they had not been."""
    holder = Holder((KEY, ROWS))
    charge = await quotas.charge_request(holder)
    await charge.spend_rows(100)
    charge.give_back()
    charge.give_back()
    assert await left(quotas, holder) == {"key-requests-60": 5, "key-rows-60": 150}


async def test_a_plans_limit_is_each_tenants_own_and_a_tenants_is_shared_by_its_keys(quotas):
    """Two keys of one tenant share; another tenant on the same plan has the whole."""
    policies = (Policy("plan", "requests", 3, 60),)
    for key in ("a", "b", "a"):
        await quotas.charge_request(Holder(policies, account_id=key))
    with pytest.raises(QuotaExceeded):
        await quotas.charge_request(Holder(policies, account_id="c"))
    await quotas.charge_request(Holder(policies, account_id="a", pool_id="other"))


async def test_what_was_spent_stays_spent_when_a_limit_changes(quotas):
    """A raised limit leaves the difference, not a fresh window."""
    for _ in range(5):
        await quotas.charge_request(Holder((KEY,)))
    raised = Holder((Policy("key", "requests", 7, 60),))
    assert await left(quotas, raised) == {"key-requests-60": 2}


async def test_only_so_many_requests_are_under_way_at_once(quotas):
    """The next waits for one to finish; being refused costs nothing."""
    holder = Holder((KEY,), concurrency=2)
    first = await quotas.charge_request(holder)
    await quotas.charge_request(holder)
    with pytest.raises(TooManyAtOnce):
        await quotas.charge_request(holder)
    first.finish()
    first.finish()
    await quotas.charge_request(holder)
    with pytest.raises(TooManyAtOnce):
        await quotas.charge_request(holder)
    assert (await left(quotas, holder))["key-requests-60"] == 2


async def test_the_fields_name_every_policy_the_tightest_first(quotas, clock):
    """`RateLimit-Policy` and `RateLimit` as the draft writes them."""
    holder = Holder((TENANT, KEY, ROWS))
    await (await quotas.charge_request(holder)).spend_rows(20)
    clock.pass_seconds(10)
    assert limit_fields(await quotas.states(holder)) == [
        (b"ratelimit-policy", b'"key-requests-60";q=5;w=60, "tenant-requests-3600";q=100;w=3600, "key-rows-60";q=150;w=60'),
        (b"ratelimit", b'"key-requests-60";r=4;t=51, "tenant-requests-3600";r=99;t=3591, "key-rows-60";r=130;t=51'),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "amount", "seconds"),
    [("100/minute", 100, 60), ("5/30 seconds", 5, 30), ("1/day", 1, 86_400), ("7/month", 7, 30 * 86_400),
     ("9/2 hours", 9, 7_200), (" 3/second ", 3, 1)],
)  # fmt: skip
def test_a_limit_is_a_number_in_a_window(text, amount, seconds):
    policy = parse_limit(text, "tenant", "rows")
    assert (policy.amount, policy.window_seconds, policy.name) == (amount, seconds, f"tenant-rows-{seconds}")


@pytest.mark.parametrize(
    "text",
    ["", "0/minute", "-1/minute", "100", "100/", "100/0 minute", "5/minute;1/hour", "5/fortnight", "1e3/minute",
     "5/minute, 1/hour", "٥/minute", "99999999999999/minute", "5/400 days"],
)  # fmt: skip
def test_what_cannot_be_parsed_is_refused(text):
    """No limit is guessed at, and none is silently dropped."""
    with pytest.raises(InvalidLimit):
        parse_limit(text, "key", "requests")


async def test_no_charge_is_lost_when_quiet_windows_are_swept_out(clock, monkeypatch):
    """However many holders come and go, each keeps to its limit."""
    monkeypatch.setattr("quotas.window_storage.MIN_SWEEP", 3)
    quotas = Quotas(memory_store(clock))
    quotas.store.storage._sweep_at = 1
    policies = (Policy("key", "requests", 1, 60), Policy("tenant", "requests", 1, 60))
    for number in range(50):
        holder = Holder(policies, account_id=f"k{number}", pool_id=f"t{number}")
        await quotas.charge_request(holder)
        with pytest.raises(QuotaExceeded):
            await quotas.charge_request(holder)


def test_two_limits_of_one_window_are_refused():
    """They would share a name, and one of them would win."""
    with pytest.raises(InvalidLimit):
        parse_limits(["5/minute", "6/60 seconds"], "key", "requests")


async def test_an_address_is_throttled_by_its_failures_alone(clock):
    """IPv6 by its /64; others are not touched; the wait that is named is enough."""
    throttle = FailureThrottle(memory_store(clock))
    for number in range(MAX_FAILURES):
        await throttle.count(f"2001:db8::{number:x}")
    with pytest.raises(TooManyFailures) as refused:
        await throttle.count("2001:db8::ffff:1")
    await throttle.count("2001:db8:0:1::1")
    await throttle.count("203.0.113.1")
    clock.pass_seconds(refused.value.retry_after_seconds)
    await throttle.count("2001:db8::1")


async def test_the_environment_does_not_switch_limits_off(monkeypatch, tmp_path, clock):
    """slowapi reads RATELIMIT_ENABLED from the environment and from a `.env`; ours is deaf to both."""
    (tmp_path / ".env").write_text("RATELIMIT_ENABLED=false\nRATELIMIT_STORAGE_URL=memory://\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATELIMIT_ENABLED", "false")
    quotas = Quotas(memory_store(clock))
    assert await quotas.check()
    for _ in range(5):
        await quotas.charge_request(Holder((KEY,)))
    with pytest.raises(QuotaExceeded):
        await quotas.charge_request(Holder((KEY,)))
