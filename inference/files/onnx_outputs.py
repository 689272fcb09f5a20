"""The outputs of an ONNX graph: which one is its label, which may be probabilities, and the classes that it names.

A graph names its outputs as it likes and in any order; the operators that make them say more. Whether numbers are
probabilities can only be told from values: registration looks at those (`examination/graph_outputs.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

CLASSIFIERS = frozenset({"LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier"})
_REGRESSORS = frozenset({"LinearRegressor", "SVMRegressor", "TreeEnsemble", "TreeEnsembleRegressor"})
#: These hand their first input on: in another type or shape, as shares of its sum, or some of its columns.
_SAME = frozenset({"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
_SHARES = _SAME | {"ArrayFeatureExtractor", "Clip", "Gather", "Normalizer", "Slice", "Split"}
_LOOK_UPS = frozenset({"ArrayFeatureExtractor", "Gather"})
#: A label passes through so many encoders at most: a file from outside may have thousands.
_MOST_ENCODERS = 8
#: ONNX's numbers for the types of tensors.
_FLOATS, _LABELS = frozenset({1, 10, 11}), frozenset({2, 3, 4, 5, 6, 7, 8, 9, 12, 13})


class GraphOutputs(NamedTuple):
    """A graph's outputs by their names: the `label` (or number), and the others that are `numbers`.

    `choosing` are those of the numbers by which the graph itself chooses the label. `classes` are those that it names.
    """

    label: str
    numbers: tuple[str, ...]
    choosing: frozenset[str]
    classes: list[Any] | None


def outputs_of(model: Any, zipped: dict[str, list[Any]]) -> GraphOutputs:
    """The outputs of a graph without ZipMaps; `zipped` are the classes that those named, by what they were given."""
    graph = _Graph(model)
    types = {output.name: output.type.tensor_type.elem_type for output in model.graph.output}
    label = next((name for name, kind in types.items() if graph.is_label(name, kind)), next(iter(types)))
    numbers = tuple(name for name, kind in types.items() if kind in _FLOATS and name != label)
    choosing = frozenset(name for name in numbers if graph.is_chosen_by(label, name))
    classes = graph.classes_of(label) or next((zipped[name] for name in numbers if name in zipped), None)
    return GraphOutputs(label, numbers, choosing, classes or graph.any_classes())


class _Graph:
    def __init__(self, model: Any) -> None:
        self._nodes = list(model.graph.node)
        self._model = model
        self._makers = {name: (node, place) for node in self._nodes for place, name in enumerate(node.output)}

    def origin(self, name: str, passing: frozenset[str]) -> tuple[Any, int]:
        """The node that makes a tensor, and which of its outputs; nodes that only hand it on are passed."""
        node, place = self._makers.get(name, (None, 0))
        while node is not None and node.op_type in passing and node.input and not self._is_constant(node.input[0]):
            node, place = self._makers.get(node.input[0], (None, 0))
        return node, place

    def is_label(self, name: str, kind: int) -> bool:
        """Whether an output of that type is a label, and no number that was rounded."""
        node, place = self.origin(name, _SAME)
        made_by = "" if node is None else node.op_type
        if kind in _LABELS:
            return made_by not in _REGRESSORS
        is_picked = made_by in _LOOK_UPS and self._is_constant(node.input[0])
        is_classifiers = made_by in CLASSIFIERS and place == 0
        return kind in _FLOATS and (is_picked or is_classifiers or made_by in {"ArgMax", "ArgMin", "LabelEncoder"})

    def classes_of(self, name: str, depth: int = 0) -> list[Any] | None:
        """The labels among which a tensor's are, in the order of the numbers that choose them; None if not known."""
        node, place = self.origin(name, _SAME)
        if node is None or depth > _MOST_ENCODERS:
            return None
        if node.op_type in CLASSIFIERS and place == 0:
            return labels_in(node)
        if node.op_type in _LOOK_UPS and self._is_constant(node.input[0]):
            return _plain(self._constants[node.input[0]]())
        if node.op_type == "LabelEncoder":
            return _encoded(node, self.classes_of(node.input[0], depth + 1))
        return None

    def is_chosen_by(self, label: str, numbers: str) -> bool:
        """Whether the label is chosen by those numbers, or by others that only differ in form."""
        (node, place), (maker, its_place) = self._chosen_by(label), self.origin(numbers, _SHARES)
        return node is not None and node is maker and place == its_place

    def _chosen_by(self, name: str, depth: int = 0) -> tuple[Any, int]:
        """The node that makes what a label is chosen by: a classifier, or of which numbers it is the greatest."""
        node, place = self.origin(name, _SAME)
        if node is None or depth > _MOST_ENCODERS:
            return None, 0
        if node.op_type in CLASSIFIERS:
            return node, place + 1
        if node.op_type == "ArgMax":
            return self.origin(node.input[0], _SHARES)
        if node.op_type in _LOOK_UPS and self._is_constant(node.input[0]):
            return self._chosen_by(node.input[1], depth + 1)
        return self._chosen_by(node.input[0], depth + 1) if node.op_type == "LabelEncoder" else (None, 0)

    def any_classes(self) -> list[Any] | None:
        """The classes of the last node that names some."""
        for node in reversed(self._nodes):
            if found := labels_in(node) or (node.op_type in _LOOK_UPS and self.classes_of(node.output[0])):
                return found
        return None

    def _is_constant(self, name: str) -> bool:
        return name in self._constants

    @cached_property
    def _constants(self) -> dict[str, Callable[[], Any]]:
        return dict(_constants(self._model))


def _constants(model: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    from onnx import numpy_helper  # noqa: PLC0415  only what opens such a file should pay for it

    for each in model.graph.initializer:
        yield each.name, partial(numpy_helper.to_array, each)
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            yield node.output[0], partial(numpy_helper.to_array, node.attribute[0].t)


def labels_in(node: Any) -> list[Any] | None:
    """The class labels in a node's attributes."""
    for attribute in node.attribute:
        if attribute.name.startswith("classlabels_") and (attribute.strings or attribute.ints):
            return [each.decode() for each in attribute.strings] or list(attribute.ints)
    return None


def _encoded(node: Any, given: list[Any] | None) -> list[Any] | None:
    """The result of a LabelEncoder for those labels, or of 0 to n-1; None where it does not know one of them."""
    attributes = {each.name: _values(each) for each in node.attribute}
    keys = next((values for name, values in attributes.items() if name.startswith("keys_")), None)
    made = next((values for name, values in attributes.items() if name.startswith(("values_", "classes_"))), None)
    if made is None:
        return None
    mapping = dict(zip(keys or range(len(made)), made, strict=False))
    given = list(range(len(mapping))) if given is None else given
    return [mapping[each] for each in given] if all(each in mapping for each in given) else None


def _values(attribute: Any) -> list[Any]:
    if attribute.HasField("t"):
        from onnx import numpy_helper  # noqa: PLC0415  only what opens such a file should pay for it

        return _plain(numpy_helper.to_array(attribute.t))
    return [each.decode() for each in attribute.strings] or list(attribute.ints) or list(attribute.floats)


def _plain(values: Any) -> list[Any]:
    return [each.decode() if isinstance(each, bytes) else each for each in np.ravel(values).tolist()]
