"""Gate and classifier in the inspection graph: which classes are absent from a frame (ADR 7)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto, helper

from stripwatch_engine.graph.nodes import NodeList
from stripwatch_engine.graph.post import add_probability
from stripwatch_engine.models.member import Member

AddModel = Callable[[NodeList, Member, str], str]  # adds a model; returns its output's name


def add_absent(nodes: NodeList, members: list[Member], classes: int, add_model: AddModel) -> str:
    """Add gate and classifier; return bool [n, classes], True where one finds a class absent.

    The graph's input `presence_thresholds` float32 [1 + classes] holds the gate's threshold and
    then the classifier's.
    """
    below = []
    for role in dict.fromkeys(member.role for member in members):
        count = 1 if role == "gate" else classes
        first = 0 if role == "gate" else 1
        of_role = [member for member in members if member.role == role]
        found = [
            _presence(nodes, member, count, f"{role}{index}", add_model)
            for index, member in enumerate(of_role)
        ]
        probability = found[0] if len(found) == 1 else nodes.add("Mean", found, f"{role}/mean")
        limits = nodes.cut("presence_thresholds", first, first + count, 0, f"{role}/limits")
        below.append(nodes.add("Less", [probability, limits], f"{role}/below"))
    if len(below) == 2:
        below = [nodes.add("Or", below, "absent/either")]
    # The output of a gate alone holds for all classes.
    none = nodes.constant("absent/none", np.zeros((1, classes), np.bool_))
    return nodes.add("Or", [below[0], none], "absent/all")


def _presence(nodes: NodeList, member: Member, count: int, tag: str, add_model: AddModel) -> str:
    """Probabilities of one gate or classifier, float32 [n, count]."""
    card = member.card
    output = nodes.reshape(add_model(nodes, member, tag), [-1, card.output_channels], f"{tag}/flat")
    return add_probability(
        nodes, output, card.activation, card.first_channel, count, f"{tag}/probability"
    )


def add_skip(
    nodes: NodeList,
    absent: str,
    results: Callable[[NodeList], dict[str, str]],
    shapes: dict[str, tuple[int, list[int]]],
) -> dict[str, str]:
    """Compute results only if some frame of the batch has a class; otherwise they are 0.

    Args:
        nodes: where to add it.
        absent: bool [n, classes].
        results: adds the computation to a list of nodes and returns its results by output name.
        shapes: type and sizes after the batch of each result.
    """
    present = nodes.add("Not", [absent], "skip/present")
    number = nodes.add("Cast", [present], "skip/number", to=TensorProto.FLOAT)
    most = nodes.reduce_max(number, [0, 1], "skip/most")
    zero = nodes.constant("skip/zero", np.array(0, np.float32))
    some = nodes.add("Greater", [most, zero], "skip/some")

    inside = nodes.branch()
    found = results(inside)
    clean = nodes.branch()
    # The batch size is that of `absent`, not of the frames: TensorRT takes no uint8 into a branch.
    start = clean.add("Shape", [absent], "skip/shape")
    batch = clean.cut(start, 0, 1, 0, "skip/batch")
    zeros = {}
    for name, (kind, sizes) in shapes.items():
        rest = clean.constant(f"skip/{name}/rest", np.array(sizes, np.int64))
        full = clean.add("Concat", [batch, rest], f"skip/{name}/full", axis=0)
        value = helper.make_tensor("value", kind, [1], [0])
        zeros[name] = clean.add("ConstantOfShape", [full], f"skip/{name}/zeros", value=value)

    def graph(name: str, branch: NodeList, outputs: dict[str, str]) -> object:
        values = [
            helper.make_tensor_value_info(outputs[key], kind, ["n", *sizes])
            for key, (kind, sizes) in shapes.items()
        ]
        return helper.make_graph(branch.nodes, name, [], values)

    names = {name: f"skip/{name}" for name in shapes}
    nodes.nodes.append(
        helper.make_node(
            "If",
            [some],
            list(names.values()),
            name="skip",
            then_branch=graph("segmented", inside, found),
            else_branch=graph("clean", clean, zeros),
        )
    )
    return names
