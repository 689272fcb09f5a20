"""The same question in the words of each server, and the answer read back."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from benchmarks.work import Model, Work

#: A label, or None where the server sends probabilities alone; and the probabilities in the order of the classes.
Row = tuple[Any, list[float]]


class Dialect:
    """Rows as Adyton takes them; the others say what differs."""

    #: A Lua pattern of what differs from answer to answer.
    varies = '"request_id":"[^"]*",'

    def serves(self, work: Work) -> bool:
        return True

    def path(self, work: Work) -> str:
        return f"/v1/models/{work.model}/predict" + ("/batch" if work.rows > 1 else "")

    def body(self, work: Work, model: Model, rows: list[list[float]]) -> Any:
        named = [model.named(row) for row in rows]
        return {"rows": named} if work.rows > 1 else named[0]

    def answer(self, model: Model, document: Any) -> list[Row]:
        return self.named_answers(model, document.get("predictions", [document]))

    @staticmethod
    def named_answers(model: Model, items: list[Any]) -> list[Row]:
        names = [str(label) for label in model.labels]
        return [(each["prediction"], [each["probabilities"][name] for name in names]) for each in items]


class Echo(Dialect):
    """Sends the row back."""

    def serves(self, work: Work) -> bool:
        return work.model == "iris"

    def path(self, work: Work) -> str:
        return "/echo"

    def answer(self, model: Model, document: Any) -> list[Row]:
        place = model.rows.index(list(document.values()))
        return [(None, model.probabilities[place])]


class Tutorial(Dialect):
    def path(self, work: Work) -> str:
        return f"/{work.model}" + ("/batch" if work.rows > 1 else "")

    def body(self, work: Work, model: Model, rows: list[list[float]]) -> Any:
        fields = [name.replace("/", "_").replace("_of_diluted_wines", "") for name in model.features]
        named = [dict(zip(fields, row, strict=True)) for row in rows]
        return named if work.rows > 1 else named[0]

    def answer(self, model: Model, document: Any) -> list[Row]:
        return self.named_answers(model, document if isinstance(document, list) else [document])


class OpenInference(Dialect):
    """The Open Inference Protocol V2, as MLServer speaks it. Probabilities alone are the least that says everything."""

    def path(self, work: Work) -> str:
        return f"/v2/models/{work.model}/infer"

    def body(self, work: Work, model: Model, rows: list[list[float]]) -> Any:
        values = [value for row in rows for value in row]
        shape = [len(rows), len(model.features)]
        inputs = [{"name": "rows", "shape": shape, "datatype": "FP64", "data": values}]
        return {"id": "0", "inputs": inputs, "outputs": [{"name": "predict_proba"}]}

    def answer(self, model: Model, document: Any) -> list[Row]:
        (output,) = document["outputs"]
        count, width = output["shape"]
        return [(None, output["data"][row * width : (row + 1) * width]) for row in range(count)]


class LitServe(Dialect):
    def path(self, work: Work) -> str:
        return f"/{work.model}"

    def body(self, work: Work, model: Model, rows: list[list[float]]) -> Any:
        return {"rows": rows}

    def answer(self, model: Model, document: Any) -> list[Row]:
        return list(zip(document["labels"], document["probabilities"], strict=True))


class BentoML(LitServe):
    def answer(self, model: Model, document: Any) -> list[Row]:
        return [(None, each) for each in document]


class Question(NamedTuple):
    """The requests of one work in one dialect: a path, several bodies, and what is right for each."""

    path: str
    bodies: list[bytes]
    expected: list[list[list[float]]]


def question(dialect: Dialect, work: Work, model: Model) -> Question:
    pairs = [model.body(number, work.rows) for number in range(len(model.rows))]
    bodies = [json.dumps(dialect.body(work, model, rows)).encode() for rows, _ in pairs]
    return Question(dialect.path(work), bodies, [probabilities for _, probabilities in pairs])
