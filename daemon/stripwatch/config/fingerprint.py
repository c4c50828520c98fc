"""The hash by which events name a configuration."""

from __future__ import annotations

import hashlib

import msgspec

from stripwatch.config.sections import Config


def config_hash(config: Config) -> str:
    """SHA-256 of the values in force, whatever the file's comments, order and layout."""
    return hashlib.sha256(msgspec.json.encode(config)).hexdigest()
