"""Which epoch is kept as the best."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import lightning as pl  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

from stripwatch_train.fitting.checkpoints import BEST, best_row, last_and_best  # noqa: E402


class Replay(pl.LightningModule):
    """A module that logs given scores and validation losses, epoch by epoch."""

    def __init__(self, scores: list[float], losses: list[float]) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.scores, self.losses = scores, losses

    def training_step(self, batch: object, index: int) -> Any:
        """Nothing to learn."""
        del batch, index
        return self.weight.sum()

    def validation_step(self, batch: object, index: int) -> None:
        """Log the epoch's figures."""
        del batch, index
        epoch = self.current_epoch
        self.log_dict({"score": self.scores[epoch], "validation_loss": self.losses[epoch]})

    def configure_optimizers(self) -> Any:
        """Any."""
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore")  # Lightning's, about choices that do not matter here
@pytest.mark.parametrize(
    ("scores", "losses", "best"),
    [
        ([0, 0, 0], [0.9, 0.7, 0.8], 1),  # a tie: the lowest loss
        ([0, 0.2, 0.2], [0.1, 0.7, 0.8], 1),  # a higher score wins over a lower loss
        ([0, 0.2, 0.2], [0.1, 0.8, 0.7], 2),
        ([0.5, 0.5, 0.4], [0.7, 0.7, 0.1], 0),  # equal in both: the earlier
    ],
)
def test_of_equal_scores_the_lower_validation_loss_is_the_best(
    tmp_path: Path, scores: list[float], losses: list[float], best: int
) -> None:
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=3,
        callbacks=[*last_and_best(tmp_path)],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    batches: DataLoader[object] = DataLoader([0])  # type: ignore[arg-type]
    trainer.fit(Replay(scores, losses), batches, batches)
    assert torch.load(tmp_path / BEST, weights_only=True)["epoch"] == best
    rows = [
        {"epoch": float(epoch), "score": score, "validation_loss": loss}
        for epoch, (score, loss) in enumerate(zip(scores, losses, strict=True))
    ]
    assert best_row(rows)["epoch"] == best


def test_an_epoch_without_a_loss_is_worse_than_one_with_it() -> None:
    rows = [{"epoch": 0.0, "score": 0.0}, {"epoch": 1.0, "score": 0.0, "validation_loss": 3.0}]
    assert best_row(rows)["epoch"] == 1
    assert math.isfinite(best_row(rows)["validation_loss"])
