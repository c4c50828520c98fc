"""float16: what must stay in float32 is found, converted graphs compose, and rounding is real."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from tests.engine_build.torch_nets import (
    OpenVino,
    Reals,
    bits_of,
    make_frames,
    probability,
    quantile_thresholds,
    save_net,
)
from tests.models import make_card, numbered_classes

from stripwatch.errors import ModelError
from stripwatch_engine.graph.compose import compose_inspection_graph
from stripwatch_engine.models.composition import Composition
from stripwatch_engine.models.deployment import Deployment, load_deployment
from stripwatch_engine.models.member import with_model
from stripwatch_engine.models.reference import Session
from stripwatch_engine.precision.emulate import emulate_float16
from stripwatch_engine.precision.float16 import convert_to_float16
from stripwatch_engine.precision.float16_search import nodes_to_keep_float32

Nodes = list[tuple[str, list[str], str]]  # operator, inputs, output, which also names the node


def make_model(nodes: Nodes, **constants: object) -> onnx.ModelProto:
    """From `x` float32 [n, 1, 8, 8] to the last node's output of the same shape."""
    make, sizes = helper.make_tensor_value_info, ["n", 1, 8, 8]
    graph = helper.make_graph(
        [helper.make_node(kind, names, [output], name=output) for kind, names, output in nodes],
        "small",
        [make("x", TensorProto.FLOAT, sizes)],
        [make(nodes[-1][2], TensorProto.FLOAT, sizes)],
        [
            numpy_helper.from_array(np.array(value, np.float32), name)
            for name, value in constants.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def make_images() -> Reals:
    return np.random.default_rng(31).normal(size=(3, 1, 8, 8)).astype(np.float32)


def error_of(model: onnx.ModelProto, kept: set[str]) -> float:
    """The largest error of the converted model, relative to its largest value."""
    inputs, name = {"x": make_images()}, model.graph.output[0].name
    wanted = Session(model).run(inputs)[name]
    found = Session(emulate_float16(convert_to_float16(model, kept))).run(inputs)[name]
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


CASES: dict[str, tuple[onnx.ModelProto, set[str]]] = {
    "values beyond 65504 between two neighbours": (
        make_model(
            [
                ("Relu", ["x"], "lit"),
                ("Mul", ["lit", "big"], "large"),
                ("Div", ["large", "big"], "small"),
                ("Tanh", ["small"], "out"),
            ],
            big=1e5,
        ),
        {"large", "small"},
    ),
    "such a value that several nodes take, one of them twice": (
        make_model(
            [
                ("Relu", ["x"], "lit"),
                ("Mul", ["lit", "big"], "large"),
                ("Add", ["large", "large"], "double"),
                ("Add", ["double", "large"], "triple"),
                ("Div", ["triple", "big"], "three"),
                ("Div", ["large", "big"], "one"),
                ("Sub", ["three", "one"], "two"),
                ("Tanh", ["two"], "out"),
            ],
            big=1e5,
        ),
        {"large", "double", "triple", "three", "one"},
    ),
    "a large number added and taken away": (
        make_model(
            [
                ("Tanh", ["x"], "small"),
                ("Add", ["small", "many"], "shifted"),
                ("Sub", ["shifted", "many"], "back"),
                ("Relu", ["back"], "out"),
            ],
            many=3000,
        ),
        {"shifted", "back"},
    ),
    "the difference of two large numbers": (
        make_model(
            [
                ("Tanh", ["x"], "small"),
                ("Add", ["small", "many"], "above"),
                ("Sub", ["many", "small"], "below"),
                ("Sub", ["above", "below"], "difference"),
                ("Relu", ["difference"], "out"),
            ],
            many=3000,
        ),
        {"above", "below", "difference"},
    ),
    "a weight beyond 65504": (
        make_model(
            [
                ("Mul", ["x", "tiny"], "less"),
                ("Mul", ["less", "big"], "more"),
                ("Relu", ["more"], "out"),
            ],
            tiny=1e-5,
            big=1e5,
        ),
        {"more"},
    ),
    "a weight beyond 65504 that a harmless node has too": (
        make_model(
            [
                ("Mul", ["x", "tiny"], "less"),
                ("Mul", ["less", "big"], "more"),
                ("Min", ["more", "big"], "clipped"),
                ("Relu", ["clipped"], "out"),
            ],
            tiny=1e-5,
            big=1e5,
        ),
        {"more"},
    ),
    "a division by what float16 takes for 0": (
        make_model([("Mul", ["x", "tiny"], "less"), ("Div", ["less", "tiny"], "out")], tiny=1e-9),
        {"less", "out"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_exactly_the_dangerous_nodes_are_kept(case: str) -> None:
    """Without them the result is wrong; with them it is as good as float16 is."""
    model, wanted = CASES[case]
    assert not error_of(model, set()) < 0.1  # it may be NaN
    assert nodes_to_keep_float32(model, "x", make_images()) == wanted
    assert error_of(model, wanted) < 5e-3


def test_a_variance_by_the_mean_of_squares_is_kept_whole() -> None:
    """E[x^2] - E[x]^2, as old exports of normalisations compute it, several nodes deep."""
    model = make_model(
        [
            ("Tanh", ["x"], "small"),
            ("Add", ["small", "shift"], "moved"),
            ("Mul", ["moved", "moved"], "square"),
            ("GlobalAveragePool", ["square"], "mean_square"),
            ("GlobalAveragePool", ["moved"], "mean"),
            ("Mul", ["mean", "mean"], "square_mean"),
            ("Sub", ["mean_square", "square_mean"], "variance"),
            ("Mul", ["small", "variance"], "out"),
        ],
        shift=40,
    )
    assert error_of(model, set()) > 0.1
    kept = nodes_to_keep_float32(model, "x", make_images())
    assert {"square", "mean_square", "square_mean", "variance"} <= kept
    assert error_of(model, kept) < 5e-3


class SmallUNet(torch.nn.Module):
    """Convolutions with batch norm, one skip connection, and resizing."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.down = self._block(1, 8, 1)
        self.deep = self._block(8, 16, 2)
        self.up = self._block(24, 8, 1)
        self.head = torch.nn.Conv2d(8, outputs, 1)

    @staticmethod
    def _block(inputs: int, outputs: int, stride: int) -> torch.nn.Sequential:
        norm = torch.nn.BatchNorm2d(outputs)
        return torch.nn.Sequential(
            torch.nn.Conv2d(inputs, outputs, 3, stride, padding=1), norm, torch.nn.ReLU()
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits."""
        fine = self.down(image)
        coarse = torch.nn.functional.interpolate(self.deep(fine), scale_factor=2, mode="nearest")
        logits: torch.Tensor = self.head(self.up(torch.cat([fine, coarse], 1))) * 8
        return logits


@pytest.fixture
def unet(tmp_path: Path) -> Deployment:
    """A plain UNet with what training left in its batch norms."""
    torch.manual_seed(32)
    module = SmallUNet(3)
    module.train()
    for _ in range(20):
        module(torch.randn(4, 1, 16, 48))
    net = save_net(tmp_path, "unet", module.eval(), make_card())
    return load_deployment(Composition(models=(str(net.path),)), (16, 48))


def test_nothing_of_a_plain_unet_is_kept(unet: Deployment) -> None:
    """A usual model is converted whole."""
    images = np.random.default_rng(33).normal(size=(2, 1, 16, 48)).astype(np.float32)
    model = unet.members[0].model
    assert nodes_to_keep_float32(model.proto, model.input_name, images) == set()


@pytest.mark.parametrize("keep", [False, True])
def test_a_converted_model_composes(unet: Deployment, keep: bool) -> None:
    """Its ends are float32 still; the masks are nearly those of float32."""
    member = unet.members[0]
    kept = {node.name for node in member.model.proto.graph.node if node.op_type == "Conv"}
    half = convert_to_float16(member.model.proto, kept if keep else set())
    kinds = {entry.data_type for entry in half.graph.initializer}
    assert (TensorProto.FLOAT16 in kinds) == (not keep)
    frames = make_frames(34, 2, (16, 48))
    masks = {}
    models = {"exact": member.model.proto, "half": half, "emulated": emulate_float16(half)}
    for what, model in models.items():
        deployment = Deployment((with_model(member, model),), unet.classes, unet.frame_shape)
        for early in (True, False):
            session = Session(compose_inspection_graph(deployment, bytes_early=early))
            limits = np.full(3, 0.5, np.float32)
            found = session.run({"frames": frames, "thresholds": limits})
            masks[what] = bits_of(found["mask"], 3)
    assert 0.02 < masks["exact"].mean() < 0.98
    for what in ("half", "emulated"):
        assert (masks[what] == masks["exact"]).mean() > 0.995


def test_a_torch_net_that_overflows_is_right_after_conversion(tmp_path: Path) -> None:
    """From torch to masks: x * 1e5 / 1e5 inside a net changes nothing."""

    class Large(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unet = SmallUNet(2)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.unet(image * 1e5 / 1e5)
            return found

    torch.manual_seed(35)
    card = make_card(classes=numbered_classes(2))
    net = save_net(tmp_path, "large", Large().eval(), card)
    deployment = load_deployment(Composition(models=(str(net.path),)), (16, 48))
    member, frames = deployment.members[0], make_frames(36, 2, (16, 48))
    images = ((frames / 255 - 0.4) / 0.25).astype(np.float32)[:, None]
    kept = nodes_to_keep_float32(member.model.proto, member.model.input_name, images)
    kinds = {node.name: node.op_type for node in member.model.proto.graph.node}
    assert {kinds[name] for name in kept} == {"Mul", "Div", "Constant"}
    wanted = probability(net, frames)
    limits = quantile_thresholds(wanted)
    half = emulate_float16(convert_to_float16(member.model.proto, kept))
    lowered = Deployment((with_model(member, half),), deployment.classes, (16, 48))
    session = Session(compose_inspection_graph(lowered, bytes_early=True))
    found = session.run({"frames": frames, "thresholds": limits})
    same = bits_of(found["mask"], 2) == (wanted >= limits[:, None, None])
    assert same.mean() > 0.99


def test_emulation_rounds_where_the_cpu_libraries_do_not() -> None:
    """(1 + 2048) - 2048 is 0 in float16: the reason why float16 is emulated.

    ONNX Runtime and OpenVINO run the same float16 graph without rounding between its nodes, so
    that a comparison on a CPU would always find float16 as good as float32.
    """
    model = make_model(
        [("Add", ["x", "many"], "more"), ("Sub", ["more", "many"], "out")], many=2048
    )
    half, inputs = convert_to_float16(model, set()), {"x": np.ones((1, 1, 8, 8), np.float32)}
    assert (Session(emulate_float16(half)).run(inputs)["out"] == 0).all()
    assert (Session(half).run(inputs)["out"] == 1).all()
    assert (OpenVino(half).run(inputs)["out"] == 1).all()
    # Kept in float32, nothing is lost.
    kept = convert_to_float16(model, {"more", "out"})
    assert (Session(emulate_float16(kept)).run(inputs)["out"] == 1).all()


def test_control_flow_is_refused_with_what_to_do() -> None:
    """A branch cannot be compared tensor by tensor."""
    make = helper.make_tensor_value_info
    value = make("branch", TensorProto.FLOAT, ["n", 1, 8, 8])
    branch = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["branch"], name="inside")], "branch", [], [value]
    )
    model = make_model([("Relu", ["x"], "out")])
    flag = numpy_helper.from_array(np.array(True), "flag")
    model.graph.initializer.append(flag)
    model.graph.node[0].CopyFrom(
        helper.make_node("If", ["flag"], ["out"], then_branch=branch, else_branch=branch)
    )
    with pytest.raises(ModelError, match=r"control flow \(If\).*use --precision fp32"):
        nodes_to_keep_float32(model, "x", make_images())
