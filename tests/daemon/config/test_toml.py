"""A configuration written as TOML: what is read back is what was written."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from stripwatch.config.load import load_config
from stripwatch.config.sections import Config
from stripwatch.config.toml import config_toml
from stripwatch.resources import resource_path


def written_and_read(config: Config, folder: Path) -> Config:
    path = folder / "config.toml"
    path.write_text(config_toml(config), encoding="utf-8")
    return load_config(path)


def test_the_shipped_configuration_comes_back_whole(tmp_path: Path) -> None:
    config = load_config(resource_path("config.toml"))
    assert written_and_read(config, tmp_path) == config


@pytest.mark.parametrize("name", ["engine \N{FIRE}", 'a "quoted" name', "back\\slash", "tab\there"])
def test_any_folder_name_survives(name: str, tmp_path: Path) -> None:
    """A character beyond 16 bits as well, which JSON writes as a pair that TOML refuses."""
    shipped = load_config(resource_path("config.toml"))
    engine = msgspec.structs.replace(shipped.engine, folder=str(tmp_path / name))
    config = msgspec.structs.replace(shipped, engine=engine)
    assert written_and_read(config, tmp_path).engine.folder == str(tmp_path / name)


def test_values_that_are_not_set_are_left_out(tmp_path: Path) -> None:
    shipped = load_config(resource_path("config.toml"))
    override = {"name": "pits", "threshold": 0.75}
    config = msgspec.convert(
        msgspec.to_builtins(shipped) | {"inspect": {"classes": [override]}}, Config
    )
    assert config.inspect.classes[0].min_area_px is None
    assert "min_area_px" not in config_toml(config)
    assert written_and_read(config, tmp_path) == config
