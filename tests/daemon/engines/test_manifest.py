"""The manifest of an engine folder: a wrong one is refused with a remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stripwatch.engines.manifest import (
    MANIFEST_NAME,
    DefectClass,
    Manifest,
    load_manifest,
    save_manifest,
    sha256_files,
)
from stripwatch.errors import ModelError


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """A folder with a manifest and the file that it describes."""
    (tmp_path / "graph.bin").write_bytes(b"weights")
    manifest = Manifest(
        target="openvino",
        engine_hash=sha256_files(tmp_path / "graph.bin"),
        builder="test",
        precision="fp32",
        frame_shape=(8, 16),
        classes=(DefectClass(id=1, name="pits"), DefectClass(id=2, name="cracks")),
        files=("graph.bin",),
    )
    save_manifest(tmp_path, manifest)
    return tmp_path


def change(engine: Path, **changes: object) -> None:
    path = engine / MANIFEST_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_what_is_saved_is_what_is_loaded(engine: Path) -> None:
    manifest = load_manifest(engine)
    save_manifest(engine, manifest)
    assert load_manifest(engine) == manifest


def test_a_folder_without_manifest_says_how_to_build_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"engine-build MODEL\.onnx --output {tmp_path}"):
        load_manifest(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": "toaster"}, "toaster"),
        ({"v": 2}, "2"),
        ({"surprise": 1}, "surprise"),
        ({"classes": []}, "1, 2, 3"),
        ({"classes": [{"id": 2, "name": "a"}]}, r"not \[2\]"),
        ({"classes": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}, "same name"),
        ({"files": ["gone.bin"]}, r"gone\.bin, which is missing"),
        ({"files": ["../graph.bin"]}, "files"),
        ({"files": ["x" * 256]}, "files"),
        ({"frame_shape": [0, 16]}, "frame_shape"),
        ({"frame_shape": [8, 10**30]}, "frame_shape"),
        ({"classes": [{"id": 1, "name": "pits\n"}]}, "name"),
        ({"classes": [{"id": n, "name": f"c{n}"} for n in range(1, 10)]}, "<= 8"),
    ],
)
def test_a_manifest_that_breaks_a_rule_is_refused(
    engine: Path, changes: dict[str, object], words: str
) -> None:
    change(engine, **changes)
    with pytest.raises(ModelError, match=words):
        load_manifest(engine)


@pytest.mark.parametrize("data", [b"", b"weight", b"weightx", b"weights and more"])
def test_a_damaged_engine_file_is_refused(engine: Path, data: bytes) -> None:
    (engine / "graph.bin").write_bytes(data)
    with pytest.raises(ModelError, match=r"graph\.bin .* damaged or was exchanged"):
        load_manifest(engine)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"engine_hash": "0" * 64}, "damaged or was exchanged"),
        ({"files": ["gone.bin"]}, r"gone\.bin, which is missing"),
    ],
)
def test_an_engine_that_is_not_the_manifests_names_the_command_that_built_it(
    engine: Path, changes: dict[str, object], words: str
) -> None:
    """The very command, where the manifest knows it."""
    command = "engine-build steel.onnx --frame 8x16 --output here"
    change(engine, command=command, **changes)
    with pytest.raises(ModelError, match=f"{words}.*; build it with: {command}$"):
        load_manifest(engine)


def test_a_manifest_that_is_no_json_is_refused(engine: Path) -> None:
    (engine / MANIFEST_NAME).write_bytes(b"\xff{")
    with pytest.raises(ModelError, match="not a valid manifest"):
        load_manifest(engine)


def test_an_engine_file_that_cannot_be_read_is_named(engine: Path) -> None:
    (engine / "graph.bin").unlink()
    (engine / "graph.bin").mkdir()
    with pytest.raises(ModelError, match=r"graph\.bin cannot be read: Is a directory"):
        load_manifest(engine)


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"fake":' * 100_000])
def test_a_manifest_nested_without_end_is_refused(engine: Path, text: bytes) -> None:
    (engine / MANIFEST_NAME).write_bytes(text)
    with pytest.raises(ModelError, match="not a valid manifest"):
        load_manifest(engine)
