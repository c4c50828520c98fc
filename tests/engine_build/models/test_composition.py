"""Composition files: what is written is read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from stripwatch.errors import StorageError
from stripwatch_engine.models.composition import Composition, load_composition, save_composition

WHOLE = Composition(
    models=("a/model.onnx", 'q"uo\\te.onnx', "gr\u00fcn \N{GRINNING FACE}.onnx"),
    class_models={2: ("b.onnx",), 8: ("c.onnx", "d.onnx")},
    flip=True,
    gate=("gate.onnx",),
    classifier=("classifier.onnx",),
    gate_mode="skip",
    min_area_factor=2.5,
)


@pytest.mark.parametrize("composition", [WHOLE, Composition(models=("a.onnx",))])
def test_a_saved_composition_loads_with_its_paths_beside_the_file(
    tmp_path: Path, composition: Composition
) -> None:
    """Also with quotes, backslashes and characters outside the basic plane in a path."""
    path = tmp_path / "line.toml"
    save_composition(path, composition)
    loaded = load_composition(path)
    assert [Path(name).relative_to(tmp_path) for name in loaded.paths()] == [
        Path(name) for name in composition.paths()
    ]
    assert loaded.class_models.keys() == composition.class_models.keys()
    for key in ("flip", "gate_mode", "min_area_factor"):
        assert getattr(loaded, key) == getattr(composition, key)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        save_composition(tmp_path / "none" / "line.toml", WHOLE)
