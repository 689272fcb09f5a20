"""Limits as people write them, and the names by which callers know them."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin.limits import most_allowed
from api.limit_fields import limit_fields
from db.policies import Policy
from quotas.accounts import account_of
from quotas.policies import MAX_AMOUNT, MAX_FOR_ONE, MAX_LIMITS, SECONDS, InvalidLimit, parse_limit, parse_limits
from quotas.store import Calendar, State, Trailing
from values.time_zones import is_time_zone

LETTERS = string.ascii_lowercase + string.digits
MODELS = st.tuples(st.sampled_from(LETTERS), st.text(LETTERS + "._-", max_size=62)).map("".join)
WINDOWS = st.one_of(
    st.sampled_from(["calendar-day", "calendar-month"]),
    st.sampled_from(sorted(SECONDS)),
    st.tuples(st.integers(1, 12), st.sampled_from(sorted(SECONDS)), st.sampled_from(["", "s"])).map(
        lambda each: f"{each[0]} {each[1]}{each[2]}"
    ),
)
LIMITS = st.tuples(st.none() | MODELS, st.integers(1, MAX_AMOUNT), WINDOWS).map(
    lambda each: (f"{each[0]}: " if each[0] else "") + f"{each[1]}/{each[2]}"
)


class Holder:
    account_id, pool_id, concurrency = "the-key", "the-tenant", None

    def __init__(self, *policies, time_zone="UTC"):
        self.policies, self.time_zone = policies, time_zone


@given(LIMITS)
def test_a_limit_is_kept_as_it_was_written_and_can_be_written_again(text):
    """What is shown is the text; sent back, it is the same policy."""
    policy = parse_limit(text, "key", "requests")
    assert policy.text == text
    assert parse_limit(policy.text, "key", "requests") == policy


@given(st.lists(LIMITS, max_size=6), st.sampled_from(["key", "tenant", "plan"]), st.sampled_from(["requests", "rows"]))
def test_names_tell_policies_apart(texts, level, unit):
    """Policies that count apart have names of their own; two that would share a name are refused together."""
    policies = [parse_limit(text, level, unit) for text in texts]
    kinds = {(policy.window_seconds, policy.calendar, policy.model) for policy in policies}
    assert len({policy.name for policy in policies}) == len(kinds)
    if len(kinds) == len(texts):
        assert parse_limits(texts, level, unit) == policies
    else:
        with pytest.raises(InvalidLimit, match="keep one of them"):
            parse_limits(texts, level, unit)


@given(st.lists(LIMITS, min_size=1, max_size=6, unique_by=lambda text: parse_limit(text, "key", "rows").name))
def test_no_name_breaks_the_fields(texts):
    """Each item is a plain string and numbers: nothing in a name needs escaping, or ends its string early."""
    account = account_of(Holder(*parse_limits(texts, "key", "rows")))
    (_, policies), (_, limits) = limit_fields(account.shown([State(1, 5)] * len(texts)))
    for item in policies.decode().split(", ") + limits.decode().split(", "):
        name, *numbers = item.split(";")
        assert name.strip('"') in [each.name for each in account.described]
        assert name == f'"{name[1:-1]}"'
        assert all(number[0] in "qwrt" and number[1] == "=" and number[2:].isdigit() for number in numbers)


@pytest.mark.parametrize(
    ("text", "name"),
    [("100/minute", "tenant-rows-60"), ("100/day", "tenant-rows-86400"), ("1/calendar-day", "tenant-rows-calendar-day"),
     ("10000/calendar-month", "tenant-rows-calendar-month"), ("iris: 100/minute", "tenant-rows-60@iris"),
     ("iris:100/minute", "tenant-rows-60@iris"), ("a.b_c-1: 2/calendar-month", "tenant-rows-calendar-month@a.b_c-1")],
)  # fmt: skip
def test_a_name_says_level_unit_and_window(text, name):
    """In seconds, or by the calendar; and the model, if it is for one."""
    assert parse_limit(text, "tenant", "rows").name == name


@pytest.mark.parametrize(
    "text",
    ["1/calendar-week", "1/calendar-days", "1/2 calendar-days", "1/calendar-month/2", "1/calendar month", ": 1/minute",
     "Iris: 1/minute", "iris : 1/minute", "iris:  1/minute", "iris/1/minute", "iris: wine: 1/minute", '"iris": 1/minute',
     "iris@1: 1/minute", "../x: 1/minute", "iris: 0/calendar-day", "-iris: 1/minute", "é: 1/minute", "iris", "iris: ",
     "iris\n: 1/minute", "x" * 64 + ": 1/minute", "1/minute: iris", "*: 1/minute"],
)  # fmt: skip
def test_what_is_no_limit_is_refused(text):
    """A limit is never guessed at."""
    with pytest.raises(InvalidLimit):
        parse_limit(text, "key", "requests")


def test_the_refusal_names_both_limits():
    """With their unit and, if they are for one, their model: the writer sees which to drop."""
    with pytest.raises(InvalidLimit) as refused:
        parse_limits(["iris: 5/minute", "5/minute", "iris: 6/60 seconds"], "key", "rows")
    assert str(refused.value) == (
        '"iris: 5/minute" and "iris: 6/60 seconds" limit rows in the same window of iris: keep one of them'
    )


def test_nobody_has_limits_without_number():
    """All of them stand in the head of each answer."""
    texts = [f"m{number}: 1/minute" for number in range(MAX_LIMITS)]
    assert len(parse_limits(texts, "key", "rows")) == MAX_LIMITS
    with pytest.raises(InvalidLimit):
        parse_limits([*texts, "1/minute"], "key", "rows")
    for model in ("", "iris: "):
        windows = [f"{model}1/{seconds} seconds" for seconds in range(1, MAX_FOR_ONE + 1)]
        assert len(parse_limits([*windows, "wine: 1/minute"], "key", "rows")) == MAX_FOR_ONE + 1
        with pytest.raises(InvalidLimit):
            parse_limits([*windows, f"{model}1/hour"], "key", "rows")


def test_a_request_is_charged_to_the_policies_of_its_model():
    """And to those without a model; one for a model without policies of its own to those alone."""
    policies = [parse_limit(text, "key", "requests") for text in ("9/minute", "iris: 5/minute", "wine: 6/minute")]
    account = account_of(Holder(*policies, Policy("tenant", "rows", 7, 60)))
    assert [each.name for each in account.described] == [
        "key-requests-60",
        "key-requests-60@iris",
        "key-requests-60@wine",
        "tenant-rows-60",
    ]
    for model, names in {
        "iris": ["key-requests-60", "key-requests-60@iris", "tenant-rows-60"],
        "wine": ["key-requests-60", "key-requests-60@wine", "tenant-rows-60"],
        "diabetes": ["key-requests-60", "tenant-rows-60"],
        None: ["key-requests-60", "tenant-rows-60"],
    }.items():
        assert [each.name for each in account.for_model(model).described] == names
    assert [meter.name for meter in account.for_model("iris").requests] == [
        "key-requests-60:the-key", "key-requests-60@iris:the-key"
    ]  # fmt: skip
    plain = account_of(Holder(*policies[:1]))
    assert plain.for_model("iris") is plain


def test_a_meter_knows_its_window_and_its_owner_but_no_amount_or_zone():
    """A limit that changes its amount, and a tenant that moves to another zone, keep what was spent."""
    month = parse_limit("9/calendar-month", "plan", "requests")
    assert account_of(Holder(month, time_zone="Asia/Kolkata")).meters == [
        ("plan-requests-calendar-month:the-tenant", 9, Calendar("month", "Asia/Kolkata"))
    ]
    raised = parse_limit("10/calendar-month", "plan", "requests")
    assert account_of(Holder(raised)).meters[0].name == "plan-requests-calendar-month:the-tenant"
    minute = parse_limit("5/2 minutes", "key", "rows")
    assert account_of(Holder(minute)).meters == [("key-rows-120:the-key", 5, Trailing(120))]


@pytest.mark.parametrize(
    ("key", "bounds", "most"),
    [
        ("1/minute", ["100/minute"], 100), ("1/hour", ["100/minute"], 6000), ("1/second", ["100/minute"], 100),
        ("1/90 seconds", ["100/minute"], 200), ("1/minute", [], float("inf")), ("1/minute", ["100/minute", "50/hour"], 50),
        ("1/calendar-day", ["100/calendar-day"], 100), ("1/calendar-month", ["100/calendar-month"], 100),
        ("1/calendar-month", ["100/calendar-day"], 2800), ("1/calendar-day", ["100/calendar-month"], 100),
        ("1/calendar-month", ["100/month"], 100), ("1/month", ["100/calendar-month"], 100),
        ("1/calendar-day", ["100/day"], 100), ("1/day", ["100/calendar-day"], 100),
        ("1/calendar-day", ["100/hour"], 2400), ("1/hour", ["100/calendar-day"], 100), ("1/2 months", ["9/calendar-month"], 18),
        ("1/calendar-month", ["100/day"], 2800), ("iris: 1/minute", ["100/minute"], 100),
        ("iris: 1/minute", ["wine: 100/minute"], float("inf")), ("iris: 1/minute", ["100/minute", "iris: 5/hour"], 5),
        ("1/minute", ["iris: 5/minute"], float("inf")), ("iris: 1/calendar-month", ["iris: 10/calendar-day", "999/month"], 280),
    ],
)  # fmt: skip
def test_what_a_tenant_allows_in_a_keys_window(key, bounds, most):
    """In doubt the least: a calendar month of the key's has 28 days, one of the tenant's has 31."""
    policies = [parse_limit(text, "tenant", "rows") for text in bounds]
    policies.append(parse_limit("1/minute", "plan", "requests"))
    assert most_allowed(policies, parse_limit(key, "key", "rows")) == most


@pytest.mark.parametrize(
    "name", ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia", "Etc/GMT+12"]
)
def test_a_time_zone_has_an_iana_name(name):
    """Fixed offsets have names there too."""
    assert is_time_zone(name)


@pytest.mark.parametrize(
    "name",
    ["", "Europe", "Europe/berlin", "europe/Berlin", "Mars/Phobos", "+02:00", "UTC+2", "../etc/passwd", "/etc/localtime",
     "localtime", "Factory", "posixrules", "right/UTC", "posix/UTC", "Europe/Berlin\n", " UTC", "zone.tab", "\0"],
)  # fmt: skip
def test_what_is_no_time_zone(name):
    """No offset, no folder, no file, and nothing that is another zone on another machine."""
    assert not is_time_zone(name)
