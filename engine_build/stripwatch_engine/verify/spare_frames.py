"""Frames added to those that an engine is verified on, because they show a class that is missing.

A rare class is in none of a few frames spread over a source. A forward pass of the float32 models
over more of them finds frames that show it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from stripwatch.engines.base import Frames
from stripwatch.engines.manifest import DefectClass
from stripwatch_engine.verify.agreement import Masks
from stripwatch_engine.verify.frame_sample import FrameSample
from stripwatch_engine.verify.limits import is_shown


def with_missing_classes(
    sample: FrameSample,
    masks: Masks,
    classes: tuple[DefectClass, ...],
    run: Callable[[Frames], Masks],
) -> tuple[FrameSample, Masks, str]:
    """Add spare frames until every class is shown, or none is left; none if they do not help.

    Args:
        sample: the frames, and spare ones.
        masks: of the float32 models on the frames.
        classes: of the deployment.
        run: the float32 models, on one frame at a time.

    Returns:
        The sample, its masks, and a sentence about what was added; "" = nothing was missing.
    """
    missing = wanted = [entry for entry in classes if not is_shown(masks, entry)]
    added, more, tried = [], masks, 0
    for frame in sample.spare:
        if not wanted:
            break
        tried += 1
        found = run(frame[None])
        if any(np.any(found.mask & entry.bit) for entry in wanted):
            added.append(frame)
            more = _joined(more, found)
            wanted = [entry for entry in wanted if not is_shown(more, entry)]
    if not tried:
        return sample, masks, ""
    looked = f"{tried} more frames of {sample.source}"
    if wanted == missing:
        return sample, masks, f"{looked} do not show enough of {_names(missing)} either"
    remark = f"{len(added)} of {looked} were added, to show {_names(missing)}"
    frames = np.concatenate([sample.frames, np.stack(added)])
    return dataclasses.replace(sample, frames=frames), more, remark


def _names(classes: list[DefectClass]) -> str:
    return ", ".join(entry.name for entry in classes)


def _joined(one: Masks, other: Masks) -> Masks:
    return Masks(
        np.concatenate([one.mask, other.mask]),
        np.concatenate([one.prob, other.prob]),
        np.concatenate([one.known, other.known]),
    )
