"""The models of one deployment, by path: from the command line, or from a TOML file."""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.errors import ConfigError, StorageError
from stripwatch.files import read_utf8, write_whole
from stripwatch.wire.names import CLASSES_MAX

Role = Literal["segmentation", "gate", "classifier"]  # of a model in a deployment
GateMode = Literal["skip", "soft"]
ClassId = Annotated[int, Meta(ge=1, le=CLASSES_MAX)]
SomePaths = Annotated[tuple[str, ...], Meta(min_length=1)]
GATE_MODE_DEFAULT: GateMode = "soft"
MIN_AREA_FACTOR_DEFAULT = 5.0


class Composition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The models of a deployment; in a file, paths are relative to it."""

    models: tuple[str, ...] = ()  # segment all classes; several are averaged
    class_models: dict[ClassId, SomePaths] = {}  # segment one class, instead of `models`
    flip: bool = False  # average each segmentation with that of the mirror image
    gate: str | tuple[str, ...] = ()  # classify frames: any defect? several are averaged
    classifier: str | tuple[str, ...] = ()  # classify frames: which classes? several are averaged
    gate_mode: GateMode = GATE_MODE_DEFAULT
    min_area_factor: Annotated[float, Meta(ge=1, le=1e6)] = MIN_AREA_FACTOR_DEFAULT
    # Of the data that the models are trained on: engines are calibrated and verified on these.
    frames: str = ""

    def paths(self) -> list[str]:
        """Paths of all models."""
        single = [path for paths in self.class_models.values() for path in paths]
        return [*self.models, *single, *self.gates(), *self.classifiers()]

    def gates(self) -> tuple[str, ...]:
        """Paths of the gate models."""
        return (self.gate,) if isinstance(self.gate, str) else self.gate

    def classifiers(self) -> tuple[str, ...]:
        """Paths of the classifier models."""
        return (self.classifier,) if isinstance(self.classifier, str) else self.classifier


def load_composition(path: Path) -> Composition:
    """Read a composition file.

    Raises:
        ConfigError: it cannot be read, or breaks a rule.
    """
    try:
        table = tomllib.loads(read_utf8(path).decode())
        composition = msgspec.convert(table, Composition, strict=False)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # also what msgspec and tomllib raise
        fields = Composition.__struct_fields__
        unknown = re.search(r"unknown field `(\w+)`", str(error))
        close = difflib.get_close_matches(unknown[1], fields, 1) if unknown else []
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ConfigError(f"{path}: {error}{hint}; keys: {', '.join(fields)}") from error

    def near(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(path.parent / name) for name in names)

    return msgspec.structs.replace(
        composition,
        models=near(composition.models),
        class_models={number: near(names) for number, names in composition.class_models.items()},
        gate=near(composition.gates()),
        classifier=near(composition.classifiers()),
        frames=str(path.parent / composition.frames) if composition.frames else "",
    )


def save_composition(path: Path, composition: Composition) -> None:
    """Write a composition file; `load_composition` reads its paths relative to the file.

    Raises:
        StorageError: it cannot be written.
    """
    table = msgspec.to_builtins(composition, str_keys=True)  # TOML has no integer keys
    try:
        write_whole(path, msgspec.toml.encode(table))
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
