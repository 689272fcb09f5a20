"""The matrix of estimators, columns, files, samples and labels: each cell answers as itself, or is refused in words."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.support.matrix.asking import Server
from tests.support.matrix.cells import MATRIX, case_of
from tests.support.matrix.verdicts import verdict_on

pytestmark = pytest.mark.filterwarnings("ignore")

#: The first cells have every value of every factor, and the most pairs of values.
CELLS = list(islice(MATRIX.covering(seed=10), 60))


@pytest.fixture(scope="module")
def server(shared_server):
    """The examiner stays warm in this process, and the server is one of its own."""
    with Server(shared_server) as server:
        yield server


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(cell.values()).replace(" ", "_"))
def test_a_cell_answers_as_its_estimator_or_is_refused_in_words(server, cell):
    """Each row of the sample, label types and probabilities included; no row of a caller's ends in 5xx."""
    verdict = verdict_on(case_of(cell), server.register)
    assert verdict == "answers" or verdict.startswith("refused: "), verdict
