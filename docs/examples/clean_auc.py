"""How well `fit clean` tells clean places from defects, on a labelled data set cut into tiles.

    python docs/examples/clean_auc.py magnetic_tiles/ --tile 112 --work work/
    python docs/examples/clean_auc.py neu_seg/ --classes inclusion,patches,scratches --tile 100 \
        --clean-tiles --work work/

For each fold, with near-duplicates together, it learns from clean tiles of the other folds and
scores the tiles of the fold: pixel AUC over all pixels, tile AUC by each tile's highest score.
Clean tiles are those of clean frames, with --clean-tiles also those without a defect of other
frames. It needs pip install '.[train,pretrained]'.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from stripwatch_engine.models.reference import Session
from stripwatch_train.clean.fit import CleanSettings, fit_clean
from stripwatch_train.clean.frames import MEAN, STD
from stripwatch_train.data.data_set import open_data_set
from stripwatch_train.data.folds import make_folds
from stripwatch_train.data.images import load_image
from stripwatch_train.data.masks import load_mask
from stripwatch_train.data.samples import Sample
from stripwatch_train.evaluation.statistics import auc, roc

Bytes = NDArray[np.uint8]
LEVELS = 1000  # of scores, for the pixel AUC


def main() -> None:
    """Print the AUC of each fold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--classes")
    parser.add_argument("--tile", type=int, required=True, metavar="PX")
    parser.add_argument("--clean-tiles", action="store_true")
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--frames", type=int, default=10**6, help="used of each part, at most")
    parser.add_argument("--work", type=Path, required=True, help="a new folder")
    args = parser.parse_args()
    data_set = open_data_set(args.data, args.classes.split(",") if args.classes else None)
    fold_of = make_folds(data_set, 5, seed=0).fold_of
    for fold in args.folds:
        parts: list[list[Sample]] = [[], []]
        for sample in data_set.samples:
            parts[fold_of[sample.name] == fold].append(sample)
        learned, tested = (spread(part, args.frames) for part in parts)
        folder = args.work / str(fold)
        (folder / "tiles").mkdir(parents=True)
        for name, pixels, mask in tiles(learned, args.tile, any_frame=args.clean_tiles):
            if not mask.any():
                cv2.imwrite(str(folder / "tiles" / f"{name}.png"), pixels)
        settings = CleanSettings(folder / "tiles", folder / "model", line_mm=1, per_100_m=10)
        (folder / "model").mkdir()
        report = fit_clean(settings)
        found = list(tiles(tested, args.tile, any_frame=args.clean_tiles))
        sys.stdout.write(
            f"fold {fold}: {report.training_frames} tiles learned, {len(found)} tested, "
            f"{measured(folder / 'model/model.onnx', [entry[1:] for entry in found])}\n"
        )
        sys.stdout.flush()


def spread(samples: list[Sample], count: int) -> list[Sample]:
    """At most `count` samples, spread over all."""
    picked = np.linspace(0, len(samples) - 1, min(len(samples), count)).astype(int)
    return [samples[index] for index in picked]


def tiles(
    samples: list[Sample], side: int, *, any_frame: bool
) -> Iterator[tuple[str, Bytes, Bytes]]:
    """Name, pixels and mask of the tiles of frames; tiles whose being clean is not known are not.

    Those are the tiles without a defect of a frame that has, or should have one.
    """
    for number, sample in enumerate(samples):
        pixels = load_image(sample)
        mask = load_mask(sample, (pixels.shape[0], pixels.shape[1]))
        for top in range(0, pixels.shape[0] - side + 1, side):
            for left in range(0, pixels.shape[1] - side + 1, side):
                place = (slice(top, top + side), slice(left, left + side))
                if mask[place].any() or any_frame or sample.masks is None:
                    yield f"{number:05}-{top:04}-{left:04}", pixels[place], mask[place]


def measured(model: Path, found: list[tuple[Bytes, Bytes]]) -> str:
    """Pixel and tile AUC of a model."""
    session = Session(onnx.load(model))
    maps = []
    for pixels, _ in found:
        below = (0, -pixels.shape[0] % 16), (0, -pixels.shape[1] % 16)
        image = (np.pad(pixels, below, mode="edge").astype(np.float32) / 255 - MEAN) / STD
        plane = session.run({"image": image[None, None].astype(np.float32)})["logits"][0, 0]
        whole = cv2.resize(plane, image.shape[::-1], interpolation=cv2.INTER_LINEAR)
        maps.append(whole[: pixels.shape[0], : pixels.shape[1]])
    truth = np.stack([mask > 0 for _, mask in found])
    scores = np.stack(maps)
    limits = np.quantile(scores, np.linspace(0, 1, LEVELS))
    of_pixel = np.searchsorted(limits, scores.ravel())
    peaks = np.searchsorted(np.sort(scores.max(axis=(1, 2))), scores.max(axis=(1, 2)))
    there = np.asarray(truth.any(axis=(1, 2)))
    pixel, tile = auc(roc(of_pixel, truth.ravel())), auc(roc(peaks, there))
    return f"{there.sum()} with a defect: pixel AUC {pixel:.4f}, tile AUC {tile:.4f}"


if __name__ == "__main__":
    main()
