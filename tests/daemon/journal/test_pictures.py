"""The file of pictures: by event, with a limit of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from stripwatch.errors import StorageError
from stripwatch.journal.pictures import Picture, PictureStore


def test_pictures_come_back_by_event_and_stream(tmp_path: Path) -> None:
    """Also to a reader in another process; another stream's are not mixed up with them."""
    store = PictureStore(tmp_path)
    crop = Picture("one", 7, "crop", (3, 4), b"crop")
    mask = Picture("one", 7, "mask", (3, 4), b"mask")
    store.add([crop, mask, Picture("two", 7, "crop", (0, 0), b"other")])
    reader = PictureStore(tmp_path, read_only=True)
    assert reader.get("one", 7) == [crop, mask]
    assert reader.get("one", 8) == []
    reader.close()
    store.close()


def test_the_oldest_go_where_there_is_too_much(tmp_path: Path) -> None:
    """What stays takes less than the limit, and is the newest."""
    store = PictureStore(tmp_path)
    bytes_max = 5_000_000
    for first in range(0, 1000, 50):
        store.add([Picture("s", first + n, "crop", (0, 0), b"x" * 10_000) for n in range(50)])
        store.keep(bytes_max)
    kept = [seq for seq in range(1000) if store.get("s", seq)]
    assert kept == list(range(kept[0], 1000))
    assert 0 < len(kept) * 10_000 <= bytes_max
    store.close()


def test_a_reader_without_a_file_is_told_which_key_makes_one(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"pictures\.crops"):
        PictureStore(tmp_path, read_only=True)
