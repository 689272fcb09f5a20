"""ONNX files: their second output is called probabilities only where it is that; otherwise scores, or nothing."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from numpy.testing import assert_allclose
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from skl2onnx import to_onnx
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.ensemble import GradientBoostingClassifier, IsolationForest, RandomForestClassifier
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC, LinearSVC, OneClassSVM
from sklearn.tree import DecisionTreeRegressor

from tests.support.patience import become

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore")]

NAMES = ("a", "b", "c")
VALUES = np.random.default_rng(0).normal(size=(90, 3)).astype(np.float32)
PLACES = np.minimum((VALUES[:, 0] > 0) + 2 * (VALUES[:, 1] > 0), 2)
SPECIES = np.array(["setosa", "versicolor", "virginica"], dtype=object)[PLACES]
IS_FIRST = PLACES == 0
LABELS = np.column_stack([IS_FIRST, PLACES == 1]).astype(int)
OPSET = {"": 17, "ai.onnx.ml": 3}


@pytest.fixture
def site(shared_site):
    """One for all of them, each under its own name."""
    return shared_site


def exported(estimator, target=None, **options):
    estimator.fit(VALUES, target)
    given = {id(estimator): options} if options else None
    return to_onnx(estimator, VALUES[:1], options=given, target_opset=OPSET)


async def answered(site, name, model, values=VALUES):
    """Each row's answer with scores if there are any, and the version's description."""
    name = name.replace(" ", "-")
    rows = [dict(zip(NAMES, map(float, row), strict=True)) for row in values]
    header, *lines = [",".join(NAMES), *(",".join(map(repr, row.values())) for row in rows)]
    site.register(name, "m.onnx", model.SerializeToString(), sample_name="s.csv",
                  sample="\n".join([header, *lines]).encode(), is_public=True, is_apart=False)  # fmt: skip

    async def is_served():
        return (await client.get(f"/v1/models/{name}")).status_code == 200

    async with site.client(site.key()) as client:
        await become(is_served)
        (version,) = (await client.get(f"/v1/models/{name}")).json()["version_details"]
        params = {"include": "scores"} if version["scores"] else {}
        answer = await client.post(f"/v1/models/{name}/predict/batch", json={"rows": rows}, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"], version


def given(found, member):
    """The members' names, and the values of every row."""
    assert len({tuple(each[member]) for each in found}) == 1
    return list(found[0][member]), [list(each[member].values()) for each in found]


TEXTS, NUMBERS = ["setosa", "versicolor", "virginica"], ["0", "1", "2"]
CLASSIFIERS = {
    "a dictionary": (LogisticRegression(), SPECIES, {}, TEXTS),
    "a tensor": (LogisticRegression(), PLACES, {"zipmap": False}, NUMBERS),
    "an output for each text": (LogisticRegression(), SPECIES, {"zipmap": "columns"}, TEXTS),
    "an output for each number": (LogisticRegression(), PLACES * 10, {"zipmap": "columns"}, ["0", "10", "20"]),
    "an output for each truth value": (LogisticRegression(), IS_FIRST, {"zipmap": "columns"}, ["0", "1"]),
    "trees": (RandomForestClassifier(5, random_state=0), SPECIES, {"zipmap": False, "decision_leaf": True}, TEXTS),
    "boosted": (GradientBoostingClassifier(n_estimators=3), SPECIES, {}, TEXTS),
    "a network": (MLPClassifier((4,), max_iter=50, random_state=0), SPECIES, {"zipmap": False}, TEXTS),
    "a network of two": (MLPClassifier((4,), max_iter=50, random_state=0), IS_FIRST, {"zipmap": False}, ["0", "1"]),
    "bayes": (GaussianNB(), SPECIES, {"zipmap": False}, TEXTS),
    "platt": (SVC(probability=True, random_state=0), SPECIES, {"zipmap": False}, TEXTS),
    "calibrated trees": (CalibratedClassifierCV(RandomForestClassifier(3, random_state=0), cv=2), SPECIES,
                         {"zipmap": False}, TEXTS),
    "a mixture": (GaussianMixture(3, random_state=0), None, {}, NUMBERS),
}  # fmt: skip


@pytest.mark.parametrize("kind", CLASSIFIERS)
async def test_a_classifiers_probabilities_are_called_that(site, kind):
    """Whatever its converter makes of it: in one output or several, under the classes' own names."""
    estimator, target, options, names = CLASSIFIERS[kind]
    found, version = await answered(site, kind, exported(estimator, target, **options))
    told, values = given(found, "probabilities")
    assert (told, version["classes"], version["scores"]) == (names, names, None)
    assert_allclose(values, estimator.predict_proba(VALUES), rtol=1e-4, atol=1e-5)
    assert [each["prediction"] for each in found] == estimator.predict(VALUES).tolist()


OTHERS = {
    "distances": (KMeans(3, n_init=1, random_state=0), None, {}, NUMBERS, "transform"),
    "a detector": (IsolationForest(n_estimators=5, random_state=0), None, {}, ["inlier"], "decision_function"),
    "a detector of two outputs": (IsolationForest(n_estimators=5, random_state=0), None, {"score_samples": True},
                                  ["scores", "score_samples"], None),
    "another detector": (OneClassSVM(), None, {}, ["inlier"], "decision_function"),
    "margins": (LinearSVC(random_state=0), SPECIES, {}, TEXTS, "decision_function"),
    "a margin": (LinearSVC(random_state=0), IS_FIRST, {}, ["1"], "decision_function"),
    "raw scores": (LogisticRegression(), SPECIES, {"raw_scores": True, "zipmap": False}, TEXTS, "decision_function"),
    "pairs": (SVC(decision_function_shape="ovo"), SPECIES, {"zipmap": False}, NUMBERS, "decision_function"),
    "labels apart": (OneVsRestClassifier(LogisticRegression()), LABELS, {"zipmap": False}, ["0", "1"], "predict_proba"),
    "a deviation": (BayesianRidge(), VALUES[:, 0] * 2.0 + VALUES[:, 1], {"return_std": True}, ["std"], None),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
async def test_other_numbers_are_scores(site, kind):
    """No probabilities; for those who ask, numbers under the names that are known."""
    estimator, target, options, names, verb = OTHERS[kind]
    found, version = await answered(site, f"scores of {kind}", exported(estimator, target, **options))
    assert all("probabilities" not in each for each in found)
    told, values = given(found, "scores")
    assert (told, version["scores"], version["classes"]) == (names, names, None)
    if verb is not None:
        assert_allclose(values, np.reshape(getattr(estimator, verb)(VALUES), (len(VALUES), -1)), rtol=1e-3, atol=1e-4)
    labels, wanted = [each["prediction"] for each in found], estimator.predict(VALUES)
    if wanted.dtype.kind == "f":
        assert_allclose(labels, wanted, rtol=1e-4)
    else:
        assert labels == wanted.tolist()


async def test_several_outputs_have_the_probabilities_of_each(site):
    """A converter puts the outputs before the rows; the classes are learnt from the labels."""
    target = np.column_stack([np.where(IS_FIRST, 7, 9), PLACES % 2])
    estimator = RandomForestClassifier(5, random_state=0)
    found, version = await answered(site, "several", exported(estimator, target, zipmap=False))
    assert version["classes"] == [["7", "9"], ["0", "1"]]
    for output, wanted in enumerate(estimator.predict_proba(VALUES)):
        assert_allclose([list(each["probabilities"][output].values()) for each in found], wanted, atol=1e-5)
    assert [each["prediction"] for each in found] == estimator.predict(VALUES).tolist()


async def test_a_trees_leaf_is_no_label(site):
    """A whole number beside a regressor's prediction is not what is asked for."""
    estimator = DecisionTreeRegressor(random_state=0)
    found, version = await answered(site, "leaves", exported(estimator, VALUES[:, 0] * 2.0, decision_leaf=True))
    assert_allclose([each["prediction"] for each in found], estimator.predict(VALUES), rtol=1e-5)
    assert version["scores"] is None


def swapped(model):
    """The same graph; its outputs stand in the opposite order, under other names."""
    outputs = [helper.make_empty_tensor_value_info("") for _ in model.graph.output]
    for old, new, name in zip(reversed(list(model.graph.output)), outputs, ("variable", "which"), strict=True):
        new.CopyFrom(old)
        model.graph.node.append(helper.make_node("Identity", [old.name], [name]))
        new.name = name
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    return model


async def test_the_label_may_be_the_second_output(site):
    """What makes an output says which it is, and neither its place nor its name."""
    estimator = RandomForestClassifier(5, random_state=0)
    found, version = await answered(site, "swapped", swapped(exported(estimator, SPECIES, zipmap=False)))
    assert [each["prediction"] for each in found] == estimator.predict(VALUES).tolist()
    assert version["classes"] == TEXTS
    clusters = KMeans(3, n_init=1, random_state=0)
    found, version = await answered(site, "swapped clusters", swapped(exported(clusters)))
    assert [each["prediction"] for each in found] == clusters.predict(VALUES).tolist()
    assert (version["classes"], version["scores"]) == (None, NUMBERS)


async def test_outputs_of_one_class_each_are_told_apart_by_their_names(site):
    """In whatever order they stand."""
    estimator = LogisticRegression()
    model = exported(estimator, SPECIES, zipmap="columns")
    outputs = list(model.graph.output)
    del model.graph.output[:]
    model.graph.output.extend([outputs[3], outputs[1], outputs[0], outputs[2]])
    found, version = await answered(site, "out of order", model)
    assert version["classes"] == [TEXTS[2], TEXTS[0], TEXTS[1]]
    wanted = estimator.predict_proba(VALUES)[:, [2, 0, 1]]
    assert_allclose([list(each["probabilities"].values()) for each in found], wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("element", "labels", "names"),
    [
        (TensorProto.BOOL, [False, True], ["false", "true"]),
        (TensorProto.FLOAT, [0.0, 1.0], ["0.0", "1.0"]),
        (TensorProto.INT32, [0, 1], ["0", "1"]),
    ],
    ids=["bool", "float", "int32"],
)
async def test_a_label_keeps_its_type(site, element, labels, names):
    """Truth values, floats and small integers; the classes are called as the labels are."""
    model = exported(LogisticRegression(), IS_FIRST, zipmap=False)
    label = model.graph.output[0]
    model.graph.node.append(helper.make_node("Cast", [label.name], ["said"], to=element))
    label.name, label.type.tensor_type.elem_type = "said", element
    found, version = await answered(site, f"labels of {element}", model)
    assert [each["prediction"] for each in found] == [labels[int(each)] for each in IS_FIRST_AS_TOLD]
    assert {type(each["prediction"]) for each in found} == {type(labels[0])}
    assert version["classes"] == names


IS_FIRST_AS_TOLD = LogisticRegression().fit(VALUES, IS_FIRST).predict(VALUES)


def graph(nodes, outputs, *constants):
    """A graph made by hand: three numbers named `x`, and the outputs by name and type."""
    shapes = {TensorProto.INT64: ["n"], TensorProto.FLOAT: ["n", None]}
    made = helper.make_graph(
        nodes, "by-hand", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info(name, kind, shapes[kind]) for name, kind in outputs],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants],
    )  # fmt: skip
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)])


LABEL, FIRST = ("label", TensorProto.INT64), ("probabilities", TensorProto.FLOAT)


async def test_rounded_shares_are_never_more_than_1_or_less_than_0(site):
    """Shares from -1e-7 to 1.0000001 are probabilities, and are shown as 0 and 1."""
    nodes = [
        helper.make_node("Mul", ["x", "steep"], ["logits"]), helper.make_node("Softmax", ["logits"], ["shares"], axis=1),
        helper.make_node("Mul", ["shares", "a little more"], ["more"]),
        helper.make_node("Sub", ["more", "a little"], ["probabilities"]),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]  # fmt: skip
    constants = [
        ("steep", np.float32([50.0])),
        ("a little more", np.float32([1 + 3e-7])),
        ("a little", np.float32([1e-7])),
    ]
    model = graph(nodes, [LABEL, FIRST], *constants)
    found, _ = await answered(site, "rounded", model)
    names, values = given(found, "probabilities")
    assert (names, np.min(values), np.max(values)) == (NUMBERS, 0.0, 1.0)
    # The graph itself says otherwise.
    beyond = ReferenceEvaluator(model).run(["probabilities"], {"x": VALUES})[0]
    assert beyond.min() < 0.0
    assert beyond.max() > 1.0
    row = dict(zip(NAMES, map(float, VALUES[beyond.max(axis=1).argmax()]), strict=True))
    async with site.client(site.key()) as client:
        one = (await client.post("/v1/models/rounded/predict", json=row)).json()
    assert (min(one["probabilities"].values()), max(one["probabilities"].values())) == (0.0, 1.0)


def of_shares(label):
    """A graph of a label, and the shares of three positive numbers, which are a distribution."""
    nodes = [helper.make_node("Abs", ["x"], ["sizes"]),
             helper.make_node("Normalizer", ["sizes"], ["probabilities"], domain="ai.onnx.ml", norm="L1"), *label]  # fmt: skip
    return graph(nodes, [LABEL, FIRST], ("one", np.int64([1])), ("nought", np.int64([0])))


async def test_a_distribution_that_has_nothing_to_do_with_the_label_is_no_probability(site):
    """The label is the place of the greatest number; the shares are of their sizes. Only where they agree are they."""
    pick = [helper.make_node("ArgMax", ["x"], ["label"], axis=1, keepdims=0)]
    found, version = await answered(site, "shares", of_shares(pick))
    assert (version["classes"], version["scores"]) == (None, NUMBERS)
    assert all("probabilities" not in each for each in found)
    pick = [helper.make_node("ArgMax", ["sizes"], ["label"], axis=1, keepdims=0)]
    found, version = await answered(site, "shares of the label", of_shares(pick))
    assert (version["classes"], version["scores"]) == (NUMBERS, None)


async def test_shares_that_do_not_sum_up_to_1_are_no_probabilities(site):
    """One of two classes; and three shares of a half."""
    one = [
        helper.make_node("Slice", ["x", "from", "to", "axis"], ["first"]), helper.make_node("Sigmoid", ["first"], ["probabilities"]),
        helper.make_node("Greater", ["first", "zero"], ["is"]), helper.make_node("Cast", ["is"], ["cast"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["cast", "flat"], ["label"]),
    ]  # fmt: skip
    places = [("from", np.int64([0])), ("to", np.int64([1])), ("axis", np.int64([1])), ("flat", np.int64([-1])), ("zero", np.float32([0]))]  # fmt: skip
    found, version = await answered(site, "one of two", graph(one, [LABEL, FIRST], *places))
    assert (version["classes"], version["scores"]) == (None, ["probabilities"])
    assert all("probabilities" not in each for each in found)
    half = [
        helper.make_node("Softmax", ["x"], ["shares"], axis=1), helper.make_node("Mul", ["shares", "half"], ["probabilities"]),
        helper.make_node("ArgMax", ["shares"], ["label"], axis=1, keepdims=0),
    ]  # fmt: skip
    found, version = await answered(site, "halves", graph(half, [LABEL, FIRST], ("half", np.float32([0.5]))))
    assert (version["classes"], version["scores"]) == (None, NUMBERS)


async def test_numbers_that_depend_on_the_rows_beside_are_not_served(site):
    """Shares among all rows of a call would tell one caller of another's rows."""
    nodes = [helper.make_node("Softmax", ["x"], ["probabilities"], axis=0),
             helper.make_node("ArgMax", ["x"], ["label"], axis=1, keepdims=0)]  # fmt: skip
    found, version = await answered(site, "across", graph(nodes, [LABEL, FIRST]))
    assert (version["classes"], version["scores"]) == (None, None)
    assert [each["prediction"] for each in found] == VALUES.argmax(axis=1).tolist()
