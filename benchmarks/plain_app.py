"""What a user would write instead: the same model behind a plain FastAPI route, with nothing else."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from inference.bundled import train

app = FastAPI()
models: dict[str, Any] = {bundled.name: bundled.estimator for bundled in train()}


class IrisRow(BaseModel):
    sepal_length: float
    sepal_width: float
    petal_length: float
    petal_width: float


class Answer(BaseModel):
    prediction: str
    probabilities: dict[str, float]


@app.post("/predict")
async def predict(row: IrisRow) -> Answer:
    """`predict` and `predict_proba`, inline."""
    model = models["iris"]
    values = [[row.sepal_length, row.sepal_width, row.petal_length, row.petal_width]]
    label = model.predict(values)[0]
    probabilities = model.predict_proba(values)[0].tolist()
    return Answer(prediction=label, probabilities=dict(zip(model.classes_, probabilities, strict=True)))
