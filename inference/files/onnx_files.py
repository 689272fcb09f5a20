"""ONNX files from outside: the operators that they may hold.

An ONNX graph is data, but not harmless: it can point at other files, loop, or make tensors as large as it likes out of
a few bytes. What classical models need is a short list of operators; anything else is refused. Shapes come from the
rows and the constants alone, so that the computation at registration bounds every later one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from inference.files.onnx_outputs import GraphOutputs, labels_in, outputs_of
from inference.files.onnx_releases import refuse_newer
from inference.files.refused import RefusedFile

MAX_BYTES = 1 << 30
MAX_NODES = 20_000
_DOMAINS = {"", "ai.onnx", "ai.onnx.ml"}
#: No loops and subgraphs, nothing random, nothing whose size is a value (Range, Expand, Tile, ConstantOfShape, Pad...).
OPERATORS = frozenset(
    """
    Abs Add And ArgMax ArgMin ArrayFeatureExtractor Binarizer Cast CastMap CategoryMapper Ceil Clip Concat
    Constant Cos DictVectorizer Div Elu Equal Erf Exp FeatureVectorizer Flatten Floor Gather GatherElements Gelu
    Gemm Greater GreaterOrEqual HardSigmoid Identity Imputer IsInf IsNaN LabelEncoder LeakyRelu Less LessOrEqual
    LinearClassifier LinearRegressor Log LogSoftmax MatMul Max Mean Min Mod Mul Neg Normalizer Not OneHotEncoder
    Or PRelu Pow Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Relu Reshape Round SVMClassifier SVMRegressor Scaler Selu Shape Sigmoid
    Sign Sin Slice Softmax Softplus Softsign Split Sqrt Squeeze Sub Sum Tanh TopK Transpose TreeEnsemble
    TreeEnsembleClassifier TreeEnsembleRegressor Unsqueeze Where Xor ZipMap
    """.split()  # noqa: SIM905  so many names are easier to read as one text
)


class UnsafeOnnx(Exception):
    """The file is not a graph that may be run here; says why."""


class OnnxModel:
    """A graph that was checked, with plain tensors as outputs."""

    def __init__(self, content: bytes, outputs: GraphOutputs) -> None:
        self.content = content
        self.outputs = outputs


def checked_onnx(content: bytes) -> OnnxModel:
    """The graph in these bytes, if it may be run. Raises `UnsafeOnnx`, or `RefusedFile` for a newer ONNX than ours."""
    import onnx  # noqa: PLC0415  half a second that only what opens such a file should pay

    if len(content) > MAX_BYTES:
        raise UnsafeOnnx(f"the file has more than {MAX_BYTES >> 20} MiB")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
        refuse_newer(model)
        # A graph that points at other files is refused before the checker follows it there.
        _refuse_unsafe(model)
        with _outputs_of_known_shape(model):
            onnx.checker.check_model(model)
    except (UnsafeOnnx, RefusedFile):
        raise
    except Exception as error:  # noqa: BLE001  protobuf and the checker raise many kinds
        raise UnsafeOnnx(f"the file is not a sound ONNX graph: {type(error).__name__}") from None
    zipped = _drop_zipmaps(model)
    return OnnxModel(model.SerializeToString(), outputs_of(model, zipped))


@contextmanager
def _outputs_of_known_shape(model: Any) -> Iterator[None]:
    """Takes the other outputs away meanwhile: the checker refuses them, and converters leave their shapes out."""
    outputs = list(model.graph.output)
    known = [
        each for each in outputs if not each.type.HasField("tensor_type") or each.type.tensor_type.HasField("shape")
    ]
    _set_outputs(model, known or outputs)
    try:
        yield
    finally:
        _set_outputs(model, outputs)


def _set_outputs(model: Any, outputs: list[Any]) -> None:
    del model.graph.output[:]
    model.graph.output.extend(outputs)


def _refuse_unsafe(model: Any) -> None:
    import onnx  # noqa: PLC0415  only what opens such a file should pay for it

    if not model.graph.node or not model.graph.output:
        raise UnsafeOnnx("the file is not a sound ONNX graph: it computes nothing")
    if len(model.graph.node) > MAX_NODES or model.functions or model.training_info:
        raise UnsafeOnnx("the graph has functions, training, or more nodes than any classical model")
    if any(opset.domain not in _DOMAINS for opset in model.opset_import):
        raise UnsafeOnnx("the graph asks for operators that are not ONNX's own")
    for node in model.graph.node:
        if node.domain not in _DOMAINS or node.op_type not in OPERATORS:
            raise UnsafeOnnx(f"the graph holds the operator {node.op_type[:60]}, which is not served")
        if any(attribute.g.node or attribute.graphs for attribute in node.attribute):
            raise UnsafeOnnx(f"the operator {node.op_type[:60]} holds a graph of its own")
    for tensor in _tensors(model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise UnsafeOnnx("the graph points at data in other files")


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)


def _drop_zipmaps(model: Any) -> dict[str, list[Any]]:
    """Takes ZipMaps out: they make a dictionary of every row's probabilities, in Python, instead of a tensor.

    Returns the classes that they named, by the tensor that each was given.
    """
    zipmaps = [node for node in model.graph.node if node.op_type == "ZipMap"]
    for node in zipmaps:
        model.graph.node.remove(node)
        for output in model.graph.output:
            if output.name == node.output[0]:
                output.name = node.input[0]
                output.ClearField("type")
                output.type.tensor_type.elem_type = 1
    return {node.input[0]: labels_in(node) or [] for node in zipmaps}
