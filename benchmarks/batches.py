"""Processor time of one batch through the `Predictor`, charged and recorded as in production, without HTTP.

    python -m benchmarks.batches [--rows 100] [--rounds 5]

Three models: `iris` (4 numbers, compiled), a forest of 13 numbers (compiled), a model of texts (as trained). Sixteen
callers ask at once, so that the log commits groups as it does under load. The best of the rounds counts, since a
machine's noise only adds time. All threads count, the log's writer too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from api.app import create_app
from auth.credentials import Presented
from auth.principal import Principal
from program.parts import Parts
from serving.admission import PREDICTION
from serving.call import Call
from serving.predictor import Question
from serving.wire.native import ROWS
from tests.support.site import IRIS, Site

CALLERS, TIMES = 16, 20


def _prepare(site: Site, rows: int) -> dict[str, bytes]:
    """Registers the models; returns a body for each."""
    site.prepare()
    wine = load_wine()
    names = [name.replace("/", "_") for name in wine.feature_names]
    site.model("forest", RandomForestClassifier(30, random_state=0).fit(wine.data, wine.target), wine.data, names)
    words = [f"a {taste} wine from the {place}, number {n % 7}" for n, (taste, place) in enumerate(_TASTES * 20)]
    judge = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(words, [n % 2 for n in range(len(words))])
    site.model("words", judge, [[word] for word in words], ["text"])
    batches: dict[str, list[Any]] = {
        "iris": [IRIS | {"sepal_length": 4 + number / 50} for number in range(rows)],
        "forest": [dict(zip(names, map(float, wine.data[number % 178]), strict=True)) for number in range(rows)],
        "words": [{"text": words[number % len(words)]} for number in range(rows)],
    }
    return {name: json.dumps({"rows": batch}).encode() for name, batch in batches.items()}


_TASTES = [("dry", "north"), ("sweet", "south"), ("sour", "east"), ("bitter", "west")]


async def _ask(parts: Parts, principal: Principal, model: str, body: bytes) -> bytes:
    async def read() -> bytes:
        return body

    question = Question(model, None, ROWS, read, asyncio.Event().wait)  # type: ignore[arg-type]  it never returns
    async with parts.admissions.admitted(Call("127.0.0.1"), principal, PREDICTION) as admission:
        return await parts.predictor.predict(admission, question)


async def _measure(site: Site, bodies: dict[str, bytes], rounds: int) -> dict[str, float]:
    """The microseconds of each model's batch."""
    app = create_app(site.settings)
    key = site.key()
    best: dict[str, list[float]] = {name: [] for name in bodies}
    async with app.router.lifespan_context(app):
        parts: Parts = app.state.parts
        principal = await parts.credentials.holder(Presented(key.encode(), is_key=True, address="127.0.0.1"))
        for _ in range(rounds):
            for name, body in bodies.items():
                await _ask(parts, principal, name, body)
                started = time.process_time()
                for _ in range(TIMES):
                    await asyncio.gather(*(_ask(parts, principal, name, body) for _ in range(CALLERS)))
                best[name].append((time.process_time() - started) / TIMES / CALLERS * 1e6)
    return {name: min(each) for name, each in best.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        site = Site(Path(directory))
        bodies = _prepare(site, options.rows)
        found = asyncio.run(_measure(site, bodies, options.rounds))
        site.close()
    print("| model | bytes | CPU µs |\n|---|---|---|")
    for name, microseconds in found.items():
        print(f"| {name} | {len(bodies[name])} | {microseconds:.0f} |")


if __name__ == "__main__":
    main()
