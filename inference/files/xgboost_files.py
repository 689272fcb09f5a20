"""XGBoost's own model files (JSON, UBJSON), answered as their own configuration says."""

from __future__ import annotations

import json
from typing import Any

from inference.files.boosters import NativeClassifier, NativeLabeller, NativeModel
from inference.files.refused import RefusedFile

#: Objectives whose answer is a label, whoever trained the booster.
_LABELLING = frozenset({"binary:logistic", "binary:hinge", "multi:softprob", "multi:softmax"})
#: Objectives whose answers (of `multi:softmax`: whose scores) are probabilities.
_PROBABLE = frozenset({"binary:logistic", "reg:logistic", "multi:softprob", "multi:softmax"})
LOST_CATEGORIES = (
    "the file has columns of categories and was written by XGBoost before 3.1, which did not keep them: train the model"
    " again with this release"
)


def xgboost_model(content: bytes) -> NativeModel:
    """A model that `save_model` wrote. Raises `RefusedFile`, or whatever XGBoost raises."""
    import xgboost  # noqa: PLC0415  loaded by those alone who have such a model

    booster = xgboost.Booster(params={"nthread": 1}, model_file=bytearray(content))
    learner = json.loads(booster.save_config())["learner"]
    facts = learner["learner_model_param"]
    objective, classes = learner["objective"]["name"], int(facts["num_class"])
    by_class = json.loads(booster.attr("scikit_learn") or "{}")
    given = (booster, _raw_of(booster, learner, is_scikit_learns=bool(by_class)), booster.num_features())
    named: dict[str, Any] = {
        "names": list(booster.feature_names or ()),
        "takes_frames": _has_categories(booster, content),
    }
    if by_class.get("_estimator_type") != "classifier" and (by_class or objective not in _LABELLING):
        return NativeModel(*given, **named)
    named["is_multi_label"] = int(facts["num_target"]) > 1
    if objective not in _PROBABLE:
        return NativeLabeller(*given, **named)
    to_probabilities = _softmax if objective == "multi:softmax" else None
    return NativeClassifier(*given, **named, classes=max(classes, 2), to_probabilities=to_probabilities)


def _raw_of(booster: Any, learner: Any, *, is_scikit_learns: bool) -> Any:
    """The booster's own prediction; for `multi:softmax` its scores, since it says no more than the label itself."""
    import xgboost  # noqa: PLC0415  see above

    kind = "margin" if learner["objective"]["name"] == "multi:softmax" else "value"
    if learner["gradient_booster"]["name"] == "gblinear":
        return lambda rows: booster.predict(
            xgboost.DMatrix(rows, feature_names=booster.feature_names), output_margin=kind == "margin"
        )
    # The scikit-learn class stops where early stopping found the best; a bare booster uses all of its trees.
    best = booster.attr("best_iteration") if is_scikit_learns else None
    trees = (0, int(best) + 1) if best is not None else (0, 0)
    return lambda rows: booster.inplace_predict(rows, iteration_range=trees, predict_type=kind, validate_features=False)


def _softmax(scores: Any) -> Any:
    from scipy.special import softmax  # noqa: PLC0415  loaded by those alone who have such a model

    return softmax(scores, axis=1)


def _has_categories(booster: Any, content: bytes) -> bool:
    """Whether it was trained on pandas categories. Raises `RefusedFile` if nobody can know."""
    if "c" not in (booster.feature_types or ()):
        return False
    if b"cats" not in content:
        raise RefusedFile(LOST_CATEGORIES)
    return not booster.get_categories().empty()
