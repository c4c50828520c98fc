"""The model that an engine runs, with the classes, thresholds and gate that go with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.manifest import DefectClass, Gate, Manifest
from stripwatch.inspect.defects import raise_min_areas

HASH_CHARACTERS = 16


@dataclass(frozen=True)
class Model:
    """A slot carries the model of its result, so that thresholds and classes always match."""

    engine_hash: str
    classes: tuple[DefectClass, ...]  # in order of their ids
    gate: Gate | None = None

    @property
    def name(self) -> str:
        """Its name in events and logs: the beginning of the hash."""
        return self.engine_hash[:HASH_CHARACTERS]

    @cached_property
    def thresholds(self) -> NDArray[np.float32]:
        """Threshold of each class, float32 [classes]."""
        return np.array([entry.threshold for entry in self.classes], np.float32)

    @cached_property
    def raised_classes(self) -> tuple[DefectClass, ...]:
        """The classes with the minimum areas of frames from which the gate finds them absent."""
        return tuple(raise_min_areas(self.classes, self.gate))


def model_of(manifest: Manifest, classes: tuple[DefectClass, ...] | None = None) -> Model:
    """The model of an engine; `classes` are its own with a configuration's overrides."""
    return Model(manifest.engine_hash, classes or manifest.classes, manifest.gate)
