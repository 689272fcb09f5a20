"""Kinds of estimators: how each is made small, and what it can be given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from catboost import CatBoostClassifier, CatBoostRegressor
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from xgboost import XGBClassifier, XGBRegressor

ONE = {"int", "binary", "int with gaps", "text", "bool", "column of int"}
FROM_0 = {"int", "binary"}
NUMBER = {"float", "column of float"}


class Kind(NamedTuple):
    """`make` makes the estimator itself, and `wrap` what stands around it or around a whole pipeline.

    `takes` says what it takes besides dense floats: `missing` values, `categories` of pandas, `sparse` matrices.
    `writes` names the formats besides joblib's and skops' that its file can have.
    """

    make: Callable[[], Any]
    labels: set[str]
    takes: set[str] = frozenset()  # type: ignore[assignment]
    writes: set[str] = frozenset()  # type: ignore[assignment]
    wrap: Callable[[Any], Any] | None = None


def _logistic() -> Any:
    return LogisticRegression(max_iter=500)


def _tree() -> Any:
    return DecisionTreeClassifier(max_depth=4, random_state=0)


def _xgb() -> Any:
    return XGBClassifier(n_estimators=3, max_depth=3, enable_categorical=True, n_jobs=1)


def _lgbm() -> Any:
    return LGBMClassifier(n_estimators=3, min_child_samples=5, verbose=-1, n_jobs=1)


def _catboost(kind: Any = CatBoostClassifier) -> Any:
    return kind(iterations=3, depth=2, verbose=0, allow_writing_files=False, thread_count=1, random_seed=0)


_S, _M, _C = "sparse", "missing", "categories"
KINDS: dict[str, Kind] = {
    "logistic": Kind(_logistic, ONE, {_S}, {"onnx"}),
    "tree": Kind(_tree, ONE | {"two of int", "many"}, {_S, _M}, {"onnx"}),
    "forest": Kind(lambda: RandomForestClassifier(5, random_state=0), ONE | {"two of int", "many"}, {_S, _M}, {"onnx"}),
    "hist-gb": Kind(lambda: HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=5, random_state=0), ONE, {_M, _C}),
    "lightgbm": Kind(_lgbm, ONE, {_S, _M, _C}, {"native"}),
    "xgboost": Kind(_xgb, FROM_0 | {"many"}, {_S, _M, _C}, {"native"}),
    "catboost": Kind(_catboost, ONE - {"bool"}, {_S, _M}, {"native"}),
    "nearest": Kind(lambda: KNeighborsClassifier(3), ONE | {"two of int", "many"}, {_S}, {"onnx"}),
    "svc": Kind(lambda: SVC(random_state=0), ONE, {_S}),
    "linear-svc": Kind(lambda: LinearSVC(random_state=0, max_iter=5000), ONE, {_S}, {"onnx"}),
    "naive-bayes": Kind(GaussianNB, ONE, set(), {"onnx"}),
    "network": Kind(lambda: MLPClassifier((6,), max_iter=60, random_state=0), ONE | {"many"}, {_S}, {"onnx"}),
    "grid-search": Kind(_tree, ONE | {"many"}, {_S, _M}, wrap=lambda e: GridSearchCV(e, {}, cv=2)),
    "grid-search of xgboost": Kind(_xgb, FROM_0, {_S, _M, _C}, wrap=lambda e: GridSearchCV(e, {}, cv=2)),
    "calibrated": Kind(_logistic, ONE - {"column of int"}, {_S}, wrap=lambda e: CalibratedClassifierCV(e, cv=2)),
    "calibrated lightgbm": Kind(_lgbm, ONE - {"column of int"}, {_S, _M, _C}, wrap=lambda e: CalibratedClassifierCV(e, cv=2)),
    "voting": Kind(_logistic, ONE - {"column of int"}, {_S}, wrap=lambda e: VotingClassifier([("a", e), ("b", _tree())], voting="hard")),
    "voting of boosters": Kind(_xgb, ONE - {"column of int"}, {_S, _M, _C}, wrap=lambda e: VotingClassifier([("a", e), ("b", _lgbm())], voting="soft")),
    "stacking": Kind(_xgb, FROM_0 | {"text", "bool"}, {_S, _M, _C}, wrap=lambda e: StackingClassifier([("a", e), ("b", _lgbm())], _logistic(), cv=2)),
    "one-vs-rest": Kind(_logistic, ONE | {"many", "many, sparse"}, {_S}, wrap=OneVsRestClassifier),
    "multi-output": Kind(_lgbm, {"two of int", "many"}, {_S, _M, _C}, wrap=MultiOutputClassifier),
    "fixed-threshold": Kind(_logistic, {"binary", "bool"}, {_S}, wrap=lambda e: FixedThresholdClassifier(e, threshold=0.4)),
    "tuned-threshold": Kind(_logistic, {"binary", "bool"}, {_S}, wrap=lambda e: TunedThresholdClassifierCV(e, cv=2)),
    "ridge": Kind(Ridge, NUMBER | {"two of float"}, {_S}, {"onnx"}),
    "tree-regressor": Kind(lambda: DecisionTreeRegressor(max_depth=4, random_state=0), NUMBER | {"two of float"}, {_S, _M}, {"onnx"}),
    "forest-regressor": Kind(lambda: RandomForestRegressor(5, random_state=0), NUMBER | {"two of float"}, {_S, _M}, {"onnx"}),
    "hist-gb-regressor": Kind(lambda: HistGradientBoostingRegressor(max_iter=4, min_samples_leaf=5, random_state=0), NUMBER, {_M, _C}),
    "lightgbm-regressor": Kind(lambda: LGBMRegressor(n_estimators=3, min_child_samples=5, verbose=-1, n_jobs=1), NUMBER, {_S, _M, _C}, {"native"}),
    "xgboost-regressor": Kind(lambda: XGBRegressor(n_estimators=3, max_depth=3, enable_categorical=True, n_jobs=1), NUMBER | {"two of float"}, {_S, _M, _C}, {"native"}),
    "catboost-regressor": Kind(lambda: _catboost(CatBoostRegressor), NUMBER, {_S, _M}, {"native"}),
    "nearest-regressor": Kind(lambda: KNeighborsRegressor(3), NUMBER | {"two of float"}, {_S}),
    "network-regressor": Kind(lambda: MLPRegressor(hidden_layer_sizes=(6,), max_iter=60, random_state=0), NUMBER | {"two of float"}, {_S}, {"onnx"}),
    "transformed-target": Kind(Ridge, NUMBER, {_S}, wrap=lambda e: TransformedTargetRegressor(e, func=np.arcsinh, inverse_func=np.sinh)),
    "multi-output-regressor": Kind(lambda: LGBMRegressor(n_estimators=2, min_child_samples=5, verbose=-1, n_jobs=1), {"two of float"}, {_S, _M, _C}, wrap=MultiOutputRegressor),
    "stacking-regressor": Kind(lambda: DecisionTreeRegressor(max_depth=3, random_state=0), {"float"}, {_S, _M}, wrap=lambda e: StackingRegressor([("a", e)], Ridge(), cv=2)),
    "isolation-forest": Kind(lambda: IsolationForest(n_estimators=4, random_state=0), {"nothing"}, {_S, _M}, {"onnx"}),
    "outlier-factor": Kind(lambda: LocalOutlierFactor(n_neighbors=5, novelty=True), {"nothing"}, {_S}),
    "k-means": Kind(lambda: KMeans(3, n_init=2, random_state=0), {"nothing"}, {_S}, {"onnx"}),
    "mixture": Kind(lambda: GaussianMixture(2, random_state=0, reg_covar=1e-3), {"nothing"}),
}  # fmt: skip
