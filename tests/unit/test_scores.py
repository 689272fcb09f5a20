"""The scores that estimators have beside their labels, and what each is called."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import Birch, KMeans
from sklearn.ensemble import (
    AdaBoostClassifier,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDOneClassSVM
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from examination.scores import scores_of
from inference.engines import TrainedEngine
from inference.outputs import class_names_of
from inference.rows.inputs import matrix_of
from inference.scores import verb_of
from tests.support.toy_models import Toy

pytestmark = pytest.mark.filterwarnings("ignore")

NAMES = ("a", "b", "c")
VALUES = np.random.default_rng(0).normal(size=(120, 3))
PLACES = (VALUES[:, 0] > 0) + 2 * (VALUES[:, 1] > 0)
TWO, THREE, FOUR = PLACES % 2, np.minimum(PLACES, 2), PLACES
ANIMALS = np.array(["cat", "dog", "eel", "fox"], dtype=object)
OVO = SVC(decision_function_shape="ovo")


class DependsOnOthers(Toy):
    """A row's score is its distance from the rows beside it."""

    def decision_function(self, rows):
        return np.asarray(rows, float)[:, 0] - np.asarray(rows, float)[:, 0].mean()


class SaysItCannot(Toy):
    def decision_function(self, rows):
        raise NotImplementedError(f"secret {rows}")


class ManyToARow(Toy):
    def decision_function(self, rows):
        return np.zeros((len(rows), 2, 2))


def scored(estimator, target, values=VALUES):
    """The report on the estimator's scores, and its engine."""
    if target is not None or not isinstance(estimator, Toy):
        estimator = estimator.fit(values, target)
    inputs = matrix_of(NAMES)
    rows = [dict(zip(NAMES, map(float, row), strict=True)) for row in values]
    engine = TrainedEngine(estimator, inputs, class_names_of(estimator, inputs(rows)))
    report = scores_of(estimator, engine, rows, [], None)
    return report, TrainedEngine(estimator, inputs, engine.class_names, report), rows


SCORED = {
    "two classes": (LogisticRegression(), TWO, ["1"]),
    "two texts": (LinearSVC(random_state=0), ANIMALS[TWO], ["dog"]),
    "truth values": (LinearSVC(random_state=0), TWO > 0, ["true"]),
    "three texts": (SVC(), ANIMALS[THREE], ["cat", "dog", "eel"]),
    "pairs of two": (OVO, TWO, ["1"]),
    "pairs of three": (OVO, ANIMALS[THREE], ["cat/dog", "cat/eel", "dog/eel"]),
    "pairs of four, within": (GridSearchCV(make_pipeline(StandardScaler(), OVO), {"svc__C": [1.0]}, cv=2), FOUR,
                              ["0/1", "0/2", "0/3", "1/2", "1/3", "2/3"]),
    "pairs whose names would be the same": (OVO, np.array(["a", "a/a", "a/b", "b"], dtype=object)[FOUR],
                                            ["0", "1", "2", "3", "4", "5"]),
    "no pairs, though its members have them": (AdaBoostClassifier(OVO, n_estimators=2), ANIMALS[THREE], ["cat", "dog", "eel"]),
    "one against one": (OneVsOneClassifier(LinearSVC(random_state=0)), ANIMALS[FOUR], list(ANIMALS)),
    "several labels": (OneVsRestClassifier(LinearSVC(random_state=0)), np.column_stack([TWO, FOUR > 1]), ["0", "1"]),
    "a stack": (StackingClassifier([("a", GaussianNB())], LogisticRegression(), cv=2), THREE, ["0", "1", "2"]),
    "a threshold": (FixedThresholdClassifier(LogisticRegression(), threshold=0.3), ANIMALS[TWO], ["dog"]),
    "a detector": (IsolationForest(n_estimators=5, random_state=0), None, ["inlier"]),
    "a detector within": (make_pipeline(StandardScaler(), SGDOneClassSVM(random_state=0)), None, ["inlier"]),
    "clusters": (make_pipeline(StandardScaler(), KMeans(3, n_init=1, random_state=0)), None, ["0", "1", "2"]),
    "leaves as clusters": (Birch(n_clusters=None, threshold=1.5), None, None),
    "a density": (GaussianMixture(2, random_state=0), None, ["log_density"]),
    "a density within": (make_pipeline(StandardScaler(), BayesianGaussianMixture(n_components=2, random_state=0)), None,
                         ["log_density"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", SCORED)
def test_scores_have_names_and_are_the_estimators_own(kind):
    """Classes where they are a class's, pairs where they decide between two, and numbers where nothing is known."""
    estimator, target, names = SCORED[kind]
    report, engine, rows = scored(estimator, target)
    wanted = np.reshape(getattr(estimator, verb_of(estimator))(VALUES), (len(rows), -1))
    assert report.names == (names or [str(number) for number in range(wanted.shape[1])])
    assert not report.compiled
    assert engine.compute_scored(rows).scores == wanted.tolist()
    assert engine.compute(rows).scores is None


UNSCORED = {
    "a regressor": (LinearRegression(), TWO.astype(float)),
    "probabilities alone": (RandomForestClassifier(5, random_state=0), THREE),
    "a calibrated classifier": (CalibratedClassifierCV(LinearSVC(random_state=0), cv=2), THREE),
    "a transform that is no distance": (VotingClassifier([("a", GaussianNB())], voting="soft"), THREE),
    "leaves that are no clusters": (Birch(n_clusters=2, threshold=0.5), None),
    "scores that depend on the rows beside": (DependsOnOthers(), None),
    "a verb that raises": (SaysItCannot(), None),
    "several rows to a row": (ManyToARow(), None),
}


@pytest.mark.parametrize("kind", UNSCORED)
def test_what_is_no_score_is_not_offered(kind):
    """The model is served without: its predictions are not touched."""
    report, engine, rows = scored(*UNSCORED[kind])
    assert report is None
    assert engine.score_names is None
    assert engine.compute_scored(rows[:3]) == engine.compute(rows[:3])


def test_the_first_of_a_pair_is_the_one_that_a_positive_score_speaks_for():
    """As libsvm has it: a row of `cat` is above 0 in both of its pairs."""
    report, engine, rows = scored(OVO, ANIMALS[THREE])
    for label, scores in zip(*engine.compute_scored(rows)[::2], strict=True):
        votes = [pair.split("/")[score <= 0] for pair, score in zip(report.names, scores, strict=True)]
        assert votes.count(label) == max(map(votes.count, votes))
