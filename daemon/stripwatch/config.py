"""config.toml as frozen structs; every error names file, key, value and what is allowed."""

from __future__ import annotations

import difflib
import re
import tomllib
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from stripwatch.engines.base import Resources
from stripwatch.engines.manifest import DefectClass, Manifest, Probability
from stripwatch.errors import ConfigError
from stripwatch.wire.names import NAME_PATTERN, CameraName, Side

Positive = Annotated[float, Meta(gt=0, le=1e6)]  # not infinite
Offset = Annotated[float, Meta(ge=-1e6, le=1e6)]  # nor "not a number"
Seconds = Annotated[float, Meta(gt=0, le=3600)]
_PORT = r"(6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]?\d{1,4})"
ENDPOINT_PATTERN = rf"^(tcp://[^:/\s\x00]+:{_PORT}|ipc://[^\s\x00]+)$(?!\n)"
PATH_PATTERN = r"^[^\x00]+$"
Endpoint = Annotated[str, Meta(pattern=ENDPOINT_PATTERN)]
PATTERN_WORDS = {  # what a pattern allows, for those who do not read patterns
    ENDPOINT_PATTERN: "tcp://HOST:PORT with a port up to 65535, or ipc://PATH",
    NAME_PATTERN: "1 to 32 characters of a-z 0-9 _ -",
    PATH_PATTERN: "the path of a folder",
}
KIND_WORDS = {  # msgspec speaks of types, the file's author of TOML
    "`object`": "a section",
    "`array`": "a list",
    "`int`": "a whole number",
    "`float`": "a number",
    "`str`": "text in quotes",
    "`bool`": "true or false",
}
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
    """One camera and where it looks."""

    name: CameraName
    crossweb_offset_mm: Offset = 0.0  # of the camera's first pixel from the strip's left edge
    mirrored: bool = False  # pixels run from right to left


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
    """How frames are gathered into slots."""

    rows: Annotated[int, Meta(ge=1, le=64)] = 4
    wait_ms: Annotated[float, Meta(gt=0, le=10_000)] = 20.0


class ClassOverride(_Section, frozen=True):
    """Settings of one class, in place of those in the engine's manifest."""

    name: str
    threshold: Probability | None = None
    min_area_px: Annotated[int, Meta(ge=0)] | None = None


class Inspect(_Section, frozen=True):
    """How masks become defects."""

    defects_max: Annotated[int, Meta(ge=1, le=10_000)] = 100  # per class and frame, see docs
    classes: tuple[ClassOverride, ...] = ()


class Publish(_Section, frozen=True):
    """Where events leave."""

    endpoint: Endpoint
    attach: Attach = "bind"
    queue_events: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000  # per subscriber, then dropped
    frame_results: bool = False  # a `frame.<camera>` message for every frame


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
    inspect: Inspect = Inspect()
    service: Service = Service()


def load_config(path: Path) -> Config:
    """Read and check a configuration file; `engine.folder` comes back absolute.

    Raises:
        ConfigError: the file cannot be read, or breaks a rule.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # also numbers and nesting beyond any reader
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    try:
        config = msgspec.convert(table, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_explain(str(error), table)}") from None
    _check_unique(path, "cameras.name", [camera.name for camera in config.cameras])
    endpoints = [entry.endpoint for entry in config.inputs] + [config.publish.endpoint]
    _check_unique(path, "endpoint", endpoints)
    _check_unique(path, "inspect.classes.name", [entry.name for entry in config.inspect.classes])
    folder = (path.parent / config.engine.folder).resolve()
    engine = msgspec.structs.replace(config.engine, folder=str(folder))
    return msgspec.structs.replace(config, engine=engine)


def resolve_classes(config: Config, manifest: Manifest) -> tuple[DefectClass, ...]:
    """The classes to report: the manifest's, with the configuration's overrides applied.

    Raises:
        ConfigError: the engine is for another frame shape or other batches, or an override names
            no class.
    """
    check_rows("batch.rows", config.batch.rows, Path(config.engine.folder), manifest)
    if manifest.frame_shape != config.line.frame_shape:
        raise ConfigError(
            f"line.frame_lines x line.frame_pixels is {_by(config.line.frame_shape)}, but the "
            f"engine in {config.engine.folder} takes {_by(manifest.frame_shape)}; change one, or "
            f"rebuild with: engine-build MODEL.onnx --frame {_by(config.line.frame_shape)}"
        )
    overrides = {entry.name: entry for entry in config.inspect.classes}
    names = [entry.name for entry in manifest.classes]
    for name in overrides.keys() - set(names):
        raise ConfigError(
            f"inspect.classes.name = {name!r}: the engine has no such class; "
            f"allowed: {', '.join(names)}"
        )
    return tuple(_apply(entry, overrides.get(entry.name)) for entry in manifest.classes)


def check_rows(key: str, rows: int, folder: Path, manifest: Manifest) -> None:
    """Refuse batches of `rows` frames, as the setting `key` asks for, that an engine cannot take.

    Raises:
        ConfigError: names both numbers, and what to change.
    """
    fewest, most = manifest.batch or (rows, rows)
    if not fewest <= rows <= most:
        change = f"lower it to {most}" if rows > most else f"raise it to {fewest}"
        raise ConfigError(
            f"{key} is {rows}, but the engine in {folder} takes {fewest} to {most} frames at once; "
            f"{change}, or rebuild with: engine-build MODEL.onnx --batch 1:{rows}"
        )


def _apply(entry: DefectClass, override: ClassOverride | None) -> DefectClass:
    if override is None:
        return entry
    changes = {
        key: value
        for key in ("threshold", "min_area_px")
        if (value := getattr(override, key)) is not None
    }
    return msgspec.structs.replace(entry, **changes)


def _by(shape: tuple[int, int]) -> str:
    return f"{shape[0]}x{shape[1]}"


def _check_unique(path: Path, key: str, values: list[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ConfigError(f"{path}: {key} = {value!r} stands there twice; each must be its own")


def _explain(message: str, table: dict[str, Any]) -> str:
    """Say a msgspec error in terms of the file: key, value and what is allowed."""
    what, _, place = message.partition(" - at `$")
    place = place.rstrip("`").removeprefix(".")
    steps = re.findall(r"\w+", place)
    unknown = re.search(r"unknown field `(.*)`", what)
    missing = re.search(r"missing required field `(.*)`", what)
    section = f"[{place}]" if place else "the top level"
    if unknown:
        allowed = sorted(get_type_hints(_type_at(steps)))
        close = difflib.get_close_matches(unknown[1], allowed, 1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        return f"{section} has no key {unknown[1]}{hint}; allowed: {', '.join(allowed)}"
    if missing:
        return f"{section} lacks the key {missing[1]}"
    value: Any = table
    for step in steps:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return f"{place or 'the file'} = {value!r}: {_allowed(what, steps)}"


def _allowed(what: str, steps: list[str]) -> str:
    """What a value may be, from msgspec's words where they are plain enough."""
    for pattern, words in PATTERN_WORDS.items():
        if repr(pattern) in what:
            return f"expected {words}"
    kind = _type_at(steps)
    if get_origin(kind) is Literal:
        return f"expected one of {', '.join(map(repr, get_args(kind)))}"
    if get_origin(kind) is tuple and "got `object`" in what:
        return f"expected a list; begin each of its entries with [[{'.'.join(steps)}]]"
    for name, words in KIND_WORDS.items():
        what = what.replace(name, words)
    return what[0].lower() + what[1:]


def _type_at(steps: list[str]) -> Any:  # noqa: ANN401 - walks arbitrary annotations
    here: Any = Config
    for step in steps:
        here = get_args(here)[0] if step.isdigit() else get_type_hints(here)[step]
        while get_origin(here) in (Annotated, Union, types.UnionType):
            here = get_args(here)[0]
    return here
