"""Files of a run during training: checkpoints, written whole, and the curve of each epoch."""

from __future__ import annotations

import csv
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as pl
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from stripwatch.errors import ModelError
from stripwatch.files import draft_path
from stripwatch.service.console import duration_text

LAST = "last.ckpt"  # after each epoch; a killed run resumes from it
BEST = "best.ckpt"  # of the epoch with the best score; of equal ones the lowest validation loss
CURVE = "metrics.csv"
PRINT_EVERY_S = 30.0  # where no bar is shown
LEFT_MIN_S = 60.0  # a shorter time left is not printed


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints written beside the file and renamed: a kill leaves the previous one."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: Any,  # noqa: ANN401 - as in Lightning
        storage_options: Any | None = None,  # noqa: ANN401 - as in Lightning
    ) -> None:
        """Save."""
        draft = draft_path(Path(path))
        super().save_checkpoint(checkpoint, draft, storage_options)
        draft.replace(path)


class Patience(EarlyStopping):
    """Early stopping that also holds when a stopped run is resumed before its export."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop before the first batch."""
        del pl_module
        trainer.should_stop = self.wait_count >= self.patience

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of a checkpoint; the patience is that of the recipe now."""
        super().load_state_dict(state_dict | {"patience": self.patience})


class _Kept(ModelCheckpoint):
    """Checkpoint callback that also works in a folder that was moved or copied.

    Of equal scores the one with the lower validation loss is the best: a score of 0 in the first
    epochs says nothing, and their weights are hardly trained.
    """

    _loss = math.inf  # validation loss of the best epoch

    def check_monitor_top_k(self, trainer: pl.Trainer, current: torch.Tensor | None = None) -> bool:
        """Whether this epoch is better than the best one."""
        if super().check_monitor_top_k(trainer, current):
            return True
        equal = current is not None and bool(current == self.best_k_models[self.best_model_path])
        is_lower = equal and _validation_loss(trainer) < self._loss
        return trainer.strategy.reduce_boolean_decision(is_lower)

    def _update_best_and_save(
        self, current: torch.Tensor, trainer: pl.Trainer, monitor_candidates: dict[str, Any]
    ) -> None:
        self._loss = _validation_loss(trainer)
        super()._update_best_and_save(current, trainer, monitor_candidates)

    def state_dict(self) -> dict[str, Any]:
        """State for the checkpoint."""
        return super().state_dict() | {"validation_loss": self._loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of a checkpoint, whose paths may be those of an older folder."""

        def here(path: str) -> str:
            return str(Path(self.dirpath or "") / Path(path).name) if path else ""

        paths = {
            "dirpath": self.dirpath,
            "best_k_models": {here(path): k for path, k in state_dict["best_k_models"].items()},
        }
        for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
            paths[name] = here(state_dict[name])
        self._loss = state_dict.get("validation_loss", math.inf)  # older checkpoints lack it
        super().load_state_dict(state_dict | paths)


def _validation_loss(trainer: pl.Trainer) -> float:
    return float(trainer.callback_metrics.get("validation_loss", math.inf))


def last_and_best(folder: Path) -> list[ModelCheckpoint]:
    """Callbacks that write both checkpoints of a run."""
    options: dict[str, Any] = {
        "dirpath": folder,
        "enable_version_counter": False,
        "save_on_train_epoch_end": True,  # once the epoch's row is in the curve
    }
    best = _Kept(filename=Path(BEST).stem, monitor="score", mode="max", **options)
    last = _Kept(filename=Path(LAST).stem, **options)
    return [best, last]


class Curve(Callback):
    """One row for each epoch in metrics.csv, printed where no progress bar is shown.

    The rows are part of the checkpoint: a resumed run continues them where its weights are.
    """

    def __init__(self, folder: Path, name: str, *, print_epochs: bool) -> None:
        """`name` is that of the model, for printing."""
        self._path = folder / CURVE
        self._name = name
        self._print_epochs = print_epochs
        self._rows: list[dict[str, float]] = []
        self._run_began_s = self._printed_s = 0.0
        self._first_epoch = 0
        self._done = 0.0  # epochs since then, the present one by its batches

    @property
    def rows(self) -> list[dict[str, float]]:
        """A row for each epoch so far: epoch, loss, validation_loss, score, learning_rate, ..."""
        return self._rows

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to measure the time."""
        del pl_module
        self._run_began_s = self._printed_s = time.monotonic()
        self._first_epoch = trainer.current_epoch

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401 - as in Lightning
        batch: Any,  # noqa: ANN401 - as in Lightning
        batch_idx: int,
    ) -> None:
        """Print a line now and then in a long epoch."""
        del pl_module, outputs, batch
        batches, epoch = int(trainer.num_training_batches), trainer.current_epoch
        self._done = epoch - self._first_epoch + (batch_idx + 1) / batches
        if self._print_epochs and time.monotonic() - self._printed_s >= PRINT_EVERY_S:
            self._print_epoch(trainer, f"batch {batch_idx + 1} of {batches}")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add a row."""
        rate = trainer.optimizers[0].param_groups[-1]["lr"]
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        pl_module.log("learning_rate", rate, sync_dist=True)
        self._rows.append({"epoch": trainer.current_epoch, **metrics, "learning_rate": rate})
        if not trainer.is_global_zero:
            return
        names = list(dict.fromkeys(name for row in self._rows for name in row))
        with self._path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self._rows)
        if self._print_epochs:
            words = [f"{key} {metrics[key]:.4f}" for key in ("loss", "score") if key in metrics]
            self._print_epoch(trainer, ", ".join(words))

    def _print_epoch(self, trainer: pl.Trainer, text: str) -> None:
        self._printed_s = time.monotonic()
        left = self.left_text(trainer)
        sys.stdout.write(
            f"{self._name}: epoch {trainer.current_epoch + 1} of {trainer.max_epochs}: {text}"
            f"{f', {left} left' if left else ''}\n"
        )
        sys.stdout.flush()

    def left_text(self, trainer: pl.Trainer) -> str:
        """How long this model still takes, such as "about 4 min"; "" where that is short."""
        epochs = int(trainer.max_epochs or 1) - self._first_epoch
        if not self._done:
            return ""
        left_s = (time.monotonic() - self._run_began_s) * (epochs / self._done - 1)
        return f"about {duration_text(left_s)}" if left_s >= LEFT_MIN_S else ""

    def state_dict(self) -> dict[str, Any]:
        """State for the checkpoint."""
        return {"rows": self._rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self._rows = list(state_dict["rows"])


def best_row(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """The row of the epoch in best.ckpt."""
    return max(rows, key=lambda row: (row["score"], -row.get("validation_loss", math.inf)))


def load_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """The network's weights of a checkpoint, and the metrics of its epoch.

    Raises:
        ModelError: it is missing or damaged.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        weights = {
            name.removeprefix("network."): value
            for name, value in checkpoint["state_dict"].items()
            if name.startswith("network.")
        }
        rows = checkpoint["callbacks"][Curve.__name__]["rows"]
        own = [row for row in rows if row["epoch"] == checkpoint["epoch"]]
        metrics = {name: value for row in own for name, value in row.items()}
    except FileNotFoundError:
        raise ModelError(f"{path} is missing; `stripwatch-train fit` writes it") from None
    except Exception as error:  # torch.load raises what its unpickler raises
        raise ModelError(f"{path} is not a checkpoint of stripwatch-train: {error}") from error
    return weights, {name: value for name, value in metrics.items() if name.startswith("dice.")}
