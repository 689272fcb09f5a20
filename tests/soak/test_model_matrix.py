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
    server, verdicts = Server(shared_server), Counter()
    faults = []
    for cell in islice(chain.from_iterable(map(MATRIX.covering, SEEDS)), rounds(2_000)):
        verdict = verdict_on(case_of(cell), server.register)
        verdicts[verdict.partition(" ")[0].strip(":")] += 1
        if verdict.startswith("FAULT"):
            faults.append(f"{verdict}\n    {cell}")
    print(dict(verdicts))  # noqa: T201  the figures that a release needs
    assert not faults, "\n".join(faults)
