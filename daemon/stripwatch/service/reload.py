"""Changes that SIGHUP makes while frames flow: the engine, thresholds, minimum areas."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stripwatch.config import Config, load_config
from stripwatch.engines.base import EngineFactory
from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import load_manifest
from stripwatch.errors import ConfigError
from stripwatch.inspect.model import Model, model_of
from stripwatch.service.engine_fit import resolve_classes


@dataclass(frozen=True)
class Reload:
    """A configuration that was read again, checked against what is running."""

    model: Model
    factory: EngineFactory | None  # None: the engine stays the same
    ignored: tuple[str, ...]  # sections and keys that have changed and need a restart


class Reading:
    """A reload that a thread of its own reads: files may be large, or on a slow disk.

    Any thread may wait for `over` and then read `reload` and `error`.
    """

    def __init__(self, path: Path, running: Config, model: Model) -> None:
        """Start to read; the arguments are those of `load_reload`."""
        self.over = threading.Event()
        self.reload: Reload | None = None
        self.error: Exception | None = None  # why there is none

        def read() -> None:
            try:
                self.reload = load_reload(path, running, model)
            except Exception as error:  # noqa: BLE001 - whatever it is, inspection continues
                self.error = error
            self.over.set()

        threading.Thread(target=read, name="reload", daemon=True).start()


def load_reload(path: Path, running: Config, model: Model) -> Reload:
    """Read the configuration and the manifest of its engine again.

    Args:
        path: the configuration file.
        running: the configuration with which the daemon was started.
        model: of the engine that runs now.

    Raises:
        ConfigError: the file breaks a rule, or the engine has other classes than the one that runs.
        ModelError: the engine is missing, damaged, or not for this machine.
    """
    config = load_config(path)
    folder = Path(config.engine.folder)
    manifest = load_manifest(folder)
    # Other sections need a restart and stay as they are; the engine must fit those.
    fitted = msgspec.structs.replace(running, engine=config.engine, inspect=config.inspect)
    wanted = model_of(manifest, resolve_classes(fitted, manifest, path))
    names, running_names = ([entry.name for entry in one.classes] for one in (wanted, model))
    if names != running_names:
        raise ConfigError(
            f"the engine in {folder} has classes {', '.join(names)}, but the one that runs has "
            f"{', '.join(running_names)}; events would change their meaning: restart the daemon"
        )
    factory = None
    if wanted.engine_hash != model.engine_hash:
        factory = engine_factory(folder, manifest, running.engine)
    return Reload(wanted, factory, tuple(_changes_needing_restart(config, running)))


def _changes_needing_restart(config: Config, running: Config) -> Iterator[str]:
    """Sections, and keys of the two sections that a reload reads, that differ."""
    followed = {"engine": {"folder"}, "inspect": {"classes"}}
    for section in config.__struct_fields__:
        new, old = getattr(config, section), getattr(running, section)
        if section not in followed and new != old:
            yield section
        for key in new.__struct_fields__ if section in followed else ():
            if key not in followed[section] and getattr(new, key) != getattr(old, key):
                yield f"{section}.{key}"
