"""Networks: what size their answers have, whose weights they begin with, and what is refused."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import huggingface_hub.constants  # noqa: E402
import segmentation_models_pytorch as smp  # noqa: E402
import timm  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch import nn  # noqa: E402

from stripwatch.errors import ConfigError  # noqa: E402
from stripwatch_train.fitting.networks import _fetched, make_network  # noqa: E402
from stripwatch_train.fitting.plain_unet import AnySize  # noqa: E402
from stripwatch_train.runs.recipe import Network  # noqa: E402

CLASSIFIER = "mobilenetv3_small_050"
ENCODER = f"tu-{CLASSIFIER}"
NARROW = (8, 8, 8, 8, 8)
SEGMENTERS = {
    "vanilla-unet": Network("vanilla-unet", depth=2, channels=(4, 8, 8)),
    "additive-unet": Network("additive-unet", depth=2, channels=(4, 8, 8)),
    "vanilla-unet, once halved": Network("vanilla-unet", depth=1, channels=(4, 8)),
    "residual-unet": Network("residual-unet", depth=2, channels=(4, 8, 8)),
    "unet": Network("unet", ENCODER, "", 5, NARROW),
    "unet, thrice halved": Network("unet", ENCODER, "", 3, NARROW[:3]),
    "unetplusplus": Network("unetplusplus", ENCODER, "", 3, NARROW[:3]),
    "fpn": Network("fpn", ENCODER, "", 5, (8,)),
    "fpn, four times halved": Network("fpn", ENCODER, "", 4, (8,)),
    "fpn, thrice halved": Network("fpn", ENCODER, "", 3, (8,)),
}
OWN = ["vanilla-unet", "additive-unet", "residual-unet"]

pytestmark = pytest.mark.usefixtures("one_thread")


def make(network: Network, outputs: int = 3) -> Any:
    torch.manual_seed(0)
    return make_network(network, outputs).eval()


def image(*shape: int, seed: int = 0) -> Any:
    return torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(seed))


def refusal(network: Network) -> str:
    with pytest.raises(ConfigError) as error:
        make_network(network, 3)
    return str(error.value)


def unet_of(weights: Path | str, encoder: str = ENCODER) -> Network:
    return Network("unet", encoder, str(weights), 5, NARROW)


def classifier_of(weights: Path | str, encoder: str = CLASSIFIER) -> Network:
    return Network("classifier", encoder, str(weights))


def saved(weights: dict[str, Any], path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save(weights, path)
    return path


@pytest.mark.parametrize("name", SEGMENTERS)
def test_an_output_has_the_size_of_the_image_whatever_that_is(name: str) -> None:
    network = make(SEGMENTERS[name])
    with torch.no_grad():
        for shape in ((32, 64), (50, 70), (33, 7), (1, 1)):
            assert network(image(*shape)).shape == (2, 3, *shape)


@pytest.mark.parametrize("name", SEGMENTERS)
def test_only_the_padding_is_cropped_from_an_output(name: str) -> None:
    """A network that answered in another scale would be cut to a corner of its answer."""
    network = make(SEGMENTERS[name])
    assert isinstance(network, AnySize)
    lines, pixels = 2 * network.multiple, 3 * network.multiple
    with torch.no_grad():
        assert network.inner(image(lines, pixels)).shape == (2, 3, lines, pixels)


def test_an_image_is_padded_below_and_right_with_its_last_line_and_pixel() -> None:
    network = make(SEGMENTERS["vanilla-unet"])
    small = image(30, 61)
    whole = torch.cat([small, small[..., -1:].expand(-1, -1, -1, 3)], dim=3)
    whole = torch.cat([whole, whole[:, :, -1:].expand(-1, -1, 2, -1)], dim=2)
    with torch.no_grad():
        assert torch.equal(network(small), network.inner(whole)[..., :30, :61])


@pytest.mark.parametrize("name", OWN)
def test_every_weight_of_our_own_networks_learns(name: str) -> None:
    network = make(SEGMENTERS[name]).train()
    network(image(16, 24)).square().mean().backward()
    for key, value in network.named_parameters():
        assert value.grad is not None, key
        assert value.grad.abs().sum() > 0, key


def test_an_additive_network_differs_from_a_plain_one_in_what_its_joins_take() -> None:
    """The sum of what comes down and what comes up has half of the channels."""
    plain, additive = (
        {key: value.shape for key, value in make(SEGMENTERS[name]).inner.named_parameters()}
        for name in ("vanilla-unet", "additive-unet")
    )
    assert plain.keys() == additive.keys()
    differ = {
        key: (plain[key][1], additive[key][1]) for key in plain if plain[key] != additive[key]
    }
    assert differ == {"join.0.0.weight": (8, 4), "join.1.0.weight": (16, 8)}


def test_an_additive_network_adds_what_comes_down() -> None:
    """With nothing from below, the finest level joins what the first one gave."""
    network = make(SEGMENTERS["additive-unet"]).inner.eval()
    for value in network.up[0].parameters():
        torch.nn.init.zeros_(value)
    with torch.no_grad():
        expected = network.head(network.join[0](network.first(image(16, 24))))
        assert torch.equal(network(image(16, 24)), expected)


@pytest.mark.parametrize("name", OWN)
def test_our_own_networks_see_what_is_darker_than_the_mean(name: str) -> None:
    """In a residual level that rectifies before it convolves, half of the image would be lost."""
    first = make(SEGMENTERS[name]).inner.first
    body = getattr(first, "body", first)  # a residual level's shortcut is linear and sees all
    dark, darker = torch.full((1, 1, 16, 16), -1.0), torch.full((1, 1, 16, 16), -2.0)
    assert (body(dark) - body(darker)).abs().max() > 0.01


def test_a_classifier_outputs_one_number_for_each_class() -> None:
    network = make(classifier_of(""), outputs=4)
    with torch.no_grad():
        for shape in ((32, 64), (50, 70)):
            assert network(image(*shape)).shape == (2, 4)


def test_fresh_weights_follow_from_torchs_seed() -> None:
    one, again = make(unet_of("")).state_dict(), make(unet_of("")).state_dict()
    torch.manual_seed(1)
    other = make_network(unet_of(""), 3).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in one.items())
    assert any(not torch.equal(value, other[key]) for key, value in one.items())


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("architecture", ["unet", "fpn"])
def test_an_encoder_begins_with_the_weights_of_a_file_made_grey(
    tmp_path: Path, suffix: str, architecture: str
) -> None:
    """It sees in a grey image what the encoder of the file sees in the same as colour."""
    torch.manual_seed(7)
    colour = smp.Unet(ENCODER, encoder_weights=None, in_channels=3).encoder.eval()
    path = saved(colour.state_dict(), tmp_path / f"encoder{suffix}")
    channels = (8,) if architecture == "fpn" else NARROW
    network = make(Network(architecture, ENCODER, str(path), 5, channels))  # type: ignore[arg-type]
    grey = image(64, 96)
    with torch.no_grad():
        found, wanted = network.encoder(grey), colour(grey.repeat(1, 3, 1, 1))
    for level, (own, theirs) in enumerate(zip(found[1:], wanted[1:], strict=True)):
        torch.testing.assert_close(own, theirs, msg=lambda text, at=level: f"level {at}: {text}")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("classes", [1000, 5])
def test_a_classifier_begins_with_the_weights_of_a_file_but_for_its_last_layer(
    tmp_path: Path, suffix: str, classes: int
) -> None:
    torch.manual_seed(7)
    colour: Any = timm.create_model(CLASSIFIER, num_classes=classes).eval()
    path = saved(colour.state_dict(), tmp_path / f"classifier{suffix}")
    network = make(classifier_of(path), outputs=5)
    grey = image(64, 96)
    with torch.no_grad():
        found = network.forward_head(network.forward_features(grey), pre_logits=True)
        features = colour.forward_features(grey.repeat(1, 3, 1, 1))
        wanted = colour.forward_head(features, pre_logits=True)
    torch.testing.assert_close(found, wanted)
    if classes == 5:  # what another data set's classes were is of no use
        assert not torch.equal(network.classifier.weight, colour.classifier.weight)


@pytest.mark.parametrize("make_recipe", [unet_of, classifier_of])
def test_a_file_of_something_else_is_refused_and_named(tmp_path: Path, make_recipe: Any) -> None:
    """Also of a classifier, whose library takes any file of which no tensor fits."""
    other = timm.create_model("mobilenetv3_small_075").state_dict()
    files = {
        "other": saved(other, tmp_path / "other.pt"),
        "tensor": saved({"a": torch.zeros(3)}, tmp_path / "tensor.safetensors"),
        "list": tmp_path / "list.pt",
        "bytes": tmp_path / "bytes.pt",
        "cut": tmp_path / "cut.safetensors",
    }
    torch.save([1, 2], files["list"])
    files["bytes"].write_bytes(b"no weights")
    files["cut"].write_bytes(files["tensor"].read_bytes()[:-5])
    for name, path in files.items():
        words = refusal(make_recipe(path))
        assert f"{path}: does not hold weights of " in words, name


def test_a_file_of_a_smaller_encoder_is_refused(tmp_path: Path) -> None:
    """All of its tensors fit; those that it lacks would stay random."""
    whole = timm.create_model(CLASSIFIER).state_dict()
    part = {key: value for key, value in whole.items() if not key.startswith("blocks.4")}
    assert "does not hold weights" in refusal(classifier_of(saved(part, tmp_path / "part.pt")))
    colour = smp.Unet(ENCODER, encoder_weights=None, in_channels=3).encoder.state_dict()
    part = {key: value for key, value in colour.items() if ".blocks.4" not in key}
    assert "does not hold weights" in refusal(unet_of(saved(part, tmp_path / "encoder.pt")))


@pytest.mark.parametrize("make_recipe", [unet_of, classifier_of])
def test_a_file_that_is_missing_is_named_with_what_may_stand_there(
    tmp_path: Path, make_recipe: Any
) -> None:
    words = refusal(make_recipe(tmp_path / "none.pt"))
    assert f"{tmp_path / 'none.pt'} is missing; give a file of " in words
    assert "is missing" in refusal(make_recipe("none.safetensors"))


def test_retries_of_a_download_are_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    """The sentence that says what to do stands alone; afterwards the library warns as before."""
    log = logging.getLogger("huggingface_hub.utils._http")

    def build() -> nn.Module:
        log.warning("Retrying in 1s [Retry 1/5].")
        raise OSError("no network")

    with pytest.raises(ConfigError, match="cannot be fetched"):
        _fetched(unet_of("imagenet", "resnet18"), build)
    assert capfd.readouterr().err == ""
    assert log.isEnabledFor(logging.WARNING)


@pytest.mark.parametrize(
    "network",
    [
        unet_of("imagenet", "resnet18"),
        unet_of("imagenet", "efficientnet-b0"),
        unet_of("imagenet", ENCODER),
        classifier_of("imagenet"),
    ],
    ids=lambda network: f"{network.architecture}, {network.encoder}",
)
def test_weights_that_cannot_be_fetched_are_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: Network
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    words = refusal(network)
    assert f"imagenet weights of encoder {network.encoder!r} cannot be fetched" in words
    assert "connect to the network once, give a file with --set network.weights=FILE" in words
    assert words.endswith("or begin with random weights with --set network.weights=")


@pytest.mark.parametrize("weights", ["", "imagenet"])
@pytest.mark.parametrize(
    "network", [unet_of("", "resnet5"), unet_of("", "tu-nothing"), classifier_of("", "nothing")]
)
def test_an_encoder_that_is_not_known_is_refused_and_named(network: Network, weights: str) -> None:
    wanted = Network(network.architecture, network.encoder, weights, 5, network.channels)
    assert network.encoder in refusal(wanted)


def test_weights_of_a_name_that_an_encoder_has_not_are_refused_with_those_that_it_has() -> None:
    words = refusal(unet_of("photos", "resnet18"))
    assert "`photos`" in words
    assert "imagenet" in words


def test_weights_of_a_name_that_a_classifier_has_not_are_refused() -> None:
    """Rather than to begin with others than those that were asked for."""
    assert "a classifier has imagenet's, not 'imagnet'" in refusal(classifier_of("imagnet"))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Network("vanilla-unet", depth=3, channels=(4, 8, 8)), "of depth 3 needs 4, one for each"),
        (Network("residual-unet", depth=1, channels=(4,)), "has 1 numbers"),
        (Network("unet", ENCODER, "", 5, (8, 8)), "depth 5, channels (8, 8)"),
        (Network("unet", ENCODER, "", 6, (8,) * 6), "cannot build 'unet'"),
        (Network("unetplusplus", ENCODER, "", 1, (8,)), "unetplusplus needs 2 or more"),
        (Network("fpn", ENCODER, "", 2, (8,)), "cannot be less than 3"),
    ],
)
def test_numbers_that_do_not_fit_each_other_are_refused(network: Network, words: str) -> None:
    assert words in refusal(network)
