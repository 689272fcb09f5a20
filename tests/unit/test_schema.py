"""Rows, straight from bytes, against what plain JSON would say."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.rows.features import UnsupportedSchema, with_default_lengths, without_personal_notes
from inference.rows.inputs import matrix_of
from inference.rows.schema import InvalidRows, RowSchema
from serving.wire.native import LIST, ROW, ROWS
from values.strict_json import BrokenJson

DOCUMENT = {
    "type": "object",
    "properties": {
        "x": {"type": "number", "minimum": -1000, "maximum": 1000},
        "n": {"type": "integer"},
        "b": {"type": "boolean"},
        "maybe": {"type": ["number", "null"]},
        "a/b~c": {"type": "number"},
    },
    "required": ["x", "n", "b", "maybe", "a/b~c"],
    "additionalProperties": False,
}
SCHEMA = RowSchema(DOCUMENT, 5)
GOOD = {"x": 1.5, "n": 3, "b": True, "maybe": None, "a/b~c": 2}
NUMBERS = st.floats(-1000, 1000) | st.integers(-1000, 1000)


@given(st.fixed_dictionaries({"x": NUMBERS, "n": st.integers(-(2**53), 2**53), "b": st.booleans(),
                              "maybe": st.none() | st.floats(allow_nan=False, allow_infinity=False), "a/b~c": NUMBERS}))  # fmt: skip
def test_a_good_row_arrives_as_it_was_sent(row):
    """Each value in its place in the matrix; null as NaN."""
    (found,) = ROW.rows(SCHEMA, json.dumps(row).encode())
    assert found == row
    matrix = matrix_of(SCHEMA.names)([found])
    ordered = [row[name] for name in DOCUMENT["properties"]]
    expected = [float("nan") if value is None else float(value) for value in ordered]
    np.testing.assert_array_equal(matrix, [expected])


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)))  # fmt: skip
def test_any_other_json_is_refused_without_its_words(value):
    """As invalid rows, or as broken JSON where it holds an infinity."""
    if isinstance(value, dict) and value.keys() == GOOD.keys():
        return
    with pytest.raises((InvalidRows, BrokenJson)):
        ROW.rows(SCHEMA, json.dumps(value).encode())


@given(st.binary(max_size=60))
def test_arbitrary_bytes_never_raise_anything_else(body):
    """Nor are they a row."""
    for form in (ROW, ROWS, LIST):
        with pytest.raises((InvalidRows, BrokenJson)):
            form.rows(SCHEMA, body)


def test_a_pointer_escapes_what_json_pointers_escape():
    """RFC 6901: `~` as `~0` and `/` as `~1`."""
    with pytest.raises(InvalidRows) as refused:
        ROWS.rows(SCHEMA, json.dumps({"rows": [GOOD, {**GOOD, "a/b~c": "x"}]}).encode())
    assert [error.at for error in refused.value.errors] == ["/rows/1/a~1b~0c"]


@pytest.mark.parametrize(
    "body", ['{"x":1,"x":2}', '{"x":1,"\\u0078":2}', '{"rows":[{"x":1,"x":1}]}', '{"y":{"z":1,"z":2}}']
)
def test_a_member_twice_is_broken_wherever_it_stands(body):
    """The last one must not win silently."""
    with pytest.raises(BrokenJson):
        ROW.rows(SCHEMA, body.encode())


def test_a_wide_integer_keeps_its_type():
    """`true` is no integer, nor is `1.5`, and 3 is a fine number."""
    for bad in (True, 1.5, "1"):
        with pytest.raises(InvalidRows):
            ROW.rows(SCHEMA, json.dumps({**GOOD, "n": bad}).encode())
    (row,) = ROW.rows(SCHEMA, json.dumps({**GOOD, "x": 3}).encode())
    assert row["x"] == 3


def test_an_example_lies_within_its_own_schema():
    """With bounds, with observed ranges, with neither."""
    specs = [{"type": "number"}, {"type": "integer", "minimum": 7}, {"type": "number", "exclusiveMaximum": -5},
             {"type": "boolean"}, {"type": "number", "x-observed": [0.001, 0.0011]}, {"type": ["integer", "null"]},
             {"type": "number", "minimum": 2, "maximum": 2}]  # fmt: skip
    for spec in specs:
        schema = RowSchema({"properties": {"f": spec}}, 1)
        example = schema.example()
        assert ROW.rows(schema, json.dumps(example).encode()) == [example], spec
        assert math.isfinite(example["f"])


def test_types_that_cannot_be_served_are_refused_when_the_schema_is_made():
    """Not when a row comes."""
    for properties in (
        {"f": {"type": "object"}},
        {"f": {"type": "string", "minimum": 1}},
        {"f": {"type": "number", "pii": "x"}},
        {"f": {"type": ["number", "integer"]}},
        {},
    ):
        with pytest.raises(UnsupportedSchema):
            RowSchema({"properties": properties}, 1)


def test_observed_ranges_of_sensitive_features_are_not_kept():
    """A smallest and a largest value are somebody's."""
    document = {"properties": {"a": {"pii": "drop", "x-observed": [1, 2]}, "b": {"x-observed": [1, 2]}}}
    assert without_personal_notes(document)["properties"] == {"a": {"pii": "drop"}, "b": {"x-observed": [1, 2]}}


WIDE = RowSchema({"properties": {f"f{number}": {"type": "number"} for number in range(10_000)}}, 1000)


@pytest.mark.parametrize(
    "row",
    [{}, {"f0": 1.0}, dict.fromkeys(WIDE.names[:64], 1.0), dict.fromkeys(WIDE.names, "x"), dict.fromkeys("abc", 1)],
    ids=["empty", "one feature", "the first features", "wrong values", "unknown members"],
)
def test_naming_the_faults_of_many_rows_stops_at_its_bound(row):
    """A hundred bad rows of ten thousand features: each is named once, and no more than is named is looked at."""
    started = time.thread_time()
    with pytest.raises(InvalidRows) as refused:
        WIDE.checked([row] * 1000, "/rows/{}".format)
    assert [error.at.split("/")[2] for error in refused.value.errors] == [str(number) for number in range(100)]
    # All faults of a hundred such rows took two seconds.
    assert time.thread_time() - started < 0.2


def test_every_bad_row_is_named_before_any_is_named_twice():
    """Further faults of the first rows fill what is left of a hundred."""
    schema = RowSchema({"properties": {f"f{number}": {"type": "number"} for number in range(70)}}, 1000)
    with pytest.raises(InvalidRows) as refused:
        schema.checked([{}, dict.fromkeys(schema.names, 1.0), {}], str)
    named = [error.at.partition("/")[0] for error in refused.value.errors]
    assert named[:70] == ["0"] * 70
    assert set(named) == {"0", "2"}
    assert len(named) == 100


def test_columns_become_the_rows_that_they_are():
    """A format may hand in features instead of rows; what is wrong is named by its row."""
    columns = {"x": [1.5, 2.5], "n": [3, 4], "b": [True, False], "maybe": [None, 1.0], "a/b~c": [2, 3]}
    assert SCHEMA.of_columns(columns, str) == [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    with pytest.raises(InvalidRows) as refused:
        SCHEMA.of_columns(columns | {"n": [3, "x"]}, "/inputs/{}".format)
    assert [error.at for error in refused.value.errors] == ["/inputs/1/n"]


def test_a_text_has_a_length_unless_the_schema_says_another():
    """10,000 characters, shown to callers; a longer bound that the schema names counts instead."""
    for spec, most in (({"type": "string"}, 10_000), ({"type": "string", "maxLength": 20_000}, 20_000)):
        schema = RowSchema({"properties": {"t": spec}}, 1)
        assert schema.allows({"t": "a" * most})
        assert not schema.allows({"t": "a" * (most + 1)})
        assert with_default_lengths(schema.document)["properties"]["t"]["maxLength"] == most
