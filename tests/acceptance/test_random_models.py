"""Pipelines and frames drawn at random: what is registered answers every row as itself, the rest is refused in words."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.matrix.asking import InProcess, Server
from tests.support.matrix.random_models import cases
from tests.support.matrix.verdicts import verdict_on

pytestmark = pytest.mark.filterwarnings("ignore")

SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def test_a_random_pipeline_answers_as_itself_or_is_refused_in_words(rounds):
    """Through examination, the stored report and schema, and JSON, in this process."""
    count = rounds(1_000, 30)
    verdicts = []

    @settings(max_examples=count, derandomize=count < 1_000, suppress_health_check=SLOW, database=None)
    @given(cases())
    def holds(case):
        verdict = verdict_on(case, InProcess)
        verdicts.append(verdict)
        assert not verdict.startswith("FAULT"), f"{verdict}\n{case.estimator}\n{case.frame.dtypes}\n{case.cell}"

    holds()
    # Most are not refused: otherwise this would show nothing.
    assert verdicts.count("answers") > 0.7 * len(verdicts), verdicts


def test_a_random_pipeline_answers_as_itself_over_http(shared_server, rounds):
    """The same for a few in a server."""

    @settings(max_examples=rounds(50, 3), derandomize=True, suppress_health_check=SLOW, database=None)
    @given(cases())
    def holds(case):
        verdict = verdict_on(case, server.register)
        assert not verdict.startswith("FAULT"), f"{verdict}\n{case.estimator}\n{case.frame.dtypes}\n{case.cell}"

    with Server(shared_server) as server:
        holds()
