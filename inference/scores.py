"""The verb by which an estimator says more of a row than its label: how sure it is, how unusual, how far away."""

from __future__ import annotations

from typing import Any

#: An estimator has the first of these that it has a method for; the type is scikit-learn's, None for any.
_VERBS = (("decision_function", None), ("transform", "clusterer"), ("score_samples", "density_estimator"))


def verb_of(estimator: Any) -> str | None:
    """The estimator's verb for scores; None if it has none. Wrappers and pipelines have that of what they wrap."""
    kind = kind_of(estimator)
    return next((verb for verb, of in _VERBS if of in (None, kind) and hasattr(estimator, verb)), None)


def kind_of(estimator: Any) -> str | None:
    """scikit-learn's type of the estimator, such as `classifier` or `outlier_detector`; None if it says none."""
    try:
        kind: str | None = estimator.__sklearn_tags__().estimator_type
    except Exception:  # noqa: BLE001  a user's own estimator may raise anything, or know no tags
        return None
    return kind
