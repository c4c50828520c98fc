"""One model's training by Lightning: devices, precision, averaging, stopping, logs, resuming."""

from __future__ import annotations

import functools
import logging
import os
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning as pl
import torch
from lightning.pytorch.callbacks import Callback, RichProgressBar, WeightAveraging
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from stripwatch.errors import ConfigError, StorageError
from stripwatch_train.fitting.checkpoints import (
    LAST,
    Curve,
    Patience,
    WholeCheckpoints,
    best_row,
    last_and_best,
    load_weights,
)
from stripwatch_train.fitting.epochs import Epochs
from stripwatch_train.fitting.learner import Learner, average
from stripwatch_train.runs.recipe import Member

LOGS = "tensorboard"


def processes() -> tuple[int, int]:
    """Number of processes that torchrun started, and of machines; 1, 1 without it."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
    return world, world // local


def is_first_process() -> bool:
    """Whether this process is the one that writes files."""
    return os.environ.get("RANK", "0") == "0"


def check_accelerator(accelerator: str) -> None:
    """Refuse an accelerator that is missing.

    Raises:
        ConfigError: PyTorch finds none.
    """
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise ConfigError("--accelerator gpu: PyTorch finds no GPU here; leave it out, or give cpu")


def train(learner: Learner, epochs: Epochs, member: Member, folder: Path, accelerator: str) -> None:
    """Train until the schedule ends, from the last checkpoint in the folder if there is one.

    Raises:
        ConfigError: there is no such accelerator.
        ModelError: the checkpoint is damaged.
        StorageError: a checkpoint or a log cannot be written.
        KeyboardInterrupt: it was interrupted.
    """
    check_accelerator(accelerator)
    last = folder / LAST
    resuming = last.exists()
    if resuming:
        load_weights(last)  # raises an error that names the file
    with warnings.catch_warnings():
        _quiet_lightning()
        curve = Curve(folder, folder.name, print_epochs=not _shows_bar())
        trainer = _make_trainer(member, folder, accelerator, curve)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            trainer.fit(
                learner,
                datamodule=epochs,
                ckpt_path=last if resuming else None,
                weights_only=True,
            )
        except SystemExit:  # what Lightning makes of Ctrl-C
            if trainer.interrupted:
                raise KeyboardInterrupt from None
            raise
        except OSError as error:
            raise StorageError(f"{folder} cannot be written: {error}") from error
    if is_first_process():
        _report(curve, member, folder.name)


def _report(curve: Curve, member: Member, name: str) -> None:
    """Print which epoch is exported, and why training stopped where that was early."""
    rows = curve.rows
    if not rows:
        return
    best, last = best_row(rows), int(rows[-1]["epoch"]) + 1
    words = []
    if last < member.schedule.epochs:
        words.append(
            f"stopped after epoch {last} of {member.schedule.epochs}, as the score has not risen "
            f"for {member.schedule.patience} epochs (schedule.patience)"
        )
    words.append(
        f"the model after epoch {int(best['epoch']) + 1} is exported, with score "
        f"{best['score']:.4f} and validation loss {best['validation_loss']:.4f}"
    )
    if not best["score"]:
        words.append(
            "its score is 0, as no class is found with a probability of 0.5 yet: train longer "
            "(schedule.epochs)"
        )
    sys.stdout.write("".join(f"{name}: {text}\n" for text in words))


class _Bar(RichProgressBar):
    """Lightning's bar of an epoch, with the time that is left of all epochs."""

    def __init__(self, curve: Curve) -> None:
        super().__init__()
        self._curve = curve

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """What stands behind the bar."""
        left = self._curve.left_text(trainer)
        metrics: dict[str, int | str | float | dict[str, float]] = {"left": left} if left else {}
        return metrics | super().get_metrics(trainer, pl_module)


def _shows_bar() -> bool:
    return sys.stderr.isatty() and is_first_process()


def _make_trainer(member: Member, folder: Path, accelerator: str, curve: Curve) -> pl.Trainer:
    schedule = member.schedule
    world, nodes = processes()
    on_gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    precision: Any = schedule.precision
    if precision == "auto":
        precision = "16-mixed" if on_gpu else 32
    shows_bar = _shows_bar()
    callbacks: list[Callback] = [curve]
    if schedule.average:
        average_fn = functools.partial(average, decay=schedule.average)
        callbacks.append(WeightAveraging(avg_fn=average_fn))
    if schedule.patience:
        callbacks.append(Patience("score", patience=schedule.patience, mode="max"))
    if shows_bar:
        callbacks.append(_Bar(curve))
    return pl.Trainer(
        accelerator=accelerator,
        devices=world // nodes,
        num_nodes=nodes,
        # Some encoders hold layers beyond the depth that is asked for.
        strategy="ddp_find_unused_parameters_true" if world > 1 else "auto",
        precision=precision,
        max_epochs=schedule.epochs,
        accumulate_grad_batches=schedule.accumulate,
        gradient_clip_val=member.optimizer.gradient_clip or None,
        callbacks=[*callbacks, *last_and_best(folder)],
        plugins=[WholeCheckpoints()],
        logger=_logger(folder),
        default_root_dir=folder,
        reload_dataloaders_every_n_epochs=1,  # which frames an epoch takes depends on its number
        use_distributed_sampler=False,  # epochs.py shares them out
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        enable_model_summary=False,
        enable_progress_bar=shows_bar,
    )


def _logger(folder: Path) -> Logger | bool:
    """TensorBoard's logs where it is installed; metrics.csv is written in any case."""
    if find_spec("tensorboard") is None:
        return False
    return TensorBoardLogger(folder, name=LOGS, version="")


def _quiet_lightning() -> None:
    """Silence advertisements, and warnings about choices made on purpose."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for words in (
        ".*does not have many workers.*",  # each worker takes a core of the same machine
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*tensorboardX.*",
        ".*`isinstance\\(treespec, LeafSpec\\)`.*",
    ):
        warnings.filterwarnings("ignore", words)
