"""Export: checkpoints become ONNX files that compute the same, with cards and compositions."""

from __future__ import annotations

import copy
import math
import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from stripwatch.engines.manifest import DefectClass  # noqa: E402
from stripwatch.errors import ModelError, StorageError  # noqa: E402
from stripwatch_engine.models.card_flags import CardFlags  # noqa: E402
from stripwatch_engine.models.composition import Composition, load_composition  # noqa: E402
from stripwatch_engine.models.member import load_member  # noqa: E402
from stripwatch_engine.models.model_card import ModelCard, ModelInput, load_card, save_card  # noqa: E402
from stripwatch_engine.models.reference import Session  # noqa: E402
from stripwatch_train.data.data_set import open_data_set  # noqa: E402
from stripwatch_train.data.samples import DataSet  # noqa: E402
from stripwatch_train.fitting.checkpoints import BEST, LAST, Curve  # noqa: E402
from stripwatch_train.fitting.export import (  # noqa: E402
    compare_onnx,
    export_member,
    export_run,
    make_card,
    write_onnx,
)
from stripwatch_train.fitting.frame_dataset import View  # noqa: E402
from stripwatch_train.fitting.networks import make_network  # noqa: E402
from stripwatch_train.runs.deployment_files import write_deployments  # noqa: E402
from stripwatch_train.runs.recipe import (  # noqa: E402
    ClassSettings,
    DeploymentSettings,
    ImageSettings,
    Loss,
    Member,
    Network,
    Recipe,
)
from stripwatch_train.runs.run_folder import (  # noqa: E402
    DEPLOYMENT_NAME,
    MODEL_NAME,
    RECIPE_NAME,
    MemberFile,
    RunFile,
    fold_deployment,
    save_run,
)

SHAPE = (64, 128)
ODD = ImageSettings(shrink=(3, 2))  # the network's image is 22 x 64
CLASSES = ClassSettings(threshold=0.4, presence_threshold=0.7, min_areas_px=(10, 20))
NAMES = ("pits", "cracks", "scratches", "patches")
ENCODER = "tu-mobilenetv3_small_050"
PLAIN = Network("vanilla-unet", depth=1, channels=(4, 8))
CLASSIFIER = Network("classifier", "mobilenetv3_small_050")
MEMBERS = {
    "sigmoid": Member(network=PLAIN, images=ODD),
    "softmax": Member(
        activation="softmax",
        network=Network("residual-unet", depth=2, channels=(4, 8, 8)),
        loss=Loss(0.0, 0.0, 1.0),
    ),
    "one class": Member(network=PLAIN, per_class=True),
    "unet": Member(network=Network("unet", ENCODER, "imagenet", 3, (8, 8, 8)), images=ODD),
    "unetplusplus": Member(
        network=Network("unetplusplus", "efficientnet-b0", "", 2, (8, 8)), images=ODD
    ),
    "fpn": Member(network=Network("fpn", ENCODER, "", 4, (8,)), images=ODD),
    "gate": Member(role="gate", network=CLASSIFIER, images=ODD),
    "classifier": Member(role="classifier", network=CLASSIFIER),
}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def data(small_data: Path) -> DataSet:
    return open_data_set(small_data)


def view_of(member: Member) -> View:
    return View(member, SHAPE, len(NAMES), 3 if member.per_class else None, 0.43, 0.12)


def fresh(view: View) -> Any:
    """A network whose batch normalization has seen something."""
    torch.manual_seed(5)
    network = make_network(msgspec.structs.replace(view.member.network, weights=""), view.outputs)
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(4, 1, 64, 64))
    return network.eval()


def save_checkpoint(path: Path, network: Any, dice: float = 0.5) -> None:
    """As Lightning's, as far as it is read; the last row is that of a later epoch."""
    rows = [
        {"epoch": epoch, "loss": 1.0, "score": 0.1, "dice.pits": value}
        for epoch, value in enumerate((0.25, dice, 0.75))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    others = {"_loss.weight": torch.ones(3)}
    torch.save(
        {"state_dict": weights | others, "callbacks": {Curve.__name__: {"rows": rows}}, "epoch": 1},
        path,
    )


def export(folder: Path, view: View, data: DataSet) -> float:
    run = RunFile("unet", "raw/strip", NAMES, "ab" * 32, SHAPE, 0.43, 0.12, ())
    card = make_card(view, run, CLASSES, "stripwatch-train fit unet")
    return export_member(folder, view, card, data)


@pytest.mark.parametrize("kind", MEMBERS)
def test_an_exported_model_computes_what_the_network_does_for_any_number_of_frames(
    tmp_path: Path, data: DataSet, kind: str
) -> None:
    view = view_of(MEMBERS[kind])
    network = fresh(view)
    save_checkpoint(tmp_path / BEST, network)
    assert 0 <= export(tmp_path, view, data) <= 1e-4
    assert {path.name for path in tmp_path.iterdir()} == {BEST, MODEL_NAME, "model.json"}
    model = onnx.load(tmp_path / MODEL_NAME)
    (source,) = model.graph.input
    sizes = source.type.tensor_type.shape.dim
    assert [size.dim_param or size.dim_value for size in sizes] == ["n", 1, *view.image_shape]
    session = Session(model)
    for count in (1, 2, 5):
        images = torch.randn(count, 1, *view.image_shape)
        with torch.no_grad():
            wanted = network(images).numpy()
        found = session.run({"image": images.numpy()})["logits"]
        assert found.shape == wanted.shape == (count, view.outputs, *wanted.shape[2:])
        assert wanted.shape[2:] == (view.image_shape if view.member.role == "segmentation" else ())
        np.testing.assert_allclose(found, wanted, atol=1e-3)
    member = load_member(view.member.role, tmp_path / MODEL_NAME, SHAPE, CardFlags())
    assert member.model.fixed_batch == 0


def defect_classes(names: tuple[str, ...], threshold: float, *areas: int) -> Any:
    return tuple(
        DefectClass(id=number, name=name, threshold=threshold, min_area_px=area)
        for number, (name, area) in enumerate(
            zip(names, areas or (0,) * len(names), strict=True), 1
        )
    )


@pytest.mark.parametrize(
    ("kind", "classes"),
    [
        ("sigmoid", defect_classes(NAMES, 0.4, 10, 20, 0, 0)),
        ("softmax", defect_classes(NAMES, 0.4, 10, 20, 0, 0)),
        ("one class", defect_classes(("scratches",), 0.4)),
        ("gate", (DefectClass(id=1, name="defect", threshold=0.7),)),
        ("classifier", tuple(DefectClass(i, name, 0.7) for i, name in enumerate(NAMES, 1))),
    ],
)
def test_the_card_describes_the_input_and_output_of_the_model(
    tmp_path: Path, data: DataSet, kind: str, classes: tuple[DefectClass, ...]
) -> None:
    view = view_of(MEMBERS[kind])
    save_checkpoint(tmp_path / BEST, fresh(view), dice=0.123456)
    export(tmp_path, view, data)
    height, width = view.image_shape
    assert load_card(tmp_path / MODEL_NAME) == ModelCard(
        input=ModelInput(channels=1, height=height, width=width),
        mean=0.43,
        std=0.12,
        activation="softmax" if kind == "softmax" else "sigmoid",
        classes=classes,
        background=kind == "softmax",
        metrics={"dice.pits": 0.1235},  # of the checkpoint's epoch
        data="strip, sha256 abababababababab",
        command="stripwatch-train fit unet",
    )


def test_a_checkpoint_that_is_missing_is_named_with_what_writes_it(
    tmp_path: Path, data: DataSet
) -> None:
    with pytest.raises(ModelError, match=r"best\.ckpt is missing; `stripwatch-train fit` writes"):
        export(tmp_path, view_of(MEMBERS["sigmoid"]), data)


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_checkpoint_is_refused_or_whole_and_what_was_exported_stays(
    tmp_path: Path, data: DataSet, seed: int
) -> None:
    """Cut short or with bytes changed; where only a weight changed, nothing can tell."""
    view = view_of(MEMBERS["sigmoid"])
    save_checkpoint(tmp_path / BEST, fresh(view))
    whole = (tmp_path / BEST).read_bytes()
    (tmp_path / MODEL_NAME).write_bytes(b"before")
    rng = random.Random(seed)
    for turn in range(10):
        damaged = bytearray(whole)
        if turn % 2:
            del damaged[rng.randrange(len(damaged)) :]
        else:
            for _ in range(200):
                damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        (tmp_path / BEST).write_bytes(damaged)
        try:
            export(tmp_path, view, data)
        except ModelError as error:
            assert str(tmp_path) in str(error), f"seed {seed}, turn {turn}"
            assert (tmp_path / MODEL_NAME).read_bytes() == b"before", f"seed {seed}, turn {turn}"
        else:
            (tmp_path / MODEL_NAME).write_bytes(b"before")


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        {},
        {"state_dict": {}},
        {"state_dict": {}, "callbacks": {}, "epoch": 1},
        {"state_dict": {}, "callbacks": {"Curve": {"rows": [{"epoch": 1}]}}},
        {"state_dict": {}, "callbacks": {"Curve": {"rows": [{}]}}, "epoch": 1},
    ],
)
def test_a_file_of_other_content_is_refused(tmp_path: Path, data: DataSet, content: Any) -> None:
    torch.save(content, tmp_path / BEST)
    with pytest.raises(ModelError, match=r"best\.ckpt is not a checkpoint of stripwatch-train"):
        export(tmp_path, view_of(MEMBERS["sigmoid"]), data)


@pytest.mark.parametrize(
    "other",
    [
        Network("vanilla-unet", depth=1, channels=(4, 6)),
        Network("vanilla-unet", depth=2, channels=(4, 8, 8)),
        Network("residual-unet", depth=1, channels=(4, 8)),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(
    tmp_path: Path, data: DataSet, other: Network
) -> None:
    view = view_of(MEMBERS["sigmoid"])
    save_checkpoint(tmp_path / BEST, fresh(view_of(Member(network=other))))
    with pytest.raises(ModelError, match=r"best\.ckpt is of another network"):
        export(tmp_path, view, data)


def test_a_checkpoint_for_another_number_of_classes_is_refused(
    tmp_path: Path, data: DataSet
) -> None:
    save_checkpoint(tmp_path / BEST, fresh(view_of(MEMBERS["one class"])))
    with pytest.raises(ModelError, match="another network"):
        export(tmp_path, view_of(MEMBERS["sigmoid"]), data)


@pytest.mark.parametrize("change", ["another weight", "not a number"])
def test_an_onnx_file_that_computes_something_else_is_refused(tmp_path: Path, change: str) -> None:
    view = view_of(MEMBERS["sigmoid"])
    network = fresh(view)
    path = tmp_path / MODEL_NAME
    images = torch.randn(2, 1, *view.image_shape)
    write_onnx(network, view.image_shape, path)
    assert compare_onnx(network, path, images) < 1e-4
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.inner.head.bias[1] += 0.01 if change == "another weight" else math.nan
    write_onnx(other, view.image_shape, path)
    with pytest.raises(ModelError, match=r"differs from PyTorch by .* of its largest"):
        compare_onnx(network, path, images)


def test_weights_that_are_not_numbers_are_not_exported(tmp_path: Path, data: DataSet) -> None:
    view = view_of(MEMBERS["sigmoid"])
    network = fresh(view)
    with torch.no_grad():
        network.inner.head.bias[0] = math.nan
    save_checkpoint(tmp_path / BEST, network)
    with pytest.raises(ModelError, match="its training diverged"):
        export(tmp_path, view, data)
    assert not (tmp_path / MODEL_NAME).exists()


def test_a_model_that_cannot_be_written_is_named(tmp_path: Path, data: DataSet) -> None:
    view = view_of(MEMBERS["sigmoid"])
    save_checkpoint(tmp_path / BEST, fresh(view))
    (tmp_path / MODEL_NAME / "in the way").mkdir(parents=True)
    with pytest.raises(StorageError, match=f"cannot write .*{MODEL_NAME}"):
        export(tmp_path, view, data)


def run_of(folder: Path, *members: MemberFile, trained: tuple[str, ...] | None = None) -> RunFile:
    """A run, of whose models some are trained; None = all."""
    for member in members:
        if trained is None or member.name in trained:
            (folder / member.name).mkdir()
            (folder / member.name / MODEL_NAME).touch()
    return RunFile("own", "", NAMES, "", SHAPE, 0.43, 0.12, members)


def found(path: Path, models: tuple[str, ...], **parts: Any) -> Composition:
    """What a composition should be, from models' names."""

    def files(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(path.parent / name / MODEL_NAME) for name in names)

    single = {number: files(names) for number, names in parts.pop("class_models", {}).items()}
    parts |= {role: files(parts.get(role, ())) for role in ("gate", "classifier")}
    return Composition(models=files(models), class_models=single, **parts)


RECIPE = Recipe(
    about="x",
    members=(Member(network=PLAIN),),
    folds=3,
    train_folds=(0, 1),
    deployment=DeploymentSettings(flip=True, gate_mode="skip", min_area_factor=2.5),
)
OPTIONS: dict[str, Any] = {"flip": True, "gate_mode": "skip", "min_area_factor": 2.5}
ALL = [
    MemberFile(f"{name}-fold{fold}", role, fold, class_id)  # type: ignore[arg-type]
    for fold in (0, 1)
    for name, role, class_id in (
        ("gate", "gate", None),
        ("judge", "classifier", None),
        ("shared", "segmentation", None),
        ("own-class1", "segmentation", 1),
        ("own-class3", "segmentation", 3),
    )
]


def test_compositions_join_all_models_and_those_of_each_fold(tmp_path: Path) -> None:
    write_deployments(tmp_path, RECIPE, run_of(tmp_path, *ALL))
    path = tmp_path / DEPLOYMENT_NAME
    assert load_composition(path) == found(
        path,
        ("shared-fold0", "shared-fold1"),
        class_models={
            1: ("own-class1-fold0", "own-class1-fold1"),
            3: ("own-class3-fold0", "own-class3-fold1"),
        },
        gate=("gate-fold0", "gate-fold1"),
        classifier=("judge-fold0", "judge-fold1"),
        **OPTIONS,
    )
    path = fold_deployment(tmp_path, 1)
    assert load_composition(path) == found(
        path,
        ("shared-fold1",),
        class_models={1: ("own-class1-fold1",), 3: ("own-class3-fold1",)},
        gate=("gate-fold1",),
        classifier=("judge-fold1",),
        **OPTIONS,
    )


def test_a_composition_has_only_models_that_are_trained(tmp_path: Path) -> None:
    run = run_of(tmp_path, *ALL, trained=("gate-fold0", "shared-fold1"))
    write_deployments(tmp_path, RECIPE, run)
    path = tmp_path / DEPLOYMENT_NAME
    wanted = found(path, ("shared-fold1",), gate=("gate-fold0",), **OPTIONS)
    assert load_composition(path) == wanted
    assert not fold_deployment(tmp_path, 0).exists(), "nothing of it segments"
    path = fold_deployment(tmp_path, 1)
    assert load_composition(path) == found(path, ("shared-fold1",), **OPTIONS)


def test_no_composition_is_written_while_nothing_segments(tmp_path: Path) -> None:
    run = run_of(tmp_path, *ALL, trained=("gate-fold0", "judge-fold1"))
    write_deployments(tmp_path, RECIPE, run)
    assert not list(tmp_path.glob("*.toml"))


def test_a_composition_that_cannot_be_written_is_an_error_of_storage(tmp_path: Path) -> None:
    (tmp_path / DEPLOYMENT_NAME).mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        write_deployments(tmp_path, RECIPE, run_of(tmp_path, *ALL))


def test_a_run_is_exported_again_from_any_checkpoint_and_for_other_frames(
    tmp_path: Path, small_data: Path
) -> None:
    entries = [MemberFile(f"segmentation-fold{fold}", "segmentation", fold) for fold in (0, 1)]
    run = run_of(tmp_path, *entries, trained=())
    save_run(tmp_path, msgspec.structs.replace(run, data=str(small_data)))
    (tmp_path / RECIPE_NAME).write_bytes(msgspec.json.encode(RECIPE))
    with pytest.raises(ModelError, match=r"no model has a best\.ckpt yet"):
        export_run(tmp_path)
    network = fresh(view_of(MEMBERS["sigmoid"]))
    save_checkpoint(tmp_path / "segmentation-fold1" / LAST, network)
    told: list[tuple[str, int, int]] = []
    done = export_run(tmp_path, checkpoint=LAST, progress=lambda *call: told.append(call))
    assert list(done) == ["segmentation-fold1"]
    assert told == [("models", 0, 2), ("models", 1, 2)]
    model = tmp_path / "segmentation-fold1" / MODEL_NAME
    assert (load_card(model).input.height, load_card(model).input.width) == SHAPE
    export_run(tmp_path, checkpoint=LAST, frame_shape=(33, 50))
    assert (load_card(model).input.height, load_card(model).input.width) == (33, 50)
    assert load_composition(tmp_path / DEPLOYMENT_NAME).models == (str(model),)
    tuned = msgspec.structs.replace(
        load_card(model), classes=defect_classes(NAMES, 0.3, 7, 7, 7, 7), command="fit"
    )
    save_card(model, tuned)
    export_run(tmp_path, checkpoint=LAST)
    assert load_card(model).classes == tuned.classes
    assert load_card(model).command == "fit"
