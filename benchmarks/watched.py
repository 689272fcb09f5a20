"""`adyton`, whose event loop is watched: a callback notes every millisecond how late it is.

    python -m benchmarks.watched FILE serve --port 8000

When it ends, FILE holds the longest gaps as JSON: on the clock, and in CPU time of the loop's own thread. The first is
what callers wait; other work of the machine makes it longer, but not the second.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

BEAT_SECONDS = 0.001
#: Starting is not serving: imports and the loading of models hold the loop, and nobody is there.
STARTING_SECONDS = 10.0


class Watch:
    """The longest gaps of one loop, once it has run for a while."""

    def __init__(self, file: Path) -> None:
        self._since = self._clock = self._cpu = 0.0
        self.longest = {"gap_ms": 0.0, "cpu_ms": 0.0, "beats": 0}
        atexit.register(lambda: file.write_text(json.dumps(self.longest)))

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._since, self._clock, self._cpu = time.perf_counter(), time.perf_counter(), time.thread_time()
        loop.call_later(BEAT_SECONDS, self._beat)

    def _beat(self) -> None:
        clock, cpu = time.perf_counter(), time.thread_time()
        if clock - self._since > STARTING_SECONDS:
            longest = self.longest
            longest["gap_ms"] = max(longest["gap_ms"], (clock - self._clock - BEAT_SECONDS) * 1e3)
            longest["cpu_ms"] = max(longest["cpu_ms"], (cpu - self._cpu) * 1e3)
            longest["beats"] += 1
        self._clock, self._cpu = clock, cpu
        self._loop.call_later(BEAT_SECONDS, self._beat)


def main() -> None:
    watch = Watch(Path(sys.argv.pop(1)).absolute())
    make_loop = uvloop.new_event_loop

    def watched_loop() -> Any:
        loop = make_loop()
        loop.call_soon(watch.begin, loop)
        return loop

    uvloop.new_event_loop = watched_loop
    from cli.main import run  # noqa: PLC0415  it is to find the watched loop

    run()


if __name__ == "__main__":
    main()
