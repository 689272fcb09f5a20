"""CatBoost's own model files (`.cbm`, JSON), opened by its own library, which is an extra."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.files.boosters import NativeModel
from inference.files.refused import RefusedFile

#: The form in which CatBoost's own regressor answers, where it is not the sum of the trees. One that was opened from
#: bytes has forgotten it.
_FORMS = {"Poisson": "Exponent", "Tweedie": "Exponent", "RMSEWithUncertainty": "RMSEWithUncertainty"}


def without_catboost() -> RefusedFile:
    """The refusal of a file where the extra is not installed."""
    return RefusedFile("the file needs CatBoost, which is not installed here: pip install adyton[catboost]")


def catboost_model(content: bytes) -> NativeModel:
    """A model that `save_model` wrote. Raises `RefusedFile`, or whatever CatBoost raises."""
    try:
        import catboost  # noqa: PLC0415  an extra, loaded by those alone who have such a model
    except ImportError:
        raise without_catboost() from None
    model = catboost.CatBoost()
    if content.startswith(b"CBM1"):
        model.load_model(blob=content)
    else:
        # It reads JSON from files alone.
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.json"
            file.write_bytes(content)
            model.load_model(str(file), format="json")
    if embedded := [model.feature_names_[index] for index in model.get_embedding_feature_indices()]:
        raise RefusedFile(
            f"the model has embedding features ({', '.join(embedded[:10])}), which a row of JSON has no form for: train"
            " it on a feature for each of their numbers"
        )
    return CatBoostClasses(model) if len(model.classes_) else CatBoostNumbers(model)


def names_of(model: Any) -> list[str]:
    """The names of its columns; none if it was trained on a matrix, whose columns CatBoost numbers."""
    names: list[str] = list(model.feature_names_)
    return [] if names == [str(number) for number in range(len(names))] else names


class _CatBoostModel(NativeModel):
    def __init__(self, model: Any, form: str) -> None:
        names = names_of(model)
        takes_frames = bool(model.get_cat_feature_indices() or model.get_text_feature_indices())
        super().__init__(model, self._in_form(model, form), len(model.feature_names_), names, takes_frames=takes_frames)

    @staticmethod
    def _in_form(model: Any, form: str) -> Any:
        return lambda rows: model.predict(rows, prediction_type=form, thread_count=1)


class CatBoostNumbers(_CatBoostModel):
    """A regressor or a ranker: its answer is a number, or several (quantiles; a mean and its variance)."""

    def __init__(self, model: Any) -> None:
        loss = str(model.get_all_params().get("loss_function", "")).partition(":")[0]
        super().__init__(model, _FORMS.get(loss, "RawFormulaVal"))


class CatBoostClasses(_CatBoostModel):
    """A classifier: of one label with the model's own names and its own threshold, or of several labels."""

    def __init__(self, model: Any) -> None:
        super().__init__(model, "Class")
        self._probabilities = self._in_form(model, "Probability")
        self.classes_ = np.asarray(model.classes_)

    def predict_proba(self, rows: Any) -> NDArray[Any]:
        self._check(rows)
        return np.asarray(self._probabilities(rows))
