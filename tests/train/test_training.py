"""Training, small: fit, checkpoint, export, and what they say when something is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stripwatch.errors import ConfigError, ExitCode, ModelError, StorageError
from stripwatch.synthetic import CLASSES, SyntheticStrip
from stripwatch_engine.model_card import load_card

torch = pytest.importorskip("torch")

from stripwatch_train import evaluate as evaluation  # noqa: E402 - after the check for torch
from stripwatch_train.cli.main import main  # noqa: E402
from stripwatch_train.data import TRAINING_SEEDS, shrink, training_batches  # noqa: E402
from stripwatch_train.export import export  # noqa: E402
from stripwatch_train.fit import fit, learning_rate_at  # noqa: E402
from stripwatch_train.model import load_checkpoint, loss_of, make_model  # noqa: E402
from stripwatch_train.settings import FitSettings, fit_flags  # noqa: E402

SMALL = FitSettings(
    decoder_channels=(8, 8, 8, 8),
    frame_shape=(64, 320),
    crop_width=64,
    batch=2,
    steps=3,
    warm_up_steps=1,
    seed=5,
    threads=1,  # threads that wait for each other cost more than so little work
)
SMALL_FLAGS = [
    *("--decoder-channels", "8,8,8,8", "--frame-shape", "64,320", "--crop-width", "64"),
    *("--batch", "2", "--steps", "2", "--warm-up-steps", "1", "--threads", "1"),
]


@pytest.fixture(autouse=True)
def short_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    """One strip of two frames says enough about whether evaluation runs."""
    monkeypatch.setattr(evaluation, "EVALUATION_STRIPS", 1)
    monkeypatch.setattr(evaluation, "FRAMES_PER_STRIP", 2)


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    first, second = tmp_path / "first.pt", tmp_path / "second.pt"
    assert fit(SMALL, first) == fit(SMALL, second)
    weights, again = (load_checkpoint(path)[1]["weights"] for path in (first, second))
    assert weights.keys() == again.keys()
    for name, value in weights.items():
        assert torch.equal(value, again[name]), name


def test_a_checkpoint_tells_its_run(tmp_path: Path) -> None:
    path = tmp_path / "new" / "edge.pt"
    metrics = fit(SMALL, path)
    settings, checkpoint = load_checkpoint(path)
    assert settings == SMALL
    assert checkpoint["step"] == SMALL.steps
    assert checkpoint["metrics"] == metrics
    assert set(metrics) == {f"dice.{entry.name}" for entry in CLASSES}
    assert [entry.name for entry in path.parent.iterdir()] == ["edge.pt"]


def test_training_lowers_the_loss_of_a_batch_it_sees_again() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    images, targets = next(training_batches(SMALL))
    model = make_model(SMALL)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    losses = []
    for _ in range(15):
        loss = loss_of(model(images), targets)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_the_exported_model_computes_what_the_checkpoint_does(tmp_path: Path) -> None:
    import openvino

    checkpoint_path, model_path = tmp_path / "edge.pt", tmp_path / "out" / "model.onnx"
    fit(SMALL, checkpoint_path)
    card = export(checkpoint_path, model_path)
    assert sorted(entry.name for entry in model_path.parent.iterdir()) == [
        "model.json",
        "model.onnx",
    ]
    assert load_card(model_path) == card
    assert (card.input.channels, card.input.height, card.input.width) == (1, 32, 160)
    model = make_model(SMALL)
    model.load_state_dict(load_checkpoint(checkpoint_path)[1]["weights"])
    model.eval()
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(model_path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    for rows in (1, 3):  # the batch is free
        images = torch.randn(rows, 1, 32, 160, generator=torch.Generator().manual_seed(rows))
        with torch.no_grad():
            wanted = model(images).numpy()
        found = compiled({"image": images.numpy()})["logits"]
        assert found.shape == (rows, len(CLASSES), 32, 160)
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)


def test_batches_are_crops_with_targets_of_zero_and_one() -> None:
    batches = training_batches(SMALL)
    seen = np.zeros(len(CLASSES))
    for _ in range(40):
        images, targets = next(batches)
        assert images.shape == (2, 1, 32, 64)
        assert targets.shape == (2, len(CLASSES), 32, 64)
        assert set(np.unique(targets.numpy())) <= {0.0, 1.0}
        seen += targets.sum(dim=(0, 2, 3)).numpy()
    assert (seen > 0).all()


def test_training_strips_are_not_evaluation_strips() -> None:
    assert evaluation.EVALUATION_STRIPS <= TRAINING_SEEDS


def test_a_shrunk_frame_is_the_mean_of_its_pixels() -> None:
    frame = SyntheticStrip(1, SMALL.frame_shape).frame(0)
    image, _ = shrink(frame, SMALL)
    blocks = frame.pixels.reshape(32, 2, 160, 2).mean(axis=(1, 3), dtype=np.float64)
    grey = image[0] * SMALL.std + SMALL.mean
    np.testing.assert_allclose(grey * 255, blocks, atol=0.51)  # half a grey level


def test_the_learning_rate_rises_and_then_falls_to_zero() -> None:
    settings = FitSettings(steps=100, warm_up_steps=10, learning_rate=1.0)
    rates = [learning_rate_at(step, settings) for step in range(101)]
    assert rates[9] == 1.0
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(0)


def test_the_command_line_fits_and_exports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, model = tmp_path / "edge.pt", tmp_path / "model.onnx"
    assert main(["fit", "--checkpoint", str(checkpoint), *SMALL_FLAGS]) == ExitCode.OK
    assert main(["export", str(checkpoint), "--output", str(model)]) == ExitCode.OK
    assert "dice.scratches" in capsys.readouterr().out
    assert load_card(model).command.startswith("stripwatch-train fit --decoder-channels 8,8,8,8 ")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--steps", "0"], ["--steps", ">= 1"]),
        (["--learning-rate", "fast"], ["--learning-rate", "float"]),
        (["--frame-shape", "256"], ["--frame-shape", "length 2"]),
        (["--frame-shape", "250,1600"], ["frame_shape", "multiples of 32"]),
        (["--crop-width", "100"], ["crop_width", "multiple of 16"]),
        (["--decoder-channels", "8,8"], ["decoder_channels", "4 numbers"]),
        (["--encoder", "resnet1"], ["resnet1"]),
    ],
)
def test_a_wrong_flag_is_named(
    flags: list[str], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = ["--checkpoint", str(tmp_path / "edge.pt")]
    assert main(["fit", *checkpoint, *flags]) == ExitCode.CONFIG
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert all(word in said for word in words), said


def test_an_unknown_encoder_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="cannot build a UNet with encoder 'nothing'"):
        make_model(FitSettings(encoder="nothing"))


def test_a_checkpoint_that_cannot_be_written_stops_the_run_before_it_begins(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot write"):
        fit(FitSettings(steps=1_000_000), tmp_path / "file" / "edge.pt")
    with pytest.raises(StorageError, match="cannot write"):
        fit(FitSettings(steps=1_000_000), tmp_path)


def test_a_missing_or_damaged_checkpoint_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is missing"):
        export(tmp_path / "none.pt", tmp_path / "model.onnx")
    (tmp_path / "bad.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(ModelError, match="is not a checkpoint"):
        export(tmp_path / "bad.pt", tmp_path / "model.onnx")


def test_flags_name_only_what_differs_from_the_defaults() -> None:
    assert fit_flags(FitSettings()) == []
    assert fit_flags(FitSettings(steps=1900, frame_shape=(64, 320))) == [
        *("--frame-shape", "64,320"),
        *("--steps", "1900"),
    ]
