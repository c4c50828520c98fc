"""First weights of a trained model: what is taken, what is made anew, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

torch = pytest.importorskip("torch")

from tests.models import make_card  # noqa: E402
from tests.train.conftest import on_one_thread  # noqa: E402

from stripwatch.engines.manifest import DefectClass  # noqa: E402
from stripwatch.errors import ConfigError, ExitCode, ModelError  # noqa: E402
from stripwatch_engine.models.model_card import save_card  # noqa: E402
from stripwatch_train.cli.main import main  # noqa: E402
from stripwatch_train.fitting.begin_run import FitSettings  # noqa: E402
from stripwatch_train.fitting.checkpoints import BEST, LAST, load_weights  # noqa: E402
from stripwatch_train.fitting.first_weights import Origin, begin_with, find_origin  # noqa: E402
from stripwatch_train.fitting.fit import fit  # noqa: E402
from stripwatch_train.fitting.networks import make_network  # noqa: E402
from stripwatch_train.runs.recipe import Network  # noqa: E402
from stripwatch_train.runs.recipe_files import load_recipe  # noqa: E402
from stripwatch_train.runs.run_folder import MemberFile, RunFile, load_run, save_run  # noqa: E402

Small = Callable[..., list[str]]
MEMBER = "segmentation-fold0"
TINY = ("network.channels=[4,8,8]", "network.depth=2", "images.crop=[32,32]")
ENCODER = "mobilenetv3_small_050"
NETWORKS = {
    "vanilla-unet": Network("vanilla-unet", depth=2, channels=(4, 8, 8)),
    "additive-unet": Network("additive-unet", depth=2, channels=(4, 8, 8)),
    "residual-unet": Network("residual-unet", depth=2, channels=(4, 8, 8)),
    "unet": Network("unet", f"tu-{ENCODER}", "", 5, (8,) * 5),
    "unetplusplus": Network("unetplusplus", f"tu-{ENCODER}", "", 3, (8,) * 3),
    "fpn": Network("fpn", "tu-tf_efficientnet_lite0", "", 5, (8,)),
    "classifier": Network("classifier", ENCODER, ""),
}
NAMES = ("pits", "cracks")

pytestmark = pytest.mark.usefixtures("one_thread")


def trained_network(network: Network, outputs: int = 2, seed: int = 3) -> Any:
    """A network whose normalizations know images, as after training."""
    torch.manual_seed(seed)
    made = make_network(network, outputs)
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
            module.momentum = 0.5
    made.train()
    for step in range(4):
        made(images(step))
    return made.eval()


def images(seed: int = 0) -> Any:
    return torch.rand(4, 1, 64, 64, generator=torch.Generator().manual_seed(seed))


def exported(network: Any, folder: Path, names: tuple[str, ...] = NAMES, **card: Any) -> Path:
    """Its ONNX file with a card, as export writes them."""
    path = folder / "model.onnx"
    torch.onnx.export(
        network,
        (torch.zeros(1, 1, 64, 64),),
        str(path),
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": {0: "n"}, "logits": {0: "n"}},
        opset_version=17,
        dynamo=False,
    )
    classes = tuple(DefectClass(id=n, name=name, threshold=0.5) for n, name in enumerate(names, 1))
    save_card(path, make_card((64, 64), classes=classes, **card))
    return path


def new_member(**changes: Any) -> tuple[MemberFile, RunFile]:
    entry = MemberFile(**{"name": MEMBER, "role": "segmentation", "fold": 0, **changes})
    run = RunFile("unet", "data", NAMES, "0", (64, 64), 0.5, 0.2, (entry,))
    return entry, run


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_computes_what_the_onnx_file_it_begins_with_does(
    tmp_path: Path, kind: str
) -> None:
    """Though the file holds no normalizations: they are folded into its convolutions."""
    before = trained_network(NETWORKS[kind])
    network: Any = make_network(NETWORKS[kind], 2)
    origin = Origin(exported(before, tmp_path), NAMES)
    assert "begins with the weights of" in begin_with(origin, network, NAMES, images)
    with torch.no_grad():
        wanted = before(images())
        error = (network.eval()(images()) - wanted).abs().max() / wanted.abs().max()
        assert error < 1e-3
        if kind in ("vanilla-unet", "additive-unet"):  # all their normalizations are folded
            trained = (network.train()(images()) - wanted).abs().max() / wanted.abs().max()
            assert trained < 0.1, "training goes on from another network than the file's"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(("names", "outputs"), [(("pits", "rust"), 2), (("pits",), 1)])
def test_a_head_is_made_anew_where_the_classes_are_others(
    tmp_path: Path, names: tuple[str, ...], outputs: int
) -> None:
    kind = NETWORKS["additive-unet"]
    before = trained_network(kind)
    torch.manual_seed(9)
    network: Any = make_network(kind, outputs)
    fresh = {name: value.clone() for name, value in network.inner.head.state_dict().items()}
    origin = Origin(exported(before, tmp_path), NAMES)
    said = begin_with(origin, network, names, images)
    assert said.endswith("its head is made anew, as that one has the classes pits, cracks")
    assert all(
        torch.equal(value, fresh[name]) for name, value in network.inner.head.named_parameters()
    )
    assert torch.equal(network.inner.up[0].weight, before.inner.up[0].weight)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            Network("additive-unet", depth=2, channels=(4, 8, 16)),
            "is 8x8x3x3 there and 16x8x3x3 here",
        ),
        (Network("vanilla-unet", depth=2, channels=(4, 8, 8)), "is of another network"),
        (Network("additive-unet", depth=1, channels=(4, 8)), "it has other layers than this one"),
        (
            Network("additive-unet", depth=3, channels=(4, 8, 8, 8)),
            "it has other layers than this one",
        ),
    ],
)
def test_a_file_of_another_network_is_refused(tmp_path: Path, other: Network, words: str) -> None:
    path = exported(trained_network(NETWORKS["additive-unet"]), tmp_path)
    with pytest.raises(ModelError, match=words):
        begin_with(Origin(path, NAMES), make_network(other, 2), NAMES, images)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(ModelError, match="is not an ONNX file"):
        begin_with(Origin(path, NAMES), make_network(NETWORKS["unet"], 2), NAMES, images)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_a_file_whose_weights_are_computed_is_refused(tmp_path: Path) -> None:
    """Such as a quantized one, whose convolutions take what a node makes of integers."""
    path = exported(trained_network(NETWORKS["additive-unet"]), tmp_path)
    model = onnx.load(path)
    node = next(node for node in model.graph.node if node.op_type == "Conv")
    model.graph.node.insert(0, onnx.helper.make_node("Neg", [node.input[1]], ["made"]))
    node.input[1] = "made"
    onnx.save(model, path)
    network: Any = make_network(NETWORKS["additive-unet"], 2)
    with pytest.raises(ModelError, match="are not in the file as such"):
        begin_with(Origin(path, NAMES), network, NAMES, images)


def test_a_model_of_colour_images_is_refused(tmp_path: Path) -> None:
    entry, run = new_member()
    path = tmp_path / "model.onnx"
    path.touch()
    card = make_card((64, 64))
    save_card(path, card)
    table = json.loads((tmp_path / "model.json").read_text())
    table["input"]["channels"] = 3
    (tmp_path / "model.json").write_text(json.dumps(table))
    for source in (path, tmp_path):
        with pytest.raises(ConfigError, match="takes images of 3 channels"):
            find_origin(source, entry, run)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    entry, run = new_member()
    (tmp_path / "alone.ckpt").touch()
    for name, words in (
        ("none", "is no folder of a run, no checkpoint"),
        ("none.onnx", "is no folder of a run, no checkpoint"),
        ("alone.ckpt", "is read in the folder of its run"),
    ):
        with pytest.raises(ConfigError, match=words):
            find_origin(tmp_path / name, entry, run)


def begin(data: Path, output: Path, changes: list[str], source: Path | None) -> RunFile:
    settings = FitSettings(data=data, output=output, begin_from=source)
    return fit("edge", load_recipe("edge", changes), settings)


@pytest.fixture(scope="module")
def first(small_data: Path, small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    output = tmp_path_factory.mktemp("first") / "run"
    with on_one_thread():
        begin(small_data, output, small(*TINY), None)
    return output


@pytest.mark.parametrize("part", ["", MEMBER, f"{MEMBER}/{BEST}", f"{MEMBER}/model.onnx"])
def test_a_run_begins_with_the_weights_of_another_one(
    first: Path, small_data: Path, small: Small, tmp_path: Path, part: str
) -> None:
    """Of a run, its model's folder, a checkpoint and an ONNX file alike."""
    stands_still = ("optimizer.learning_rate=1e-12", "schedule.average=0", "seed=5")
    changes = small(*TINY, *stands_still)
    begin(small_data, tmp_path / "second", changes, first / part)
    begin(small_data, tmp_path / "fresh", changes, None)
    wanted, own, fresh = (
        load_weights(run / MEMBER / BEST)[0]
        for run in (first, tmp_path / "second", tmp_path / "fresh")
    )
    name = "inner.up.0.weight"
    torch.testing.assert_close(own[name], wanted[name])
    assert not torch.allclose(fresh[name], wanted[name])
    assert load_run(tmp_path / "second").begun_from == (first / part).name


def test_the_weights_of_another_network_are_refused_before_the_first_epoch(
    first: Path, small_data: Path, small: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [
        word
        for change in small(TINY[1], TINY[2], "network.channels=[8,8,8]")
        for word in ("--set", change)
    ]
    command = ["fit", "edge", "--data", str(small_data), "--output", str(tmp_path / "run")]
    assert main([*command, *flags, "--from", str(first)]) == ExitCode.MODEL
    said = capsys.readouterr().err
    assert "is of another network: inner.first.0.weight is 4x1x3x3 there and 8x1x3x3 here" in said
    assert not (tmp_path / "run" / MEMBER / LAST).exists()


def test_a_resumed_run_needs_its_first_weights_no_more_but_no_others(
    first: Path, small_data: Path, small: Small, tmp_path: Path
) -> None:
    source = shutil.copytree(first, tmp_path / "source")
    begin(small_data, tmp_path / "run", small(*TINY), source)
    more = [*small(*TINY), "schedule.epochs=2"]
    with pytest.raises(ConfigError, match="begun_from is source there and  here"):
        begin(small_data, tmp_path / "run", more, None)
    shutil.rmtree(source)
    begin(small_data, tmp_path / "run", more, source)
    rows = (tmp_path / "run" / MEMBER / "metrics.csv").read_text().splitlines()
    assert len(rows) == 3  # the head and two epochs


def test_validation_frames_that_the_first_weights_know_are_counted(
    first: Path, small_data: Path, small: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the same folds there are none; with others the scores would be too high."""
    begin(small_data, tmp_path / "same", small(*TINY), first)
    assert "were trained on" not in capsys.readouterr().err
    begin(small_data, tmp_path / "other", small(*TINY, "train_folds=[1]"), first)
    said = capsys.readouterr().err
    assert "validation frames have the names of frames that it was trained on" in said


def test_a_model_begins_with_that_of_the_same_member_class_and_fold(tmp_path: Path) -> None:
    members = [
        MemberFile("gate-fold0", "gate", 0),
        *(
            MemberFile(f"one-class{c}-fold{f}", "segmentation", f, c)
            for f in (0, 1)
            for c in (1, 2)
        ),
    ]
    run = RunFile("cascade", "data", NAMES, "0", (64, 64), 0.5, 0.2, tuple(members))
    source = tmp_path / "source"
    for member in members:
        (source / member.name).mkdir(parents=True)
        (source / member.name / BEST).touch()
    save_run(source, run)
    for member in members:
        assert find_origin(source, member, run).path == source / member.name / BEST
    other = MemberFile("one-class1-fold4", "segmentation", 4, 1)
    assert find_origin(source, other, run).path.parent.name == "one-class1-fold0"
    renamed = MemberFile("mine-class2-fold1", "segmentation", 1, 2)
    assert find_origin(source, renamed, run).path.parent.name == "one-class2-fold1"
    with pytest.raises(ConfigError, match="has no trained classifier model to begin kind-fold0"):
        find_origin(source, MemberFile("kind-fold0", "classifier", 0), run)
