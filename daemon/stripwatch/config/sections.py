"""The sections of config.toml as frozen structs."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.config.cameras import CameraSource
from stripwatch.config.errors import ENDPOINT_PATTERN, PATH_PATTERN
from stripwatch.config.forward import Forward
from stripwatch.config.grading import Grading
from stripwatch.config.metrics import Metrics
from stripwatch.config.page import Page
from stripwatch.config.rolls import Periodic, Roll
from stripwatch.config.security import Security
from stripwatch.engines.base import Resources
from stripwatch.engines.manifest import Probability
from stripwatch.wire.names import CameraName, ClassName, Side, StripSide

Positive = Annotated[float, Meta(gt=0, le=1e6)]  # not infinite
Offset = Annotated[float, Meta(ge=-1e6, le=1e6)]  # nor "not a number"
Seconds = Annotated[float, Meta(gt=0, le=3600)]
Endpoint = Annotated[str, Meta(pattern=ENDPOINT_PATTERN)]
Attach = Literal["bind", "connect"]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Geometry(_Section, frozen=True):
    """The geometry that all cameras of this daemon share."""

    frame_lines: Side  # scan lines of a frame, along the strip
    frame_pixels: Side  # pixels of a line, across the strip
    mm_per_line: Positive
    mm_per_pixel: Positive

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Lines, pixels."""
        return (self.frame_lines, self.frame_pixels)


class Camera(_Section, frozen=True):
    """One camera and its place over the strip."""

    name: CameraName
    crossweb_offset_mm: Offset = 0.0  # of the camera's first pixel from the strip's left edge
    mirrored: bool = False  # pixels run from right to left
    side: StripSide = "top"  # the side of the strip that it sees
    source: CameraSource | None = None  # None: frames come from elsewhere


class Strip(_Section, frozen=True):
    """The edges of the strip, and how exactly cameras that overlap see the same place."""

    edges: Literal["none", "given", "found"] = "none"
    edges_mm: tuple[Offset, Offset] | None = None  # left and right, where they are given
    background_grey_max: Annotated[int, Meta(ge=1, le=254)] = 20  # beside the strip, where found
    overlap_tolerance_mm: Annotated[float, Meta(ge=0, le=100)] = 1.0


class Input(_Section, frozen=True):
    """An endpoint on which frames arrive."""

    endpoint: Endpoint
    pattern: Literal["sub", "pull"] = "sub"
    attach: Attach = "bind"
    queue_frames: Annotated[int, Meta(ge=1, le=10_000)] = 32  # ZeroMQ's own queue, per camera


class EngineSection(Resources, frozen=True, kw_only=True):
    """The engine folder that engine-build wrote, and how to run it."""

    folder: Annotated[str, Meta(pattern=PATH_PATTERN)]  # relative to the configuration file
    rebuilds_max: Annotated[int, Meta(ge=0, le=1000)] = (
        10  # device faults in a row before giving up
    )
    rebuild_delay_s_max: Seconds = 30.0


class Batch(_Section, frozen=True):
    """Batching of frames into slots."""

    rows: Annotated[int, Meta(ge=1, le=64)] = 4
    wait_ms: Annotated[float, Meta(gt=0, le=10_000)] = 20.0


class ClassOverride(_Section, frozen=True):
    """Settings of one class, in place of those in the engine's manifest."""

    name: str
    threshold: Probability | None = None
    min_area_px: Annotated[int, Meta(ge=0)] | None = None


class Inspect(_Section, frozen=True):
    """Rules by which masks become defects."""

    defects_max: Annotated[int, Meta(ge=1, le=10_000)] = 100  # per class and frame, see docs
    classes: tuple[ClassOverride, ...] = ()


class JournalSection(_Section, frozen=True):
    """The journal of events, and how much of it is kept."""

    folder: Annotated[str, Meta(pattern=PATH_PATTERN)] | None = None  # None: see `journal_folder`
    gigabytes_max: Positive = 20.0  # the oldest events beyond it are removed
    days_max: Positive = 90.0
    unread_gigabytes_max: Positive = 40.0  # where a named reader has not read them yet


class PicturesSection(_Section, frozen=True):
    """Pictures of defects, kept beside the journal."""

    crops: bool = True  # what is around each defect, and its mask
    margin_px: Annotated[int, Meta(ge=0, le=1000)] = 32  # around a defect
    frames_of: tuple[ClassName, ...] = ()  # classes of whose defects the whole frame is kept, too
    gigabytes_max: Positive = 10.0  # the oldest pictures beyond it are removed


class Publish(_Section, frozen=True):
    """The endpoint at which events leave."""

    endpoint: Endpoint
    attach: Attach = "bind"
    queue_events: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000  # per subscriber, then dropped
    frame_results: bool = False  # a `frame.<camera>` message for every frame


class RequestsSection(_Section, frozen=True):
    """The endpoint at which clients ask for events again; always bound."""

    endpoint: Endpoint


class Service(_Section, frozen=True):
    """The process itself."""

    drain_timeout_s: Seconds = 10.0
    log_format: Literal["auto", "json", "console"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class Config(_Section, frozen=True):
    """The whole of config.toml."""

    line: Geometry
    cameras: Annotated[tuple[Camera, ...], Meta(min_length=1)]
    inputs: Annotated[tuple[Input, ...], Meta(min_length=1)]
    engine: EngineSection
    publish: Publish
    batch: Batch = Batch()
    strip: Strip = Strip()
    inspect: Inspect = Inspect()
    periodic: Periodic = Periodic()
    rolls: tuple[Roll, ...] = ()
    grading: Grading = Grading()
    journal: JournalSection = JournalSection()
    pictures: PicturesSection = PicturesSection()
    requests: RequestsSection | None = None
    security: Security = Security()
    metrics: Metrics | None = None
    service: Service = Service()
    forward: Forward = Forward()
    page: Page = Page()
