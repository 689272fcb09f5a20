"""The way in which tutorials serve a model: pydantic in and out, `predict` and `predict_proba` inline, nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import joblib
from fastapi import FastAPI
from pydantic import BaseModel

MODELS = {path.stem: joblib.load(path) for path in Path(os.environ["BENCHMARK_MODELS"]).glob("*.joblib")}
app = FastAPI()


class IrisRow(BaseModel):
    sepal_length: float
    sepal_width: float
    petal_length: float
    petal_width: float


class WineRow(BaseModel):
    alcohol: float
    malic_acid: float
    ash: float
    alcalinity_of_ash: float
    magnesium: float
    total_phenols: float
    flavanoids: float
    nonflavanoid_phenols: float
    proanthocyanins: float
    color_intensity: float
    hue: float
    # The feature's name has a slash, and no field can be named so.
    od280_od315: float
    proline: float


class Answer(BaseModel):
    prediction: str | int
    probabilities: dict[str, float]


def answers(name: str, rows: list[Any]) -> list[Answer]:
    model = MODELS[name]
    values = [list(row.__dict__.values()) for row in rows]
    labels, probabilities = model.predict(values).tolist(), model.predict_proba(values).tolist()
    names = [str(each) for each in model.classes_]
    return [
        Answer(prediction=label, probabilities=dict(zip(names, each, strict=True)))
        for label, each in zip(labels, probabilities, strict=True)
    ]


@app.post("/iris")
async def iris(row: IrisRow) -> Answer:
    return answers("iris", [row])[0]


@app.post("/wine")
async def wine(row: WineRow) -> Answer:
    return answers("wine", [row])[0]


@app.post("/wine/batch")
async def wines(rows: list[WineRow]) -> list[Answer]:
    return answers("wine", rows)


@app.post("/boosted")
async def boosted(row: WineRow) -> Answer:
    return answers("boosted", [row])[0]
