"""The alternative that a user would write: the same models behind plain FastAPI routes, with nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel, create_model

from examination.bundled import train

app = FastAPI()
trained = {bundled.name: bundled for bundled in train()}
models: dict[str, Any] = {name: bundled.estimator for name, bundled in trained.items()}
WINE = {f"f{number}": name for number, name in enumerate(trained["wine"].features)}


class IrisRow(BaseModel):
    sepal_length: float
    sepal_width: float
    petal_length: float
    petal_width: float


class Answer(BaseModel):
    prediction: str
    probabilities: dict[str, float]


# The features are numbered, since names with a slash cannot be fields.
WineRow = create_model("WineRow", **dict.fromkeys(WINE, (float, ...)))  # type: ignore[call-overload]  # mypy cannot check a dict's fields


class WineAnswer(BaseModel):
    prediction: int
    probabilities: dict[str, float]


@app.post("/wine")
async def predict_wine(row: WineRow) -> WineAnswer:  # type: ignore[valid-type]  # a type made at run time
    """Predicts with a forest of a hundred trees, inline."""
    return _wines([row])[0]


@app.post("/wine/batch")
async def predict_wines(rows: list[WineRow]) -> list[WineAnswer]:  # type: ignore[valid-type]  # the same
    """The same for many rows."""
    return _wines(rows)


def _wines(rows: list[Any]) -> list[WineAnswer]:
    model = models["wine"]
    values = np.array([[getattr(row, name) for name in WINE] for row in rows])
    labels, probabilities = model.predict(values).tolist(), model.predict_proba(values).tolist()
    names = [str(each) for each in model.classes_]
    return [
        WineAnswer(prediction=label, probabilities=dict(zip(names, each, strict=True)))
        for label, each in zip(labels, probabilities, strict=True)
    ]


@app.post("/predict")
async def predict(row: IrisRow) -> Answer:
    """`predict` and `predict_proba`, inline."""
    model = models["iris"]
    values = [[row.sepal_length, row.sepal_width, row.petal_length, row.petal_width]]
    label = model.predict(values)[0]
    probabilities = model.predict_proba(values)[0].tolist()
    return Answer(prediction=label, probabilities=dict(zip(model.classes_, probabilities, strict=True)))
