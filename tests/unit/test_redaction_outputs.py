"""What may be stored of a prediction."""

from __future__ import annotations

import json

import orjson
import pytest

from audit.redaction import Redactor, _scrub_once
from tests.support.items import stored_text


def stored(items):
    return json.loads(stored_text(Redactor({}, texts=[]), items))


def test_a_label_that_is_personal_is_not_stored():
    """Of a model that answers texts, without probabilities."""
    items = [{"prediction": "ask jane@example.com"}, {"prediction": "ask nobody"}, {"prediction": "4111111111111111"}]
    assert stored(items) == [{"prediction": "ask ***"}, {"prediction": "ask nobody"}, {"prediction": "***"}]


def test_names_of_classes_are_searched_and_stay_apart():
    """No probability is lost, and the label is called what its class is called."""
    probabilities = {"jane@example.com": 0.2, "joe@example.com": 0.7, "none": 0.1}
    items = [{"prediction": "joe@example.com", "probabilities": probabilities}]
    assert stored(items) == [{"prediction": "*** 2", "probabilities": {"***": 0.2, "*** 2": 0.7, "none": 0.1}}]


def test_a_class_that_is_called_as_a_masked_one_keeps_its_name():
    """Nor does a masked name fall together with one that was there."""
    items = [{"prediction": "***", "probabilities": {"***": 0.5, "jane@example.com": 0.5}}]
    assert stored(items) == [{"prediction": "***", "probabilities": {"***": 0.5, "*** 2": 0.5}}]


def test_several_outputs_are_searched_each():
    """Labels in lists, and a list of probabilities."""
    items = [{"prediction": ["jane@example.com", 3], "probabilities": [{"jane@example.com": 1.0}, {"3": 1.0}]}]
    assert stored(items) == [{"prediction": ["***", 3], "probabilities": [{"***": 1.0}, {"3": 1.0}]}]


@pytest.mark.parametrize(
    "item",
    [
        {"prediction": 4111111111111111},
        {"prediction": 4111111111111111.0},
        {"prediction": 4111111111111111, "probabilities": {"4111111111111111": 0.5, "5555555555554444": 0.5}},
        {"prediction": [4111111111111111, 8112189876]},
        {"prediction": True, "probabilities": {"false": 0.25, "true": 0.75}},
        {"prediction": -1, "scores": {"inlier": -0.5}},
        {"prediction": 8112189876, "scores": {"4111111111111111/8112189876": -0.5, "4111111111111111/3": 0.5}},
        {"prediction": "setosa", "probabilities": {"setosa": 0.75, "virginica": 0.25}},
    ],
    ids=str,
)
def test_numbers_and_clean_names_are_stored_as_they_are(item):
    """Also a class that is a number, which has a text for its name."""
    assert stored_text(Redactor({}, texts=[]), [item]) == orjson.dumps([item])


def test_names_of_scores_are_searched_as_those_of_classes():
    """With probabilities and without, of one class or of a pair; each keeps a name of its own."""
    names = {"jane@example.com": 0.25, "none": 0.75}
    items = [{"prediction": "none", "probabilities": names, "scores": names}]
    masked = {"***": 0.25, "none": 0.75}
    assert stored(items) == [{"prediction": "none", "probabilities": masked, "scores": masked}]
    pairs = {"none/jane@example.com": 1.0, "none/joe@example.com": -1.0}
    (item,) = stored([{"prediction": 3, "scores": pairs}])
    assert (list(item["scores"].values()), "example" in str(item)) == ([1.0, -1.0], False)


def test_a_class_of_digits_among_texts_is_searched():
    """Where the label is a text, its classes are texts."""
    items = [{"prediction": "4111111111111111", "probabilities": {"4111111111111111": 0.5, "cash": 0.5}}]
    assert stored(items) == [{"prediction": "***", "probabilities": {"***": 0.5, "cash": 0.5}}]


def test_a_text_among_numbers_is_searched_wherever_it_is():
    """The first row tells nothing of the others' labels."""
    items = [{"prediction": 1}, {"prediction": None}, {"prediction": "jane@example.com"}]
    assert stored(items) == [{"prediction": 1}, {"prediction": None}, {"prediction": "***"}]


def test_no_predictions_are_none():
    """Nothing to look at is no error."""
    assert stored([]) == []


def test_what_was_clean_once_is_searched_when_it_is_not():
    """One redactor serves all of a version's predictions: other labels and other classes are looked at again."""
    redactor = Redactor({}, texts=[])
    clean = {"prediction": "a", "probabilities": {"a": 0.5, "b": 0.5}}
    number = {"prediction": 4111111111111111, "probabilities": {"4111111111111111": 1.0}}
    for item in (clean, clean, number, number):
        assert json.loads(stored_text(redactor, [item])) == [item]
    other = {"prediction": "jane@example.com", "probabilities": {"a": 0.5, "b": 0.5}}
    text = {"prediction": "4111111111111111", "probabilities": {"4111111111111111": 1.0}}
    assert json.loads(stored_text(redactor, [clean, other]))[1]["prediction"] == "***"
    assert json.loads(stored_text(redactor, [text])) == [{"prediction": "***", "probabilities": {"***": 1.0}}]
    assert json.loads(stored_text(redactor, [number])) == [number]


def test_two_rows_that_are_alike_are_searched_once():
    """The text of a label is remembered, and so are the names of classes: nothing more is searched for them."""
    redactor = Redactor({}, texts=[])
    item = {"prediction": "seen once", "probabilities": {"seen once": 0.5, "or twice": 0.5}}
    stored_text(redactor, [item])
    searched = _scrub_once.cache_info().misses
    for _ in range(10):
        stored_text(redactor, [item, item])
    assert _scrub_once.cache_info().misses == searched


SHAPES = {
    "numbers": [{"prediction": 1.5}],
    "labels": [{"prediction": "setosa", "probabilities": {"setosa": 1.0, "other": 0.0}}],
    "several labels": [{"prediction": [1, 0], "probabilities": {"0": 0.5, "1": 0.5}}],
    "several labels without probabilities": [{"prediction": [1, 0]}],
    "several outputs": [{"prediction": ["a", 1], "probabilities": [{"a": 1.0}, {"1": 1.0}]}],
    "several outputs without probabilities": [{"prediction": ["a", "b"]}],
    "truth": [{"prediction": True, "probabilities": {"false": 0.0, "true": 1.0}}],
    "none": [],
}


@pytest.mark.parametrize("items", SHAPES.values(), ids=SHAPES)
def test_every_shape_of_an_answer_is_stored_as_it_is_where_it_holds_nothing(items):
    """The first time, when its classes are searched, and afterwards, when they are remembered; one row and many."""
    redactor = Redactor({}, texts=[])
    for _ in range(3):
        assert json.loads(stored_text(redactor, items)) == items
        assert json.loads(stored_text(redactor, items * 5)) == items * 5
