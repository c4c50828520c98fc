"""Quantize to int8: Q/DQ pairs in the ONNX model for TensorRT, NNCF for OpenVINO."""

from __future__ import annotations

import io
import logging
import math
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from stripwatch.errors import ConfigError, ModelError
from stripwatch.service.console import Progress
from stripwatch_engine.models.reference import first_line

OPSET_FLOAT16_SCALES = 21  # Q/DQ take float16 scales from 19 on; converters are tested with 21
QUANTIZED = ["Conv", "ConvTranspose", "Gemm", "MatMul"]
IMAGE_CHANNELS_MAX = 3  # what reads no more channels reads the image itself


def quantize_model(
    model: onnx.ModelProto, input_name: str, images: NDArray[np.float32]
) -> onnx.ModelProto:
    """Put Q/DQ pairs before the convolutions of a model, as TensorRT expects them.

    Quantization is symmetric, with one scale per tensor, for weights one per channel; biases stay
    float32. An output is quantized only where another quantized operator consumes it, so the
    model's own output is not. `_sensitive_convolutions` stay float32, too.

    Args:
        model: float32, opset 21 or newer; it is not changed.
        input_name: of the model.
        images: for calibration, float32 [n, channels, height, width].

    Raises:
        ModelError: the model cannot be quantized.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc] # untyped library
        """Returns the images one by one."""

        def __init__(self) -> None:
            self._rest = iter(images)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(self._rest, None)
            return None if image is None else {input_name: image[None]}

    copy = onnx.ModelProto()  # quantize_static changes its argument
    copy.CopyFrom(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantized.onnx"
        root_logger = logging.getLogger()
        level = root_logger.level
        root_logger.setLevel(logging.ERROR)  # it recommends its own preprocessing
        try:
            quantize_static(
                copy,
                path,
                Reader(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=QUANTIZED,
                nodes_to_exclude=_sensitive_convolutions(copy),
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
            root_logger.setLevel(level)
        return onnx.load(path)


def _sensitive_convolutions(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions that lose far more accuracy in int8 than they gain speed.

    The first one, which reads the image: all that follows sees its rounding, and it has the fewest
    products. Grouped convolutions, such as depthwise ones: their channels differ too much for one
    scale (Sheng et al., "A Quantization-Friendly Separable Convolution for MobileNets",
    arXiv:1803.08607). Convolutions whose output is a single pixel, as in squeeze-and-excitation:
    each rounding scales a whole channel. docs/engine-build-results.md has the figures.
    """
    weights = {entry.name: list(entry.dims) for entry in model.graph.initializer}
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
            or weights.get(node.input[1], [0, math.inf])[1] <= IMAGE_CHANNELS_MAX
            or shapes.get(node.output[0], [])[2:] == [1, 1]
        )
    ]


def quantize_openvino(
    model: Any,  # noqa: ANN401 - openvino carries no types
    frames: NDArray[np.uint8],
    extra_inputs: dict[str, NDArray[np.float32]],
    outside: set[str],
    progress: Progress = lambda *_: None,
) -> Any:  # noqa: ANN401 - as above
    """Quantize the models inside an OpenVINO inspection graph.

    Args:
        model: openvino.Model with a batch of 1.
        frames: for calibration, uint8 [n, lines, pixels].
        extra_inputs: inputs of the graph besides `frames`, by name.
        outside: names of the operators before and after the models; they stay float32.
        progress: called for each calibration frame.

    Returns:
        The quantized openvino.Model.

    Raises:
        ConfigError: NNCF is not installed.
        ModelError: the graph cannot be quantized.
    """
    # NNCF imports torch where it is installed, which then warns of a GPU that nothing here needs.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    try:
        import nncf
    except ImportError:
        raise ConfigError(
            "--precision int8 for openvino needs NNCF; install it in the folder of stripwatch "
            "with: pip install '.[build,int8]'"
        ) from None
    nncf.set_log_level(logging.ERROR)
    sensitive = {  # as `_sensitive_convolutions`
        node.get_friendly_name()
        for node in model.get_ordered_ops()
        if node.get_type_name() == "GroupConvolution"
        or (
            node.get_type_name() == "Convolution"
            and (
                node.get_input_shape(1)[1] <= IMAGE_CHANNELS_MAX
                or [str(side) for side in node.get_output_partial_shape(0)][2:] == ["1", "1"]
            )
        )
    }

    def inputs_of(index: int) -> dict[str, NDArray[Any]]:
        progress("calibrating int8", index, len(frames))
        return {"frames": frames[index][None], **extra_inputs}

    dataset = nncf.Dataset(range(len(frames)), inputs_of)
    parameters = nncf.AdvancedQuantizationParameters(
        # CPUs without VNNI add int8 products in 16 bits, which overflow: weights of 7 bits do not.
        overflow_fix=nncf.OverflowFix.ENABLE
    )
    try:
        with redirect_stdout(io.StringIO()):  # it draws bars of its own, also where no terminal is
            return nncf.quantize(
                model,
                dataset,
                subset_size=len(frames),
                preset=nncf.QuantizationPreset.MIXED,
                ignored_scope=nncf.IgnoredScope(names=sorted(outside | sensitive), validate=False),
                advanced_parameters=parameters,
            )
    except (nncf.errors.ValidationError, RuntimeError) as error:
        raise ModelError(f"the model cannot be quantized: {first_line(error)}") from error
