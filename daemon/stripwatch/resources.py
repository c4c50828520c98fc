"""Files that ship with stripwatch: the embedded model and the commented configuration."""

from __future__ import annotations

from pathlib import Path

from stripwatch.errors import ConfigError


def resource_path(name: str) -> Path:
    """A shipped file or folder, for example `config.toml` or `models/edge/model.onnx`.

    An installed wheel carries them in `stripwatch/data`; a source checkout has them at its top.

    Raises:
        ConfigError: this installation lacks it.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "data", package.parents[1]):
        if (folder / name).exists():
            return folder / name
    raise ConfigError(f"{name} is missing from this installation; install stripwatch again")
