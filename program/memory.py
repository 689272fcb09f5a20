"""The memory that is left to this process: its machine's, or its control group's where that allows less."""

from __future__ import annotations

from pathlib import Path

RESERVE_BYTES = 64 << 20
_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def has_memory() -> bool:
    """Whether enough memory is left to answer; True where neither source exists (Linux has both)."""
    return min(_of_machine(), _of_group()) >= RESERVE_BYTES


def _of_machine() -> float:
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return float("inf")
    available = next((line for line in lines if line.startswith("MemAvailable:")), None)
    return float("inf") if available is None else int(available.split()[1]) * 1024


def _of_group() -> float:
    try:
        limit = (_GROUP / "memory.max").read_text().strip()
        used = int((_GROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return float("inf")
    return float("inf") if limit == "max" else int(limit) - used
