"""Integers as clients write them: with a point, with an exponent, and too long."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.rows.schema import InvalidRows, RowSchema
from serving.wire.native import LIST, ROW, ROWS

SCHEMA = RowSchema(
    {
        "properties": {
            "age": {"type": "integer", "maximum": 130},
            "n": {"type": ["integer", "null"]},
            "door": {"type": "integer", "enum": [0, 2, 41]},
        }
    },
    5,
)
SHAPES = {"row": (ROW, "%s", ""), "rows": (ROWS, '{"rows": [%s]}', "/rows/0"), "list": (LIST, "[%s]", "/0")}
SHAPE = pytest.mark.parametrize("shape", SHAPES)
HELP = "larger integers are rounded on their way: send them as text, and train the model on text"


def asked(shape, **texts):
    """The row that a body gives in which the features stand as these texts."""
    form, around, _ = SHAPES[shape]
    (row,) = form.rows(SCHEMA, (around % written(**texts)).encode())
    return row


def written(**texts):
    members = {"age": "1", "n": "1", "door": "2"} | texts
    return "{" + ", ".join(f'"{name}": {text}' for name, text in members.items()) + "}"


def refusal(shape, **texts):
    with pytest.raises(InvalidRows) as refused:
        asked(shape, **texts)
    (error,) = refused.value.errors
    return error


@SHAPE
@pytest.mark.parametrize(
    ("text", "value"),
    [("41.0", 41), ("4.1e1", 41), ("410E-1", 41), ("-0.0", 0), ("-0", 0), ("2.00", 2), ("0e5", 0)],
)
def test_an_integer_may_have_a_point_or_an_exponent(shape, text, value):
    """JSON Schema calls 41.0 an integer; it arrives as Python's 41, whatever else stands in the row."""
    for name in ("age", "n", "door"):
        row = asked(shape, **{name: text})
        assert (row[name], type(row[name])) == (value, int), name
    # A row that is looked at again is read by another parser.
    assert SCHEMA.checked([SCHEMA.parsed(written(n=text).encode())], str) == [{"age": 1, "n": value, "door": 2}]


@SHAPE
@pytest.mark.parametrize("text", ["41.5", "1e-1", "true", '"41"', "[41]", "4503599627370495.5", "0.1"])
def test_what_is_no_integer_is_still_none(shape, text):
    """With its place and the rule, on every path."""
    for name in ("age", "n", "door"):
        error = refusal(shape, **{name: text})
        assert (error.at, error.rule) == (f"{SHAPES[shape][2]}/{name}", "type")


@SHAPE
@pytest.mark.parametrize(
    "text", ["1e300", "9007199254740993", "9007199254740993.0", "9007199254740992.0", "123456789012345678", "9" * 30]
)
def test_an_integer_that_readers_round_is_refused_with_words_that_help(shape, text):
    """Also where it was written as a float, which has been rounded by the time that it is looked at."""
    error = refusal(shape, n=text)
    assert (error.at, error.rule) == (f"{SHAPES[shape][2]}/n", "less_than_equal")
    assert error.message == f"must be at most 9007199254740992: {HELP}"
    assert refusal(shape, n=f"-{text}").message == f"must be at least -9007199254740992: {HELP}"
    assert refusal(shape, age=text).message == "must be at most 130"
    assert refusal(shape, door=text).rule == "enum"


@pytest.mark.parametrize("text", ["9007199254740992", "-9007199254740992", "9007199254740991.0"])
def test_the_largest_integers_are_exact(text):
    """2**53 is one; written as a float it may have been 2**53 + 1."""
    assert asked("row", n=text)["n"] == int(text.removesuffix(".0"))


def test_a_schemas_own_bound_does_not_let_larger_integers_in():
    """A `maximum` of 1e18 is no promise that 18 digits arrive."""
    schema = RowSchema({"properties": {"n": {"type": "integer", "maximum": 10**18, "minimum": -(10**18)}}}, 5)
    for text in ("123456789012345678", "-123456789012345678"):
        with pytest.raises(InvalidRows) as refused:
            ROW.rows(schema, f'{{"n": {text}}}'.encode())
        assert refused.value.errors[0].message.endswith(HELP)


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_every_integer_is_the_same_as_with_a_point(value):
    """On the path that reads bytes, and on the one that looks at rows again."""
    bounds = {"properties": {"n": {"type": "integer"}}}
    schema = RowSchema(bounds, 1)
    bodies = [f'{{"n": {value}}}'.encode(), f'{{"n": {value}.0}}'.encode()]
    assert [schema.row_of(each) for each in bodies] == [{"n": value}] * 2
    assert [schema.checked([schema.parsed(each)], str) for each in bodies] == [[{"n": value}]] * 2


def test_an_integer_without_a_point_costs_no_call_of_pythons():
    """Nor is the row parsed twice where it has a point: one small call for each such value."""
    calls = []
    texts = {"plain": written().encode(), "with points": written(age="1.0", n="1.0", door="2.0").encode()}
    found = {}
    for name, text in texts.items():
        calls.clear()
        sys.setprofile(lambda frame, event, _: calls.append(frame.f_code.co_name) if event == "call" else None)
        try:
            row = ROW.rows(SCHEMA, text)
        finally:
            sys.setprofile(None)
        assert row == [{"age": 1, "n": 1, "door": 2}]
        found[name] = list(calls)
    points = [each for each in found["with points"] if each == "_of_float"]
    assert "_of_float" not in found["plain"]
    assert len(points) == 3
    assert len(found["with points"]) == len(found["plain"]) + 3


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1E5", 1e5),
        ("-0", 0.0),
        ("-0.0", -0.0),
        ("9007199254740993", 2.0**53),
        ("1" + "0" * 25, 1e25),
        ("5e-324", 5e-324),
    ],
)
def test_a_number_is_the_same_on_both_paths(text, value):
    """Straight from the bytes, and where the row is looked at again: the same float, to its sign."""
    schema = RowSchema({"properties": {"x": {"type": "number"}}}, 1)
    line = f'{{"x": {text}}}'.encode()
    for row in (schema.row_of(line), schema.checked([schema.parsed(line)], str)[0]):
        assert (repr(row["x"]), type(row["x"])) == (repr(value), float)
