"""The answers that clients saw: one line of JSON for each request, to be judged after the run and elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Answer:
    """One request and its answer; instants are seconds since 1970 on the client's clock.

    `status` is 0 where no answer came. `due` is when the request was to be sent: an open-loop client that is late has
    made its caller wait. `problem` is the last part of a problem's type. `wrong` says what is wrong with the content.
    """

    kind: str
    sent: float
    received: float
    status: int
    key_id: str = ""
    tenant: str = ""
    problem: str = ""
    request_id: str = ""
    rows: int = 0
    due: float = 0.0
    wrong: str = ""

    @property
    def is_prediction(self) -> bool:
        """Whether it is a prediction that was answered: it must be in the log."""
        return self.status == 200 and self.rows > 0

    @property
    def latency_ms(self) -> float:
        return (self.received - (self.due or self.sent)) * 1e3


def write_answers(path: Path, answers: Iterable[Answer]) -> None:
    path.write_text("".join(json.dumps(asdict(each)) + "\n" for each in answers))


def read_answers(path: Path) -> list[Answer]:
    return [Answer(**json.loads(line)) for line in path.read_text().splitlines()]
