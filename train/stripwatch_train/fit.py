"""The training loop."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import msgspec
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stripwatch_train.data import training_batches
from stripwatch_train.evaluate import evaluate
from stripwatch_train.model import check_writable, loss_of, make_model, save_checkpoint
from stripwatch_train.settings import FitSettings

REPORT_STEPS = 20
CHECKPOINT_STEPS = 200


def fit(settings: FitSettings, path: Path) -> dict[str, float]:
    """Train on synthetic strips and write one checkpoint; returns its metrics.

    The checkpoint holds the moving average of the weights, which is what is evaluated.

    Raises:
        ConfigError: the network cannot be built.
        StorageError: the checkpoint cannot be written; found out before training begins.
    """
    check_writable(path)
    torch.manual_seed(settings.seed)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    # Channels last is how CPUs and tensor cores like their convolutions.
    model = make_model(settings).to(memory_format=torch.channels_last)
    average = copy.deepcopy(model).eval()
    optimizer = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    batches = training_batches(settings)
    model.train()
    with _progress() as progress:
        task = progress.add_task("fit", total=settings.steps, loss=math.nan)
        for step in range(settings.steps):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(step, settings)
            images, targets = next(batches)
            logits = model(images.to(memory_format=torch.channels_last))
            loss = loss_of(logits, targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            _follow(average, model, settings.ema_decay, step)
            if step % REPORT_STEPS == 0:
                progress.update(task, loss=loss.item())
            progress.advance(task)
            if (step + 1) % CHECKPOINT_STEPS == 0:
                _save(path, settings, average, step + 1, {})
    metrics = evaluate(average, settings)
    _save(path, settings, average, settings.steps, metrics)
    return metrics


def _save(
    path: Path,
    settings: FitSettings,
    average: torch.nn.Module,
    step: int,
    metrics: dict[str, float],
) -> None:
    checkpoint = {
        "settings": msgspec.to_builtins(settings),
        "weights": average.state_dict(),
        "step": step,
        "metrics": metrics,
    }
    save_checkpoint(path, checkpoint)


def learning_rate_at(step: int, settings: FitSettings) -> float:
    """Linear warm-up, then a cosine down to zero."""
    if step < settings.warm_up_steps:
        return settings.learning_rate * (step + 1) / settings.warm_up_steps
    done = (step - settings.warm_up_steps) / max(1, settings.steps - settings.warm_up_steps)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


@torch.no_grad()
def _follow(average: torch.nn.Module, model: torch.nn.Module, decay: float, step: int) -> None:
    """Move the average towards the model; quicker at first, when it knows nothing yet."""
    share = 1 - min(decay, (step + 1) / (step + 10))
    for mean, value in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(value, share)
        else:
            mean.copy_(value)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
    )
