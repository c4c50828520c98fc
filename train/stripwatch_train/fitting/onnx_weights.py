"""Weights of an ONNX file, for the network that it was exported from.

Export folds batch normalization into the convolution before it, and training goes on with both. So
the normalization gets the mean and variance that real images give, and a scale and a shift that
undo them: the network computes what the file computes, and goes on from there.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from stripwatch.errors import ModelError

_LAYERS: dict[str, type[nn.Module]] = {
    "Conv": nn.Conv2d,
    "ConvTranspose": nn.ConvTranspose2d,
    "Gemm": nn.Linear,
    "BatchNormalization": nn.BatchNorm2d,
}
_PARTS = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class _Node:
    kind: str  # of _LAYERS
    values: tuple[Tensor, ...]  # in the order of _PARTS


def onnx_weights(
    path: Path, network: nn.Module, head: set[str], images: Tensor
) -> dict[str, Tensor]:
    """The weights of a file, by their names in the network.

    Args:
        path: of the ONNX file.
        network: with the file's layers; those without effect keep their own weights.
        head: names of its parameters that may be of another shape in the file.
        images: that it will see, float32 [n, 1, h, w].

    Raises:
        ModelError: the file cannot be read, or has other layers.
    """
    nodes = _nodes(path)
    own = network.state_dict()
    weights = dict(own)
    folded: list[str] = []
    shift = torch.zeros(())  # of the normalization that is folded into the layer before
    for name, layer in _in_order(network, images[:1]):
        if isinstance(layer, nn.BatchNorm2d) and (
            not nodes or nodes[0].kind != "BatchNormalization"
        ):
            weights |= _identity(name, layer, shift)
            folded.append(name)
            continue
        node = nodes.pop(0) if nodes else None
        if node is None or not isinstance(layer, _LAYERS[node.kind]):
            raise _of_another(path, f"it has other layers than this one, from {name} on")
        values = dict(zip((f"{name}.{part}" for part in _PARTS), node.values, strict=False))
        shift = torch.zeros(len(node.values[0]))
        if f"{name}.bias" not in weights:
            shift = values.pop(f"{name}.bias", shift)
        wrong = [key for key in values if values[key].shape != own[key].shape and key not in head]
        if wrong:
            there, here = ("x".join(map(str, of[wrong[0]].shape)) for of in (values, own))
            raise _of_another(path, f"{wrong[0]} is {there} there and {here} here")
        weights |= values
    if nodes:
        raise _of_another(path, f"it has {len(nodes)} layers more than this one")
    if folded:
        known = {name: value for name, value in weights.items() if name not in head}
        weights |= _measured(network, known, folded, images)
    return weights


def _of_another(path: Path, words: str) -> ModelError:
    return ModelError(
        f"{path}: is of another network: {words}; give the recipe and the network settings that it "
        "was trained with"
    )


def _nodes(path: Path) -> list[_Node]:
    """The layers of a file that have weights, in the order in which they are computed."""
    try:
        graph = onnx.load(path).graph
    except Exception as error:  # protobuf raises many types
        raise ModelError(f"{path}: is not an ONNX file: {error}") from error
    known = {
        value.name: torch.from_numpy(numpy_helper.to_array(value).copy())
        for value in graph.initializer
    }
    found = []
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in known:  # equal tensors are kept once
            known[node.output[0]] = known[node.input[0]]
        if node.op_type in _LAYERS:
            names = [name for name in node.input[1:] if name]
            if not all(name in known for name in names):
                raise ModelError(f"{path}: the weights of {node.name} are not in the file as such")
            found.append(_Node(node.op_type, tuple(known[name] for name in names)))
    return found


def _in_order(network: nn.Module, image: Tensor) -> list[tuple[str, nn.Module]]:
    """The layers with weights, in the order of a pass; those without effect are not in a file."""
    order: list[tuple[str, nn.Module]] = []

    def note(name: str) -> Any:  # noqa: ANN401 - torch's hook
        return lambda layer, *_: order.append((name, layer))

    copied = copy.deepcopy(network).eval()
    kinds = tuple(_LAYERS.values())
    layers = [entry for entry in copied.named_modules() if isinstance(entry[1], kinds)]
    for name, layer in layers:
        layer.register_forward_hook(note(name))
    copied(image).sum().backward()
    return [
        (name, layer)
        for name, layer in order
        if any(value.grad is not None for value in layer.parameters())
    ]


def _identity(name: str, layer: nn.BatchNorm2d, shift: Tensor) -> dict[str, Tensor]:
    """A normalization that only adds `shift`."""
    ones = torch.ones(layer.num_features)
    values = (ones, shift * ones, 0 * ones, ones - layer.eps)
    return dict(zip((f"{name}.{part}" for part in _PARTS), values, strict=True))


def _measured(
    network: nn.Module, weights: dict[str, Tensor], folded: list[str], images: Tensor
) -> dict[str, Tensor]:
    """The normalizations with the statistics of what they get from the images."""
    copied = copy.deepcopy(network).eval()
    copied.load_state_dict(weights, strict=False)
    moments: dict[str, list[Tensor]] = {name: [] for name in folded}

    def measure(name: str) -> Any:  # noqa: ANN401 - torch's hook
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            values = inputs[0].double()
            moments[name].append(torch.stack([(values**k).mean((0, 2, 3)) for k in (1, 2)]))

        return hook

    for name in folded:
        copied.get_submodule(name).register_forward_pre_hook(measure(name))
    with torch.no_grad():
        for image in images:  # one by one, as whole frames may be large
            copied(image[None])
    found: dict[str, Tensor] = {}
    for name in folded:
        mean, square = torch.stack(moments[name]).mean(0)
        variance = (square - mean**2).clamp(min=0)
        layer: Any = copied.get_submodule(name)
        scale = (variance + layer.eps).sqrt()
        values = (scale, weights[f"{name}.bias"] + mean, mean, variance)
        parts = (f"{name}.{part}" for part in _PARTS)
        found.update(zip(parts, (value.float() for value in values), strict=True))
    return found
