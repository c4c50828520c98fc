"""Changes that SIGHUP makes while frames flow, read from the file and checked."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stripwatch.config.load import load_config
from stripwatch.config.sections import Config
from stripwatch.engines.base import EngineFactory
from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import DefectClass, load_manifest
from stripwatch.errors import ConfigError
from stripwatch.inspect.model import Model, model_of
from stripwatch.service.changes import Change, changes_now, changes_with_restart
from stripwatch.service.engine_fit import resolve_classes
from stripwatch.service.kept_thresholds import applied, load_kept


@dataclass(frozen=True)
class Reload:
    """A configuration that was read again, checked against what is running."""

    config: Config  # that the daemon follows after the reload
    model: Model
    configured: tuple[DefectClass, ...]  # its classes without what operators set
    factory: EngineFactory | None  # None: the engine stays the same
    changes: tuple[Change, ...]  # that the reload makes
    ignored: tuple[Change, ...]  # that need a restart


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
        running: the configuration that the daemon follows: with which it was started, with the
            changes of earlier reloads.
        model: of the engine that runs now.

    Raises:
        ConfigError: the file breaks a rule, or the engine has other classes than the one that runs.
        ModelError: the engine is missing, damaged, or not for this machine.
        StorageError: what operators set cannot be read.
    """
    config = load_config(path)
    folder = Path(config.engine.folder)
    manifest = load_manifest(folder)
    # What needs a restart stays as it is; the engine must fit that.
    replaced = msgspec.structs.replace
    followed = replaced(
        running,
        engine=replaced(running.engine, folder=config.engine.folder),
        inspect=replaced(running.inspect, classes=config.inspect.classes),
        cameras=config.cameras,
        rolls=config.rolls,
        grading=config.grading,
        service=replaced(running.service, log_level=config.service.log_level),
    )
    configured = resolve_classes(followed, manifest, path)
    kept = load_kept(Path(running.journal.folder or "journal"))
    wanted = model_of(manifest, applied(kept, configured))
    names, running_names = ([entry.name for entry in one.classes] for one in (wanted, model))
    if names != running_names:
        raise ConfigError(
            f"the engine in {folder} has classes {', '.join(names)}, but the one that runs has "
            f"{', '.join(running_names)}; events would change their meaning: restart the daemon"
        )
    factory = None
    if wanted.engine_hash != model.engine_hash:
        factory = engine_factory(folder, manifest, running.engine)
    changes = changes_now((running, model), (followed, wanted))
    ignored = changes_with_restart(followed, config)
    return Reload(followed, wanted, configured, factory, changes, ignored)
