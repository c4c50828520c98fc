"""COCO files as tools write them, parsed with every fault named in COCO's own terms.

Tools differ in what JSON allows: whole numbers as 64.0, ids as text in one list and as numbers in
the other, sizes and ids left out, one polygon without the list around it. All of that is read.
"""

from __future__ import annotations

import msgspec

from stripwatch.wire.names import SIDE_MAX
from stripwatch_train.data.formats.coco_records import (
    Annotation,
    Category,
    Id,
    ImageRecord,
    Instances,
)
from stripwatch_train.data.formats.coco_values import (
    Json,
    Mask,
    MaskFault,
    id_of,
    kind_of,
    parse_mask,
    whole,
)
from stripwatch_train.data.text import decode_text

LISTS = ("images", "annotations", "categories")


class NotCoco(Exception):
    """A file that holds no COCO instances; its text says what it is."""


class CocoParser:
    """Records of a file, and a sentence for each fault."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.bare_polygons = 0  # written without the list around them
        self.supercategories: set[str] = set()

    def parse(self, data: bytes) -> Instances:
        """Parse a file; records with faults are left out, and `faults` names them.

        Raises:
            NotCoco: it is no JSON, or something else.
        """
        document = _decoded(data)
        return Instances(
            images=[
                record
                for number, entry in enumerate(document["images"], 1)
                if (record := self._image(number, entry)) is not None
            ],
            annotations=[
                annotation
                for number, entry in enumerate(document["annotations"], 1)
                if (annotation := self._annotation(number, entry)) is not None
            ],
            categories=[
                category
                for number, entry in enumerate(document["categories"], 1)
                if (category := self._category(number, entry)) is not None
            ],
            info=document.get("info", {}),
        )

    def _image(self, number: int, entry: Json) -> ImageRecord | None:
        where = _where("image", number, entry)
        if not self._is_object(where, entry):
            return None
        image_id = self._id(where, entry, "id")
        name, group = entry.get("file_name"), entry.get("group", "")
        if not isinstance(name, str) or not name:
            self.faults.append(f"{where} has no file_name; give the path of its file")
            return None
        width, height = (self._side(where, entry, key) for key in ("width", "height"))
        if image_id is None:
            return None
        return ImageRecord(image_id, name, width, height, group if isinstance(group, str) else "")

    def _category(self, number: int, entry: Json) -> Category | None:
        where = _where("category", number, entry)
        if not self._is_object(where, entry):
            return None
        category_id, name = self._id(where, entry, "id"), entry.get("name")
        if not isinstance(name, str):
            self.faults.append(f"{where} has no name; give the name of the class")
            return None
        above = entry.get("supercategory")
        if isinstance(above, str) and above != name:
            self.supercategories.add(above)
        return None if category_id is None else Category(category_id, name)

    def _annotation(self, number: int, entry: Json) -> Annotation | None:
        where = _where("annotation", number, entry)
        if not self._is_object(where, entry):
            return None
        own = id_of(entry.get("id"))
        image_id = self._id(where, entry, "image_id")
        category_id = self._id(where, entry, "category_id")
        faults = len(self.faults)
        mask = self._segmentation(where, entry.get("segmentation"))
        if image_id is None or category_id is None or len(self.faults) > faults:
            return None
        return Annotation(f"number {number}" if own is None else own, image_id, category_id, mask)

    def _segmentation(self, where: str, value: Json) -> Mask:
        try:
            mask, is_bare = parse_mask(value)
        except MaskFault as fault:
            self.faults.append(f"{where}: {fault}")
            return None
        self.bare_polygons += is_bare
        return mask

    def _is_object(self, where: str, entry: Json) -> bool:
        if isinstance(entry, dict):
            return True
        self.faults.append(f"{where} is {kind_of(entry)}; it must be an object with its keys")
        return False

    def _id(self, where: str, entry: dict[str, Json], key: str) -> Id | None:
        value = id_of(entry.get(key))
        if value is None:
            given = f"is {kind_of(entry[key])}" if entry.get(key) is not None else "is missing"
            self.faults.append(f"{where}: its {key} {given}; it must be a whole number or text")
        return value

    def _side(self, where: str, entry: dict[str, Json], key: str) -> int | None:
        """Width or height; None where it is left out, as readers of COCO do not need it."""
        if entry.get(key) is None:
            return None
        value = whole(entry[key])
        if value is None or not 1 <= value <= SIDE_MAX:
            self.faults.append(
                f"{where}: its {key} is {entry[key]!r}; give the pixels, 1 to {SIDE_MAX}, or leave "
                "it out"
            )
            return None
        return value


def _where(what: str, number: int, entry: Json) -> str:
    """Name of a record: by its id, or else by its place, from 1."""
    own = id_of(entry.get("id")) if isinstance(entry, dict) else None
    if own is None:
        return f"{what} number {number} of the list"
    name = entry.get("file_name") if what == "image" else None
    return f"{what} {own} ({name})" if isinstance(name, str) else f"{what} {own}"


def _decoded(data: bytes) -> dict[str, Json]:
    try:
        document = msgspec.json.decode(decode_text(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotCoco(f"it is no JSON: {error}; it may have been cut") from None
    if isinstance(document, dict):
        if "shapes" in document and "imagePath" in document:
            raise NotCoco(
                "it is a file of LabelMe, with the labels of one image; convert the folder to COCO "
                "(for example with labelme2coco), and name the file of that"
            )
        if "_via_img_metadata" in document:
            raise NotCoco("it is a project of the VGG Image Annotator; export it as COCO")
        missing = [key for key in LISTS if not isinstance(document.get(key), list)]
        if not missing:
            return document
        raise NotCoco(f"it has no list {' and no list '.join(missing)}")
    if isinstance(document, list) and document and isinstance(document[0], dict):
        if "data" in document[0]:
            raise NotCoco("it is Label Studio's own JSON; export it as COCO")
        if "image_id" in document[0]:
            raise NotCoco(
                "it is a list of annotations, as COCO results are; images and categories are needed"
            )
    raise NotCoco(f"it is {kind_of(document)}; it must be an object with {', '.join(LISTS)}")
