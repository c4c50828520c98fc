"""COCO instances: the labels that CVAT and Label Studio export, and the project's own folder.

The project's folder is `annotations.json` and `images/`. Its masks are compressed run lengths, one
annotation for each connected component; the `group` of an image is an extra key that other programs
ignore.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pycocotools import mask as coco

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import ConfigError
from stripwatch.files import read_utf8
from stripwatch_train.data.faults import Faults
from stripwatch_train.data.formats.coco_images import LocatedImages, locate_images, unique_images
from stripwatch_train.data.formats.coco_masks import compressed
from stripwatch_train.data.formats.coco_parser import CocoParser, NotCoco
from stripwatch_train.data.formats.coco_records import (
    SYNTHESIZER,
    Annotation,
    Id,
    ImageRecord,
    Instances,
)
from stripwatch_train.data.images import image_shape
from stripwatch_train.data.samples import (
    DataSet,
    RunMasks,
    Sample,
    class_name,
    is_background,
    make_classes,
)

EXIF_HINT = " (its EXIF data may turn it, which the labelling tool did not: save it upright)"
# It writes brush masks as lines through the middle of their outermost pixels.
OUTLINING_CONTRIBUTOR = "Label Studio Converter"


def read_coco(
    path: Path, classes: Sequence[str] | None = None, images: Path | None = None
) -> DataSet:
    """Frames and masks of a COCO instances file; images without annotations are clean.

    Polygons and run lengths, compressed or not, are read; boxes, areas and crowd marks are not.

    Args:
        path: the JSON file.
        classes: names of the classes in order, among which all categories must be; None = the
            categories in the order of their ids.
        images: the folder that `file_name` counts from; None = the first usual one that fits.

    Raises:
        ConfigError: the file is damaged or contradicts itself, an image is missing or of another
            size, an annotation has no mask or an unknown category.
    """
    parser = CocoParser()
    data = _read(path, parser)
    faults = Faults(path, parser.faults)
    known, class_of, left_out = _classes(path, data, classes, parser.supercategories)
    records = unique_images(path, data.images) if data.images or not faults.texts else {}
    faults.raise_if_any()
    located = locate_images(path, data.images, images)
    contributor = data.info.get("contributor") if isinstance(data.info, dict) else None
    outlined = contributor == OUTLINING_CONTRIBUTOR
    runs: defaultdict[Id, list[tuple[int, str]]] = defaultdict(list)
    for annotation in data.annotations:
        with faults:
            record, text = _mask_of(annotation, records, class_of, located, outlined=outlined)
            if text:
                runs[record.id].append((class_of[annotation.category_id], text))
    samples: list[Sample] = []
    for record in data.images:
        with faults:
            samples.append(_sample(located, record, tuple(runs[record.id])))
    faults.raise_if_any()
    samples.sort(key=lambda sample: sample.name)
    findings = (*_findings(path, located), *left_out)
    if parser.bare_polygons:
        bare = f"{parser.bare_polygons} masks are a polygon without the list around it"
        findings = (*findings, f"{path}: {bare}; each is read as one polygon")
    is_synthetic = contributor == SYNTHESIZER
    return DataSet(known, tuple(samples), str(path), findings, is_synthetic)


def _mask_of(
    annotation: Annotation,
    records: Mapping[Id, ImageRecord],
    class_of: Mapping[Id, int],
    located: LocatedImages,
    *,
    outlined: bool,
) -> tuple[ImageRecord, str]:
    """The image of an annotation and its compressed counts; "" for a mask without a pixel."""
    where = f"annotation {annotation.id}"
    if annotation.image_id not in records:
        raise ConfigError(
            f"{where} is of image {annotation.image_id}, which is not listed"
            f"{_other_kind(annotation.image_id, records)}"
        )
    if annotation.category_id not in class_of:
        raise ConfigError(
            f"{where} is of category {annotation.category_id}; there are: "
            f"{', '.join(map(str, class_of)) or 'none'}"
            f"{_other_kind(annotation.category_id, class_of)}"
        )
    record = records[annotation.image_id]
    shape = located.shape(record)
    text = compressed(where, annotation.segmentation or [], shape, outlined=outlined)
    return record, text if coco.area({"size": list(shape), "counts": text}) else ""


def _other_kind(given: Id, listed: Iterable[Id]) -> str:
    """End of a sentence about an id of another type than those that are listed; else empty."""
    ids = list(listed)
    if not ids or any(isinstance(entry, str) == isinstance(given, str) for entry in ids):
        return ""
    kinds = ("text", "numbers") if isinstance(given, str) else ("a number", "text")
    return f": it is {kinds[0]}, and the listed ids are {kinds[1]}, such as {ids[0]!r}"


def _read(path: Path, parser: CocoParser) -> Instances:
    try:
        return parser.parse(read_utf8(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except NotCoco as error:
        raise ConfigError(f"{path}: is not a file of COCO instances: {error}") from None


def _classes(
    path: Path, data: Instances, names: Sequence[str] | None, supercategories: set[str]
) -> tuple[tuple[DefectClass, ...], dict[Id, int], tuple[str, ...]]:
    """The classes, the class id of each category id, and a remark on each category left out.

    A category that no annotation uses is no class where it is the background, or only groups
    others, as the root that Roboflow adds. Any other keeps its place: it may be rare.
    """
    ordered = sorted(data.categories, key=lambda entry: (isinstance(entry.id, str), entry.id))
    if len({entry.id for entry in ordered}) != len(ordered):
        raise ConfigError(f"{path}: two categories have the same id")
    used = {annotation.category_id for annotation in data.annotations}
    findings: list[str] = []
    if not names:
        left_out = [
            entry
            for entry in ordered
            if entry.id not in used and (entry.name in supercategories or is_background(entry.name))
        ]
        findings += [
            f"{path}: category {entry.name} is left out: no annotation uses it, and it is "
            f"{'the background' if is_background(entry.name) else 'a supercategory of others'}"
            for entry in left_out
        ]
        ordered = [entry for entry in ordered if entry not in left_out]
    known = make_classes(path, names or [entry.name for entry in ordered])
    id_of = {entry.name: entry.id for entry in known}
    unknown = [
        entry.name for entry in ordered if entry.id in used and class_name(entry.name) not in id_of
    ]
    if unknown:
        raise ConfigError(
            f"{path}: has masks of {', '.join(unknown)}, which is not among the classes "
            f"{', '.join(id_of)}; name it, too, or rename it in the file"
        )
    class_of = {entry.id: id_of.get(class_name(entry.name), 0) for entry in ordered}
    last = max((class_of[number] for number in used if number in class_of), default=0)
    findings += [
        f"{path}: no annotation uses the category {entry.name}; it is class {class_of[entry.id]} "
        "all the same"
        for entry in ordered
        if not names and entry.id not in used and entry.id != class_of[entry.id] < last
    ]
    return known, class_of, tuple(findings)


def _sample(
    located: LocatedImages, record: ImageRecord, runs: tuple[tuple[int, str], ...]
) -> Sample:
    name = located.names[record.id]
    path = located.folder / name
    shape = located.shape(record)
    found = image_shape(path)
    if found != shape:
        raise ConfigError(
            f"{path}: is {found[0]} x {found[1]} (lines x pixels), but its labels are for "
            f"{shape[0]} x {shape[1]}; use the image that was labelled"
            f"{EXIF_HINT if found == shape[::-1] else ''}"
        )
    return Sample(name, path, RunMasks(shape, "coco", runs) if runs else None, record.group)


def _findings(path: Path, located: LocatedImages) -> tuple[str, ...]:
    # Some tools list no image that has no label: its clean frames are then not part of the set.
    beside = located.unlisted()
    finding = (
        f"{path}: does not list {len(beside)} images that lie beside those that it lists (the "
        f"first: {beside[0] if beside else ''}); they were left out, and do not count as clean"
    )
    return (finding,) if beside else ()
