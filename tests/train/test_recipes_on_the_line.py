"""Every recipe, from its training to events of the daemon: short, small, and for real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from stripwatch.engines.base import Resources  # noqa: E402
from stripwatch.engines.load import engine_factory  # noqa: E402
from stripwatch.errors import ExitCode  # noqa: E402
from stripwatch.synthetic import SyntheticStrip  # noqa: E402
from stripwatch.testing import fake_line  # noqa: E402
from stripwatch.wire.event import Defect  # noqa: E402
from stripwatch_engine.build import BuildOptions, build  # noqa: E402
from stripwatch_engine.models.composition import load_composition  # noqa: E402
from stripwatch_engine.settings import BuildSettings  # noqa: E402
from stripwatch_engine.verify.limits import faults  # noqa: E402
from stripwatch_train.cli.main import main  # noqa: E402
from stripwatch_train.runs.recipe_files import load_recipe, recipe_names  # noqa: E402
from stripwatch_train.runs.run_folder import DEPLOYMENT_NAME, MODEL_NAME, load_run  # noqa: E402

SHAPE = (64, 128)
FRAMES = 4
# Hardly trained, models are sure of nothing: with low thresholds they find something everywhere.
LOW = ("classes.threshold=0.02", "classes.presence_threshold=0.02")
CHANNELS = "network.channels=[8,8,8,8,8]"
TINY = "network.encoder=tu-mobilenetv3_small_050"
TINY_GATE = "gate.network.encoder=mobilenetv3_small_050"
# By recipe: what makes it small, and its members to try where it has dozens.
SMALLER: dict[str, tuple[tuple[str, ...], str]] = {
    "unet": (("network.channels=[4,4,4,4,4]",), ""),
    "cascade": (
        (TINY, TINY_GATE, "classifier.network.encoder=mobilenetv3_small_050", CHANNELS),
        "",
    ),
    "resunet": (("network.channels=[4,4,4,4,4]",), ""),
    "unetpp-ensemble": (
        (
            TINY,
            *(f"gate-b{index}.network.encoder=mobilenetv3_small_050" for index in range(6)),
            CHANNELS,
            "train_folds=[0,1]",
            "images.crop=[64,64]",
        ),
        "gate-b0,gate-b1,unetpp-b0",
    ),
    "unet-resnet34": ((TINY, CHANNELS), ""),
    "unet-lite0": ((TINY, CHANNELS), ""),
    "fpn-b5": ((TINY, TINY_GATE, "network.channels=[8]"), ""),
    "fpn-se_resnext50": ((TINY, TINY_GATE, "network.channels=[8]"), ""),
    "edge": (("network.depth=4", "network.channels=[4,4,4,4,4]"), ""),
}

pytestmark = pytest.mark.usefixtures("one_thread")


def test_every_recipe_is_tried_here() -> None:
    assert set(SMALLER) == set(recipe_names())


FAST = "edge"


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == FAST else [pytest.mark.slow]) for name in SMALLER],
)
def test_a_recipe_ends_in_defects_on_the_line(
    name: str, small_data: Path, tmp_path: Path, small: Callable[..., list[str]]
) -> None:
    """`fit`, `engine-build` of what it wrote, and the real pipeline on the engine."""
    changes, only = SMALLER[name]
    run = tmp_path / "run"
    words = ["fit", name, "--data", str(small_data), "--output", str(run)]
    words += [word for change in small(*changes, *LOW) for word in ("--set", change)]
    assert main([*words, *(["--only", only] if only else [])]) == ExitCode.OK

    composition = load_composition(run / DEPLOYMENT_NAME)
    trained = [entry for entry in load_run(run).members if (run / entry.name / MODEL_NAME).exists()]
    assert len(composition.paths()) == len(trained)
    settings = BuildSettings(composition=composition, frame_shape=SHAPE, verify_frames=2)
    manifest = build(settings, tmp_path / "engine", BuildOptions(allow_unverified=True)).manifest
    assert manifest.verification is not None
    assert faults(manifest.verification) == []

    factory = engine_factory(tmp_path / "engine", manifest, Resources(streams=1))
    strip = SyntheticStrip(99, SHAPE, 30.0)
    with fake_line(
        factory=factory, classes=manifest.classes, gate=manifest.gate, frame_shape=SHAPE
    ) as line:
        for seq in range(FRAMES):
            line.camera.send("top", "s", seq, strip.frame(seq).pixels)
        line.wait_for_frame("top", "s", FRAMES - 1)
        status = line.pipeline.outbox.ledger.statuses()["top"]
        line.wait(lambda: any(isinstance(event, Defect) for event in line.events))
    assert status.inspected == FRAMES
    names = {event.class_name for event in line.events if isinstance(event, Defect)}
    assert names <= {entry.name for entry in manifest.classes}


def test_the_daemon_finds_what_the_trained_network_finds(
    small_data: Path, tmp_path: Path, small: Callable[..., list[str]]
) -> None:
    """The area of its defects is that of PyTorch's masks, on a frame that training never saw."""
    from stripwatch_train.fitting.checkpoints import BEST, load_weights
    from stripwatch_train.fitting.networks import make_network

    changes = small("network.channels=[4,8,8]", "network.depth=2", "schedule.epochs=4")
    run = tmp_path / "run"
    words = ["fit", "unet", "--data", str(small_data), "--output", str(run)]
    assert main([*words, *(word for change in changes for word in ("--set", change))]) == 0
    composition = load_composition(run / DEPLOYMENT_NAME)
    settings = BuildSettings(composition=composition, frame_shape=SHAPE, verify_frames=2)
    manifest = build(settings, tmp_path / "engine", BuildOptions(allow_unverified=True)).manifest

    member = load_recipe("unet", changes).members[0]
    network = make_network(member.network, len(manifest.classes))
    network.load_state_dict(load_weights(run / "segmentation-fold0" / BEST)[0])
    pixels = SyntheticStrip(99, SHAPE, 30.0).frame(0).pixels
    model = manifest.models[0]
    image = torch.from_numpy(pixels).float().div(255).sub(model.mean[0]).div(model.std[0])
    small_image = torch.nn.functional.avg_pool2d(image[None, None], 2)
    with torch.no_grad():
        probability = network.eval()(small_image).sigmoid()
    wanted = torch.nn.functional.interpolate(probability, SHAPE, mode="bilinear")[0].numpy()
    limits = np.median(wanted, axis=(1, 2))  # half of all pixels are above

    factory = engine_factory(tmp_path / "engine", manifest, Resources(streams=1))
    from stripwatch.engines.base import page_aligned

    slot = page_aligned((1, *SHAPE), np.uint8)
    slot[0] = pixels
    engine = factory([slot])
    try:
        engine.submit(0, 1, limits.astype(np.float32))
        area = engine.wait(0).area[0].copy()
    finally:
        engine.close()
    unsure = (np.abs(wanted - limits[:, None, None]) < 1e-4).sum(axis=(1, 2))
    assert (np.abs(area - (wanted >= limits[:, None, None]).sum(axis=(1, 2))) <= unsure).all()
    assert area.all()
