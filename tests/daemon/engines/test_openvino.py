"""The OpenVINO engine: in place, the same every time, and with errors that name a remedy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.models import save_pits_and_cracks

from stripwatch.engines.base import BatchResult, Resources
from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import DefectClass, Manifest, load_manifest, save_manifest
from stripwatch.engines.openvino import OpenVinoEngine
from stripwatch.errors import DeviceError, ModelError

SHAPE = (32, 80)
HALF = np.full(2, 0.5, np.float32)


@pytest.fixture(scope="module")
def tiny_engine(
    tmp_path_factory: pytest.TempPathFactory,
    build_engine: Callable[[Path, tuple[int, int], Path], Manifest],
) -> Path:
    """The folder of an engine of two classes, for frames of 32 x 80."""
    folder = tmp_path_factory.mktemp("tiny")
    generator = np.random.default_rng(1)
    weights = generator.normal(size=(2, 1, 5, 5)).astype(np.float32)
    save_pits_and_cracks(folder / "model.onnx", weights)
    build_engine(folder / "model.onnx", SHAPE, folder / "engine")
    return folder / "engine"


def make_engine(folder: Path, slots: list[NDArray[np.uint8]], streams: int = 0) -> OpenVinoEngine:
    """An engine on two threads."""
    return OpenVinoEngine(folder, load_manifest(folder), slots, threads=2, streams=streams)


def random_frames(seed: int, rows: int) -> NDArray[np.uint8]:
    """Frames of noise."""
    return np.random.default_rng(seed).integers(0, 256, (rows, *SHAPE), np.uint8)


def copied(result: BatchResult) -> list[bytes]:
    """The bytes of a result, which the next batch overwrites."""
    fields = (result.mask, result.area, result.peak, result.prob, result.absent)
    return [field.tobytes() for field in fields]


def row_of(result: BatchResult, row: int) -> BatchResult:
    """The result of one frame."""
    one = slice(row, row + 1)
    return BatchResult(
        mask=result.mask[one],
        area=result.area[one],
        peak=result.peak[one],
        prob=result.prob[one],
        absent=result.absent[one],
    )


def test_a_frame_gives_the_same_bits_alone_in_a_batch_and_again(tiny_engine: Path) -> None:
    """With any other frames in the batch, and with one stream or two."""
    frames = random_frames(2, 8)
    alone, batch = np.zeros((1, *SHAPE), np.uint8), frames.copy()
    engine = make_engine(tiny_engine, [alone, batch])
    engine.submit(1, 8, HALF)
    together = engine.wait(1)
    assert together.mask.any()
    by_frame = [copied(row_of(together, row)) for row in range(8)]
    for row in range(8):
        alone[0] = frames[row]
        engine.submit(0, 1, HALF)
        assert copied(engine.wait(0)) == by_frame[row]
    engine.submit(1, 8, HALF)
    again = copied(engine.wait(1))
    engine.close()
    other = make_engine(tiny_engine, [frames.copy()], streams=1)
    other.submit(0, 8, HALF)
    assert copied(other.wait(0)) == again
    other.close()


def test_results_are_views_of_the_same_memory_every_time(tiny_engine: Path) -> None:
    """Nothing is copied: neither frames on their way in, nor masks on their way out."""
    frames = random_frames(3, 3)
    engine = make_engine(tiny_engine, [frames])
    engine.submit(0, 3, HALF)
    first = engine.wait(0)
    before = copied(first)
    frames[:] = random_frames(4, 3)  # into the slot, after the engine was made
    engine.submit(0, 3, HALF)
    second = engine.wait(0)
    for one, two in ((first.mask, second.mask), (first.area, second.area)):
        assert np.shares_memory(one, two)
    for one, two in ((first.peak, second.peak), (first.prob, second.prob)):
        assert np.shares_memory(one, two)
    assert copied(second) != before
    assert copied(first) == copied(second)
    for row, request in enumerate(engine._requests[0]):
        assert np.shares_memory(request.get_tensor("frames").data, frames[row])
        for name in ("mask", "area", "peak", "prob"):
            assert np.shares_memory(request.get_tensor(name).data, getattr(first, name)[row])
    engine.close()


def test_thresholds_belong_to_the_batch_they_came_with(tiny_engine: Path) -> None:
    """Changing them after `submit` changes nothing of a batch in flight."""
    frames = random_frames(5, 4)
    engine = make_engine(tiny_engine, [frames, frames])
    thresholds = HALF.copy()
    engine.submit(0, 4, thresholds)
    thresholds[:] = 1.5
    engine.submit(1, 4, thresholds)
    assert (engine.wait(0).area > 0).all()
    assert not engine.wait(1).area.any()
    engine.close()


def test_only_the_submitted_rows_are_computed(tiny_engine: Path) -> None:
    """A half-full batch costs half."""
    engine = make_engine(tiny_engine, [random_frames(6, 4), random_frames(7, 4)])
    engine.submit(1, 2, HALF)
    assert engine.wait(1).area.shape == (2, 2)
    assert not engine._results[1].area[2:].any()
    engine.close()


def test_close_with_batches_in_flight_ends_them(tiny_engine: Path) -> None:
    """After it, nothing uses the memory of the slots; a second close does no harm."""
    slots = [random_frames(seed, 8) for seed in (8, 9)]
    for _ in range(20):
        engine = make_engine(tiny_engine, slots)
        engine.submit(0, 8, HALF)
        engine.submit(1, 8, HALF)
        engine.close()
        results = [copied(result) for result in engine._results]
        slots[0][:] = 0
        assert [copied(result) for result in engine._results] == results
        engine.close()


def test_a_request_that_fails_is_a_device_error(tiny_engine: Path) -> None:
    """In `submit` and in `wait`, with the last line of OpenVINO's message."""
    engine = make_engine(tiny_engine, [random_frames(10, 1)])
    engine._requests[0][0] = _Refusing()
    with pytest.raises(DeviceError, match="OpenVINO: no more memory"):
        engine.submit(0, 1, HALF)
    with pytest.raises(DeviceError, match="OpenVINO: device lost"):
        engine.wait(0)


class _Refusing:
    """A request of a device that has failed; stands for hardware that cannot be broken here."""

    def start_async(self) -> None:
        raise RuntimeError("Exception from src/inference.cpp:1:\nno more memory\n")

    def wait(self) -> None:
        raise RuntimeError("Exception from src/inference.cpp:2:\ndevice lost\n")


@pytest.mark.parametrize("part", [0, 1], ids=["graph", "weights"])
def test_a_truncated_engine_is_refused(tiny_engine: Path, tmp_path: Path, part: int) -> None:
    """By its hash; and by OpenVINO where a wrong manifest agrees with the wrong file."""
    folder = tmp_path / "engine"
    folder.mkdir()
    for file in tiny_engine.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    manifest = load_manifest(tiny_engine)
    name = manifest.files[part]
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match="damaged or was exchanged"):
        load_manifest(folder)
    with pytest.raises(
        ModelError, match=r"OpenVINO cannot load .*build it anew with: engine-build"
    ) as caught:
        engine_factory(folder, manifest, Resources(threads=1, streams=1))([random_frames(11, 1)])
    assert manifest.command in str(caught.value)


def test_a_manifest_of_other_classes_or_frames_is_refused(
    tiny_engine: Path, tmp_path: Path
) -> None:
    """The engine is not run on memory that does not fit it."""
    manifest = load_manifest(tiny_engine)
    three = (*manifest.classes, DefectClass(id=3, name="third"))
    wrong = msgspec.structs.replace(manifest, classes=three)
    with pytest.raises(ModelError, match="OpenVINO cannot load"):
        OpenVinoEngine(tiny_engine, wrong, [random_frames(12, 1)], 1, 1)
    with pytest.raises(ModelError, match="OpenVINO cannot load"):
        OpenVinoEngine(tiny_engine, manifest, [np.zeros((1, 16, 80), np.uint8)], 1, 1)
    none = msgspec.structs.replace(manifest, files=())
    with pytest.raises(ModelError, match="names no file to load"):
        engine_factory(tiny_engine, none)
    save_manifest(tmp_path, wrong)
    with pytest.raises(ModelError, match=r"names inspection-\w+\.xml, which is missing"):
        load_manifest(tmp_path)


def test_importing_the_daemon_does_not_import_openvino() -> None:
    """`stripwatch --help` stays quick, and a fake engine needs none."""
    code = "import sys, stripwatch.engines.load; sys.exit('openvino' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
