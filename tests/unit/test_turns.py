"""Writers of one SQLite database take turns, and none waits for ever."""

from __future__ import annotations

import pytest

from db import turns as module
from db.turns import Turns


def test_one_writer_at_a_time_has_the_turn(tmp_path):
    """The next one has it when the first has written."""
    first, second = Turns(tmp_path / "a.db"), Turns(tmp_path / "a.db")
    with first.taken():
        assert not second._lock.try_take()
    with second.taken():
        assert not first._lock.try_take()


def test_a_writer_goes_on_without_a_turn_that_never_comes(tmp_path, monkeypatch):
    """A process that hangs while it has the turn holds nobody up; SQLite's own lock is what keeps writers apart."""
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.01)
    first, second = Turns(tmp_path / "a.db"), Turns(tmp_path / "a.db")
    with first.taken():
        with second.taken():
            pass
        assert not second._lock.try_take(), "it was not the second's to give back"


def test_a_writer_that_fails_gives_its_turn_back(tmp_path):
    """Whatever was raised meanwhile."""
    first, second = Turns(tmp_path / "a.db"), Turns(tmp_path / "a.db")
    with pytest.raises(RuntimeError), first.taken():
        raise RuntimeError
    assert second._lock.try_take()
