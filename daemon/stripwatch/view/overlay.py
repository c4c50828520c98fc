"""A frame with its defects drawn in: mask, box and label, in the colour of the class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from stripwatch.wire.event import Defect
from stripwatch.wire.rle import decode_severstal

# Okabe and Ito's palette, which colour-blind readers can tell apart; RGB, by class id.
PALETTE = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 190, 140),
    (240, 90, 40),
    (240, 228, 66),
    (204, 121, 167),
    (60, 130, 220),
    (170, 220, 90),
)
FILL_SHARE = 0.38  # of the class's colour over the steel, inside the mask
FONT_LINES_SHARE = 14  # frame height / text height
FONT_PX_MIN, FONT_PX_MAX = 11, 26
PADDING_PX = 3
CAPTION_COLOUR, CAPTION_BACKGROUND = (235, 235, 235), (24, 24, 24)

Box = tuple[int, int, int, int]  # left, top, right, bottom
Image8 = NDArray[np.uint8]


def class_colour(class_id: int) -> tuple[int, int, int]:
    """The colour of a class, RGB."""
    return PALETTE[(class_id - 1) % len(PALETTE)]


def draw_overlay(pixels: Image8, defects: Sequence[Defect]) -> Image8:
    """Draw the defects of one frame.

    The largest come first: on a busy frame a label for which there is no place is left out, and
    the colour names the class.

    Args:
        pixels: the frame, uint8 [lines, pixels].
        defects: of this frame; a mask of another shape is not drawn, its box is.

    Returns:
        BGR uint8 [lines, pixels, 3].

    Raises:
        WireError: a defect's `rle` is not valid.
    """
    image = Image.fromarray(draw_masks(pixels, defects))
    draw = ImageDraw.Draw(image)
    lines = pixels.shape[0]
    size_px = min(FONT_PX_MAX, max(FONT_PX_MIN, lines // FONT_LINES_SHARE))
    font = ImageFont.load_default(size_px)
    boxes = [_box(defect, image.size) for defect in defects]
    for defect, (left, top, right, bottom) in zip(defects, boxes, strict=True):
        box = (left - 2, top - 2, right + 1, bottom + 1)
        draw.rectangle(box, outline=class_colour(defect.class_id))
    taken = list(boxes)  # labels hide no other defect and no other label
    for defect in sorted(defects, key=lambda defect: -defect.area_px):
        text = f"{defect.class_name} {defect.score:.2f}"
        place = _label(draw, font, text, defect, taken, image.size)
        if place is not None:
            taken.append(place)
    return np.ascontiguousarray(np.asarray(image)[:, :, ::-1])


def add_caption(overlay: Image8, text: str) -> Image8:
    """Write a line of text under an overlay, where it hides nothing.

    Args:
        overlay: BGR uint8 [lines, pixels, 3].
        text: what does not fit its width is cut off.

    Returns:
        BGR uint8 [lines and those of the caption, pixels, 3].
    """
    lines, pixels = overlay.shape[:2]
    size_px = min(FONT_PX_MAX, max(FONT_PX_MIN, lines // FONT_LINES_SHARE))
    bar = Image.new("RGB", (pixels, size_px + 2 * PADDING_PX), CAPTION_BACKGROUND)
    font = ImageFont.load_default(size_px)
    draw = ImageDraw.Draw(bar)
    draw.text((PADDING_PX, bar.height // 2), text, CAPTION_COLOUR, font, anchor="lm")
    return np.concatenate((overlay, np.asarray(bar)[:, :, ::-1]))


def draw_masks(pixels: Image8, defects: Sequence[Defect]) -> Image8:
    """The frame as RGB uint8 [lines, pixels, 3], tinted and outlined inside the masks only.

    Raises:
        WireError: a defect's `rle` is not valid.
    """
    image = np.repeat(pixels[:, :, np.newaxis], 3, axis=2)
    for defect in defects:
        if defect.frame_shape != pixels.shape:
            continue
        mask = decode_severstal(defect.rle, defect.frame_shape)
        draw_mask(image, mask, class_colour(defect.class_id))
    return image


def draw_mask(image: Image8, mask: NDArray[Any], colour: tuple[int, int, int]) -> None:
    """Tint the pixels of a mask and outline them, in place.

    Args:
        image: RGB uint8 [lines, pixels, 3].
        mask: [lines, pixels], true or not 0 where the colour goes.
        colour: RGB.
    """
    inside = mask.astype(np.bool_)
    image[inside] = image[inside] * (1 - FILL_SHARE) + np.array(colour, np.float32) * FILL_SHARE
    core = cv2.erode(inside.view(np.uint8), np.ones((3, 3), np.uint8), borderValue=0)
    image[inside & (core == 0)] = colour


def _label(
    draw: ImageDraw.ImageDraw,
    font: Any,  # noqa: ANN401 - Pillow's two kinds of font share no type
    text: str,
    defect: Defect,
    taken: Sequence[Box],
    size: tuple[int, int],
) -> Box | None:
    """Write a label where it fits: above its box, below it, or inside it where nothing else is.

    The only label of a picture is written in any case.
    """
    _, ascent, right, descent = (round(value) for value in draw.textbbox((0, 0), text, font=font))
    width, height = right + 2 * PADDING_PX, descent - ascent + 2 * PADDING_PX
    x, y, _, bottom = _box(defect, size)
    left = max(0, min(x - 2, size[0] - width))
    below = bottom + 2
    tops = [y - 2 - height, below, *range(y + 1, max(y + 2, below - height), height + 1)]
    fitting = [top for top in tops if 0 <= top <= size[1] - height]
    places = [(left, top, left + width, top + height) for top in fitting]
    own = _box(defect, size)
    others = [other for other in taken if other != own]
    clear = [place for place in places if not any(_overlap(place, other) for other in others)]
    if not clear and others:
        return None
    place = (clear or places or [(left, 0, left + width, height)])[0]
    draw.rectangle((place[0], place[1], place[2] - 1, place[3] - 1), class_colour(defect.class_id))
    draw.text((place[0] + PADDING_PX, place[1] + PADDING_PX - ascent), text, (16, 16, 16), font)
    return place


def _box(defect: Defect, size: tuple[int, int]) -> Box:
    """The box of a defect inside the picture: the numbers come from a peer."""
    left, top, width, height = defect.bbox_px
    x, y = min(left, size[0]), min(top, size[1])
    return x, y, min(left + width, size[0]), min(top + height, size[1])


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
