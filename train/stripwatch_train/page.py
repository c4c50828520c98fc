"""One HTML page of tables and pictures, which needs no other file and no network."""

from __future__ import annotations

import base64
import datetime
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from stripwatch._version import __version__
from stripwatch.errors import StorageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = "index.html"
NUMBERED = (
    "best",
    "ordinary",
    "overlays",
    "sizes",
    "sweep",
    "training",
    "worst",
)  # pictures of which a page has several
DPI = 110
JPEG_QUALITY = 90  # of frames inside the page; their PNG files beside it have every pixel


@dataclass(frozen=True, slots=True)
class TableOf:
    """Rows under a head; cells are shown as they are."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG file; `name` is its file's, without suffix."""

    name: str
    png: bytes
    caption: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page."""

    title: str
    text: str = ""
    tables: tuple[TableOf, ...] = ()
    pictures: tuple[Picture, ...] = ()


def picture_of(name: str, figure: Figure, caption: str) -> Picture:
    """A plot as a picture; make it by `matplotlib.figure.Figure`, which needs no closing."""
    data = BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a box stands for the letter
        figure.savefig(data, format="png", dpi=DPI, bbox_inches="tight")
    return Picture(name, data.getvalue(), caption)


def write_page(folder: Path, title: str, lead: str, sections: Sequence[Section]) -> Path:
    """Write `index.html` and, beside it, each of its pictures as a PNG file.

    Returns:
        The page's path.

    Raises:
        StorageError: the folder cannot be written.
    """
    from jinja2 import Environment

    source = (resources.files("stripwatch_train") / "page.html").read_text("utf-8")
    template = Environment(autoescape=True, trim_blocks=True).from_string(source)
    text = template.render(
        title=title,
        lead=lead,
        sections=sections,
        embedded=_embedded,
        made=f"stripwatch-train {__version__}, {datetime.date.today().isoformat()}",
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind in NUMBERED:
            for path in folder.glob(f"{kind}-*.png"):  # of a page before, which had more
                path.unlink()
        for section in sections:
            for picture in section.pictures:
                (folder / f"{picture.name}.png").write_bytes(picture.png)
        (folder / PAGE).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}") from error
    return folder / PAGE


def _embedded(png: bytes) -> str:
    """A picture as a URL that holds it, in less bytes than the PNG file.

    Frames, whose noise PNG cannot pack, become JPEG with whole colours; plots lossless WebP.
    """
    with Image.open(BytesIO(png)) as image:
        colours = image.convert("RGB")
    packed, kind = BytesIO(), "jpeg"
    colours.save(packed, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    if packed.tell() > len(png):
        packed, kind = BytesIO(), "webp"
        colours.save(packed, "WEBP", lossless=True)
    return f"data:image/{kind};base64,{base64.b64encode(packed.getvalue()).decode()}"
