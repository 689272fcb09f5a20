"""Rewrites graphs that a converter makes less exact than they could be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx

#: A smaller share of a leaf is a zero that was rounded.
_NOUGHT = 1e-8


def with_both_classes(content: bytes) -> bytes:
    """The same graph; its trees of two classes sum up both classes.

    A converter gives leaves only the second class's share, and ONNX Runtime answers one minus their sum for the first:
    where the trained model says 0, only a rounding error is left. The label is the class with the greater sum, as for
    more classes; ONNX Runtime's own label for such leaves would be another.
    """
    model = onnx.ModelProto.FromString(content)
    nodes: list[Any] = []
    for number, node in enumerate(model.graph.node):
        nodes.append(node)
        given = {each.name: each for each in node.attribute}
        if node.op_type == "TreeEnsembleClassifier" and _sum_both(node, given):
            labels, pick = f"adyton_labels_{number}", f"adyton_pick_{number}"
            model.graph.initializer.append(_labels_of(given, labels))
            nodes.append(onnx.helper.make_node("ArgMax", [node.output[1]], [pick], axis=1, keepdims=0))
            nodes.append(onnx.helper.make_node("Gather", [labels, pick], [node.output[0]], axis=0))
            node.output[0] = f"adyton_label_{number}"
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def _labels_of(given: dict[str, Any], name: str) -> Any:
    if "classlabels_strings" in given:
        return onnx.helper.make_tensor(name, onnx.TensorProto.STRING, [2], list(given["classlabels_strings"].strings))
    return onnx.helper.make_tensor(name, onnx.TensorProto.INT64, [2], list(given["classlabels_int64s"].ints))


def _sum_both(node: Any, given: dict[str, Any]) -> bool:
    """Gives the node's leaves both classes' shares, and returns whether it did."""
    ids = list(given["class_ids"].ints)
    labels = [each for name, each in given.items() if name.startswith("classlabels_")]
    is_sum = given["post_transform"].s == b"NONE" if "post_transform" in given else True
    if len(set(ids)) != 1 or not is_sum or "base_values" in given or len(labels[0].strings or labels[0].ints) != 2:
        return False
    trees, numbers = list(given["class_treeids"].ints), list(given["class_nodeids"].ints)
    weights = list(given["class_weights"].floats)
    whole = 1 / len(set(trees))
    if max(weights) > whole + _NOUGHT or min(weights) < 0:
        return False
    del node.attribute[:]
    node.attribute.extend(each for name, each in given.items() if not name.startswith("class_"))
    leaves = [
        leaf
        for tree, number, weight in zip(trees, numbers, weights, strict=True)
        for leaf in ((tree, number, 0, whole - weight if whole - weight > _NOUGHT else 0.0), (tree, number, 1, weight))
    ]
    _set(node, "class_treeids", [leaf[0] for leaf in leaves])
    _set(node, "class_nodeids", [leaf[1] for leaf in leaves])
    _set(node, "class_ids", [leaf[2] for leaf in leaves])
    _set(node, "class_weights", [leaf[3] for leaf in leaves])
    return True


def _set(node: Any, name: str, values: list[Any]) -> None:
    node.attribute.append(onnx.helper.make_attribute(name, values))


def with_float32_trees(content: bytes, *, widen: bool) -> bytes:
    """The same float64 graph; its trees compare rows rounded to float32, as scikit-learn's do.

    With `widen`, the trees' answers become float64 again for the nodes behind them. A converter leaves trees as they
    are, and they would compare in a precision that they were not trained in.
    """
    model = onnx.ModelProto.FromString(content)
    nodes: list[Any] = []
    for number, node in enumerate(model.graph.node):
        if not node.op_type.startswith("TreeEnsemble"):
            nodes.append(node)
            continue
        rounded = f"adyton_rounded_{number}"
        nodes.append(onnx.helper.make_node("Cast", [node.input[0]], [rounded], to=onnx.TensorProto.FLOAT))
        node.input[0] = rounded
        nodes.append(node)
        if widen:
            narrow, wide = f"adyton_narrow_{number}", node.output[-1]
            node.output[-1] = narrow
            nodes.append(onnx.helper.make_node("Cast", [narrow], [wide], to=onnx.TensorProto.DOUBLE))
            _declare(model.graph.output, wide, onnx.TensorProto.DOUBLE)
        else:
            _declare(model.graph.output, node.output[-1], onnx.TensorProto.FLOAT)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def with_float64_imputers(content: bytes) -> bytes:
    """The same float64 graph; a choice for each number replaces Imputers, which ONNX Runtime has only in float32."""
    model = onnx.ModelProto.FromString(content)
    if not any(node.op_type == "Imputer" for node in model.graph.node):
        return content
    nodes: list[Any] = []
    for number, node in enumerate(model.graph.node):
        if node.op_type != "Imputer":
            nodes.append(node)
            continue
        values = next(each.floats for each in node.attribute if each.name == "imputed_value_floats")
        value, missing = f"adyton_imputed_{number}", f"adyton_missing_{number}"
        model.graph.initializer.append(
            onnx.helper.make_tensor(value, onnx.TensorProto.DOUBLE, [1, len(values)], list(values))
        )
        nodes.append(onnx.helper.make_node("IsNaN", [node.input[0]], [missing]))
        nodes.append(onnx.helper.make_node("Where", [missing, value, node.input[0]], [node.output[0]]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def _declare(outputs: Sequence[Any], name: str, element: int) -> None:
    for output in outputs:
        if output.name == name:
            output.type.tensor_type.elem_type = element
