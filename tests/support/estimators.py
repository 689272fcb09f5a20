"""Estimators like those of users, each trained on a data set of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn import datasets
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    LinearRegression,
    LogisticRegression,
    Perceptron,
    PoissonRegressor,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, SVR, LinearSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier, XGBRegressor


class Trained(NamedTuple):
    """An estimator, the rows that it was trained on with their columns' names, and whether it is served compiled."""

    estimator: Any
    rows: Any
    is_compiled: bool
    given: Any  # what the estimator itself takes: the frame, its values, or a list of texts

    @property
    def frame(self) -> pd.DataFrame:
        return self.rows


def matrix(name: str) -> tuple[pd.DataFrame, Any]:
    loaded = getattr(datasets, f"load_{name}")()
    names = [str(each).replace(" (cm)", "") for each in getattr(loaded, "feature_names", range(loaded.data.shape[1]))]
    return pd.DataFrame(loaded.data, columns=names), loaded.target


def species() -> tuple[pd.DataFrame, Any]:
    frame, target = matrix("iris")
    return frame, datasets.load_iris().target_names[target].astype(object)


def as_matrix(estimator, data=species, *, is_compiled, fit=True):
    def make() -> Trained:
        frame, target = data()
        trained = estimator.fit(frame.to_numpy(), target) if fit else estimator.fit(frame.to_numpy())
        return Trained(trained, frame, is_compiled, frame.to_numpy())

    return make


def as_frame(estimator, data, *, is_compiled):
    def make() -> Trained:
        frame, target = data()
        return Trained(estimator.fit(frame, target), frame, is_compiled, frame)

    return make


def bottles(*, with_gaps: bool = True) -> tuple[pd.DataFrame, Any]:
    """Wines with a colour, a region, a vintage and truth values; `with_gaps` leaves some values out."""
    frame, target = matrix("wine")
    frame = frame[["alcohol", "malic_acid", "hue", "proline"]].copy()
    frame["colour"] = np.where(frame["hue"] > 1, "red", np.where(frame["hue"] > 0.8, "rosé", "white"))
    frame["region"] = [["north", "south", "east"][number % 3] for number in range(len(frame))]
    frame["vintage"] = 1990 + np.arange(len(frame)) % 20
    frame["is_dry"] = frame["malic_acid"] < 2
    if with_gaps:
        frame.loc[::7, "alcohol"] = np.nan
        frame.loc[::11, "colour"] = np.nan
    return frame, target


def whole_bottles() -> tuple[pd.DataFrame, Any]:
    return bottles(with_gaps=False)


def notes() -> tuple[pd.DataFrame, Any]:
    """A taster's notes, with a date as text."""
    frame, target = bottles(with_gaps=False)
    words = [
        f'A {c} wine, {"dry" if d else "sweet"} & from the {r}; "très bon" n°{n}'
        for n, (c, d, r) in enumerate(zip(frame["colour"], frame["is_dry"], frame["region"], strict=True))
    ]
    dates = [f"20{10 + n % 10}-{1 + n % 12:02}-{1 + n % 28:02}" for n in range(len(frame))]
    return pd.DataFrame({"note": words, "tasted_at": dates, "hue": frame["hue"]}), target


def month_of(frame: Any) -> Any:
    """Turns dates as text into months, like a function that a user wrote."""
    columns = pd.DataFrame(frame)
    return np.column_stack([pd.to_datetime(columns[name]).dt.month for name in columns])


def texts(estimator):
    def make() -> Trained:
        frame, target = notes()
        given = frame["note"].tolist()
        return Trained(estimator.fit(given, target), frame[["note"]], False, given)

    return make


def exercises() -> tuple[pd.DataFrame, Any]:
    return matrix("linnerud")


def two_labels() -> tuple[pd.DataFrame, Any]:
    frame, target = matrix("wine")
    return frame, np.column_stack([target, np.where(frame["hue"] > 1, 7, 9)])


def many_labels() -> tuple[pd.DataFrame, Any]:
    frame, target = matrix("iris")
    return frame, np.column_stack([target > 0, target > 1, frame["petal width"] > 1]).astype(int)


def regression(name: str = "diabetes"):
    return lambda: matrix(name)


def cancer() -> tuple[pd.DataFrame, Any]:
    return matrix("breast_cancer")


def truths() -> tuple[pd.DataFrame, Any]:
    frame, target = matrix("breast_cancer")
    return frame, target.astype(bool)


def mixed(*, imputes: bool) -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler()) if imputes else StandardScaler()
    words = OneHotEncoder(handle_unknown="ignore")
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), words) if imputes else words
    return ColumnTransformer(
        [
            ("numbers", numbers, ["alcohol", "hue", "vintage"]),
            ("words", words, ["colour", "region"]),
            ("truths", "passthrough", ["is_dry"]),
        ]
    )


C, T = True, False  # served compiled, or as trained
CATALOGUE: dict[str, Callable[[], Trained]] = {
    "logistic-regression": as_matrix(make_pipeline(StandardScaler(), LogisticRegression()), is_compiled=C),
    "logistic-regression-binary-bool": as_matrix(make_pipeline(StandardScaler(), LogisticRegression()), truths, is_compiled=C),
    "random-forest": as_matrix(RandomForestClassifier(100, random_state=0), lambda: matrix("wine"), is_compiled=C),
    "random-forest-of-two": as_matrix(RandomForestClassifier(50, random_state=0), cancer, is_compiled=C),
    "extra-trees-of-two": as_matrix(ExtraTreesClassifier(20, random_state=0), truths, is_compiled=C),
    "random-forest-scaled": as_matrix(make_pipeline(MinMaxScaler(), RandomForestClassifier(30, random_state=0)), cancer, is_compiled=C),
    "extra-trees": as_matrix(ExtraTreesClassifier(50, random_state=0), is_compiled=C),
    "decision-tree": as_matrix(DecisionTreeClassifier(random_state=0), cancer, is_compiled=C),
    "gradient-boosting": as_matrix(GradientBoostingClassifier(n_estimators=30, random_state=0), is_compiled=C),
    "bagging": as_matrix(BaggingClassifier(random_state=0), cancer, is_compiled=C),
    "ada-boost": as_matrix(AdaBoostClassifier(n_estimators=10, random_state=0), is_compiled=C),
    "hist-gradient-boosting": as_matrix(HistGradientBoostingClassifier(max_iter=20, random_state=0), is_compiled=T),
    "linear-svc": as_matrix(LinearSVC(random_state=0), is_compiled=T),
    "svc": as_matrix(make_pipeline(StandardScaler(), SVC()), is_compiled=T),
    "ridge-classifier": as_matrix(RidgeClassifier(), is_compiled=T),
    "perceptron": as_matrix(Perceptron(random_state=0), is_compiled=C),
    "sgd": as_matrix(make_pipeline(StandardScaler(), SGDClassifier(random_state=0)), is_compiled=C),
    "nearest-neighbours": as_matrix(KNeighborsClassifier(), is_compiled=T),
    "naive-bayes": as_matrix(GaussianNB(), lambda: matrix("wine"), is_compiled=C),
    "neural-network": as_matrix(make_pipeline(StandardScaler(), MLPClassifier((20,), max_iter=400, random_state=0)), is_compiled=C),
    "linear-discriminant": as_matrix(LinearDiscriminantAnalysis(), is_compiled=C),
    "quadratic-discriminant": as_matrix(QuadraticDiscriminantAnalysis(), is_compiled=C),
    "pca-and-polynomials": as_matrix(make_pipeline(StandardScaler(), PCA(3), PolynomialFeatures(2), LogisticRegression(max_iter=1000)), is_compiled=T),
    "digits": as_matrix(make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)), lambda: matrix("digits"), is_compiled=C),
    "stacking": as_matrix(StackingClassifier([("a", GaussianNB()), ("b", DecisionTreeClassifier(random_state=0))]), is_compiled=C),
    "voting": as_matrix(VotingClassifier([("a", GaussianNB()), ("b", DecisionTreeClassifier(random_state=0))], voting="soft"), is_compiled=T),
    "calibrated": as_matrix(CalibratedClassifierCV(GaussianNB(), cv=3), is_compiled=C),
    "grid-search": as_matrix(GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.1, 1]}), is_compiled=C),
    "one-vs-rest": as_matrix(OneVsRestClassifier(LogisticRegression()), is_compiled=C),
    "linear-regression": as_matrix(LinearRegression(), regression(), is_compiled=C),
    "elastic-net": as_matrix(make_pipeline(StandardScaler(), ElasticNet()), regression(), is_compiled=C),
    "random-forest-regressor": as_matrix(RandomForestRegressor(50, random_state=0), regression(), is_compiled=C),
    "extra-trees-regressor": as_matrix(ExtraTreesRegressor(30, random_state=0), regression(), is_compiled=C),
    "gradient-boosting-regressor": as_matrix(GradientBoostingRegressor(n_estimators=30, random_state=0), regression(), is_compiled=C),
    "hist-gradient-boosting-regressor": as_matrix(HistGradientBoostingRegressor(max_iter=20, random_state=0), regression(), is_compiled=T),
    "svr": as_matrix(make_pipeline(StandardScaler(), SVR()), regression(), is_compiled=C),
    "nearest-neighbours-regressor": as_matrix(KNeighborsRegressor(), regression(), is_compiled=T),
    "gaussian-process": as_matrix(GaussianProcessRegressor(alpha=0.1), regression(), is_compiled=C),
    "poisson": as_matrix(PoissonRegressor(max_iter=1000), regression(), is_compiled=C),
    "voting-regressor": as_matrix(VotingRegressor([("a", LinearRegression()), ("b", KNeighborsRegressor())]), regression(), is_compiled=C),
    "transformed-target": as_matrix(TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1), regression(), is_compiled=T),
    "multi-output-regressor": as_matrix(LinearRegression(), exercises, is_compiled=C),
    "multi-output-forest": as_matrix(RandomForestRegressor(20, random_state=0), exercises, is_compiled=C),
    "multi-output-wrapped": as_matrix(MultiOutputRegressor(GradientBoostingRegressor(n_estimators=5, random_state=0)), exercises, is_compiled=C),
    "multi-output-classifier": as_matrix(MultiOutputClassifier(DecisionTreeClassifier(random_state=0)), two_labels, is_compiled=T),
    "multi-output-forest-classifier": as_matrix(RandomForestClassifier(10, random_state=0), two_labels, is_compiled=T),
    "multi-label": as_matrix(OneVsRestClassifier(LogisticRegression()), many_labels, is_compiled=T),
    "k-means": as_matrix(KMeans(3, n_init=3, random_state=0), is_compiled=C, fit=False),
    "mini-batch-k-means": as_matrix(MiniBatchKMeans(4, n_init=3, random_state=0), lambda: matrix("wine"), is_compiled=C, fit=False),
    "gaussian-mixture": as_matrix(GaussianMixture(3, random_state=0), is_compiled=T, fit=False),
    "isolation-forest": as_matrix(IsolationForest(n_estimators=20, random_state=0), is_compiled=C, fit=False),
    "one-class-svm": as_matrix(OneClassSVM(), is_compiled=T, fit=False),
    "local-outlier-factor": as_matrix(LocalOutlierFactor(novelty=True), is_compiled=T, fit=False),
    "mixed-types": as_frame(make_pipeline(mixed(imputes=False), LogisticRegression(max_iter=1000)), whole_bottles, is_compiled=C),
    "mixed-types-forest": as_frame(make_pipeline(mixed(imputes=False), RandomForestClassifier(20, random_state=0)), whole_bottles, is_compiled=C),
    "mixed-types-with-gaps": as_frame(make_pipeline(mixed(imputes=True), RandomForestClassifier(20, random_state=0)), bottles, is_compiled=T),
    "missing-numbers": as_frame(make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
                                lambda: (bottles()[0][["alcohol", "hue", "proline"]], bottles()[1]), is_compiled=C),
    "ordinal-and-bins": as_frame(make_pipeline(make_column_transformer(
        (OrdinalEncoder(), ["colour", "region"]), (KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf"), ["hue"])), DecisionTreeClassifier(random_state=0)),
        whole_bottles, is_compiled=T),
    "target-encoder": as_frame(make_pipeline(make_column_transformer(
        (TargetEncoder(random_state=0), ["colour"]), remainder="drop"), LogisticRegression()), whole_bottles, is_compiled=T),
    "text": texts(make_pipeline(TfidfVectorizer(), LogisticRegression())),
    "text-and-dates": as_frame(make_pipeline(make_column_transformer(
        (TfidfVectorizer(), "note"), (FunctionTransformer(month_of), ["tasted_at"]), remainder="passthrough"),
        LogisticRegression(max_iter=1000)), notes, is_compiled=T),
    "hist-gradient-boosting-frame": as_frame(HistGradientBoostingClassifier(max_iter=10, random_state=0),
                                             lambda: (bottles()[0][["alcohol", "hue"]], bottles()[1]), is_compiled=T),
    "xgboost": as_matrix(XGBClassifier(n_estimators=20), lambda: matrix("wine"), is_compiled=T),
    "xgboost-frame": as_frame(XGBClassifier(n_estimators=10), cancer, is_compiled=T),
    "xgboost-regressor": as_matrix(XGBRegressor(n_estimators=20), regression(), is_compiled=T),
    "lightgbm": as_matrix(LGBMClassifier(n_estimators=20, verbose=-1), is_compiled=T),
    "lightgbm-frame": as_frame(LGBMClassifier(n_estimators=10, verbose=-1), cancer, is_compiled=T),
    "lightgbm-regressor": as_matrix(LGBMRegressor(n_estimators=20, verbose=-1), regression(), is_compiled=T),
}  # fmt: skip
