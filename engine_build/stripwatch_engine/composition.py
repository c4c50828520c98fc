"""Which models make one deployment: from the command line, or from a TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.errors import ConfigError
from stripwatch.manifest import CLASSES_MAX

GateMode = Literal["skip", "soft"]
ClassId = Annotated[int, Meta(ge=1, le=CLASSES_MAX)]
SomePaths = Annotated[tuple[str, ...], Meta(min_length=1)]


class Composition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The models of a deployment; in a file, paths are relative to it."""

    models: tuple[str, ...] = ()  # segment all classes; several are averaged
    class_models: dict[ClassId, SomePaths] = {}  # segment one class, in the others' place
    flip: bool = False  # average each segmentation with that of the mirror image
    gate: str | None = None  # classifies frames: has it a defect?
    classifier: str | None = None  # classifies frames: of which classes?
    gate_mode: GateMode = "soft"
    min_area_factor: Annotated[float, Meta(ge=1, le=1e6)] = 5.0

    def paths(self) -> list[str]:
        """All of its models."""
        single = [path for paths in self.class_models.values() for path in paths]
        judges = [path for path in (self.gate, self.classifier) if path]
        return [*self.models, *single, *judges]


def load_composition(path: Path) -> Composition:
    """Read a composition file.

    Raises:
        ConfigError: it cannot be read, or breaks a rule.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        composition = msgspec.convert(table, Composition, strict=False)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # also what msgspec and tomllib raise
        allowed = ", ".join(Composition.__struct_fields__)
        raise ConfigError(f"{path}: {error}; keys: {allowed}") from error

    def near(name: str) -> str:
        return str(path.parent / name)

    return msgspec.structs.replace(
        composition,
        models=tuple(near(name) for name in composition.models),
        class_models={
            number: tuple(near(name) for name in names)
            for number, names in composition.class_models.items()
        },
        gate=composition.gate and near(composition.gate),
        classifier=composition.classifier and near(composition.classifier),
    )
