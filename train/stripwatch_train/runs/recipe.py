"""Recipe: all settings of the models of a run, apart from the data.

In a file, `[base]` holds what all members share, and each `[[members]]` only what differs:
    about = "one sentence"
    [base.network]
    architecture = "unet"
    encoder = "resnet34"
    [[members]]
    name = "segmentation"

`stripwatch-train fit NAME` takes the recipes of this package; a path takes yours.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.engines.manifest import Probability
from stripwatch.wire.names import CLASSES_MAX
from stripwatch_engine.models.composition import GateMode, Role

Count = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$(?!\n)")]


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The network and its initial weights."""

    architecture: (
        Literal["vanilla-unet", "additive-unet", "residual-unet"]  # our own: networks.PlainUnet
        | Literal["unet", "unetplusplus", "fpn"]  # of segmentation-models-pytorch
        | Literal["classifier"]  # of timm
    ) = "unet"
    encoder: str = "resnet34"  # name at segmentation-models-pytorch, or at timm for a classifier
    # Of the encoder: name at its hub (timm's have theirs in the encoder's name), efficientnet-lite0
    # of the installed package, path of a file, "" = random.
    weights: str = "imagenet"
    depth: Annotated[int, Meta(ge=1, le=6)] = 5  # how often the image is halved
    # Channels of the decoder, deepest first; of a network without encoder: of its levels,
    # shallowest first, one more than `depth`; of an FPN: of its pyramid, one number.
    channels: Annotated[tuple[Count, ...], Meta(min_length=1)] = (256, 128, 64, 32, 16)


class ImageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Scale and crops of the images that the network takes."""

    shrink: tuple[Count, Count] = (1, 1)  # the frame's lines and pixels, by these factors
    crop: tuple[Count, Count] | None = None  # lines, pixels of training's crops of that image
    on_defect: Share = 0.5  # of crops, where a frame has a defect, are put over it
    clean: Share | None = None  # of training's frames; None = as in the data
    pseudo: Share = 0.12  # of training's frames, where pseudo-labelled ones are given


class Augmentation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Random changes of training images."""

    flip_lines: Share = 0.5  # the strip runs the other way
    flip_pixels: Share = 0.5  # the camera looks mirrored
    # Lines become pixels, of square crops. A line scans one way; some public frames are turned.
    turn: Share = 0.0
    stretch: Annotated[float, Meta(ge=0, le=0.5)] = 0.1  # along the strip: encoder and speed
    gain: Annotated[float, Meta(ge=0, lt=1)] = 0.2  # brightness times 1 - gain to 1 + gain
    contrast: Annotated[float, Meta(ge=0, lt=1)] = 0.2
    noise: NotNegative = 0.0  # standard deviation, of pixels as 0 to 1
    dropout_lines: Share = 0.1  # of images lose some scan lines


class Loss(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sum of losses, each with its weight; 0 leaves it out."""

    bce: NotNegative = 0.5
    dice: NotNegative = 0.5
    cross_entropy: NotNegative = 0.0  # of activation softmax
    lovasz: NotNegative = 0.0  # of the IoU: Berman, Triki and Blaschko, arXiv:1705.08790
    # Of cross_entropy: the background's, then the classes'; `balanced`: the rarer the heavier.
    class_weights: tuple[Positive, ...] | Literal["balanced"] = ()
    teacher: Share = 0.0  # of the target, where a teacher's probabilities are given


class Optimizer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The optimizer and the schedule of the learning rate."""

    kind: Literal["adam", "adamw", "radam", "sgd"] = "adamw"
    learning_rate: Positive = 1e-3
    encoder_learning_rate: Positive | None = None  # None = learning_rate
    weight_decay: NotNegative = 1e-4
    warm_up: Share = 0.03  # of all steps, linear from 0
    flat: Share = 0.0  # of all steps, before the cosine down to 0
    gradient_clip: NotNegative = 0.0  # norm of all gradients together; 0 = none

    def __post_init__(self) -> None:
        """Check rules beyond the types; msgspec turns a ValueError into a ValidationError."""
        if self.warm_up + self.flat > 1:
            raise ValueError("optimizer: warm_up and flat are more than all steps together")


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Length of the training, batches, averaging and stopping."""

    epochs: Count = 40
    frames_per_epoch: Annotated[int, Meta(ge=0)] = 0  # 0 = as many as there are
    batch: Count = 8  # of each process
    accumulate: Count = 1  # batches for each step
    average: Annotated[float, Meta(ge=0, lt=1)] = 0.998  # decay of the weights' moving average
    patience: Annotated[int, Meta(ge=0)] = 0  # epochs without a better score; 0 = to the end
    precision: Literal["auto", 32, "32", "16-mixed", "bf16-mixed"] = "auto"  # 16-mixed on a GPU


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model of a run, for each fold."""

    name: Name = "segmentation"
    role: Role = "segmentation"
    per_class: bool = False  # one model for each class
    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    network: Network = Network()
    images: ImageSettings = ImageSettings()
    augmentation: Augmentation = Augmentation()
    loss: Loss = Loss()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()

    def __post_init__(self) -> None:
        """Check rules beyond the types; msgspec turns a ValueError into a ValidationError."""
        network, loss = self.network, self.loss
        if (self.role == "segmentation") == (network.architecture == "classifier"):
            raise ValueError(
                f"a member of role {self.role!r} cannot be of architecture "
                f"{network.architecture!r}: gates and classifiers are classifiers, and only they"
            )
        if self.per_class and self.role != "segmentation":
            raise ValueError("per_class is for members that segment")
        if self.activation == "softmax" and (self.per_class or self.role != "segmentation"):
            raise ValueError("activation softmax is for members that segment several classes")
        if self.activation == "softmax" and loss.bce:
            raise ValueError("loss.bce is for activation sigmoid; with softmax use cross_entropy")
        if self.activation == "sigmoid" and loss.cross_entropy:
            raise ValueError("loss.cross_entropy is for activation softmax; with sigmoid use bce")
        if loss.class_weights and not loss.cross_entropy:
            raise ValueError("loss.class_weights are of loss.cross_entropy, which is 0")
        if not loss.bce + loss.dice + loss.cross_entropy + loss.lovasz:
            raise ValueError("loss: all weights are 0; there is nothing to train on")
        if self.role != "segmentation" and not loss.bce:
            raise ValueError("gates and classifiers need loss.bce; it is 0")


class ClassSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Thresholds and areas of the models' cards, until `stripwatch-train tune` finds better."""

    threshold: Probability = 0.5
    presence_threshold: Probability = 0.5  # of gates and classifiers
    min_areas_px: tuple[Annotated[int, Meta(ge=0)], ...] = ()  # by class; () = 0


class DeploymentSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Averaging and gates of the deployed models; see `engine-build`."""

    flip: bool = False
    gate_mode: GateMode = "soft"
    min_area_factor: Annotated[float, Meta(ge=1)] = 5.0


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole recipe."""

    about: str
    members: Annotated[tuple[Member, ...], Meta(min_length=1)]
    folds: Annotated[int, Meta(ge=2)] = 5
    train_folds: Annotated[tuple[Annotated[int, Meta(ge=0)], ...], Meta(min_length=1)] = (0,)
    seed: Annotated[int, Meta(ge=0)] = 0
    classes: ClassSettings = ClassSettings()
    deployment: DeploymentSettings = DeploymentSettings()

    def __post_init__(self) -> None:
        """Check rules beyond the types; msgspec turns a ValueError into a ValidationError."""
        names = [member.name for member in self.members]
        if len(set(names)) != len(names):
            raise ValueError(f"two members have the same name in {', '.join(names)}")
        for name in names:
            if name in Member.__struct_fields__ or re.search(r"-(class|fold)\d+$", name):
                raise ValueError(
                    f"a member cannot be called {name!r}: keys and folders are called so"
                )
        if max(self.train_folds) >= self.folds or len(set(self.train_folds)) != len(
            self.train_folds
        ):
            raise ValueError(f"train_folds must be different numbers from 0 to {self.folds - 1}")
        if not any(member.role == "segmentation" for member in self.members):
            raise ValueError("no member segments")
        if len(self.classes.min_areas_px) > CLASSES_MAX:
            raise ValueError(f"classes.min_areas_px: at most {CLASSES_MAX}")
