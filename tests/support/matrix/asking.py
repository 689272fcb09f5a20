"""Two ways to register a case and ask its model: within this process, and over HTTP."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Self

from admin.facts import InvalidValue
from examination.examine import examine
from examination.orders import Order, RefusedModel
from inference.files.model_files import format_of
from inference.loading import _engine
from inference.outputs import NotComputable
from inference.report import CompilationReport
from inference.rows.schema import InvalidRows, RowSchema
from serving.wire.native import ROW, ROWS
from tests.support.matrix.cells import Case
from tests.support.matrix.verdicts import Answer
from tests.support.patience import until

ROOM = 1_000
_NUMBERS = itertools.count()


class InProcess:
    """A case examined as registration does it, loaded as a server does it, and asked in JSON."""

    def __init__(self, case: Case) -> None:
        name, content = case.model
        sample_name, sample = case.sample or (None, None)
        kind = format_of(name, content)
        order = Order(format=kind, sample_name=sample_name, is_compiled=case.is_compiled)
        examined = examine(content, sample, order)
        self.document = json.loads(json.dumps(examined.row_schema))
        stored = json.loads(json.dumps(examined.report.to_stored()))
        self._schema = RowSchema(self.document, ROOM)
        self.example = self._schema.example()
        version = SimpleNamespace(format=kind, row_schema=self.document, report=CompilationReport.from_stored(stored))
        self._engine = _engine(version, content, examined.compiled, self._schema, ())
        self.engine = self._engine.name

    def answer(self, row: dict[str, Any]) -> Answer:
        answer = self._answered(lambda: ROW.rows(self._schema, json.dumps(row).encode()))
        return answer if answer.status != 200 else Answer(200, answer.said[0])

    def answers(self, rows: Sequence[dict[str, Any]]) -> Answer:
        return self._answered(lambda: ROWS.rows(self._schema, json.dumps({"rows": rows}).encode()))

    def _answered(self, read: Any) -> Answer:
        try:
            rows = read()
            found = self._engine.compute(rows)
        except InvalidRows as refused:
            return Answer(422, [f"{each.at} {each.message}" for each in refused.errors[:3]])
        except NotComputable:
            return Answer(422, "too large")
        except Exception as error:  # noqa: BLE001  a server answers 500 for it
            return Answer(500, f"{type(error).__name__}: {error}")
        return Answer(
            200, [_item(label, place, found, self._engine.class_names) for place, label in enumerate(found.labels)]
        )


def _item(label: Any, place: int, found: Any, names: Any) -> dict[str, Any]:
    if found.probabilities is None:
        return {"prediction": label}
    values = found.probabilities[place]
    if names and not isinstance(names[0], str):
        each = [dict(zip(some, output, strict=True)) for some, output in zip(names, values, strict=True)]
        return {"prediction": label, "probabilities": each}
    return {"prediction": label, "probabilities": dict(zip(names, values, strict=True))}


class Server:
    """A running server, at whose site cases are registered, each under a name of its own; a context for its client."""

    def __init__(self, server: Any) -> None:
        self.site = server.site
        self.client = server.client(server.site.key())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.client.close()

    def register(self, case: Case) -> OverHttp:
        """Opens the file in this process, which is warm; the server then opens it for itself. Raises `RefusedModel`."""
        name = f"case-{next(_NUMBERS)}"
        file_name, content = case.model
        sample_name, sample = case.sample or (None, None)
        try:
            self.site.register(
                name, file_name, content, sample_name=sample_name, sample=sample, is_public=True, is_apart=False,
                is_compiled=case.is_compiled,
            )  # fmt: skip
        except InvalidValue as refused:
            raise RefusedModel(str(refused)) from None
        return OverHttp(self.client, name)


class OverHttp:
    """A registered model, asked by its callers' route."""

    def __init__(self, client: Any, name: str) -> None:
        self._client, self._path = client, f"/v1/models/{name}"
        shown = self._shown()
        self.document, (version,) = shown["schema"], shown["version_details"]
        self.example, self.engine = version["example"], version["engine"]

    def _shown(self) -> dict[str, Any]:
        """The model's description, once the server has it. Descriptions have an allowance: one answer is enough."""
        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            answer = self._client.get(self._path)
            found.extend([answer.json()] if answer.status_code == 200 else [])
            return bool(found)

        until(is_there)
        return found[0]

    def answer(self, row: dict[str, Any]) -> Answer:
        answer = self._client.post(f"{self._path}/predict", json=row)
        return Answer(answer.status_code, answer.json() if answer.status_code == 200 else answer.text)

    def answers(self, rows: Sequence[dict[str, Any]]) -> Answer:
        answer = self._client.post(f"{self._path}/predict/batch", json={"rows": rows})
        return Answer(answer.status_code, answer.json()["predictions"] if answer.status_code == 200 else answer.text)
