"""Builds that fail, are stopped or are killed: the engine before them stays in place, whole."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from stripwatch.engines.manifest import Manifest, load_manifest
from stripwatch.errors import ExitCode
from stripwatch_engine.cli.main import main
from stripwatch_engine.models.model_card import ModelCard

MakeModel = Callable[..., tuple[Path, ModelCard]]
BuildEngine = Callable[[Path, tuple[int, int], Path], Manifest]
WAIT_S = 120.0
ALLOW = "--allow-unverified"  # one small frame shows no class well
# Many frames: the build goes on until it is stopped.
ENDLESS = {"reading": "--verify-frames=200000", "verifying": "--verify-frames=500"}


def arguments(path: Path, folder: Path, *flags: str) -> list[str]:
    """Of engine-build, for small frames."""
    return [str(path), "--frame=32x80", "--verify-frames=1", f"--output={folder}", *flags, ALLOW]


def command(path: Path, folder: Path, *flags: str) -> list[str]:
    """The command line of a separate process."""
    return [sys.executable, "-m", "stripwatch_engine", *arguments(path, folder, *flags)]


def names(folder: Path) -> set[str]:
    """What is in a folder."""
    return {path.name for path in folder.iterdir()}


def drafts(folder: Path) -> list[Path]:
    """Folders of builds that are under way or were killed."""
    return sorted(folder.glob(".draft-*"))


@contextmanager
def under_way(path: Path, folder: Path, phase: str) -> Iterator[subprocess.Popen[str]]:
    """A build in a separate process that has reached a phase that never ends."""
    pattern = {"reading": ".draft-*", "verifying": ".draft-*/inspection.bin"}[phase]
    process = subprocess.Popen(
        command(path, folder, ENDLESS[phase]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        limit_s = time.monotonic() + WAIT_S
        while not list(folder.glob(pattern)):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < limit_s, "the build does not get there"
            time.sleep(0.005)
        yield process
    finally:
        process.kill()
        process.communicate()


def make_heavy(path: Path) -> int:
    """Give a model more weights than its graph takes on disk; returns their bytes."""
    generator = np.random.default_rng(5)
    model = onnx.load(path)
    for name, shape in (("up", (128, 6, 3, 3)), ("down", (6, 128, 3, 3))):
        weights = generator.normal(size=shape).astype(np.float32) / 30
        model.graph.initializer.append(numpy_helper.from_array(weights, name))
    pads = [1, 1, 1, 1]
    up = helper.make_node("Conv", ["lit", "up"], ["wide"], pads=pads)
    down = helper.make_node("Conv", ["wide", "down"], ["narrow"], pads=pads)
    model.graph.node.insert(2, up)
    model.graph.node.insert(3, down)
    model.graph.node[4].input[0] = "narrow"
    onnx.save(model, path)
    return 2 * 128 * 6 * 9 * 4


@pytest.fixture
def engine(
    make_model: MakeModel, build_engine: BuildEngine, tmp_path: Path
) -> tuple[Path, Path, Manifest]:
    """A model whose weights outweigh its graph, an engine folder, and what is in it."""
    path, _ = make_model()
    make_heavy(path)
    folder = tmp_path / "engine"
    return path, folder, build_engine(path, (48, 80), folder)


def is_untouched(folder: Path, manifest: Manifest) -> bool:
    """Whether a folder holds this engine, whole, and nothing else."""
    whole = load_manifest(folder) == manifest
    return whole and names(folder) == {"manifest.json", *manifest.files}


def test_a_failed_build_leaves_the_old_engine(
    engine: tuple[Path, Path, Manifest], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever it fails on: here no library knows an operator."""
    path, folder, manifest = engine
    model = onnx.load(path)
    model.opset_import.append(helper.make_opsetid("our.own", 1))
    model.graph.node[1].op_type = "Frobnicate"
    model.graph.node[1].domain = "our.own"
    onnx.save(model, path)
    assert main(arguments(path, folder)) == ExitCode.MODEL
    assert "Frobnicate" in capsys.readouterr().err
    assert is_untouched(folder, manifest)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.8])
def test_a_full_disk_leaves_the_old_engine(
    engine: tuple[Path, Path, Manifest], share: float
) -> None:
    """A graph or weights that were cut off are never an engine; the exit code says storage."""
    path, folder, manifest = engine
    graph = (folder / manifest.files[0]).stat().st_size
    weights = (folder / manifest.files[1]).stat().st_size
    assert weights > graph
    check_cut(path, folder, int(weights * share))
    assert is_untouched(folder, manifest)


@pytest.mark.slow
@pytest.mark.parametrize("missing", [1, 4096])
def test_a_disk_that_is_full_near_the_end_of_the_weights_is_noticed(
    engine: tuple[Path, Path, Manifest], missing: int
) -> None:
    """The last bytes of a file are written when it is closed: a failure then counts as well."""
    path, folder, manifest = engine
    check_cut(path, folder, (folder / manifest.files[1]).stat().st_size - missing)
    assert is_untouched(folder, manifest)


def check_cut(path: Path, folder: Path, limit: int) -> None:
    """Build where no file can grow beyond a limit; it must fail with a sentence."""

    def no_bigger() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        command(path, folder),
        capture_output=True,
        text=True,
        preexec_fn=no_bigger,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert done.returncode == ExitCode.STORAGE, done.stderr
    assert done.stderr.startswith(f"error: cannot write to {folder}")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_full_disk_leaves_no_new_folder(make_model: MakeModel, tmp_path: Path) -> None:
    """Nothing was there, and nothing is."""
    path, _ = make_model()
    check_cut(path, tmp_path / "engine", 100)
    assert not (tmp_path / "engine").exists()


@pytest.mark.slow
@pytest.mark.parametrize("phase", sorted(ENDLESS))
def test_ctrl_c_leaves_the_old_engine(engine: tuple[Path, Path, Manifest], phase: str) -> None:
    """Exit code 130, no draft, and no traceback."""
    path, folder, manifest = engine
    with under_way(path, folder, phase) as process:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == ExitCode.INTERRUPTED
    assert all(" s: " in line for line in errors.splitlines()), errors  # progress, if it took long
    assert is_untouched(folder, manifest)


@pytest.mark.slow
def test_ctrl_c_of_a_first_build_leaves_no_folder(make_model: MakeModel, tmp_path: Path) -> None:
    """Nothing was there, and nothing is."""
    path, _ = make_model()
    with under_way(path, tmp_path / "engine", "reading") as process:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=WAIT_S)
    assert process.returncode == ExitCode.INTERRUPTED
    assert not (tmp_path / "engine").exists()


@pytest.mark.slow
@pytest.mark.parametrize("phase", sorted(ENDLESS))
def test_a_killed_build_leaves_the_old_engine(
    engine: tuple[Path, Path, Manifest], phase: str
) -> None:
    """It cannot clear up; the next build does."""
    path, folder, manifest = engine
    with under_way(path, folder, phase) as process:
        process.kill()
        process.wait(WAIT_S)
    assert load_manifest(folder) == manifest
    assert len(drafts(folder)) == 1
    assert main(arguments(path, folder)) == ExitCode.OK
    for name in manifest.files:  # of the engine before; they stay for one build
        (folder / name).unlink()
    assert is_untouched(folder, load_manifest(folder))
    assert load_manifest(folder).frame_shape == (32, 80)


def test_an_up_to_date_build_clears_what_a_killed_one_left(
    engine: tuple[Path, Path, Manifest],
) -> None:
    """It builds nothing, but it is the next one."""
    path, folder, _ = engine
    assert main(arguments(path, folder)) == ExitCode.OK
    (folder / ".draft-killed").mkdir()
    before = (folder / "manifest.json").stat().st_mtime_ns
    assert main(arguments(path, folder)) == ExitCode.OK
    assert (folder / "manifest.json").stat().st_mtime_ns == before
    assert drafts(folder) == []


@pytest.mark.slow
def test_a_first_build_that_was_killed_can_be_built_again(
    make_model: MakeModel, tmp_path: Path
) -> None:
    """What it left is recognized as its own."""
    path, _ = make_model()
    folder = tmp_path / "engine"
    with under_way(path, folder, "verifying") as process:
        process.kill()
        process.wait(WAIT_S)
    assert main(arguments(path, folder)) == ExitCode.OK
    assert is_untouched(folder, load_manifest(folder))


def test_a_first_build_that_was_killed_between_its_last_renames_can_be_built_again(
    make_model: MakeModel, tmp_path: Path
) -> None:
    """Then engine files lie there already, and the manifest is still in the draft."""
    path, _ = make_model()
    folder = tmp_path / "engine"
    assert main(arguments(path, folder)) == ExitCode.OK
    draft = folder / ".draft-killed"
    draft.mkdir()
    (folder / "manifest.json").rename(draft / "manifest.json")
    assert main(arguments(path, folder)) == ExitCode.OK
    assert is_untouched(folder, load_manifest(folder))


def test_a_folder_with_a_draft_and_a_foreign_file_is_not_replaced(
    make_model: MakeModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a killed build left does not make the rest of a folder ours."""
    path, _ = make_model()
    folder = tmp_path / "engine"
    (folder / ".draft-killed").mkdir(parents=True)
    (folder / "thesis.txt").write_text("three years of work")
    assert main(arguments(path, folder)) == ExitCode.CONFIG
    assert "is not an engine folder" in capsys.readouterr().err
    assert names(folder) == {".draft-killed", "thesis.txt"}


@pytest.mark.slow
def test_two_builds_at_once_into_one_folder_are_refused(
    engine: tuple[Path, Path, Manifest], capsys: pytest.CaptureFixture[str]
) -> None:
    """The second prints so, and does not disturb the first."""
    path, folder, manifest = engine
    with under_way(path, folder, "reading") as process:
        before = drafts(folder)
        assert main(arguments(path, folder)) == ExitCode.CONFIG
        assert f"another engine-build is writing to {folder}" in capsys.readouterr().err
        assert process.poll() is None
        assert drafts(folder) == before
    assert load_manifest(folder) == manifest
    assert main(arguments(path, folder)) == ExitCode.OK  # its lock went with it


def test_an_output_that_cannot_be_written_is_a_storage_error(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here a file is in the way of the folder's parent."""
    path, _ = make_model()
    assert main(arguments(path, path / "engine")) == ExitCode.STORAGE
    assert f"cannot write to {path / 'engine'}" in capsys.readouterr().err


def test_an_output_where_no_folder_can_be_made_is_a_storage_error(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """The kernel's own file system takes none, not even from root."""
    path, _ = make_model()
    assert main(arguments(path, Path("/proc/engine"))) == ExitCode.STORAGE
    assert "cannot write to /proc/engine" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_a_storage_error(
    engine: tuple[Path, Path, Manifest], capsys: pytest.CaptureFixture[str]
) -> None:
    """The old engine stays."""
    path, folder, manifest = engine
    folder.chmod(0o555)
    try:
        assert main(arguments(path, folder)) == ExitCode.STORAGE
    finally:
        folder.chmod(0o755)
    assert f"cannot write to {folder}" in capsys.readouterr().err
    assert is_untouched(folder, manifest)
