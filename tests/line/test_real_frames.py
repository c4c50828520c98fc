"""The whole line on real Severstal frames: a real process, real sockets, the embedded model."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from stripwatch.config.load import load_config
from stripwatch.config.sections import Config
from stripwatch.engines.base import Resources
from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import DefectClass, Manifest, load_manifest
from stripwatch.feed.sender import Schedule
from stripwatch.feed.sources import Source, open_source
from stripwatch.lab.compare.daemon_run import run_daemon
from stripwatch.lab.compare.event_diff import compare_events
from stripwatch.resources import resource_path
from stripwatch.wire.event import Defect, Gap, StripEnd, StripEvent
from stripwatch.wire.rle import decode_coco, decode_severstal

SHAPE = (256, 1600)
BuildEngine = Callable[[Path, tuple[int, int], Path], Manifest]
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, build_engine: BuildEngine) -> Path:
    folder = tmp_path_factory.mktemp("model") / "engine"
    build_engine(resource_path("models/edge/model.onnx"), SHAPE, folder)
    return folder


def configured(engine: Path, rows: int) -> Config:
    config = load_config(resource_path("config.toml"))
    replace = msgspec.structs.replace
    return replace(
        config,
        engine=replace(config.engine, folder=str(engine)),
        batch=replace(config.batch, rows=rows),
    )


def run(engine: Path, source: Source, rows: int) -> list[StripEvent]:
    schedule = Schedule(cameras=("top", "bottom"))
    received = run_daemon(configured(engine, rows), source, schedule, threading.Event())
    return [msgspec.json.decode(entry.payload, type=StripEvent) for entry in received]


def expected_masks(engine: Path, frames: list[Pixels]) -> list[Pixels]:
    """The engine's masks without components below their class's minimum area, [lines, pixels]."""
    manifest = load_manifest(engine)
    slots = [np.stack(frames), np.zeros((1, *SHAPE), np.uint8)]
    running = engine_factory(engine, manifest, Resources(threads=1, streams=1))(slots)
    thresholds = np.array([entry.threshold for entry in manifest.classes], np.float32)
    running.submit(0, len(frames), thresholds)
    masks = running.wait(0).mask.copy()
    running.close()
    return [_without_small(mask, manifest.classes) for mask in masks]


def _without_small(mask: Pixels, classes: tuple[DefectClass, ...]) -> Pixels:
    kept = np.zeros_like(mask)
    for entry in classes:
        bit = entry.bit
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask & bit, connectivity=8)
        for label in range(1, count):
            if stats[label, cv2.CC_STAT_AREA] >= max(1, entry.min_area_px):
                kept[labels == label] |= bit
    return kept


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["severstal", "severstal/images_no_mask"])
def test_real_frames_are_all_accounted_for_and_masks_are_the_engines(
    shared_data: Path, engine: Path, folder: str
) -> None:
    """Every frame inspected; every RLE decodes to the engine's mask; the same at batch 1 and 8
    and in a second run."""
    source = open_source(str(shared_data / folder), frame_shape=SHAPE)
    events = run(engine, source, rows=8)
    reports = [event for event in events if isinstance(event, StripEnd)]
    assert sorted(report.camera for report in reports) == ["bottom", "top"]
    assert all(report.frames_inspected == source.count for report in reports)
    assert not [event for event in events if isinstance(event, Gap)]

    frames = [np.frombuffer(frame.payload, np.uint8).reshape(SHAPE) for frame in source.frames()]
    found: dict[tuple[str, int], Pixels] = defaultdict(lambda: np.zeros(SHAPE, np.uint8))
    defects = [event for event in events if isinstance(event, Defect)]
    assert defects, "the model finds something among these frames, which have defects"
    for event in defects:
        mask = decode_severstal(event.rle, SHAPE)
        assert np.array_equal(mask, decode_coco(event.rle_coco, SHAPE))
        assert np.count_nonzero(mask) == event.area_px
        x, y, width, height = event.bbox_px
        assert cv2.boundingRect(mask) == (x, y, width, height)
        plane = mask << (event.class_id - 1)
        assert not (found[event.camera, event.frame_seq] & plane).any(), "two defects overlap"
        found[event.camera, event.frame_seq] |= plane
    for seq, mask in enumerate(expected_masks(engine, frames)):
        for camera in ("top", "bottom"):
            assert np.array_equal(found[camera, seq], mask), (camera, seq)

    for rows in (1, 8):
        assert compare_events(events, run(engine, source, rows)).differences == ()


@pytest.mark.slow
def test_the_synthetic_strip_gives_the_same_events_at_every_batch_size(engine: Path) -> None:
    """The same, where there are no real frames; its defects run on from frame to frame."""
    source = open_source("synthetic", frame_shape=SHAPE, seed=5, frame_count=16)
    events = run(engine, source, rows=8)
    defects = [event for event in events if isinstance(event, Defect)]
    assert len({event.part_of for event in defects}) < len(defects)
    for rows in (1, 3):
        assert compare_events(events, run(engine, source, rows)).differences == ()
