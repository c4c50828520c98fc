"""Makes the models that run.sh builds engines of and measures: the shipped one and a large UNet.

    python make_models.py OUT_FOLDER

For each a folder with model.onnx (float32), its model.json, and model.pt2, the same network for
PyTorch. The weights of the large UNet are random, but its last layer is set so that it finds
something in about half of all frames: the daemon then has as much work as with a trained model.
"""

from __future__ import annotations

import itertools
import shutil
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from stripwatch.synthetic import CLASSES, SyntheticStrip
from stripwatch_engine.models.model_card import ModelCard, ModelInput, save_card

ROOT = Path(__file__).resolve().parents[2]
SHAPE = (256, 1600)
MEAN, STD = 0.35, 0.12
BATCH_MAX = 16
FRAMES = 8  # on which the random network is set
FOUND_SHARE = 0.003  # of the pixels of a frame in which something is found


class SmallUnet(torch.nn.Module):
    """Replaces the large UNet where segmentation_models_pytorch cannot be imported."""

    def __init__(self) -> None:
        super().__init__()
        widths = (32, 64, 128, 256)
        self.down = torch.nn.ModuleList(
            [_block(before, width) for before, width in zip((1, *widths), widths, strict=False)]
        )
        pairs = list(itertools.pairwise(widths))[::-1]
        self.up = torch.nn.ModuleList([_block(deep + flat, flat) for flat, deep in pairs])
        self.segmentation_head = torch.nn.Sequential(torch.nn.Conv2d(widths[0], len(CLASSES), 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Float [n, 1, h, w] to logits [n, classes, h, w]."""
        skips = []
        for index, block in enumerate(self.down):
            image = block(torch.nn.functional.max_pool2d(image, 2) if index else image)
            skips.append(image)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            image = torch.nn.functional.interpolate(image, scale_factor=2.0)
            image = block(torch.cat([image, skip], 1))
        logits: torch.Tensor = self.segmentation_head(image)
        return logits


def _block(before: int, after: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(
        torch.nn.Conv2d(before, after, 3, padding=1, bias=False),
        torch.nn.BatchNorm2d(after),
        torch.nn.ReLU(),
    )


def make_edge(folder: Path) -> None:
    """The shipped model; for PyTorch its network with other weights, which has the same speed."""
    for name in ("model.onnx", "model.json"):
        shutil.copy(ROOT / "models" / "edge" / name, folder / name)
    from stripwatch_train.fitting.networks import make_network
    from stripwatch_train.runs.recipe_files import load_recipe

    (member,) = load_recipe(str(ROOT / "models" / "recipe.toml")).members
    network = make_network(member.network, len(CLASSES))
    _save_torch(network.eval(), (SHAPE[0] // 2, SHAPE[1] // 2), folder)


def make_large(folder: Path) -> None:
    """A UNet with ResNet34 as its encoder, at the frames' full size."""
    try:
        import segmentation_models_pytorch as smp

        net = smp.Unet("resnet34", encoder_weights=None, in_channels=1, classes=len(CLASSES))
    except ImportError as error:
        print(f"a small UNet in place of UNet-ResNet34: {error}")
        net = SmallUnet()
    _settle(net)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # says that a newer exporter exists
        torch.onnx.export(
            net,
            (torch.zeros(1, 1, *SHAPE),),
            str(folder / "model.onnx"),
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "n"}, "logits": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
    card = ModelCard(
        input=ModelInput(channels=1, height=SHAPE[0], width=SHAPE[1]),
        mean=MEAN,
        std=STD,
        activation="sigmoid",
        classes=CLASSES,
        data="none: random weights",
    )
    save_card(folder / "model.onnx", card)
    _save_torch(net, SHAPE, folder)


def _settle(net: torch.nn.Module) -> None:
    """Set the normalization to the statistics of frames, and the last layer to FOUND_SHARE."""
    strip = SyntheticStrip(1, SHAPE)
    pixels = np.stack([strip.frame(index).pixels for index in range(FRAMES)])
    images = (torch.from_numpy(pixels).float().div(255).sub(MEAN).div(STD)).unsqueeze(1)
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # the mean over all batches
    head = net.segmentation_head
    assert isinstance(head, torch.nn.Sequential)
    last = head[0]
    assert isinstance(last, torch.nn.Conv2d)
    assert last.bias is not None
    with torch.no_grad():
        net.train()(images)
        logits = net.eval()(images).flatten(2).transpose(0, 1)  # [classes, frames, pixels]
        highest = logits.topk(int(logits.shape[2] * FOUND_SHARE), dim=2).values[:, :, -1]
        last.bias -= highest.median(dim=1).values


def _save_torch(net: torch.nn.Module, shape: tuple[int, int], folder: Path) -> None:
    frames = torch.export.Dim("n", min=1, max=BATCH_MAX)
    # Two frames: with one, torch fixes the batch size at 1.
    program = torch.export.export(net, (torch.zeros(2, 1, *shape),), dynamic_shapes=({0: frames},))
    torch.export.save(program, folder / "model.pt2")


def make_tiny(folder: Path) -> None:
    """The tests' tiny model, which the stand-in for TensorRT computes, too."""
    sys.path.insert(0, str(ROOT))
    from tests.models import save_exact_model

    save_exact_model(folder / "model.onnx")


MODELS: dict[str, Callable[[Path], None]] = {
    "tiny": make_tiny,
    "edge": make_edge,
    "unet-resnet34": make_large,
}


def main(out: Path) -> int:
    """Make all models; a failure does not stop the others."""
    failed = 0
    for name, make in MODELS.items():
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(1)
        try:
            make(folder)
        except Exception:  # noqa: BLE001 - printed as it is
            traceback.print_exc()
            failed = 1
        print(f"{folder}:", *sorted(path.name for path in folder.iterdir()))
    return failed


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
