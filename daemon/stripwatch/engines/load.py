"""Which engine a manifest asks for."""

from __future__ import annotations

from pathlib import Path

from stripwatch.engines.base import EngineFactory
from stripwatch.engines.fake import FakeEngine
from stripwatch.manifest import FakeBehaviour, Manifest


def engine_factory(folder: Path, manifest: Manifest, threads: int, streams: int) -> EngineFactory:
    """What makes the engine of a folder on the slots' memory, warmed up."""
    match manifest.target:
        case "fake":
            behaviour, classes = manifest.fake or FakeBehaviour(), len(manifest.classes)
            return lambda slots: FakeEngine(slots, behaviour, classes)
        case "openvino":
            from stripwatch.engines.openvino import OpenVinoEngine

            return lambda slots: OpenVinoEngine(folder, manifest, slots, threads, streams)
