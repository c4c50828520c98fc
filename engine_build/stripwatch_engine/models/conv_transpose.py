"""`auto_pad` of ConvTranspose as pads: libraries divide an odd number of pads differently."""

from __future__ import annotations

import onnx
from onnx import helper


def write_pads(model: onnx.ModelProto) -> None:
    """Replace `auto_pad` SAME of every ConvTranspose by the pads that it stands for.

    The output is input * stride; the pads to cut are (kernel - 1) * dilation + 1 +
    output_padding - stride, of which SAME_UPPER takes the odd one at the end (ONNX,
    ConvTranspose-11).
    """
    kernels = {entry.name: list(entry.dims[2:]) for entry in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "ConvTranspose":
            continue
        attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        automatic = attributes.get("auto_pad", b"NOTSET").decode()
        kernel = attributes.get("kernel_shape") or kernels.get(node.input[1], [])
        if not automatic.startswith("SAME") or not kernel or "output_shape" in attributes:
            continue
        begin, end, more = [], [], []
        for axis, size in enumerate(kernel):
            stride = attributes.get("strides", [1] * len(kernel))[axis]
            dilation = attributes.get("dilations", [1] * len(kernel))[axis]
            padding = attributes.get("output_padding", [0] * len(kernel))[axis]
            total = (size - 1) * dilation + 1 + padding - stride
            small, large = max(total, 0) // 2, max(total, 0) - max(total, 0) // 2
            first, last = (small, large) if automatic == "SAME_UPPER" else (large, small)
            begin.append(first)
            end.append(last)
            more.append(padding + max(-total, 0))
        kept = [
            entry
            for entry in node.attribute
            if entry.name not in ("auto_pad", "pads", "output_padding")
        ]
        del node.attribute[:]
        node.attribute.extend(kept)
        node.attribute.append(helper.make_attribute("pads", begin + end))
        if any(more):
            node.attribute.append(helper.make_attribute("output_padding", more))
