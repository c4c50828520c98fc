"""The note by which other processes find a daemon."""

from __future__ import annotations

import fcntl
import os
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from stripwatch.config.sections import Camera, Config, EngineSection, Geometry, Input, Publish
from stripwatch.engines.manifest import DefectClass, Gate
from stripwatch.errors import AddressError
from stripwatch.service import running
from stripwatch.service.running import NOTE_NAME, Running, RunningNote, find_running


def running_with(path: Path) -> Running:
    return Running(
        path=str(path.resolve()),
        config=Config(
            line=Geometry(frame_lines=8, frame_pixels=8, mm_per_line=0.1, mm_per_pixel=1),
            cameras=(Camera(name="top"),),
            inputs=(Input(endpoint="ipc:///in"),),
            engine=EngineSection(folder="/engine"),
            publish=Publish(endpoint="ipc:///out"),
        ),
        engine_hash="a" * 64,
        classes=(DefectClass(1, "pits", 0.3, 7),),
        gate=Gate(mode="soft", gate_threshold=0.2),
    )


def test_a_note_is_found_by_its_configuration_and_read_as_it_was_written(tmp_path: Path) -> None:
    """Also after it was replaced, which leaves no second file open; and not after its end."""
    path, said = tmp_path / "config.toml", running_with(tmp_path / "config.toml")
    with closing(RunningNote()) as note:
        note.write(said)
        assert find_running(path) == (os.getpid(), said)
        assert said.model.gate == said.gate
        before = len([*Path("/proc/self/fd").iterdir()])
        for reloads in range(1, 5):
            note.write(msgspec.structs.replace(said, reloads=reloads))
            assert find_running(path)[1].reloads == reloads
        assert len([*Path("/proc/self/fd").iterdir()]) == before
        with pytest.raises(AddressError, match="no daemon that you may see runs with"):
            find_running(tmp_path / "other.toml")
    with pytest.raises(AddressError):
        find_running(path)


def test_a_daemon_of_another_version_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it says may mean something else."""
    with closing(RunningNote()) as note:
        note.write(running_with(tmp_path / "config.toml"))
        monkeypatch.setattr(running, "__version__", "9.9")
        with pytest.raises(AddressError, match=rf"process {os.getpid()} is stripwatch .*this is 9"):
            find_running(tmp_path / "config.toml")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 1}', b"\xff" * 100])
def test_a_file_of_that_name_that_is_no_note_is_passed_over(tmp_path: Path, content: bytes) -> None:
    """It is somebody else's."""
    file = os.memfd_create(NOTE_NAME, os.MFD_ALLOW_SEALING)
    try:
        os.write(file, content)
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
        with pytest.raises(AddressError):
            find_running(tmp_path / "config.toml")
    finally:
        os.close(file)
