"""Pages: pictures inside them are smaller than their files, and show the same."""

from __future__ import annotations

import base64
import re
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from stripwatch._version import __version__
from stripwatch_train.page import Picture, Section, picture_of, write_page

Pixels = NDArray[np.int16]


def pixels_of(data: bytes) -> Pixels:
    return np.asarray(Image.open(BytesIO(data)).convert("RGB")).astype(np.int16)


def noisy_frame() -> Picture:
    """Grey camera noise with an orange line of two pixels."""
    noise = np.random.default_rng(1).normal(110, 6, (128, 512)).astype(np.uint8)
    image = np.repeat(noise[:, :, np.newaxis], 3, axis=2)
    image[60:62] = (240, 140, 0)
    data = BytesIO()
    Image.fromarray(image).save(data, "PNG")
    return Picture("frame", data.getvalue(), "a frame")


def test_pictures_inside_a_page_are_smaller_and_show_the_same(tmp_path: Path) -> None:
    """A plot to the pixel, a noisy frame nearly; the files beside the page are whole."""
    figure = Figure(figsize=(6, 4))
    figure.subplots().plot([0, 1, 3], [2, 0, 1])
    pictures = (picture_of("plot", figure, "a plot"), noisy_frame())
    page = write_page(tmp_path, "Title", "lead", [Section("One", pictures=pictures)])
    assert re.search(rf"stripwatch-train {__version__}, \d{{4}}-\d\d-\d\d", page.read_text())
    found = re.findall(r'src="data:image/(\w+);base64,([^"]+)"', page.read_text())
    assert [kind for kind, _ in found] == ["webp", "jpeg"]
    for picture, (kind, text) in zip(pictures, found, strict=True):
        shown = base64.b64decode(text)
        assert (tmp_path / f"{picture.name}.png").read_bytes() == picture.png
        assert len(shown) < 0.6 * len(picture.png)
        wrong = np.abs(pixels_of(shown) - pixels_of(picture.png))
        assert wrong.mean() <= (0 if kind == "webp" else 3)  # of 255
