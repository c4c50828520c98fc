"""Build an engine folder: the inspection graph for a target, and its manifest."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from stripwatch.errors import ModelError, StorageError
from stripwatch.manifest import Manifest, save_manifest, sha256_files
from stripwatch_engine.graph import compose_inspection_graph
from stripwatch_engine.model_card import load_card

GRAPH_FILES = ("inspection.xml", "inspection.bin")


def build_openvino(model_path: Path, frame_shape: tuple[int, int], output: Path) -> Manifest:
    """Build an OpenVINO engine from an ONNX file and its model.json.

    The new folder is complete before it takes the place of the old one: a build that is killed
    leaves the old engine as it was.

    Raises:
        ModelError: the model or its model.json cannot be used.
        StorageError: the folder cannot be written.
    """
    core = _load_onnx(model_path)
    card = load_card(model_path)
    graph = compose_inspection_graph(core, card, frame_shape)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    except OSError as error:
        raise StorageError(f"cannot write to {output.parent}: {error.strerror}") from error
    try:
        builder = _write_openvino(graph, frame_shape, draft)
        manifest = Manifest(
            target="openvino",
            engine_hash=sha256_files(*(draft / name for name in GRAPH_FILES)),
            onnx_sha256=sha256_files(model_path),
            builder=builder,
            precision="fp32",
            frame_shape=frame_shape,
            classes=card.classes,
            files=GRAPH_FILES,
        )
        save_manifest(draft, manifest)
        _take_place(draft, output)
    except OSError as error:
        raise StorageError(f"cannot write {output}: {error.strerror}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return manifest


def _load_onnx(path: Path) -> onnx.ModelProto:
    again = "export the model again"
    try:
        model = onnx.load(path, format="protobuf")
        onnx.checker.check_model(model)
    except FileNotFoundError as error:
        missing = error.filename or path
        raise ModelError(f"{missing} does not exist; name the ONNX file to build from") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except (DecodeError, onnx.checker.ValidationError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(f"{path} is not a valid ONNX file ({reason}); {again}") from error
    return model


def _write_openvino(graph: onnx.ModelProto, frame_shape: tuple[int, int], folder: Path) -> str:
    """Write the graph as OpenVINO IR; returns name and version of the builder.

    The batch is fixed at 1: the daemon runs one request per frame (docs/adr/0001). Weights stay
    float32, as the daemon computes in float32 on every CPU.
    """
    import openvino

    try:
        model = openvino.Core().read_model(graph.SerializeToString())
        model.reshape({"frames": [1, *frame_shape]})
        # OpenVINO numbers nameless nodes by a counter of the process: the same model must give
        # the same bytes, for their hash names the engine.
        for number, node in enumerate(model.get_ordered_ops()):
            if re.fullmatch(r"[A-Za-z]+_\d+", node.get_friendly_name()):
                node.set_friendly_name(f"{node.get_type_name()}_{number}")
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        reason = "; ".join(line for line in lines if line and not line.startswith("Exception"))
        raise ModelError(f"OpenVINO cannot take this model: {reason}") from error
    try:
        openvino.save_model(model, str(folder / GRAPH_FILES[0]), compress_to_fp16=False)
    except RuntimeError as error:
        raise StorageError(f"cannot write to {folder.parent}; is the disk full?") from error
    return f"openvino {openvino.__version__.partition('-')[0]}"


def _take_place(draft: Path, output: Path) -> None:
    """Put a finished folder where an older one may be."""
    draft.chmod(0o755)
    old = draft.with_name(draft.name + ".old")
    if not output.exists():
        draft.rename(output)
        return
    output.rename(old)
    try:
        draft.rename(output)
    except OSError:
        old.rename(output)
        raise
    shutil.rmtree(old, ignore_errors=True)
