"""The activation that a model ends in: its output is made of probabilities already."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from stripwatch_engine.models.onnx_model import OnnxModel

ACTIVATIONS = ("Sigmoid", "Softmax", "HardSigmoid")
# Operators whose output keeps to the range of their first input: they move, choose or average it.
KEEPING = (
    "AveragePool",
    "Cast",
    "Clip",
    "DepthToSpace",
    "Dropout",
    "Expand",
    "Flatten",
    "Gather",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Identity",
    "MaxPool",
    "Pad",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "Reshape",
    "Resize",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "Upsample",
)
KEEPING_ALL = ("Concat", "Max", "Mean", "Min")  # the same, of all of their inputs


@dataclass(frozen=True)
class FinalActivation:
    """A Sigmoid or Softmax that only operators which keep its range stand behind."""

    operator: str  # "Sigmoid"
    behind: tuple[str, ...] = ()  # operators between it and the output, nearest to it first

    def __str__(self) -> str:
        """For example "Sigmoid, behind which stand Resize and Clip"."""
        if not self.behind:
            return self.operator
        verb = "stands" if len(self.behind) == 1 else "stand"
        return f"{self.operator}, behind which {verb} {' and '.join(self.behind)}"


def final_activation(model: OnnxModel) -> FinalActivation | None:
    """The activation that a model ends in, also behind operators that keep the range of values."""
    producers = {name: node for node in model.proto.graph.node for name in node.output}
    constants = {entry.name for entry in model.proto.graph.initializer}
    constants |= {name for name, node in producers.items() if node.op_type == "Constant"}
    return _ending(model.output_name, producers, constants)


def _ending(
    name: str, producers: dict[str, onnx.NodeProto], constants: set[str]
) -> FinalActivation | None:
    behind: list[str] = []
    while (node := producers.get(name)) is not None:
        if node.op_type in ACTIVATIONS:
            return FinalActivation(node.op_type, tuple(dict.fromkeys(reversed(behind))))
        if node.op_type not in (*KEEPING, *KEEPING_ALL) or not node.input:
            return None
        if node.op_type not in ("Identity", "Cast"):
            behind.append(node.op_type)
        sources = list(node.input) if node.op_type in KEEPING_ALL else [node.input[0]]
        sources = [source for source in sources if source not in constants]
        if not sources:
            return None
        if len(sources) > 1:
            found = [_ending(source, producers, constants) for source in sources]
            first = found[0]
            if first is None or None in found:
                return None
            order = dict.fromkeys([*first.behind, *reversed(behind)])
            return FinalActivation(first.operator, tuple(order))
        name = sources[0]
    return None
