"""Columns of data frames, made of JSON's values as the model was trained on them."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_series_equal

from examination.columns.categories import Categories
from examination.columns.column_schemas import of_column, of_model
from examination.columns.sample_columns import rows_of
from examination.columns.samples import Hints, Sample
from inference.outputs import NotComputable
from inference.rows.columns import check_dtype, column_of
from inference.rows.features import UnsupportedSchema

COLUMNS = {
    "floats": pd.Series([1.5, -0.25, 1e300]),
    "floats with gaps": pd.Series([1.5, None, 3.0]),
    "narrow floats": pd.Series([0.1, 2.5, 3.0], dtype="float32"),
    "integers": pd.Series([1, -2, 2**53]),
    "narrow integers": pd.Series([1, -2, 127], dtype="int8"),
    "unsigned integers": pd.Series([0, 1, 2**32 - 1], dtype="uint32"),
    "integers with gaps": pd.Series([1, None, 3], dtype="Int64"),
    "pandas' floats": pd.Series([1.5, None, 3], dtype="Float64"),
    "truth values": pd.Series([True, False, True]),
    "truth values with gaps": pd.Series([True, None, False], dtype="boolean"),
    "truth values as objects": pd.Series([True, np.nan, False], dtype=object),
    "texts": pd.Series(["a", "", "NA"], dtype="str"),
    "texts with gaps": pd.Series(["a", None, "None"], dtype="str"),
    "texts as objects": pd.Series(["a", np.nan, "02139"], dtype=object),
    "pandas' own texts": pd.Series(["a", None, "b"], dtype="string"),
    "categories of texts": pd.Series(pd.Categorical(["b", None, "a"], categories=["b", "a", "unused"])),
    "categories of integers": pd.Series(pd.Categorical([3, 1, 3])),
    "categories of floats": pd.Series(pd.Categorical([2.5, 1.0, None])),
    "categories of truth values": pd.Series(pd.Categorical([True, False, True])),
    "ordered categories": pd.Series(pd.Categorical(["hi", "lo", "hi"], categories=["lo", "hi"], ordered=True)),
    "instants": pd.Series(pd.to_datetime(["2024-02-29T23:59:59.123456", "1999-01-01", "2300-01-01"], format="ISO8601")),
    "instants with gaps": pd.Series(pd.to_datetime(["2024-02-29T23:59:59", None, "1999-01-01T00:00:00"])).astype("datetime64[ns]"),
    "instants of a zone": pd.Series(pd.date_range("2024-03-30", periods=3, tz="Europe/Rome")),
    "dates": pd.Series([pd.Timestamp("2024-02-29").date(), None, pd.Timestamp("1999-01-01").date()], dtype=object),
}  # fmt: skip


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_comes_back_from_parquet_and_json_as_it_was(name):
    """With its type, its categories in their order, and its gaps; through a Parquet file and rows of JSON."""
    column = COLUMNS[name].rename("column")
    file = io.BytesIO()
    column.to_frame().to_parquet(file)
    reading = next(Sample(file.getvalue(), "sample.parquet").readings({"column": "column"}, Hints({}, {})))
    frame = reading.frame
    spec = of_column("column", frame["column"])
    check_dtype("column", spec)
    made = pd.Series(column_of("column", spec, pd)([row["column"] for row in rows_of(frame)]), name="column")
    if column.dtype == object:
        column, made = column.fillna(np.nan), made.fillna(np.nan)
    assert_series_equal(made, column)


@pytest.mark.parametrize("name", ["sample.csv", "sample.parquet"])
def test_columns_come_under_the_features_names_and_in_their_order(name):
    """Whatever else the file has, and in whatever order."""
    table = pd.DataFrame({"Unnamed: 0": [0, 1], "b": [1.5, 2.5], "spare": ["x", "y"], "a": [3, 4]})
    file = io.BytesIO()
    _ = table.to_parquet(file) if name.endswith("parquet") else table.to_csv(file, index=False)
    readings = Sample(file.getvalue(), name).readings({"a": "a", "big b": "b", "x0": "Unnamed: 0"}, Hints({}, {}))
    frame = next(readings).frame
    assert frame.to_dict("list") == {"a": [3, 4], "big b": [1.5, 2.5], "x0": [0, 1]}
    assert list(frame) == ["a", "big b", "x0"]


@pytest.mark.parametrize("gap", [None, np.nan])
@pytest.mark.parametrize("name", ["sample.csv", "sample.parquet"])
def test_none_and_nan_are_what_the_encoder_has_learnt(name, gap):
    """No file tells the two apart; encoders do, and take the other one for an unknown category."""
    column = pd.Series(["u", "v", gap, "u"], name="k", dtype=object)
    file = io.BytesIO()
    _ = column.to_frame().to_parquet(file) if name.endswith("parquet") else column.to_csv(file, index=False)
    known = Categories(["u", "v", gap])
    frame = next(Sample(file.getvalue(), name).readings({"k": "k"}, Hints({"k": known}, {}))).frame
    spec = of_column("k", frame["k"]) | of_model(None, of_column("k", frame["k"]), known)
    check_dtype("k", spec)
    for found in (frame["k"], pd.Series(column_of("k", spec, pd)(["u", "v", None, "u"]))):
        assert found.tolist()[2] is None if gap is None else found.isna().tolist() == [False, False, True, False]


def test_floats_of_a_csv_file_are_read_to_the_last_bit():
    """Of any size, the least and the greatest among them."""
    random = np.random.default_rng(0)
    floats = random.normal(size=5_000) * 10.0 ** random.integers(-300, 300, 5_000)
    column = pd.Series([*floats, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308], name="a")
    sample = Sample(column.to_csv(index=False).encode(), "sample.csv")
    assert_series_equal(next(sample.readings({"a": "a"}, Hints({}, {}))).frame["a"], column, check_exact=True)


def test_an_instant_with_an_offset_is_given_in_utc():
    """A column without a time zone has no other way to hold it; one with a zone shows the same instant there."""
    values = ["2024-03-01T01:30:00+02:00", "2024-02-29T23:30:00Z", "2024-02-29T23:30:00"]
    naive = column_of("at", {"type": "string", "format": "date-time", "x-dtype": "datetime64[us]"}, pd)(values)
    rome = column_of("at", {"type": "string", "format": "date-time", "x-dtype": "datetime64[us, Europe/Rome]"}, pd)
    assert naive.dt.strftime("%d %H:%M").tolist() == ["29 23:30"] * 3
    assert rome(values).dt.strftime("%d %H:%M").tolist() == ["01 00:30"] * 3


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        ({"type": "number", "x-dtype": "float32"}, [1.0, 1e39, -1e39]),
        ({"type": "number", "x-dtype": "Float32"}, [1.0, 1e39, -1e39]),
        ({"type": "string", "format": "date", "x-dtype": "datetime64[ns]"}, ["2024-01-01", "2300-01-01", "1600-01-01"]),
    ],
)
def test_values_that_a_column_cannot_hold_are_named_by_their_rows(spec, values):
    """They never become infinities, or other instants."""
    with pytest.raises(NotComputable) as refused:
        column_of("column", spec, pd)(values)
    assert refused.value.rows == [1, 2]


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "string", "x-dtype": "category"},
        {"type": "string", "x-dtype": "datetime64[us]"},
        {"type": "string", "x-dtype": "int8"},
        {"type": "number", "x-dtype": "int8"},
        {"type": "boolean", "x-dtype": "float64"},
        {"type": "number", "x-dtype": "timedelta64[ns]"},
        {"type": "number", "x-dtype": 7},
    ],
)
def test_a_type_that_a_feature_cannot_have_is_refused(spec):
    """An operator's own schema may say `x-dtype`."""
    with pytest.raises(UnsupportedSchema, match="feature amount has"):
        check_dtype("amount", spec)
