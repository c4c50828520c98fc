"""config.toml as frozen structs; every error names file, key, value and what is allowed."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from stripwatch.config_errors import (
    ENDPOINT_PATTERN,
    PATH_PATTERN,
    explain,
    explain_all,
    in_one_text,
)
from stripwatch.config_forward import Forward, forward_mistakes, with_absolute_files
from stripwatch.config_grading import Grading, wrong_grading
from stripwatch.config_rolls import Periodic, Roll, range_mistakes
from stripwatch.engines.base import Resources
from stripwatch.engines.manifest import Probability
from stripwatch.errors import ConfigError
from stripwatch.files import to_utf8
from stripwatch.wire.names import CameraName, ClassName, Side, StripSide

CONFIG_BYTES_MAX = 1024 * 1024

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
    service: Service = Service()
    forward: Forward = Forward()


def load_config(path: Path) -> Config:
    """Read and check a configuration file; its paths come back absolute.

    Raises:
        ConfigError: the file cannot be read, or breaks a rule.
    """
    table = read_table(path)
    try:
        config = msgspec.convert(table, Config)
    except msgspec.ValidationError as error:
        mistakes = explain_all(table, Config) or [explain(str(error), table, Config)]
        raise ConfigError(in_one_text(path, mistakes)) from None
    endpoints = [entry.endpoint for entry in config.inputs] + [config.publish.endpoint]
    if config.requests:
        endpoints.append(config.requests.endpoint)
    mistakes = [
        *_repeated("cameras.name", [camera.name for camera in config.cameras]),
        *_repeated("endpoint", endpoints),
        *_repeated("inspect.classes.name", [entry.name for entry in config.inspect.classes]),
        *_wrong_edges(config.strip),
        *forward_mistakes(config.forward),
        *_repeated("rolls.name", [roll.name for roll in config.rolls]),
        *range_mistakes(config.periodic, config.rolls),
        *wrong_grading(config.grading, [camera.side for camera in config.cameras]),
    ]
    journal = config.journal
    if journal.unread_gigabytes_max < journal.gigabytes_max:
        mistakes.append(
            f"journal.unread_gigabytes_max = {journal.unread_gigabytes_max:g} must be at least "
            f"journal.gigabytes_max = {journal.gigabytes_max:g}"
        )
    if mistakes:
        raise ConfigError(in_one_text(path, mistakes))
    return _with_absolute_paths(config, path.parent)


def read_table(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        ConfigError: it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(_read_text(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # also numbers and nesting beyond any reader
        raise ConfigError(f"{path}: is not TOML: {error}") from error


def _read_text(path: Path) -> str:
    """The text of a file that cannot keep its reader waiting, or fill its memory.

    Raises:
        ConfigError: it is no regular file, or far too long.
        OSError: it cannot be read.
    """
    # Without O_NONBLOCK a pipe without a writer would never open.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ConfigError(f"{path}: is not a regular file; give a file in TOML")
        content = file.read(CONFIG_BYTES_MAX + 1)
    if len(content) > CONFIG_BYTES_MAX:
        raise ConfigError(f"{path}: is longer than {CONFIG_BYTES_MAX} bytes; give a file in TOML")
    return to_utf8(content).decode()


def _with_absolute_paths(config: Config, folder: Path) -> Config:
    """The configuration with paths that start at `folder`: of the engine, and of ipc endpoints."""
    replaced = msgspec.structs.replace
    return replaced(
        config,
        engine=replaced(config.engine, folder=str((folder / config.engine.folder).resolve())),
        journal=replaced(config.journal, folder=str(_journal_folder(config.journal, folder))),
        inputs=tuple(
            replaced(entry, endpoint=_absolute(entry.endpoint, folder)) for entry in config.inputs
        ),
        publish=replaced(config.publish, endpoint=_absolute(config.publish.endpoint, folder)),
        requests=config.requests
        and replaced(config.requests, endpoint=_absolute(config.requests.endpoint, folder)),
        forward=with_absolute_files(config.forward, folder),
    )


def _journal_folder(journal: JournalSection, folder: Path) -> Path:
    """Beside the configuration, or in systemd's StateDirectory, where none is configured."""
    state_folder = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    default = Path(state_folder) / "journal" if state_folder else Path("journal")
    return (folder / (journal.folder or default)).resolve()


def _absolute(endpoint: str, folder: Path) -> str:
    path = endpoint.removeprefix("ipc://")
    if path == endpoint or path.startswith(("@", "/")):  # tcp, or one of Linux's abstract names
        return endpoint
    return f"ipc://{folder.resolve() / path}"


def _wrong_edges(strip: Strip) -> list[str]:
    if (strip.edges == "given") != (strip.edges_mm is not None):
        return ['strip.edges = "given" and strip.edges_mm = [left, right] go together']
    if strip.edges_mm and strip.edges_mm[0] >= strip.edges_mm[1]:
        return [f"strip.edges_mm = {list(strip.edges_mm)}: expected [left, right], left first"]
    return []


def _repeated(key: str, values: list[str]) -> list[str]:
    return [
        f"{key} = {value!r} is given twice; names and endpoints must be unique"
        for value in dict.fromkeys(values)
        if values.count(value) > 1
    ]
