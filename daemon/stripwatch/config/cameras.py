"""The key `source` of [[cameras]]: the real camera behind a name, for `stripwatch camera`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.config.errors import FILE_PATTERN
from stripwatch.config.light import LightSection, light_mistakes
from stripwatch.config.strip_source import StripSource, strip_source_mistakes

Text = Annotated[str, Meta(min_length=1, max_length=200)]
Pixel = Annotated[int, Meta(ge=0, le=65535)]
FeatureValue = bool | int | float | str


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class EmbeddedCount(_Section, frozen=True):
    """A count that the camera writes over the first pixels of a line."""

    row: Pixel = 0
    first_px: Pixel = 0
    bytes: Literal[2, 4] = 4
    order: Literal["big", "little"] = "big"


class LineSource(_Section, frozen=True):
    """Where the position of a frame's first line comes from; one of the three."""

    chunk: Text | None = None  # name of a value that comes with each frame
    feature: Text | None = None  # name of a value that is read when a frame comes
    embedded: EmbeddedCount | None = None
    bits: Literal[16, 32] = 32  # the count goes back to 0 after 2^bits
    counts_per_line: Annotated[float, Meta(gt=0, le=1e6)] = 1.0
    may_fall: bool = False  # frames are taken while the strip runs backwards, too


class CameraSource(_Section, frozen=True):
    """The camera that `stripwatch camera NAME` connects; the daemon itself does not read it."""

    kind: Literal["aravis", "genicam", "pylon"]
    id: str = ""  # serial number, name or address, as `stripwatch camera list` shows them
    producer: Annotated[str, Meta(pattern=FILE_PATTERN)] | None = (
        None  # of kind genicam: the vendor's .cti file
    )
    pixel_format: Text = "Mono8"
    trigger: Literal["encoder", "free"] = "encoder"  # what makes the camera take a line
    features: dict[Text, FeatureValue] = {}  # set by name, in this order, after the essentials
    frame_timeout_ms: Annotated[float, Meta(ge=1, le=60_000)] = 500.0  # of a frame once begun
    buffers: Annotated[int, Meta(ge=2, le=1000)] = 32
    packet_bytes: Annotated[int, Meta(ge=0, le=65_536)] = 0  # GigE; 0: the largest that arrives
    link_mbit_s_min: Annotated[int, Meta(ge=10, le=1_000_000)] = 1000
    line: LineSource | None = None
    lines_lost_chunk: Text | None = None  # lines that the camera skipped within the frame
    strip: StripSource | None = None  # what tells the coil id
    light: LightSection = LightSection()

    @property
    def chunks(self) -> tuple[str, ...]:
        """Names of the values that are wanted with each frame."""
        names = (self.line.chunk if self.line else None, self.lines_lost_chunk)
        return tuple(dict.fromkeys(name for name in names if name))


def source_mistakes(name: str, source: CameraSource | None) -> list[str]:
    """Keys of a camera's source that do not fit together."""
    if source is None:
        return []
    place = f"cameras.source of {name!r}"
    mistakes = []
    if (source.kind == "genicam") != (source.producer is not None):
        mistakes.append(f'{place}: kind = "genicam" and producer = "FILE.cti" go together')
    line = source.line
    if line and sum(key is not None for key in (line.chunk, line.feature, line.embedded)) != 1:
        mistakes.append(f"{place}: line needs exactly one of chunk, feature, embedded")
    mistakes += strip_source_mistakes(f"cameras.source.strip of {name!r}", source.strip)
    return mistakes + light_mistakes(f"cameras.source.light of {name!r}", source.light)


def source_with_absolute_paths(source: CameraSource, folder: Path) -> CameraSource:
    """The same with files and folders that start at `folder`."""
    replaced = msgspec.structs.replace
    strip = source.strip
    if strip and strip.kind == "file":
        strip = replaced(strip, address=str((folder / strip.address).resolve()))
    return replaced(
        source,
        producer=source.producer and str((folder / source.producer).resolve()),
        strip=strip,
        light=replaced(source.light, folder=str((folder / source.light.folder).resolve())),
    )
