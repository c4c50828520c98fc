"""Networks: float32 [n, 1, h, w] to logits, [n, outputs, h, w] or, of classifiers, [n, outputs]."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import timm
from torch import Tensor, nn

from stripwatch.errors import ConfigError
from stripwatch_train.fitting.packaged_weights import is_packaged, packaged_weights
from stripwatch_train.fitting.plain_unet import AnySize, PlainUnet
from stripwatch_train.runs.recipe import Network

_SEGMENTERS: dict[str, Callable[..., nn.Module]] = {
    "unet": smp.Unet,
    "unetplusplus": smp.UnetPlusPlus,
    "fpn": smp.FPN,
}


def make_network(network: Network, outputs: int) -> nn.Module:
    """A network with its encoder's pretrained weights, if any, and random ones otherwise.

    Raises:
        ConfigError: there is no such encoder, its weights cannot be had, or numbers do not fit.
    """
    kind = network.architecture
    if kind in ("vanilla-unet", "additive-unet", "residual-unet"):
        if len(network.channels) != network.depth + 1:
            raise ConfigError(
                f"network.channels has {len(network.channels)} numbers; {kind} of depth "
                f"{network.depth} needs {network.depth + 1}, one for each level"
            )
        return AnySize(PlainUnet(outputs, network.channels, kind), 2**network.depth)
    try:
        if kind == "classifier":
            return _make_classifier(network, outputs)
        return AnySize(_make_segmenter(network, outputs), 2**network.depth)
    except ConfigError:
        raise
    except (KeyError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"cannot build {kind!r} with encoder {network.encoder!r}, depth {network.depth}, "
            f"channels {network.channels}: {error}"
        ) from error


def _make_segmenter(network: Network, outputs: int) -> nn.Module:
    if network.architecture == "unetplusplus" and network.depth < 2:
        raise ConfigError("network.depth is 1; unetplusplus needs 2 or more")
    options: dict[str, Any] = {"encoder_depth": network.depth}
    if network.architecture == "fpn":
        options["decoder_pyramid_channels"] = network.channels[0]
        # Its largest level is the third; the output is upsampled from there to the image.
        options["upsampling"] = 2 ** max(0, network.depth - 3)
    else:
        options["decoder_channels"] = network.channels
    make = _SEGMENTERS[network.architecture]

    def build(weights: str | bool | None, channels: int) -> nn.Module:
        return make(
            network.encoder,
            encoder_weights=weights,
            in_channels=channels,
            classes=outputs,
            **options,
        )

    given = _given_weights(network)
    if given is None:
        # Encoders of timm have their weights' name in their own.
        named = True if network.encoder.startswith("tu-") else network.weights
        return _fetched(network, lambda: build(named if network.weights else None, 1))
    # Weights are of colour images: their first layer is made grey after they are loaded.
    colour = build(None, 3)
    own = colour.encoder.state_dict()  # type: ignore[union-attr]

    def take(found: dict[str, Tensor]) -> None:
        # Files of whole classifiers have layers more, and names without the wrapper's.
        named = {name if name in own else f"model.{name}": value for name, value in found.items()}
        kept = {name: value for name, value in named.items() if name in own}
        colour.encoder.load_state_dict(kept)  # type: ignore[union-attr]

    _take(network, given, take)
    grey = build(None, 1)
    wanted = grey.encoder.state_dict()  # type: ignore[union-attr]
    found = colour.encoder.state_dict()  # type: ignore[union-attr]
    grey.encoder.load_state_dict(  # type: ignore[union-attr]
        {name: _grey(found[name], value) for name, value in wanted.items()}
    )
    return grey


def _make_classifier(network: Network, outputs: int) -> nn.Module:
    given = _given_weights(network)
    options: dict[str, Any] = {"in_chans": 1, "num_classes": outputs}
    if given is None:
        if network.weights not in ("", "imagenet"):
            raise ConfigError(
                f"network.weights: a classifier has imagenet's, not {network.weights!r}; others "
                f"are named behind the encoder: network.encoder={network.encoder}.NAME"
            )
        pretrained = bool(network.weights)
        return _fetched(
            network, lambda: timm.create_model(network.encoder, pretrained=pretrained, **options)
        )
    # timm's own loader would silently ignore weights of another network.
    model: nn.Module = timm.create_model(network.encoder, **options)
    last: Any = model.pretrained_cfg["classifier"]  # type: ignore[index]
    layers = (last,) if isinstance(last, str) else last
    own = model.state_dict()
    head = {name: value for name, value in own.items() if name.rpartition(".")[0] in layers}
    _take(
        network,
        given,
        lambda found: model.load_state_dict(
            {name: _grey(value, own.get(name, value)) for name, value in found.items()} | head
        ),
    )
    return model


def _given_weights(network: Network) -> dict[str, Tensor] | None:
    """Weights of an installed package or of a file; None = of a hub, or random."""
    if is_packaged(network.weights):
        return packaged_weights(network.weights, network.encoder)
    path = _weights_file(network)
    if not path:
        return None
    try:
        found: dict[str, Tensor] = timm.models.load_state_dict(str(path))
    except Exception as error:  # torch.load and safetensors raise many types
        raise _no_weights(network, error) from error
    return found


def _weights_file(network: Network) -> Path | None:
    """The file that `weights` names; a name has no suffix and no folder."""
    path = Path(network.weights)
    if not network.weights or (not path.suffix and len(path.parts) == 1):
        return None
    if not path.is_file():
        raise ConfigError(
            f"network.weights: {path} is missing; give a file of {network.encoder}'s weights, "
            "imagenet, or nothing to begin with random ones"
        )
    return path


def _take(
    network: Network, given: dict[str, Tensor], take: Callable[[dict[str, Tensor]], object]
) -> None:
    try:
        take(given)
    except Exception as error:  # what a file holds decides what torch raises
        raise _no_weights(network, error) from error


def _no_weights(network: Network, error: Exception) -> ConfigError:
    first = str(error).partition("\n")[0]
    return ConfigError(f"{network.weights}: does not hold weights of {network.encoder}: {first}")


def _fetched(network: Network, build: Callable[[], nn.Module]) -> nn.Module:
    """The result of `build`; a download that fails becomes a ConfigError."""
    if not network.weights:
        return build()
    try:
        with _without_retries_shown():
            return build()
    except KeyError as error:  # of segmentation-models-pytorch: no such name
        raise ConfigError(f"encoder {network.encoder!r}: {error.args[0]}") from error
    except Exception as error:
        if isinstance(error, ValueError | RuntimeError) and "http" not in repr(error).lower():
            raise
        raise ConfigError(
            f"the {network.weights} weights of encoder {network.encoder!r} cannot be fetched "
            f"({type(error).__name__}); connect to the network once, give a file with --set "
            "network.weights=FILE, or begin with random weights with --set network.weights="
        ) from error


@contextmanager
def _without_retries_shown() -> Iterator[None]:
    """Keep Hugging Face's lines about each failed request back: one sentence follows them."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _grey(found: Tensor, wanted: Tensor) -> Tensor:
    """Weights for a grey image: the sum over the channels of those for a colour image."""
    of_colour = found.shape[1:2] == (3,) and wanted.shape[1:2] == (1,)
    return found.sum(dim=1, keepdim=True) if of_colour else found
