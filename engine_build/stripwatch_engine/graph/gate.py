"""The gate and the classifier in the inspection graph: which classes is a frame free of?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto, helper

from stripwatch_engine.graph.nodes import NodeList
from stripwatch_engine.graph.post import add_probability
from stripwatch_engine.models.member import Member

Run = Callable[[NodeList, Member, str], str]  # puts a model in; returns the name of its output


def add_absent(nodes: NodeList, members: list[Member], classes: int, run: Run) -> str:
    """bool [n, classes]: True where the gate or the classifier judge a class absent.

    The graph's input `presence_thresholds` float32 [1 + classes] holds the gate's threshold and
    then the classifier's.
    """
    verdicts = []
    for role in dict.fromkeys(member.role for member in members):
        count = 1 if role == "gate" else classes
        first = 0 if role == "gate" else 1
        judges = [member for member in members if member.role == role]
        found = [
            _presence(nodes, member, count, f"{role}{index}", run)
            for index, member in enumerate(judges)
        ]
        probability = found[0] if len(found) == 1 else nodes.add("Mean", found, f"{role}/mean")
        limits = nodes.cut("presence_thresholds", first, first + count, 0, f"{role}/limits")
        verdicts.append(nodes.add("Less", [probability, limits], f"{role}/below"))
    if len(verdicts) == 2:
        verdicts = [nodes.add("Or", verdicts, "absent/either")]
    # A gate alone speaks for all classes.
    none = nodes.constant("absent/none", np.zeros((1, classes), np.bool_))
    return nodes.add("Or", [verdicts[0], none], "absent/verdict")


def _presence(nodes: NodeList, member: Member, count: int, tag: str, run: Run) -> str:
    """The probability, float32 [n, count], that one model gives to each of what it judges."""
    background = int(member.card.background)
    output = nodes.reshape(run(nodes, member, tag), [-1, count + background], f"{tag}/flat")
    return add_probability(
        nodes, output, member.card.activation, background, count, f"{tag}/probability"
    )


def add_skip(
    nodes: NodeList,
    absent: str,
    results: Callable[[NodeList], dict[str, str]],
    shapes: dict[str, tuple[int, list[int]]],
) -> dict[str, str]:
    """Compute results only where a frame of the batch has a class; elsewhere they are 0.

    Args:
        nodes: where to add it.
        absent: bool [n, classes].
        results: adds the computation to a list of nodes and returns its results by output.
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
    # Not of the frames: TensorRT takes no uint8 into a branch.
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
