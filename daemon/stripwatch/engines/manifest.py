"""The manifest of an engine folder: `manifest.json`, written by engine-build.

The daemon reads the manifest before it loads anything, so that an engine that does not fit is
refused with a sentence instead of a crash inside a driver.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.errors import ModelError
from stripwatch.files import read_utf8
from stripwatch.wire.names import CLASSES_MAX, ClassName, Side, class_bit

MANIFEST_NAME = "manifest.json"

Target = Literal["openvino", "tensorrt", "tensorrt-rtx", "fake"]
Precision = Literal["fp32", "fp16", "int8"]
FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$(?!\n)")]
Probability = Annotated[float, Meta(gt=0, lt=1)]
Verdict = Literal["passed", "not verified", "degraded"]
JUDGED_PX_MIN = 256  # of a class, over all frames; below, single edge pixels decide its Dice


class DefectClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One class that the model segments."""

    id: Annotated[int, Meta(ge=1, le=CLASSES_MAX)]
    name: ClassName
    threshold: Probability = 0.5
    min_area_px: Annotated[int, Meta(ge=0)] = 0

    @property
    def bit(self) -> int:
        """The bit of this class in a uint8 mask."""
        return class_bit(self.id)


class FakeBehaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Behaviour of the fake engine; only engines of target `fake` have it."""

    delay_ms: Annotated[float, Meta(ge=0)] = 0.0  # each batch takes at least this long
    fail_every: Annotated[int, Meta(ge=0)] = 0  # every n-th batch raises DeviceError; 0 = never
    hang_after: Annotated[int, Meta(ge=0)] = 0  # the n-th batch never ends; 0 = never
    read_pixels: bool = True  # False: every frame is clean and no pixel is read
    # Ids of the classes judged absent from every frame.
    absent: tuple[Annotated[int, Meta(ge=1, le=CLASSES_MAX)], ...] = ()


class SourceModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A trained model that the engine was built from, and the image that it takes."""

    role: Literal["segmentation", "gate", "classifier"]
    file: str
    sha256: str  # of the ONNX file
    input_shape: tuple[int, Side, Side]  # channels, height, width
    mean: tuple[float, ...]  # by channel, of pixels as 0 to 1
    std: tuple[float, ...]
    class_id: int | None = None  # segments this class alone


class Gate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A gate (has the frame a defect?) and a classifier (of which classes?), and their effect.

    `skip`: an absent class is not reported, and clean frames are not segmented.
    `soft`: the minimum area of an absent class is multiplied by `min_area_factor`.
    """

    mode: Literal["skip", "soft"]
    gate_threshold: Probability | None = None  # below it every class is absent; None = no gate
    class_thresholds: tuple[Probability, ...] = ()  # below them a class is; () = no classifier
    # The default is that of khornlund/severstal-steel-defect-detection, README.rst.
    min_area_factor: Annotated[float, Meta(ge=1, le=1e6)] = 5.0


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Requirements of a TensorRT or TensorRT-RTX engine on the machine that runs it."""

    version: str  # of the library that built it
    compute_capabilities: tuple[str, ...]  # "8.9"; () = 8.0 and newer (TensorRT-RTX)
    hardware_compatible: bool = False  # also on newer GPUs than those
    version_compatible: bool = False  # also with newer versions


class ClassAgreement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Agreement of the masks of one class, over all verification frames."""

    name: str
    dice: float  # 2 |A and B| / (|A| + |B|); 1 where both are empty
    reference_px: int
    found_px: int

    @property
    def is_judged(self) -> bool:
        """Whether the class has enough pixels for its Dice to mean something."""
        return max(self.reference_px, self.found_px) >= JUDGED_PX_MIN


class Agreement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One comparison with the float32 graph."""

    compared: str  # what, and what ran it
    classes: tuple[ClassAgreement, ...]
    error_max: float  # of the probability of any pixel
    error_mean: float


class Verification(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Measurements that engine-build made before it wrote the engine."""

    reference: str  # what ran the float32 graph
    source: str  # where the frames came from
    frames: int
    dice_min: float  # the limits
    error_mean_max: float
    agreements: tuple[Agreement, ...]
    passed: bool  # False: built with --allow-degraded or --allow-unverified
    remark: str = ""  # what was not compared, and why; what the float32 model does that is odd
    # `not verified`: the frames do not show that the engine is right; "" = an older manifest.
    verdict: Literal["", Verdict] = ""
    not_judged: tuple[str, ...] = ()  # classes that the frames do not show enough of, or only


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`manifest.json` of an engine folder."""

    target: Target
    engine_hash: str  # sha256 over `files`; names the engine in events
    builder: str  # program and version that wrote it, for example "openvino 2026.4.1"
    precision: Precision
    frame_shape: tuple[Side, Side]  # lines, pixels of the frames it takes
    classes: tuple[DefectClass, ...]
    files: tuple[FileName, ...] = ()  # of the engine, in the folder; the first is loaded
    models: tuple[SourceModel, ...] = ()
    batch: tuple[int, int] | None = None  # fewest and most frames of a call; None = any
    gate: Gate | None = None
    plan: Plan | None = None  # of targets tensorrt and tensorrt-rtx
    verification: Verification | None = None
    command: str = ""  # that built it, and builds it again
    build_key: str = ""  # sha256 of everything that went into it; see engine-build
    fake: FakeBehaviour | None = None
    v: Literal[1] = 1


def sha256_files(*paths: Path) -> str:
    """The hex SHA-256 of the bytes of files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def load_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of an engine folder.

    Raises:
        ModelError: the folder or its manifest is missing, is not valid, or does not match the
            engine file beside it.
    """
    path = folder / MANIFEST_NAME
    rebuild = f"build it with: engine-build MODEL.onnx --output {folder}"
    try:
        manifest = msgspec.json.decode(read_utf8(path), type=Manifest)
    except FileNotFoundError:
        raise ModelError(
            f"{folder} holds no engine ({MANIFEST_NAME} is missing); {rebuild}"
        ) from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not a valid manifest ({error}); {rebuild}") from error
    check_classes(path, manifest.classes)
    rebuild = f"build it with: {manifest.command}" if manifest.command else rebuild
    if manifest.files and _hash_files(path, manifest, rebuild) != manifest.engine_hash:
        raise ModelError(
            f"{folder}: {' or '.join(manifest.files)} is not the file that {MANIFEST_NAME} "
            f"describes; it is damaged or was exchanged; {rebuild}"
        )
    return manifest


def _hash_files(path: Path, manifest: Manifest, rebuild: str) -> str:
    try:
        return sha256_files(*(path.parent / name for name in manifest.files))
    except FileNotFoundError as error:
        name = Path(error.filename).name
        raise ModelError(f"{path} names {name}, which is missing; {rebuild}") from None
    except OSError as error:
        raise ModelError(f"{error.filename} cannot be read: {error.strerror}") from error


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` into an engine folder."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (folder / MANIFEST_NAME).write_bytes(data + b"\n")


def check_classes(path: Path, classes: tuple[DefectClass, ...]) -> None:
    """Refuse classes that a mask cannot distinguish; errors name the file at `path`.

    Raises:
        ModelError: ids are not 1, 2, 3, ... or names are not unique.
    """
    ids = [entry.id for entry in classes]
    if not ids or ids != list(range(1, len(ids) + 1)):
        raise ModelError(f"{path}: class ids must be 1, 2, 3, ... in order, not {ids}")
    names = [entry.name for entry in classes]
    if len(set(names)) != len(names):
        raise ModelError(f"{path}: two classes have the same name in {names}")
