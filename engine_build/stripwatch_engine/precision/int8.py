"""INT8: explicit Q/DQ in a model for TensorRT, and NNCF for OpenVINO."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from stripwatch.errors import ConfigError, ModelError
from stripwatch_engine.models.reference import first_line

OPSET_HALF_SCALES = 21  # Q/DQ take float16 scales from 19 on; 21 is what converters test
QUANTIZED = ["Conv", "ConvTranspose", "Gemm", "MatMul"]


def quantize_model(
    model: onnx.ModelProto, source: str, images: NDArray[np.float32]
) -> onnx.ModelProto:
    """Put Q/DQ pairs before the convolutions of a model, as TensorRT wants them.

    Symmetric int8 with a scale per tensor, for weights per channel; biases stay as they are. What
    a convolution answers is rounded only if another takes it: the model's own answer is not.
    Some convolutions stay as they are, too: see `_exact`.

    Args:
        model: float32, opset 21 or newer.
        source: name of its input.
        images: to measure ranges on, float32 [n, channels, height, width].

    Raises:
        ModelError: it cannot be quantized.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc] # untyped library
        """Hands out the images one by one."""

        def __init__(self) -> None:
            self._rest = iter(images)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(self._rest, None)
            return None if image is None else {source: image[None]}

    copy = onnx.ModelProto()  # it changes what it is given
    copy.CopyFrom(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantized.onnx"
        quiet = logging.getLogger()
        level = quiet.level
        quiet.setLevel(logging.ERROR)  # it recommends its own preprocessing
        try:
            quantize_static(
                copy,
                path,
                Reader(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=QUANTIZED,
                nodes_to_exclude=_exact(copy),
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                extra_options={
                    "ActivationSymmetric": True,
                    "WeightSymmetric": True,
                    "QuantizeBias": False,
                    "AddQDQPairToWeight": True,
                    "OpTypesToExcludeOutputQuantization": QUANTIZED,
                },
            )
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"the model cannot be quantized: {first_line(error)}") from error
        finally:
            quiet.setLevel(level)
        return onnx.load(path)


def _exact(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions that int8 would harm far more than it would speed up.

    Those of several groups, such as depthwise ones: their channels differ too much for one scale.
    Those that answer with one pixel, such as squeeze-and-excitation's: each rounding scales a whole
    channel. See docs/engine-build.md for figures; Sheng et al., "A Quantization-Friendly Separable
    Convolution for MobileNets", arXiv:1803.08607, for the first.
    """
    shapes = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "Conv"
        and (
            any(attribute.name == "group" and attribute.i > 1 for attribute in node.attribute)
            or shapes.get(node.output[0], [])[2:] == [1, 1]
        )
    ]


def quantize_openvino(
    model: Any,  # noqa: ANN401 - openvino carries no types
    frames: NDArray[np.uint8],
    extra_inputs: dict[str, NDArray[np.float32]],
    ends: set[str],
) -> Any:  # noqa: ANN401 - as above
    """Quantize the models inside an OpenVINO inspection graph.

    Args:
        model: with a batch of 1.
        frames: to measure ranges on, uint8 [n, lines, pixels].
        extra_inputs: of the graph beside `frames`, by name.
        ends: names of the operators before and after the models; they stay float32.

    Raises:
        ConfigError: NNCF is not installed.
        ModelError: it cannot be quantized.
    """
    try:
        import nncf
    except ImportError:
        raise ConfigError(
            "--precision int8 for openvino needs NNCF; pip install 'stripwatch[int8]'"
        ) from None
    nncf.set_log_level(logging.ERROR)
    exact = {  # as in `_exact`
        node.get_friendly_name()
        for node in model.get_ordered_ops()
        if node.get_type_name() == "GroupConvolution"
        or (
            node.get_type_name() == "Convolution"
            and [str(side) for side in node.get_output_partial_shape(0)][2:] == ["1", "1"]
        )
    }
    dataset = nncf.Dataset([{"frames": frame[None], **extra_inputs} for frame in frames])
    parameters = nncf.AdvancedQuantizationParameters(
        # CPUs without VNNI add int8 products in 16 bits, which overflow: weights of 7 bits do not.
        overflow_fix=nncf.OverflowFix.ENABLE
    )
    try:
        return nncf.quantize(
            model,
            dataset,
            subset_size=len(frames),
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(names=sorted(ends | exact), validate=False),
            advanced_parameters=parameters,
        )
    except (nncf.errors.ValidationError, RuntimeError) as error:
        raise ModelError(f"the model cannot be quantized: {first_line(error)}") from error
