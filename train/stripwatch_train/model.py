"""The network, its loss, and its checkpoint."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import msgspec
import segmentation_models_pytorch as smp
import torch

from stripwatch.errors import ConfigError, ModelError, StorageError
from stripwatch.synthetic import CLASSES
from stripwatch_train.settings import FitSettings


def make_model(settings: FitSettings) -> torch.nn.Module:
    """A UNet, float32 [n, 1, h, w] to logits [n, classes, h, w], with fresh weights.

    Raises:
        ConfigError: there is no such encoder.
    """
    try:
        model: torch.nn.Module = smp.Unet(
            settings.encoder,
            encoder_depth=settings.encoder_depth,
            encoder_weights=None,
            decoder_channels=settings.decoder_channels,
            in_channels=1,
            classes=len(CLASSES),
        )
    except (KeyError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"cannot build a UNet with encoder {settings.encoder!r}, depth "
            f"{settings.encoder_depth}, decoder channels {settings.decoder_channels}: {error}"
        ) from error
    return model


def loss_of(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean of binary cross-entropy and 1 - Dice, the latter by class over the batch."""
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
    probability = logits.sigmoid()
    both = (probability * targets).sum(dim=(0, 2, 3))
    either = probability.sum(dim=(0, 2, 3)) + targets.sum(dim=(0, 2, 3))
    dice = (2 * both + 1) / (either + 1)
    return cross_entropy + (1 - dice).mean()


def check_writable(path: Path) -> None:
    """Make a checkpoint's folder, and leave a checkpoint that is there as it is.

    Raises:
        StorageError: nothing can be written there.
    """
    draft = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        draft.touch()
        draft.unlink()
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def save_checkpoint(path: Path, checkpoint: dict[str, Any]) -> None:
    """Write a checkpoint so that a killed run leaves the one before it whole.

    Raises:
        StorageError: it cannot be written.
    """
    draft = path.with_suffix(".part")
    try:
        with draft.open("wb") as file:  # torch by itself raises RuntimeError for a bad path
            torch.save(checkpoint, file)
        draft.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def load_checkpoint(path: Path) -> tuple[FitSettings, dict[str, Any]]:
    """Read a checkpoint and the settings of its run.

    Raises:
        ModelError: it is missing or was not written by `stripwatch-train fit`.
    """
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        settings = msgspec.convert(checkpoint["settings"], FitSettings)
    except FileNotFoundError:
        raise ModelError(f"{path} is missing; `stripwatch-train fit` writes it") from None
    except Exception as error:  # torch.load raises what its unpickler raises
        raise ModelError(f"{path} is not a checkpoint of stripwatch-train: {error}") from error
    return settings, checkpoint
