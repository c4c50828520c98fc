"""Optional parts of the installation, and the sentence that names the one that is missing."""

from __future__ import annotations

_TRAIN = "train"
_EXTRAS = {  # extra of pyproject.toml, by the first part of the module's name
    "argon2": "page",
    "asyncua": "opcua",
    "genicam": "genicam",
    "google": "build",  # protobuf
    "harvesters": "genicam",
    "onnx": "build",
    "onnxruntime": "build",
    "nncf": "int8",
    "paho": "mqtt",
    "pyarrow": "parquet",
    "pycuda": "cuda",
    "pypylon": "pylon",
    "starlette": "page",
    "tensorboard": "tensorboard",
    "tensorrt": "tensorrt",
    "tensorrt_rtx": "tensorrt-rtx",
    "uvicorn": "page",
    "jinja2": _TRAIN,
    "lightning": _TRAIN,
    "matplotlib": _TRAIN,
    "segmentation_models_pytorch": _TRAIN,
    "timm": _TRAIN,
    "torch": _TRAIN,
    "torchvision": _TRAIN,
}


def install_command(extra: str) -> str:
    """The command that installs an extra, from a checkout."""
    return f"pip install '.[{extra}]'"


def missing_extra(error: ModuleNotFoundError) -> str | None:
    """The sentence for a module of an extra that is not installed; None for any other module."""
    module = (error.name or "").partition(".")[0]
    extra = _EXTRAS.get(module)
    if extra is None:
        return None
    return (
        f"this needs {module}, which is not installed: it belongs to the extra {extra!r}, which "
        "the plain installation leaves out; install it in the folder of stripwatch with: "
        f"{install_command(extra)}"
    )
