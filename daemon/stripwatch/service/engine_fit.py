"""Whether an engine fits the configuration, and the classes that result from both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from stripwatch.config.errors import in_one_text
from stripwatch.config.grading import Grading
from stripwatch.config.sections import ClassOverride, Config
from stripwatch.engines.manifest import DefectClass, Manifest
from stripwatch.errors import ConfigError


def resolve_classes(
    config: Config, manifest: Manifest, path: Path | None = None
) -> tuple[DefectClass, ...]:
    """The classes to report: the manifest's, with the configuration's overrides applied.

    Args:
        config: the configuration.
        manifest: of the engine.
        path: of the configuration, to name in errors.

    Raises:
        ConfigError: the engine is for another frame shape or other batches, or an override names
            no class; names every such mistake.
    """
    mistakes = list(_mistakes(config, manifest))
    if mistakes:
        raise ConfigError(in_one_text(path or Path("the configuration"), mistakes))
    overrides = {entry.name: entry for entry in config.inspect.classes}
    return tuple(_apply(entry, overrides.get(entry.name)) for entry in manifest.classes)


def _mistakes(config: Config, manifest: Manifest) -> Iterator[str]:
    try:
        check_rows("batch.rows", config.batch.rows, Path(config.engine.folder), manifest)
    except ConfigError as error:
        yield str(error)
    if manifest.frame_shape != config.line.frame_shape:
        yield (
            f"line.frame_lines x line.frame_pixels is {_by(config.line.frame_shape)}, but the "
            f"engine in {config.engine.folder} takes {_by(manifest.frame_shape)}; change one, or "
            f"rebuild with: engine-build MODEL.onnx --frame {_by(config.line.frame_shape)}"
        )
    names = [entry.name for entry in manifest.classes]
    for entry in config.inspect.classes:
        if entry.name not in names:
            yield (
                f"inspect.classes.name = {entry.name!r}: the engine has no such class; "
                f"allowed: {', '.join(names)}"
            )
    yield from wrong_classes(config.grading, names)


def wrong_classes(grading: Grading, names: Sequence[str]) -> Iterator[str]:
    """The rules that name classes which the engine does not have."""
    for rule in grading.rules:
        for name in rule.classes:
            if name not in names:
                yield (
                    f"grading.rules {rule.name!r}: classes has {name!r}, which is no class of the "
                    f"engine; allowed: {', '.join(names)}"
                )


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
