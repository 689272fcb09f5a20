"""The search of texts for personal data and secrets: processor time per KiB and per slice, and for rows of numbers.

    python -m benchmarks.redaction [--kib 256] [--rounds 5]

The texts are searched as in production, slice by slice. The best of the rounds counts, since a machine's noise only
adds time. The last two lines show the time that redaction adds to a prediction of the bundled `iris` model, which has
no texts.
"""

from __future__ import annotations

import argparse
import time
import timeit
from collections.abc import Callable

import orjson

from audit.redaction import Redactor
from audit.searching import search_slice

TEXTS = {
    "prose": "The quick brown fox jumps over the lazy dog, and then it sleeps for an hour. ",
    "prose with accents": "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich, très vite. ",
    "orders": "Order 10042 of 2024-11-26, 3 items at 19.99 EUR, ship to 12 Main Street. ",
    "personal data": "4111111111111111 jane@example.com +49 30 1234567 DE89370400440532013000 ",
    "all digits": "1",
    "all letters": "a",
    "all plus": "+",
    "all at": "@",
    "a@a@": "a@",
    "digits and spaces": "1 ",
    "fours and dashes": "4-",
    "fours of a card": "4111 ",
    "numbers of eleven": "44051401358 ",
    "telephones that are none": "+99999999 ",
    "accounts that are none": "BE12 ",
}
ROW = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
ITEM = {"prediction": "setosa", "probabilities": {"setosa": 0.97, "versicolor": 0.02, "virginica": 0.01}}


def slices(text: str) -> list[float]:
    """The processor time of each slice, in seconds."""
    end, is_cut, seconds = 0, False, []
    while end < len(text):
        started = time.thread_time()
        _, end, is_cut = search_slice(text, end, is_cut=is_cut)
        seconds.append(time.thread_time() - started)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print("| text | CPU µs per KiB | longest slice, ms |\n|---|---|---|")
    for name, unit in TEXTS.items():
        text = (unit * (options.kib * 1024 // len(unit) + 1))[: options.kib * 1024]
        rounds = [slices(text) for _ in range(options.rounds)]
        each = min(map(sum, rounds)) / options.kib * 1e6
        # A slice's time is the best of its rounds. A thread holds the interpreter for the longest of these times.
        longest = max(map(min, zip(*rounds, strict=True))) * 1e3
        print(f"| {name} | {each:.0f} | {longest:.2f} |")
    redactor = Redactor(dict.fromkeys(ROW, "no"), texts=[])
    _beside("inputs", lambda: redactor.inputs([ROW], b"k" * 32), lambda: orjson.dumps([ROW]).decode())
    names = tuple(ITEM["probabilities"])
    _beside("outputs", lambda: redactor.changed([ITEM["prediction"]], names), lambda: orjson.dumps([ITEM]).decode())


def _beside(name: str, ours: Callable[[], object], plain: Callable[[], str]) -> None:
    runs = [timeit.repeat(call, timer=time.thread_time, number=5_000, repeat=21) for call in (ours, plain)]
    figures = [min(each) / 5_000 * 1e6 for each in runs]
    print(f"\n{name} of a row of numbers: {figures[0]:.2f} µs; encoding it takes {figures[1]:.2f} µs")


if __name__ == "__main__":
    main()
