"""Real TensorRT-RTX engines, built without a GPU; what is refused, and how a build ends early."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tensorrt_rtx
import torch
from onnx import helper, numpy_helper
from tests.engine_build.torch_nets import (
    Classifier,
    Net,
    image_of,
    save_net,
    segmenter,
)
from tests.models import make_card, numbered_classes

from stripwatch.engines.manifest import Manifest, Precision, load_manifest
from stripwatch.engines.trt_log import make_logger
from stripwatch.errors import ConfigError, ModelError, StorageError
from stripwatch_engine.build import BuildOptions, Outcome, build
from stripwatch_engine.models.composition import Composition
from stripwatch_engine.settings import BuildSettings
from stripwatch_engine.targets.tensorrt_plan import _configure, _load_cache
from stripwatch_engine.verify.frame_sample import VERIFICATION_SEED, sample_frames
from stripwatch_engine.verify.limits import faults

ROOT = Path(__file__).resolve().parents[3]
SHAPE = (32, 96)
ALLOW = BuildOptions(allow_unverified=True)  # one small frame shows no class well
MAGIC = b"vtrt"  # how TensorRT-RTX 1.7's engines begin


def settings_of(composition: Composition, **changes: Any) -> BuildSettings:
    fields: dict[str, Any] = {
        "target": "tensorrt-rtx",
        "precision": "fp16",
        "frame_shape": SHAPE,
        "batch": (1, 4),
        "verify_frames": 1,
        "calibration_frames": 2,
    }
    return BuildSettings(composition=composition, **(fields | changes))


def check_build(settings: BuildSettings, folder: Path) -> tuple[Manifest, Outcome]:
    """Build, and compare the manifest with the settings and with the file."""
    outcome = build(settings, folder, ALLOW)
    manifest = load_manifest(folder)
    assert manifest == outcome.manifest
    assert (manifest.target, manifest.precision) == ("tensorrt-rtx", settings.precision)
    assert manifest.batch == settings.batch
    assert manifest.frame_shape == settings.frame_shape
    assert manifest.plan is not None
    assert manifest.plan.compute_capabilities == settings.capabilities
    assert manifest.builder == f"tensorrt-rtx {manifest.plan.version}"
    assert [path.suffix for path in folder.iterdir() if path.name != "manifest.json"] == [".plan"]
    assert (folder / manifest.files[0]).read_bytes().startswith(MAGIC)
    return manifest, outcome


def check_verified(manifest: Manifest, *, least_px: int = 256) -> None:
    """It is within the limits, classes occurred, and the remark names what was not run."""
    verification = manifest.verification
    assert verification is not None
    assert faults(verification) == []
    assert verification.remark.startswith("the tensorrt-rtx engine itself was not run: ")
    (agreement,) = verification.agreements
    assert agreement.compared == f"{manifest.precision} graph, rounded on the CPU"
    assert 0 < agreement.error_max < 0.2
    pixels = verification.frames * manifest.frame_shape[0] * manifest.frame_shape[1]
    seen = [entry.reference_px for entry in agreement.classes]
    assert any(least_px <= count <= pixels * 0.95 for count in seen), seen


class Spread(torch.nn.Module):
    """A net with random weights whose logits are spread around 0, as a trained one's are."""

    def __init__(self, net: torch.nn.Module, image: torch.Tensor) -> None:
        super().__init__()
        self.net = net.eval()
        with torch.no_grad():
            found = self.net(image)
        self.mean = torch.nn.Parameter(found.mean((0, 2, 3), keepdim=True))
        self.gain = torch.nn.Parameter(2 / found.std((0, 2, 3), keepdim=True))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits."""
        logits: torch.Tensor = (self.net(image) - self.mean) * self.gain
        return logits


class PreActivation(torch.nn.Module):
    """A residual block as in ResUNet: norm and ReLU before each convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.BatchNorm2d(inputs),
            torch.nn.ReLU(),
            torch.nn.Conv2d(inputs, outputs, 3, stride, padding=1),
            torch.nn.BatchNorm2d(outputs),
            torch.nn.ReLU(),
            torch.nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        self.skip = torch.nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The block's output added to its input."""
        found: torch.Tensor = self.body(image) + self.skip(image)
        return found


class ResUNet(torch.nn.Module):
    """Pre-activation blocks down and up, with transposed convolutions and skip connections."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.start = torch.nn.Conv2d(1, 16, 3, padding=1)
        self.down = PreActivation(16, 32, 2)
        self.deep = PreActivation(32, 64, 2)
        self.up = torch.nn.ConvTranspose2d(64, 32, 2, 2)
        self.join = PreActivation(64, 32, 1)
        self.last = torch.nn.ConvTranspose2d(32, 16, 2, 2)
        self.head = torch.nn.Conv2d(32, outputs, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits."""
        start = self.start(image)
        down = self.down(start)
        joined = self.join(torch.cat([self.up(self.deep(down)), down], 1))
        logits: torch.Tensor = self.head(torch.cat([self.last(joined), start], 1))
        return logits


def make_net(folder: Path, kind: str) -> Net:
    """A usual architecture with random weights."""
    import segmentation_models_pytorch as smp  # here: only slow tests wait for it

    torch.manual_seed(51)
    card = make_card(
        SHAPE,
        3 if kind == "unet++" else 1,
        classes=numbered_classes(4),
        mean=0.35,
        std=0.12,
        activation="softmax" if kind == "resunet" else "sigmoid",
        background=kind == "resunet",
    )
    options = {"encoder_weights": None, "in_channels": card.input.channels, "classes": 4}
    match kind:
        case "unet":
            net = smp.Unet("resnet34", **options)
        case "unet++":
            net = smp.UnetPlusPlus("efficientnet-b0", **options)
        case "fpn":
            net = smp.FPN("efficientnet-b0", **options)
        case _:
            net = ResUNet(5)
    image = image_of(card, sample_frames("synthetic", SHAPE, 2, seed=VERIFICATION_SEED).frames)
    return save_net(folder, kind.replace("+", "p"), Spread(net, image), card)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["unet", "unet++", "fpn", "resunet"])
def test_usual_architectures_become_float16_engines(tmp_path: Path, kind: str) -> None:
    """Their masks are those of float32, nothing of them had to stay in float32."""
    net = make_net(tmp_path, kind)
    settings = settings_of(Composition(models=(str(net.path),)))
    manifest, outcome = check_build(settings, tmp_path / "engine")
    check_verified(manifest)
    assert outcome.kept == ()


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_model_that_ships_becomes_an_engine_of_full_size(
    tmp_path: Path, precision: str
) -> None:
    """256 x 1600 pixels, with frames and limits as they are by default."""
    model = ROOT / "models" / "edge" / "model.onnx"
    settings = settings_of(
        Composition(models=(str(model),)),
        frame_shape=(256, 1600),
        precision=precision,
        batch=(1, 16),
        calibration_frames=64,
        verify_frames=8,
    )
    manifest, _ = check_build(settings, tmp_path / "engine")
    assert manifest.verification is not None
    assert manifest.verification.passed
    (agreement,) = manifest.verification.agreements
    assert [entry.name for entry in agreement.classes] == ["pits", "cracks", "scratches", "patches"]
    assert max(entry.reference_px for entry in agreement.classes) > 1000


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_other_precisions_are_built_too(tmp_path: Path, precision: str) -> None:
    """float32 has nothing to be compared with: it was not run, and is what all compare with."""
    net = make_net(tmp_path, "resunet")
    settings = settings_of(
        Composition(models=(str(net.path),)), precision=precision, dice_min=0.3, error_mean_max=0.2
    )
    manifest, _ = check_build(settings, tmp_path / "engine")
    assert manifest.verification is not None
    assert len(manifest.verification.agreements) == (0 if precision == "fp32" else 1)
    assert manifest.verification.remark.startswith("the tensorrt-rtx engine itself was not run: ")


@pytest.mark.parametrize("case", ["ensemble", "skip", "soft", "classes"])
def test_compositions_are_built(tmp_path: Path, case: str) -> None:
    """Ensembles with mirror images, gates with and without a branch, models of single classes."""
    card = make_card((16, 48), classes=numbered_classes(2, min_area_px=5))
    first = segmenter(tmp_path, card, seed=1, stride=2)
    second = segmenter(tmp_path, make_card(SHAPE, 3, classes=numbered_classes(2)), seed=2, opset=18)
    judge = make_card((16, 32), classes=numbered_classes(1, 0.4))
    gate = save_net(tmp_path, "gate", Classifier(1, [1.0], [1.0], 2), judge)
    both = make_card((16, 32), classes=numbered_classes(2, 0.4))
    classifier = save_net(tmp_path, "classifier", Classifier(1, [1.0, -1.0], [1.0, 1.0], 4), both)
    paths = (str(first.path), str(second.path))
    match case:
        case "ensemble":
            composition = Composition(models=paths, flip=True)
        case "classes":
            composition = Composition(models=paths[:1], class_models={2: paths[1:]})
        case _:
            composition = Composition(
                models=paths[:1],
                gate=str(gate.path),
                classifier=str(classifier.path),
                gate_mode="skip" if case == "skip" else "soft",
            )
    manifest, _ = check_build(settings_of(composition), tmp_path / "engine")
    check_verified(manifest, least_px=20)
    assert len(manifest.models) == len(composition.paths())
    assert (manifest.gate is not None) == (case in {"skip", "soft"})


@pytest.fixture
def tiny(tmp_path: Path) -> Net:
    return segmenter(tmp_path, make_card(SHAPE))


def test_the_capabilities_asked_for_are_in_the_manifest(tiny: Net, tmp_path: Path) -> None:
    """Engines for GPUs that are not here."""
    composition = Composition(models=(str(tiny.path),))
    settings = settings_of(composition, capabilities=("8.9", "12.0"))
    manifest, _ = check_build(settings, tmp_path / "engine")
    assert manifest.plan is not None
    assert manifest.plan.compute_capabilities == ("8.9", "12.0")


def test_a_capability_that_the_library_lacks_is_refused(tiny: Net, tmp_path: Path) -> None:
    """The sentence lists those that there are."""
    settings = settings_of(Composition(models=(str(tiny.path),)), capabilities=("9.0",))
    with pytest.raises(ConfigError, match=r"--capability 9\.0.*8\.9, 12\.0"):
        build(settings, tmp_path / "engine", ALLOW)
    assert not (tmp_path / "engine").exists()


def test_an_operator_that_the_library_lacks_is_named(tiny: Net, tmp_path: Path) -> None:
    """With its node, and nothing is left behind."""
    model = onnx.load(tiny.path)
    node = model.graph.node[-1]
    last, node.output[0] = node.output[0], "before"
    axes = numpy_helper.from_array(np.array([2, 3]), "last_axes")
    model.graph.initializer.append(axes)
    for operator, inputs, output, name in (
        ("GlobalAveragePool", ["before"], "mean", "mean"),
        ("Det", ["mean"], "det", "determinant"),
        ("Unsqueeze", ["det", axes.name], "plane", "plane"),
        ("Add", ["before", "plane"], last, "sum"),
    ):
        model.graph.node.append(helper.make_node(operator, inputs, [output], name=name))
    onnx.save(model, tiny.path)
    settings = settings_of(Composition(models=(str(tiny.path),)), precision="fp32")
    with pytest.raises(ModelError, match=r"cannot take this model: node \S*determinant \(Det\)"):
        build(settings, tmp_path / "engine", ALLOW)
    assert not (tmp_path / "engine").exists()


@pytest.mark.parametrize(
    ("flag", "changes"),
    [
        ("--hardware-compatible", {"hardware_compatible": True}),
        ("--version-compatible", {"version_compatible": True}),
        ("--capability", {"capabilities": ("8.9",), "target": "tensorrt"}),
        ("--capability", {"capabilities": ("8.9",), "target": "openvino"}),
        ("--workspace-mib", {"workspace_mib": 64, "target": "openvino"}),
    ],
)
def test_flags_that_a_target_lacks_are_refused(
    tiny: Net, tmp_path: Path, flag: str, changes: dict[str, Any]
) -> None:
    """Rather than ignored."""
    settings = settings_of(Composition(models=(str(tiny.path),)), **changes)
    with pytest.raises(ConfigError, match=f"{flag} does not exist for --target {settings.target}"):
        build(settings, tmp_path / "engine", ALLOW)


def test_a_timing_cache_is_refused_where_there_is_none(tiny: Net, tmp_path: Path) -> None:
    """TensorRT-RTX measures nothing while it builds."""
    options = BuildOptions(timing_cache=tmp_path / "cache")
    with pytest.raises(ConfigError, match="--timing-cache does not exist for --target"):
        build(settings_of(Composition(models=(str(tiny.path),))), tmp_path / "engine", options)


@pytest.mark.parametrize(
    ("target", "module"), [("tensorrt", "tensorrt"), ("tensorrt-rtx", "tensorrt_rtx")]
)
def test_a_missing_library_is_asked_for_by_its_extra(
    tiny: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, module: str
) -> None:
    """Before anything is written."""
    monkeypatch.setitem(sys.modules, module, None)
    settings = settings_of(Composition(models=(str(tiny.path),)), target=target)
    with pytest.raises(ModelError, match=rf"pip install '\.\[{target}\]'"):
        build(settings, tmp_path / "engine", ALLOW)
    assert not (tmp_path / "engine").exists()


def test_progress_is_reported(tiny: Net, tmp_path: Path) -> None:
    """Phases by name, with steps done and steps in all."""
    seen: list[tuple[str, int, int]] = []
    options = BuildOptions(progress=lambda *step: seen.append(step), allow_unverified=True)
    build(settings_of(Composition(models=(str(tiny.path),))), tmp_path / "engine", options)
    phases = [phase for phase, _, _ in seen]
    assert phases[0] == "reading the models"
    assert "converting net1.onnx to fp16" in phases
    assert phases[-1] == "verifying the rounded graph"
    steps = [(done, total) for _, done, total in seen if total]
    assert all(0 <= done <= total for done, total in steps)
    assert any(done == total for done, total in steps)  # the builder's own phases come to an end


@pytest.mark.parametrize("phase", ["converting", "library", "verifying"])
def test_control_c_ends_a_build_and_leaves_nothing(tiny: Net, tmp_path: Path, phase: str) -> None:
    """Wherever it comes, in the library's own phases too; an engine before it stays."""
    folder = tmp_path / "engine"
    before = build(settings_of(Composition(models=(str(tiny.path),))), folder, ALLOW).manifest

    def interrupt(name: str, _done: int, total: int) -> None:
        inside = phase == "library" and total > 0 and not name.startswith("converting")
        if inside or name.startswith(phase):
            raise KeyboardInterrupt

    for output in (folder, tmp_path / "new"):
        settings = settings_of(Composition(models=(str(tiny.path),)), batch=(1, 2))
        with pytest.raises(KeyboardInterrupt):
            build(settings, output, BuildOptions(progress=interrupt, allow_unverified=True))
    assert load_manifest(folder) == before
    assert len(list(folder.iterdir())) == 2
    assert not (tmp_path / "new").exists()


def test_a_timing_cache_that_cannot_be_read_is_a_storage_error(tmp_path: Path) -> None:
    """Here it is a folder."""
    with pytest.raises(StorageError, match=r"--timing-cache \S+ cannot be read: Is a directory"):
        _load_cache(None, tmp_path)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_float32_is_computed_as_float32(precision: Precision) -> None:
    """TF32, on by default, rounds to 10 bits; a float32 engine must not."""
    builder = tensorrt_rtx.Builder(make_logger(tensorrt_rtx))
    config = builder.create_builder_config()
    _configure(tensorrt_rtx, config, settings_of(Composition(models=("x",)), precision=precision))
    assert config.get_flag(tensorrt_rtx.BuilderFlag.TF32) is (precision != "fp32")
