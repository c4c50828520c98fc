"""A configuration as the text of a config.toml."""

from __future__ import annotations

from typing import Any

import msgspec

from stripwatch.config.sections import Config


def config_toml(config: Config) -> str:
    """Text from which `load_config` reads an equal configuration."""
    return msgspec.toml.encode(_without_none(msgspec.to_builtins(config))).decode()


def _without_none(value: Any) -> Any:  # noqa: ANN401 - any value of a configuration
    """The value without keys that are None: TOML has no such value, an absent key means it."""
    if isinstance(value, dict):
        return {key: _without_none(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, list | tuple):
        return [_without_none(entry) for entry in value]
    return value
