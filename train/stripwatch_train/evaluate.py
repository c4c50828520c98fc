"""How good the masks are, on strips that training never saw."""

from __future__ import annotations

import numpy as np
import torch

from stripwatch.synthetic import CLASSES, SyntheticStrip
from stripwatch_train.data import shrink
from stripwatch_train.settings import FitSettings

EVALUATION_STRIPS = 8  # seeds 0 to 7; training seeds begin far above
FRAMES_PER_STRIP = 16
DEFECTS_PER_1000_LINES = 4.0


@torch.no_grad()
def evaluate(model: torch.nn.Module, settings: FitSettings) -> dict[str, float]:
    """Dice by class over all pixels of the evaluation frames, at the frames' own size.

    As in the inspection graph, probabilities are enlarged and then compared with the thresholds.
    """
    model.eval()
    both, either = np.zeros(len(CLASSES)), np.zeros(len(CLASSES))
    thresholds = torch.tensor([entry.threshold for entry in CLASSES])[None, :, None, None]
    for seed in range(EVALUATION_STRIPS):
        strip = SyntheticStrip(seed, settings.frame_shape, DEFECTS_PER_1000_LINES)
        for index in range(FRAMES_PER_STRIP):
            frame = strip.frame(index)
            image, _ = shrink(frame, settings)
            small = model(torch.from_numpy(image)[None]).sigmoid()
            full = torch.nn.functional.interpolate(small, settings.frame_shape, mode="bilinear")
            found = (full >= thresholds)[0].numpy()
            for entry in CLASSES:
                truth = (frame.mask >> (entry.id - 1)) & 1
                mask = found[entry.id - 1]
                both[entry.id - 1] += np.count_nonzero(mask & truth)
                either[entry.id - 1] += np.count_nonzero(mask) + np.count_nonzero(truth)
    dice = 2 * both / np.maximum(either, 1)
    return {f"dice.{entry.name}": round(float(dice[entry.id - 1]), 4) for entry in CLASSES}
