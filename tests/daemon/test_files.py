"""Text files read whatever byte-order mark stands before them."""

from __future__ import annotations

from pathlib import Path

import pytest

from stripwatch.files import read_utf8

TEXT = "name = 'Riß'\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_read_as_what_it_is(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(TEXT.encode(encoding))
    assert read_utf8(path).decode() == TEXT


@pytest.mark.parametrize("encoding", ["utf_16_le", "utf_16_be"])
def test_utf_16_has_two_orders(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(("\ufeff" + TEXT).encode(encoding))
    assert read_utf8(path).decode() == TEXT


def test_a_file_without_a_mark_is_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xff\x00")
    assert read_utf8(path) == b"\xff\x00"


def test_a_mark_that_lies_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xff\xfea")
    with pytest.raises(UnicodeDecodeError):
        read_utf8(path)
