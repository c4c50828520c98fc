"""Reading config.toml; every error names file, key, value and what is allowed."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from stripwatch.config.cameras import source_mistakes, source_with_absolute_paths
from stripwatch.config.errors import (
    explain,
    explain_all,
    in_one_text,
)
from stripwatch.config.forward import forward_mistakes, with_absolute_forward_files
from stripwatch.config.grading import wrong_grading
from stripwatch.config.page import page_mistakes, with_absolute_page_files
from stripwatch.config.rolls import range_mistakes
from stripwatch.config.sections import Config, JournalSection, Strip
from stripwatch.config.security import security_mistakes, with_absolute_keys
from stripwatch.errors import ConfigError
from stripwatch.files import to_utf8

CONFIG_BYTES_MAX = 1024 * 1024


def load_config(path: Path) -> Config:
    """Read and check a configuration file; its paths come back absolute.

    Raises:
        ConfigError: the file cannot be read, or breaks a rule.
    """
    return config_of(read_table(path), path)


def config_of(table: dict[str, Any], path: Path) -> Config:
    """The configuration that a file with this content, at this path, is.

    Raises:
        ConfigError: it breaks a rule.
    """
    try:
        config = msgspec.convert(table, Config)
    except msgspec.ValidationError as error:
        mistakes = explain_all(table, Config) or [explain(str(error), table, Config)]
        raise ConfigError(in_one_text(path, mistakes)) from None
    endpoints = [entry.endpoint for entry in config.inputs] + [config.publish.endpoint]
    if config.requests:
        endpoints.append(config.requests.endpoint)
    if config.metrics:
        endpoints.append(f"tcp://127.0.0.1:{config.metrics.port}")
    mistakes = [
        *_repeated("cameras.name", [camera.name for camera in config.cameras]),
        *(
            text
            for camera in config.cameras
            for text in source_mistakes(camera.name, camera.source)
        ),
        *_repeated("endpoint", endpoints),
        *_repeated("inspect.classes.name", [entry.name for entry in config.inspect.classes]),
        *_wrong_edges(config.strip),
        *forward_mistakes(config.forward),
        *page_mistakes(config.page),
        *_repeated("rolls.name", [roll.name for roll in config.rolls]),
        *range_mistakes(config.periodic, config.rolls),
        *security_mistakes(config.security, _bound(config)),
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
        cameras=tuple(
            replaced(
                camera,
                source=camera.source and source_with_absolute_paths(camera.source, folder),
            )
            for camera in config.cameras
        ),
        journal=replaced(config.journal, folder=str(_journal_folder(config.journal, folder))),
        inputs=tuple(
            replaced(entry, endpoint=_absolute(entry.endpoint, folder)) for entry in config.inputs
        ),
        publish=replaced(config.publish, endpoint=_absolute(config.publish.endpoint, folder)),
        requests=config.requests
        and replaced(config.requests, endpoint=_absolute(config.requests.endpoint, folder)),
        forward=with_absolute_forward_files(config.forward, folder),
        security=with_absolute_keys(config.security, folder),
        page=with_absolute_page_files(config.page, folder),
    )


def _bound(config: Config) -> list[tuple[str, str]]:
    """Keys and endpoints that the daemon binds."""
    bound = [
        (f"inputs[{number}].endpoint", entry.endpoint)
        for number, entry in enumerate(config.inputs)
        if entry.attach == "bind"
    ]
    if config.publish.attach == "bind":
        bound.append(("publish.endpoint", config.publish.endpoint))
    if config.requests:
        bound.append(("requests.endpoint", config.requests.endpoint))
    return bound


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
