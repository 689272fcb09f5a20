"""The whole matrix: cells in which every pair of values that can stand together occurs, of several seeds."""

from __future__ import annotations

from collections import Counter
from itertools import chain, islice

import pytest

from tests.support.matrix.asking import Server
from tests.support.matrix.cells import MATRIX, case_of
from tests.support.matrix.verdicts import verdict_on

pytestmark = pytest.mark.filterwarnings("ignore")

SEEDS = (0, 1)


def test_every_cell_answers_as_its_estimator_or_is_refused_in_words(shared_server, rounds):
    """No wrong answer in any of them; each fault is listed with its cell."""
    cells = islice(chain.from_iterable(map(MATRIX.covering, SEEDS)), rounds(2_000))
    with Server(shared_server) as server:
        found = [(verdict_on(case_of(cell), server.register), cell) for cell in cells]
    print(dict(Counter(verdict.split(maxsplit=1)[0] for verdict, _ in found)))  # noqa: T201  a release needs the figures
    faults = [f"{verdict}\n    {cell}" for verdict, cell in found if verdict.startswith("FAULT")]
    assert not faults, "\n".join(faults)
