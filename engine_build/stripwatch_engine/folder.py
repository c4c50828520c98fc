"""The engine folder on disk: a new engine replaces the old one in one atomic step (ADR 8)."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stripwatch.engines.manifest import MANIFEST_NAME, Manifest, load_manifest, save_manifest
from stripwatch.errors import ConfigError, ModelError, StorageError

DRAFT_PREFIX = ".draft-"
HASH_CHARACTERS = 12  # of the engine's hash, in the names of its files


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Lock an engine folder against other builds; yields an empty draft folder inside it.

    The draft is removed however and whenever the build ends; drafts of killed builds are removed
    first.

    Raises:
        ConfigError: the folder holds other files, or another build is writing to it.
        StorageError: the folder cannot be written.
    """
    made = not folder.exists()
    if not made and not (folder / MANIFEST_NAME).is_file() and not _is_leftover(folder):
        raise ConfigError(f"--output {folder} exists and is not an engine folder; choose another")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another engine-build is writing to {folder}; wait for it, or choose another"
            ) from None
        try:
            yield _make_draft(folder)
        finally:  # by pattern: Ctrl-C can come before the draft's name is known
            _remove_drafts(folder)
            if made and not any(folder.iterdir()):
                folder.rmdir()
    finally:
        os.close(lock)


def _make_draft(folder: Path) -> Path:
    """An empty draft, the only one."""
    _remove_drafts(folder)
    try:
        return Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=folder))
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror}") from error


def _remove_drafts(folder: Path) -> None:
    for draft in folder.glob(f"{DRAFT_PREFIX}*"):
        shutil.rmtree(draft, ignore_errors=True)


def hashed_names(names: tuple[str, ...], engine_hash: str) -> tuple[str, ...]:
    """Names of an engine's files in its folder; those of two engines never collide."""
    return tuple(
        f"{Path(name).stem}-{engine_hash[:HASH_CHARACTERS]}{Path(name).suffix}" for name in names
    )


def publish(draft: Path, folder: Path, names: tuple[str, ...], manifest: Manifest) -> None:
    """Move a finished engine into its folder: its files first, its manifest last.

    Renaming the manifest is the atomic step that replaces the old engine (ADR 8). The files of the
    old engine stay until the next build: a daemon that runs it may have to load them again.

    Args:
        draft: folder with the files under their plain names.
        folder: the engine folder.
        names: plain names, in the order of `manifest.files`.
        manifest: of the new engine.

    Raises:
        StorageError: a file cannot be written; the old engine is still in place.
    """
    before = _files(folder)
    try:
        save_manifest(draft, manifest)
        for name in (*names, MANIFEST_NAME):
            _flush(draft / name)
        for name, final in zip(names, manifest.files, strict=True):
            (draft / name).replace(folder / final)
        (draft / MANIFEST_NAME).replace(folder / MANIFEST_NAME)
        _flush(folder)
    except OSError as error:
        raise StorageError(
            f"cannot write {folder}: {error.strerror}; the old engine is still in place"
        ) from error
    keep = {*manifest.files, *before, MANIFEST_NAME, draft.name}
    for path in folder.iterdir():
        if path.name not in keep:
            _remove(path)


def _files(folder: Path) -> tuple[str, ...]:
    """Files of the present engine."""
    try:
        return load_manifest(folder).files
    except ModelError:
        return ()


def _is_leftover(folder: Path) -> bool:
    """Whether a folder holds only remains of a killed build.

    A build killed between the renames of its files and of its manifest leaves files beside its
    draft.
    """
    if not folder.is_dir():
        return False
    rest = [path.name for path in folder.iterdir() if not path.name.startswith(DRAFT_PREFIX)]
    return not rest or (
        any(folder.glob(f"{DRAFT_PREFIX}*/{MANIFEST_NAME}"))
        and all(re.fullmatch(rf".+-[0-9a-f]{{{HASH_CHARACTERS}}}\.\w+", name) for name in rest)
    )


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
