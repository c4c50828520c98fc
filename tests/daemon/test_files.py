"""Files written whole, and text files read whatever byte-order mark stands before them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stripwatch.files import read_utf8, write_whole

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


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("file")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"


def test_what_is_no_regular_file_is_written_into(tmp_path: Path) -> None:
    """A rename would put a file in place of the pipe, or of /dev/stdout."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(pipe, b"new")
        assert os.read(reader, 10) == b"new"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
