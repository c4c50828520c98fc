"""Positions of readers: kept by name, from any process, in a bounded number."""

from __future__ import annotations

from pathlib import Path

import pytest

from stripwatch.errors import StorageError
from stripwatch.journal.positions import READERS_MAX, Positions


def test_a_position_is_kept_and_moves_both_ways(tmp_path: Path) -> None:
    """Two connections see each other's."""
    mine, other = Positions(tmp_path), Positions(tmp_path)
    assert mine.get("press") is None
    for seq in (5, 9, 2):
        mine.set("press", "stream", seq)
        position = other.get("press")
        assert position is not None
        assert (position.reader, position.stream, position.seq) == ("press", "stream", seq)
    assert other.forget("press")
    assert not mine.forget("press")
    assert mine.all() == []
    mine.close()
    other.close()


def test_one_reader_too_many_is_refused_and_the_known_go_on(tmp_path: Path) -> None:
    positions = Positions(tmp_path)
    for number in range(READERS_MAX):
        positions.set(f"reader-{number}", "s", 0)
    with pytest.raises(StorageError, match="forget"):
        positions.set("another", "s", 0)
    positions.set("reader-7", "s", 3)
    positions.close()
