"""Answers written by columns are the bytes that one item after the other would be."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from inference.outputs import Predictions
from serving.wire.items import ItemWriter
from tests.support.items import predictions_of, writer_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["%", "%b", '","', "[,]", "é\n"]
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1.0, 1e-300, 1e16])
LABELS = st.one_of(
    st.just(TEXTS),
    st.just(st.integers(-(2**53), 2**53)),
    st.just(st.floats(allow_nan=False, allow_infinity=False)),
    st.just(st.booleans()),
    st.just(TEXTS | st.integers(0, 9) | st.booleans()),
    st.just(st.lists(TEXTS | st.integers(0, 9), min_size=2, max_size=2)),
)


@st.composite
def items(draw):
    """Items of one shape, as `json` would show them."""
    names = st.lists(TEXTS, unique=True, min_size=1, max_size=4)
    classes = draw(st.none() | names | st.lists(names, min_size=1, max_size=3))
    scores, labels = draw(st.none() | names), draw(LABELS)

    def values(of):
        return {name: draw(NUMBERS) for name in of}

    def item():
        found = {"prediction": draw(labels)}
        if classes is not None:
            found["probabilities"] = list(map(values, classes)) if isinstance(classes[0], list) else values(classes)
        return found | ({} if scores is None else {"scores": values(scores)})

    return [item() for _ in range(draw(st.integers(1, 5)))]


def renamed(value, changed):
    """The same under other names, the way that one would write it."""
    if isinstance(value, dict):
        return {changed.get(name, name): each for name, each in value.items()}
    if isinstance(value, list):
        return [renamed(each, changed) for each in value]
    return changed.get(value, value) if isinstance(value, str) else value


@given(items())
def test_columns_are_written_as_one_item_after_the_other(found):
    """Of every shape: labels of any type or several, classes of one output or several, scores or none."""
    assert writer_of(found[0]).write(predictions_of(found)) == orjson.dumps(found)


@given(items(), st.dictionaries(TEXTS, TEXTS.map("masked {}".format), min_size=1))
def test_other_texts_stand_for_some_labels_and_names(found, changed):
    """Wherever they stand."""
    changed |= dict.fromkeys(writer_of(found[0]).names(predictions_of(found))[:1], "masked")
    expected = [{member: renamed(value, changed) for member, value in item.items()} for item in found]
    assert writer_of(found[0]).write(predictions_of(found), changed) == orjson.dumps(expected)


def test_what_a_version_has_not_is_left_out():
    """Classes without probabilities, and no rows at all."""
    writer = ItemWriter(["a", "b"], ["a"])
    assert writer.write(Predictions(["a"], None)) == b'[{"prediction":"a"}]'
    assert writer.names(Predictions(["a"], None)) == ()
    assert writer.write(Predictions([], [])) == b"[]"
