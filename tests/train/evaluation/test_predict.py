"""`predict`: what a model finds, as labels, as probabilities, and with frames in doubt left out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.train.tiny_models import CLASSES, Bytes, level, masked, painted, save_model, write_data

from stripwatch.engines.manifest import DefectClass, Gate
from stripwatch.errors import ConfigError, ExitCode
from stripwatch_train.cli.main import main
from stripwatch_train.data.data_set import open_data_set
from stripwatch_train.data.images import load_image
from stripwatch_train.data.masks import load_mask
from stripwatch_train.evaluation.engine_runner import Prediction
from stripwatch_train.evaluation.predict import (
    Doubt,
    findings,
    images_at,
    in_doubt,
    mask_of,
    predict,
)
from stripwatch_train.evaluation.predictor import open_predictor

SHAPE = (40, 100)
AREAS = (
    DefectClass(id=1, name="bright", threshold=0.5, min_area_px=10),
    DefectClass(id=2, name="dark", threshold=0.5),
)


def frames() -> dict[str, Bytes]:
    """One sure, one found but faint, one nearly found, one with a speck, one clean."""
    return {
        "sure.png": painted(SHAPE, (5, 5, 12, 10, 255), (50, 5, 8, 8, 0)),
        "faint.png": painted(SHAPE, (5, 5, 12, 10, level(0.6))),
        "nearly.png": painted(SHAPE, (5, 5, 12, 10, level(0.4))),
        "speck.png": painted(SHAPE, (5, 5, 3, 3, level(0.6))),
        "clean.png": painted(SHAPE),
    }


def write_images(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name, pixels in frames().items():
        cv2.imwrite(str(folder / name), pixels)
    return folder


def test_what_is_found_is_written_as_a_data_set(tmp_path: Path) -> None:
    """Masks as the line would report them; images as they were."""
    model = save_model(tmp_path / "model.onnx", SHAPE, AREAS)
    images = write_images(tmp_path / "images")
    output = tmp_path / "labels"
    assert main(["predict", str(model), str(images), "--output", str(output)]) == ExitCode.OK
    data = open_data_set(output)
    assert [entry.name for entry in data.classes] == ["bright", "dark"]
    found = {sample.name: load_mask(sample, SHAPE) for sample in data.samples}
    assert sorted(found) == sorted(frames())
    wanted = {
        "sure.png": masked(SHAPE, (5, 5, 12, 10, 1), (50, 5, 8, 8, 2)),
        "faint.png": masked(SHAPE, (5, 5, 12, 10, 1)),
    }
    for name, mask in found.items():
        assert np.array_equal(mask, wanted.get(name, masked(SHAPE))), name
    for sample in data.samples:
        assert np.array_equal(load_image(sample), frames()[sample.name])
    assert not (output / "soft").exists()


def test_frames_in_doubt_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Found with 0.6 of 0.8, or not found with 0.4 of 0.3; a speck is no doubt."""
    model = save_model(tmp_path / "model.onnx", SHAPE, AREAS)
    images = write_images(tmp_path / "images")

    def kept(name: str, *flags: str) -> list[str]:
        output = tmp_path / name
        command = ["predict", str(model), str(images), "--output", str(output), *flags]
        assert main([*command, "--confident-only"]) == ExitCode.OK
        return [sample.name for sample in open_data_set(output).samples]

    assert kept("usual") == ["clean.png", "speck.png", "sure.png"]
    assert "left out" in capsys.readouterr().out
    assert kept("lenient", "--doubt", "0.45", "0.55") == sorted(frames())
    flags = ["--output", str(tmp_path / "no"), "--confident-only", "--doubt", "0.8", "0.3"]
    assert main(["predict", str(model), str(images), *flags]) == ExitCode.CONFIG
    assert "0 < LOWER <= UPPER < 1" in capsys.readouterr().err


def test_doubt_asks_for_the_minimum_area_that_the_gate_leaves() -> None:
    """What a gate calls absent must be larger to be found, and larger to be in doubt."""
    prob = np.zeros((2, *SHAPE), np.uint8)
    prob[0, :4, :5] = 100  # 20 px at 0.39
    doubt = Doubt(0.3, 0.8)
    for absent, doubtful in ((False, True), (True, False)):
        said = Prediction(prob, np.array([absent, False]))
        gate = Gate(mode="soft", gate_threshold=0.5, min_area_factor=3.0)
        assert findings(said, AREAS, gate) == []
        assert in_doubt(said, AREAS, gate, [], doubt) == doubtful
    low = (DefectClass(id=1, name="bright", threshold=0.2), AREAS[1])
    sure = np.array([False, False])
    found = findings(Prediction(prob, sure), low, None)
    assert np.array_equal(mask_of(found, SHAPE), masked(SHAPE, (0, 0, 5, 4, 1)))
    assert in_doubt(Prediction(prob, sure), low, None, found, doubt)  # 0.39 of 0.8
    assert not in_doubt(Prediction(prob, sure), low, None, found, Doubt(0.3, 0.35))


def test_probabilities_are_written_for_a_student(tmp_path: Path) -> None:
    """A grey image for each frame, the planes of the classes below each other."""
    model = save_model(tmp_path / "model.onnx", SHAPE, AREAS)
    images = write_images(tmp_path / "images" / "inner")
    output = tmp_path / "labels"
    with open_predictor(model) as predictor:
        samples = images_at(images.parent)
        written = predict(predictor, samples, output, soft=True)
    assert (written.frames, written.clean, written.doubtful) == (5, 3, 0)
    assert written.defects == {"bright": 2, "dark": 1}
    for name, pixels in frames().items():
        with Image.open(output / "soft" / "inner" / name) as image:
            assert image.mode == "L"
            planes = np.array(image).reshape(2, *SHAPE)
        wanted = np.clip(np.stack([2 * (pixels / 255) - 1, 1 - 2 * (pixels / 255)]), 0, 1)
        assert np.abs(planes - wanted * 255).max() <= 1


def test_images_are_those_of_a_data_set_or_of_a_folder(tmp_path: Path) -> None:
    """The masks beside them are no images."""
    data = write_data(
        tmp_path / "coco", {name: (frame, masked(SHAPE)) for name, frame in frames().items()}
    )
    names = sorted(frames())
    assert sorted(sample.name for sample in images_at(data)) == names
    assert sorted(sample.name for sample in images_at(data / "annotations.json")) == names
    plain = write_images(tmp_path / "plain")
    assert sorted(sample.name for sample in images_at(plain)) == names
    folder = tmp_path / "index"
    write_images(folder / "images")
    (folder / "masks").mkdir()
    for name in frames():
        cv2.imwrite(str(folder / "masks" / name), masked(SHAPE))
    assert len(images_at(folder, ["bright", "dark"])) == len(names)
    with pytest.raises(ConfigError, match="is neither a folder of images nor a data set"):
        images_at(tmp_path / "missing")


def test_names_that_differ_in_their_suffix_only_are_refused(tmp_path: Path) -> None:
    """Their probabilities would be one file."""
    images = write_images(tmp_path / "images")
    cv2.imwrite(str(images / "sure.bmp"), frames()["sure.png"])
    model = save_model(tmp_path / "model.onnx", SHAPE, CLASSES)
    with (
        open_predictor(model) as predictor,
        pytest.raises(ConfigError, match=r"sure\.bmp and sure\.png differ after the last dot only"),
    ):
        predict(predictor, images_at(images), tmp_path / "labels")
