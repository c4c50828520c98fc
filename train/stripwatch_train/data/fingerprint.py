"""Fingerprint of a data set: a hash of its classes, labels and images."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from stripwatch.engines.manifest import sha256_files
from stripwatch.errors import ConfigError
from stripwatch.service.console import Progress
from stripwatch_train.data.samples import DataSet, MaskFile


def fingerprint(data_set: DataSet, progress: Progress = lambda *_: None) -> str:
    """The hex SHA-256 over the names of classes and samples, the labels and the images' bytes.

    The same data give the same on every machine and under every path; any change gives another.

    Raises:
        ConfigError: a file cannot be read.
    """
    digest = hashlib.sha256(msgspec.json.encode([entry.name for entry in data_set.classes]))
    ordered = sorted(data_set.samples, key=lambda sample: sample.name)
    for done, sample in enumerate(ordered):
        progress("frames hashed", done, len(ordered))
        masks = sample.masks
        labels: object = masks
        if isinstance(masks, MaskFile):
            labels = [masks.class_id, _sha256(masks.path)]
        digest.update(msgspec.json.encode([sample.name, labels, _sha256(sample.image)]))
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    try:
        return sha256_files(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
