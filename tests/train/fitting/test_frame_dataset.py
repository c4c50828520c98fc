"""Frames: image and masks move together, validation sees what the line sees, draws repeat.

Here an image shows its first class itself, 255 where the mask is, so that the network's image and
its target must stay equal whatever is done to both.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

torch = pytest.importorskip("torch")

from stripwatch.engines.manifest import DefectClass  # noqa: E402
from stripwatch.wire.rle import encode_coco, runs_of_mask  # noqa: E402
from stripwatch_engine.graph.compose import image_graph  # noqa: E402
from stripwatch_engine.models.member import Member as Model  # noqa: E402
from stripwatch_engine.models.model_card import ModelCard, ModelInput  # noqa: E402
from stripwatch_engine.models.onnx_model import OnnxModel  # noqa: E402
from stripwatch_engine.models.reference import Session  # noqa: E402
from stripwatch_train.data.samples import RunMasks, Sample  # noqa: E402
from stripwatch_train.fitting.augment import randint, seeded  # noqa: E402
from stripwatch_train.fitting.frame_dataset import FrameDataset, View, frame_shapes  # noqa: E402
from stripwatch_train.runs.recipe import (  # noqa: E402
    Augmentation,
    ImageSettings,
    Loss,
    Member,
    Network,
)

STILL = Augmentation(
    flip_lines=0, flip_pixels=0, stretch=0, gain=0, contrast=0, noise=0, dropout_lines=0
)
MOVING = Augmentation(stretch=0.3, gain=0, contrast=0, noise=0, dropout_lines=0)
ALL = Augmentation(stretch=0.2, noise=0.02, dropout_lines=0.5)
SIDE = st.integers(6, 40)
FACTOR = st.integers(1, 4)
Bools = NDArray[np.bool_]

pytestmark = pytest.mark.usefixtures("one_thread")


def sample(folder: Path, image: NDArray[np.uint8], planes: Bools, name: str = "0") -> Sample:
    """`planes` are the classes' masks, bool [classes, lines, pixels]."""
    path = folder / f"{name}.png"
    Image.fromarray(image).save(path)
    runs = tuple(
        (index, encode_coco(runs_of_mask(plane.astype(np.uint8))))
        for index, plane in enumerate(planes, 1)
        if plane.any()
    )
    return Sample(path.name, path, RunMasks(image.shape, "coco", runs) if runs else None)


def shown(folder: Path, planes: Bools, name: str = "0") -> Sample:
    """Its image shows the first class."""
    return sample(folder, np.where(planes[0], np.uint8(255), np.uint8(0)), planes, name)


def blobs(shape: tuple[int, int], classes: int, seed: int) -> Bools:
    """Rectangles of every class, which may overlap."""
    planes = np.zeros((classes, *shape), np.bool_)
    with seeded(seed):
        for plane in planes:
            for _ in range(randint(1, 3)):
                top, left = (randint(0, side - 1) for side in shape)
                plane[top : top + randint(1, 9), left : left + randint(1, 9)] = True
    return planes


def one_pixel(shape: tuple[int, int], line: int, pixel: int) -> Bools:
    planes = np.zeros((1, *shape), np.bool_)
    planes[0, line, pixel] = True
    return planes


def view(
    shape: tuple[int, int],
    classes: int = 1,
    *,
    class_id: int | None = None,
    mean: float = 0.0,
    std: float = 1.0,
    **parts: Any,
) -> View:
    """`parts` are the member's."""
    if parts.get("role", "segmentation") != "segmentation":
        parts["network"] = Network(architecture="classifier")
    member = Member(**{"augmentation": STILL, **parts})
    return View(member, shape, classes, class_id, mean, std)


def share_covered(plane: Bools, shrink: tuple[int, int]) -> NDArray[np.float64]:
    lines, pixels = plane.shape
    blocks = plane.reshape(lines // shrink[0], shrink[0], pixels // shrink[1], shrink[1])
    result: NDArray[np.float64] = blocks.mean(axis=(1, 3))
    return result


def of_the_graph(seen: View, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What a model of this view takes on the line, by ONNX Runtime."""
    height, width = seen.image_shape
    card = ModelCard(
        input=ModelInput(channels=1, height=height, width=width),
        mean=seen.mean,
        std=seen.std,
        activation="sigmoid",
        classes=(DefectClass(id=1, name="pits"),),
    )
    imports = [onnx.helper.make_opsetid("", 17)]
    nothing = onnx.helper.make_graph([], "nothing", [], [])
    model = onnx.helper.make_model(nothing, opset_imports=imports, ir_version=8)
    onnx_model = OnnxModel(model, "image", "logits", (1, height, width), (1, height, width))
    session = Session(
        image_graph(Model("segmentation", Path(), onnx_model, card), seen.frame_shape)
    )
    (result,) = session.run({"frames": frame[None]}).values()
    image: NDArray[np.float32] = result[0]
    return image


@pytest.mark.parametrize("shrink", [(1, 1), (2, 2), (1, 2), (4, 3)])
@pytest.mark.parametrize("shape", [(32, 64), (50, 70), (33, 65), (48, 65), (9, 6), (3, 4)])
def test_a_whole_frame_is_what_the_inspection_graph_makes_of_it(
    tmp_path: Path, shape: tuple[int, int], shrink: tuple[int, int]
) -> None:
    frame = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    one = sample(tmp_path, frame, blobs(shape, 1, 1))
    seen = view(shape, images=ImageSettings(shrink=shrink), mean=0.37, std=0.21)
    image, target = FrameDataset([one], seen, 0)[0, -1, 0]
    assert image.shape == (1, *seen.image_shape) == target.shape
    np.testing.assert_allclose(image.numpy(), of_the_graph(seen, frame), atol=1e-4)


@settings(max_examples=40)
@given(shape=st.tuples(SIDE, SIDE), shrink=st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_whatever_the_sizes_the_graph_sees_the_same(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, int], shrink: tuple[int, int]
) -> None:
    """Also where a side is no multiple of its factor, but one of the smaller side."""
    folder = tmp_path_factory.getbasetemp()
    frame = np.random.default_rng(2).integers(0, 256, shape, np.uint8)
    one = sample(folder, frame, blobs(shape, 1, 1), "sizes")
    seen = view(shape, images=ImageSettings(shrink=shrink))
    image, _ = FrameDataset([one], seen, 0)[0, -1, 0]
    np.testing.assert_allclose(image.numpy(), of_the_graph(seen, frame), atol=1e-4)


@given(
    shape=st.tuples(SIDE, SIDE),
    shrink=st.tuples(FACTOR, FACTOR),
    crop=st.none() | st.tuples(st.integers(1, 20), st.integers(1, 20)),
    classes=st.sampled_from([1, 2, 4]),
    on_defect=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 1000),
)
def test_image_and_masks_move_together_for_all_random_changes(
    tmp_path_factory: pytest.TempPathFactory, seed: int, **given_: Any
) -> None:
    shape, classes, crop = given_["shape"], given_["classes"], given_["crop"]
    one = shown(tmp_path_factory.getbasetemp(), blobs(shape, classes, seed), "geometric")
    images = ImageSettings(shrink=given_["shrink"], crop=crop, on_defect=given_["on_defect"])
    seen = view(shape, classes, images=images, augmentation=MOVING)
    frames = FrameDataset([one], seen, seed)
    whole = seen.image_shape
    wanted = whole if crop is None else tuple(map(min, crop, whole))
    for epoch in (-1, 0, 1, 2):
        image, target = frames[0, epoch, 3]
        assert image.shape == (1, *(whole if epoch < 0 else wanted))
        assert target.shape == (classes, *image.shape[1:])
        torch.testing.assert_close(image[0], target[0], atol=1e-6, rtol=0)


@pytest.mark.parametrize("shrink", [(1, 1), (2, 2), (1, 2), (4, 8)])
def test_a_mask_made_smaller_is_the_share_of_each_pixel_that_is_covered(
    tmp_path: Path, shrink: tuple[int, int]
) -> None:
    planes = blobs((32, 64), 3, 4)
    seen = view((32, 64), 3, images=ImageSettings(shrink=shrink))
    frames = FrameDataset([shown(tmp_path, planes)], seen, 0)
    wanted = np.stack([share_covered(plane, shrink) for plane in planes])
    for epoch in (-1, 0):  # without augmentation training sees the whole frame, too
        np.testing.assert_allclose(frames[0, epoch, 0][1].numpy(), wanted, atol=1e-6)


def test_a_crop_is_an_unchanged_part_of_the_frame_and_any_part_comes_up(tmp_path: Path) -> None:
    frame = np.random.default_rng(3).integers(0, 256, (16, 24), np.uint8)
    seen = view((16, 24), images=ImageSettings(crop=(14, 21), on_defect=0.0))
    frames = FrameDataset([sample(tmp_path, frame, one_pixel((16, 24), 15, 3))], seen, 0)
    pieces = {frame[y : y + 14, x : x + 21].tobytes() for y in range(3) for x in range(4)}
    found = set()
    for position in range(150):
        image = (frames[0, 0, position][0][0] * 255).round().byte()
        found.add(image.numpy().tobytes())
    assert found == pieces


@pytest.mark.parametrize("corner", [(0, 0), (31, 63), (0, 63), (17, 20)])
def test_a_crop_that_is_put_over_a_defect_has_it_and_not_always_in_one_place(
    tmp_path: Path, corner: tuple[int, int]
) -> None:
    """One of the two that the frame has: its line goes with its pixel."""
    seen = view((32, 64), images=ImageSettings(crop=(8, 8), on_defect=1.0))
    opposite = one_pixel((32, 64), 31 - corner[0], 63 - corner[1])
    frames = FrameDataset([shown(tmp_path, one_pixel((32, 64), *corner) | opposite)], seen, 0)
    targets = [frames[0, 0, position][1][0] for position in range(40)]
    assert all(target.sum() == 1 for target in targets)
    if corner == (17, 20):
        assert len({int(target.argmax()) for target in targets}) > 20


@pytest.mark.parametrize("share", [0.0, 0.5, 0.8])
def test_the_share_of_crops_that_are_put_over_a_defect_is_that_of_the_recipe(
    tmp_path: Path, share: float
) -> None:
    """Not its square: lines and pixels are chosen together."""
    shape = (60, 90)
    seen = view(shape, images=ImageSettings(crop=(5, 5), on_defect=share))
    frames = FrameDataset([shown(tmp_path, one_pixel(shape, 30, 50))], seen, seed=8)
    hits = sum(bool(frames[0, 0, position][1].any()) for position in range(300))
    assert share - 0.08 <= hits / 300 <= share + 0.08, "seed 8"


def test_a_crop_larger_than_the_frame_is_the_whole_frame(tmp_path: Path) -> None:
    planes = blobs((32, 64), 1, 5)
    one = shown(tmp_path, planes)
    large = view((32, 64), images=ImageSettings(shrink=(2, 2), crop=(999, 999)))
    whole = view((32, 64), images=ImageSettings(shrink=(2, 2)))
    assert torch.equal(
        FrameDataset([one], large, 0)[0, 0, 0][0], FrameDataset([one], whole, 0)[0, -1, 0][0]
    )


def test_the_strip_is_stretched_along_its_length_within_the_limits_and_only_there(
    tmp_path: Path,
) -> None:
    """On a ramp of 3 levels a line; columns have a level of their own and keep it."""
    frame = np.add.outer(np.arange(64) * 3, np.arange(32)).astype(np.uint8)
    still = np.zeros((1, 64, 32), np.bool_)
    seen = view((64, 32), images=ImageSettings(crop=(32, 32)), augmentation=MOVING)
    frames = FrameDataset([sample(tmp_path, frame, still)], seen, 0)
    slopes = []
    for position in range(60):
        image = frames[0, 0, position][0][0].numpy() * 255
        inner = image[4:-4]  # the ends of a stretched image are repeated
        assert np.abs(np.abs(np.diff(inner, axis=1)) - 1).max() < 1.1
        slopes.append(abs(np.diff(inner, axis=0).mean()) / 3)
    assert 0.68 < min(slopes) < 0.8
    assert 1.2 < max(slopes) < 1.32


def test_columns_stay_columns_and_lines_stay_lines(tmp_path: Path) -> None:
    lines = np.repeat(np.arange(48, dtype=np.uint8)[:, None] * 5, 40, axis=1)
    none = np.zeros((1, 48, 40), np.bool_)
    images = ImageSettings(shrink=(2, 2), crop=(16, 12))
    lit = Augmentation(stretch=0.3, dropout_lines=0)
    samples = [sample(tmp_path, lines, none, "lines")]
    samples.append(sample(tmp_path, np.arange(40, dtype=np.uint8) * 6 + 0 * lines, none, "columns"))
    frames = FrameDataset(samples, view((48, 40), images=images, augmentation=lit), 0)
    for position in range(40):
        for index, axis in ((0, 1), (1, 0)):
            spread = np.ptp(frames[index, 0, position][0][0].numpy(), axis=axis)
            assert spread.max() < 0.006, f"sample {index}, position {position}"


def test_a_target_holds_only_the_class_of_its_model(tmp_path: Path) -> None:
    planes = blobs((16, 24), 3, 6)
    one = sample(tmp_path, np.zeros((16, 24), np.uint8), planes)
    for class_id in (1, 2, 3):
        seen = view((16, 24), 3, class_id=class_id, per_class=True)
        target = FrameDataset([one], seen, 0)[0, -1, 0][1]
        np.testing.assert_array_equal(target.numpy(), planes[class_id - 1 : class_id])
        assert seen.outputs == 1


def test_softmax_targets_begin_with_the_background_and_sum_to_1(tmp_path: Path) -> None:
    """Where classes overlap, each has its part."""
    planes = np.zeros((2, 2, 4), np.bool_)
    planes[0, :, :2] = True
    planes[1, :, 1:2] = True
    seen = view(
        (2, 4),
        2,
        activation="softmax",
        loss=Loss(0.0, 0.0, 1.0),
        images=ImageSettings(shrink=(1, 2)),
    )
    target = FrameDataset([sample(tmp_path, np.zeros((2, 4), np.uint8), planes)], seen, 0)[
        0, -1, 0
    ][1]
    assert seen.outputs == 3
    first = [0.0, 1 / 1.5, 0.5 / 1.5]
    torch.testing.assert_close(target[:, 0, 0], torch.tensor(first))
    assert target[:, 0, 1].tolist() == [1, 0, 0]
    torch.testing.assert_close(target.sum(0), torch.ones(2, 2))


@pytest.mark.parametrize("shrink", [(1, 1), (4, 4)])
def test_gates_and_classifiers_learn_of_frames_however_thin_their_defects_are(
    tmp_path: Path, shrink: tuple[int, int]
) -> None:
    planes = np.zeros((3, 16, 32), np.bool_)
    planes[1, 5, 7] = True
    empty = np.zeros((16, 32), np.uint8)
    samples = [sample(tmp_path, empty, planes), sample(tmp_path, empty, planes & False, "clean")]
    images = ImageSettings(shrink=shrink)
    gate = FrameDataset(samples, view((16, 32), 3, role="gate", images=images), 0)
    classifier = FrameDataset(samples, view((16, 32), 3, role="classifier", images=images), 0)
    for epoch in (-1, 0):
        assert [gate[index, epoch, 0][1].tolist() for index in (0, 1)] == [[1], [0]]
        assert [classifier[i, epoch, 0][1].tolist() for i in (0, 1)] == [[0, 1, 0], [0, 0, 0]]


def test_a_frame_of_another_shape_is_brought_to_that_of_most_with_its_masks(
    tmp_path: Path,
) -> None:
    samples = [shown(tmp_path, blobs((32, 64), 2, seed), str(seed)) for seed in (1, 2)]
    samples.append(shown(tmp_path, blobs((47, 50), 2, 3), "odd"))
    found = frame_shapes(samples)
    assert (found.chosen, found.others, found.largest) == ((32, 64), 1, (47, 64))
    assert found.distortion == pytest.approx(47 / 50 * 64 / 32)
    frames = FrameDataset(samples, view((32, 64), 2), 0)
    image, target = frames[2, -1, 0]
    assert image.shape == (1, 32, 64)
    assert target[0].any()
    torch.testing.assert_close(image[0], target[0])


def digest(frames: FrameDataset, keys: list[tuple[int, int, int]]) -> str:
    parts = [part.numpy().tobytes() for key in keys for part in frames[key]]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def random_frames(folder: Path) -> tuple[FrameDataset, list[tuple[int, int, int]]]:
    """Frames with all random changes, and keys of two epochs."""
    samples = []
    for seed in range(3):
        frame = np.random.default_rng(seed).integers(0, 256, (24, 40), np.uint8)
        samples.append(sample(folder, frame, blobs((24, 40), 2, seed), str(seed)))
    seen = view((24, 40), 2, images=ImageSettings(crop=(16, 16)), augmentation=ALL)
    keys = [(position % 3, epoch, position) for epoch in (0, 1) for position in range(6)]
    return FrameDataset(samples, seen, seed=21), keys


def test_a_key_gives_the_same_bytes_in_any_order_and_leaves_torchs_generator_alone(
    tmp_path: Path,
) -> None:
    frames, keys = random_frames(tmp_path)
    wanted = {key: digest(frames, [key]) for key in keys}
    torch.manual_seed(99)
    state = torch.random.get_rng_state()
    assert {key: digest(frames, [key]) for key in reversed(keys)} == wanted
    assert torch.equal(torch.random.get_rng_state(), state)
    assert len(set(wanted.values())) == len(keys), "epoch or position changes nothing"
    others, _ = random_frames(tmp_path)
    others._seed = 22
    assert all(digest(others, [key]) != value for key, value in wanted.items())


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_load_the_same_bytes(tmp_path: Path, workers: int) -> None:
    frames, keys = random_frames(tmp_path)
    loader = torch.utils.data.DataLoader(frames, 2, sampler=keys, num_workers=workers)
    images, targets = (torch.cat(parts) for parts in zip(*loader, strict=True))
    for index, key in enumerate(keys):
        image, target = frames[key]
        assert torch.equal(images[index], image), key
        assert torch.equal(targets[index], target), key


def test_a_key_gives_the_same_crop_in_every_process_and_on_every_machine(tmp_path: Path) -> None:
    """First and last pixel of each, of a frame whose pixels all differ."""
    frame = np.arange(240, dtype=np.uint8).reshape(12, 20)
    one = sample(tmp_path, frame, one_pixel((12, 20), 5, 5))
    flips = msgspec.structs.replace(STILL, flip_lines=0.5, flip_pixels=0.5)
    seen = view((12, 20), images=ImageSettings(crop=(4, 8)), augmentation=flips)
    frames = FrameDataset([one], seen, seed=3)
    crops = [(frames[0, 2, position][0] * 255).round().flatten() for position in range(6)]
    wanted = [(43, 110), (108, 41), (225, 172), (172, 105), (198, 131), (119, 52)]
    assert [(int(crop[0]), int(crop[-1])) for crop in crops] == wanted


def taught(
    folder: Path, share: float, **parts: Any
) -> tuple[FrameDataset, NDArray[np.uint8], Bools]:
    """Frames of one sample with a teacher, its probabilities, and the truth."""
    shape = (12, 20)
    planes = blobs(shape, 2, 7)
    said = np.random.default_rng(7).integers(0, 256, (2, *shape), np.uint8)
    (folder / "soft" / "a").mkdir(parents=True)
    Image.fromarray(said.reshape(24, 20)).save(folder / "soft" / "a" / "0.png")
    one = sample(folder, np.zeros(shape, np.uint8), planes)
    one = Sample("a/0.jpg", one.image, one.masks)
    seen = view(shape, 2, loss=Loss(teacher=share), **parts)
    return FrameDataset([one], seen, 0, [folder / "soft" / "a" / "0.png"]), said, planes


@pytest.mark.parametrize("share", [0.25, 0.7, 1.0])
def test_a_teacher_moves_the_target_by_its_share_in_training_alone(
    tmp_path: Path, share: float
) -> None:
    frames, said, planes = taught(tmp_path, share)
    wanted = planes * (1 - share) + said / 255 * share
    np.testing.assert_allclose(frames[0, 0, 0][1].numpy(), wanted, atol=0.51 / 255)
    np.testing.assert_array_equal(frames[0, -1, 0][1].numpy(), planes)


def test_a_teacher_of_share_0_is_not_asked(tmp_path: Path) -> None:
    frames, _, planes = taught(tmp_path, 0.0)
    np.testing.assert_array_equal(frames[0, 0, 0][1].numpy(), planes)


def test_a_model_of_one_class_takes_the_teachers_probabilities_of_that_class(
    tmp_path: Path,
) -> None:
    frames, said, _ = taught(tmp_path, 1.0, class_id=2, per_class=True)
    np.testing.assert_allclose(frames[0, 0, 0][1].numpy()[0], said[1] / 255, atol=1e-6)


def test_without_a_teacher_the_labels_are_the_target(tmp_path: Path) -> None:
    frames, _, planes = taught(tmp_path, 0.7)
    silent = FrameDataset(frames._samples, frames._view, 0, [None])
    np.testing.assert_array_equal(silent[0, 0, 0][1].numpy(), planes)


def test_what_a_teacher_faintly_suspects_draws_no_crop(tmp_path: Path) -> None:
    frames, _, _ = taught(tmp_path, 0.5, images=ImageSettings(crop=(2, 2), on_defect=1.0))
    frames._samples = [
        sample(tmp_path, np.zeros((12, 20), np.uint8), np.repeat(one_pixel((12, 20), 6, 9), 2, 0))
    ]
    Image.fromarray(np.full((24, 20), 9, np.uint8)).save(tmp_path / "soft" / "a" / "0.png")
    assert all(float(frames[0, 0, position][1].max()) > 0.5 for position in range(20))
