"""Frames of the synthetic strip as a data set, for a first run and for tests of training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2

from stripwatch.errors import ConfigError
from stripwatch.service.console import Progress
from stripwatch.synthetic import CLASSES, SyntheticStrip
from stripwatch_train.data.formats.coco_writer import LabelledImage, write_coco
from stripwatch_train.data.varied import VariedStrip

TRAINING_SEEDS = 1_000_000  # strips with seeds from here on are for training, below for evaluation
FRAMES_PER_STRIP = 24  # then comes a strip of other light and texture
FRAME_SHAPE = (256, 1600)
DEFECTS_PER_1000_LINES = 2.0  # leaves about a third of the frames clean
PIXELS_MIN = 16  # of a frame's width: between its dark edges a narrower strip has no room
PNG_LEVEL = 1  # of zlib: camera noise packs no better at higher ones, only slower


def synthesize(
    folder: Path,
    frames: int,
    *,
    seed: int = TRAINING_SEEDS,
    frame_shape: tuple[int, int] = FRAME_SHAPE,
    defects_per_1000_lines: float = DEFECTS_PER_1000_LINES,
    varied: float = 0.0,
    progress: Progress = lambda *_: None,
) -> int:
    """Write frames and their masks as a data set; the same arguments write the same bytes.

    Every `FRAMES_PER_STRIP` frames begin another strip, with the next seed. A strip is a group, so
    that folds keep its frames together.

    Args:
        folder: to write.
        frames: how many.
        seed: of the first strip.
        frame_shape: lines, pixels.
        defects_per_1000_lines: on average; 0 for clean frames.
        varied: share of the strips that vary from frame to frame as real ones do, spread evenly.
        progress: called before each frame.

    Returns:
        The number of strips.

    Raises:
        ConfigError: a number makes no sense, or the folder is not empty.
        StorageError: the folder cannot be written.
    """
    if frames < 1:
        raise ConfigError(f"{frames} frames: give 1 or more")
    if seed < 0:
        raise ConfigError(f"seed {seed}: give 0 or more")
    if not 0 <= defects_per_1000_lines <= 1000:
        raise ConfigError(f"{defects_per_1000_lines} defects in 1000 lines: give 0 to 1000")
    if not 0 <= varied <= 1:
        raise ConfigError(f"{varied} of the strips varied: give a share from 0 to 1")
    if frame_shape[1] < PIXELS_MIN:
        raise ConfigError(f"frames of {frame_shape[1]} pixels: give {PIXELS_MIN} or more")
    images = _images(frames, seed, frame_shape, defects_per_1000_lines, varied)

    def shown() -> Iterator[LabelledImage]:
        for done, image in enumerate(images):
            progress("frames", done, frames)
            yield image

    write_coco(folder, CLASSES, shown(), is_synthetic=True)
    return -(-frames // FRAMES_PER_STRIP)


def _images(
    frames: int, seed: int, frame_shape: tuple[int, int], rate: float, varied: float
) -> Iterator[LabelledImage]:
    for number in range(frames):
        done, index = divmod(number, FRAMES_PER_STRIP)
        if index == 0:
            is_varied = int((done + 1) * varied) > int(done * varied)
            kind = VariedStrip if is_varied else SyntheticStrip
            strip = kind(seed + done, frame_shape, rate)
        frame = strip.frame(index)
        _, data = cv2.imencode(".png", frame.pixels, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
        name = f"{'varied' if is_varied else 'strip'}-{strip.seed}"
        yield LabelledImage(f"{name}-{index:02d}.png", data.tobytes(), frame.mask, name)
