"""Images in one folder and their masks, as images of the same names, in another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from stripwatch.errors import ConfigError
from stripwatch_train.data.images import image_files
from stripwatch_train.data.samples import DataSet, MaskFile, Sample, make_classes
from stripwatch_train.data.text import read_text

IMAGE_FOLDER = "images"
MASK_FOLDERS = ("annotations", "masks")
CLASS_FILE = "classes.txt"  # a name a line, in the order of the values in the masks
CLEAN_FOLDERS = ("clean", "free", "good", "ok")  # last words of folders that hold no defects


def read_mask_folder(images: Path, masks: Path, classes: Sequence[str] | None = None) -> DataSet:
    """Images and their index masks: 0 is no defect, 1 the first class, and so on.

    An image is found in the folder or in folders inside it (`training/000201.jpg`), its mask under
    the same path with any suffix. No file is opened.

    Args:
        images: the folder of images.
        masks: the folder of masks.
        classes: the classes' names; None = those in classes.txt, in a folder above `masks`.

    Raises:
        ConfigError: a folder is missing or empty, an image has no mask or a mask no image, two
            files have one name, or the classes are not known.
    """
    names = tuple(classes) if classes else _class_names(masks)
    known = make_classes(masks, names)
    image_of, mask_of = _by_stem(images), _by_stem(masks)
    _check_pairs(images, image_of, masks, mask_of)
    samples = tuple(
        Sample(name, path, MaskFile(mask_of[name], len(known))) for name, path in image_of.items()
    )
    return DataSet(known, samples, str(images.parent))


def has_class_folders(folder: Path) -> bool:
    """Whether a folder in it holds a JPEG and a PNG of one name: see `read_class_folders`."""
    if not folder.is_dir():
        return False
    for inner in folder.iterdir():
        files = list(inner.iterdir()) if inner.is_dir() else []
        stems = {path.stem for path in files if path.suffix.lower() == ".png"}
        if any(path.stem in stems for path in files if path.suffix.lower() in (".jpg", ".jpeg")):
            return True
    return False


def read_class_folders(folder: Path, classes: Sequence[str] | None = None) -> DataSet:
    """A folder for each class, with a.jpg and its mask a.png; bright is a defect of that class.

    Args:
        folder: of the folders.
        classes: names of those that hold a class, in order; None = all by name, without those
            whose last word is clean, free, good or ok.

    Raises:
        ConfigError: an image has no mask or a mask no image, or a folder is missing or empty.
    """
    inner = sorted(path.name for path in folder.iterdir() if path.is_dir())
    names = tuple(classes or (name for name in inner if not _is_clean(name)))
    known = make_classes(folder, names)
    for name in names:
        if name not in inner:
            raise ConfigError(f"{folder}: has no folder {name}; there are: {', '.join(inner)}")
    for name in inner:
        if name not in names and not _is_clean(name):
            raise ConfigError(
                f"{folder}: {name} is none of the classes {', '.join(names)}, and its images "
                "would count as clean; name it, too, or move it elsewhere"
            )
    samples: list[Sample] = []
    for name in inner:
        paths = image_files(folder / name)
        image_of = {path.stem: path for path in paths if path.suffix.lower() != ".png"}
        mask_of = {path.stem: path for path in paths if path.suffix.lower() == ".png"}
        _check_pairs(folder / name, image_of, folder / name, mask_of)
        class_id = names.index(name) + 1 if name in names else None
        for stem, path in image_of.items():
            masks = MaskFile(mask_of[stem], len(known), class_id) if class_id else None
            samples.append(Sample(f"{name}/{stem}", path, masks))
    return DataSet(known, tuple(samples), str(folder))


def _is_clean(folder: str) -> bool:
    return folder.lower().split("_")[-1] in CLEAN_FOLDERS


def _class_names(masks: Path) -> tuple[str, ...]:
    places = [folder / CLASS_FILE for folder in (masks, *masks.parents[:2])]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise ConfigError(
            f"{masks}: the names of the classes are not known; give them, or write them into "
            f"{places[1]}, one a line"
        )
    return tuple(line.strip() for line in read_text(path).splitlines() if line.strip())


def _by_stem(folder: Path) -> dict[str, Path]:
    """The image files of a folder by their path in it, without suffix."""
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for path in image_files(folder):
        found[path.relative_to(folder).with_suffix("").as_posix()].append(path)
    for name, paths in found.items():
        if len(paths) > 1:
            raise ConfigError(
                f"{folder}: {' and '.join(path.name for path in paths)} share the name {name}; "
                "keep one"
            )
    return {name: paths[0] for name, paths in found.items()}


def _check_pairs(
    images: Path, image_of: dict[str, Path], masks: Path, mask_of: dict[str, Path]
) -> None:
    for what, where, here, there, other in (
        ("images", images, image_of, mask_of, f"mask in {masks}"),
        ("masks", masks, mask_of, image_of, f"image in {images}"),
    ):
        alone = [name for name in here if name not in there]
        if alone:
            raise ConfigError(
                f"{where}: {len(alone)} {what} have no {other} (the first: {alone[0]}); an image "
                "without defects has a mask of zeros"
            )
