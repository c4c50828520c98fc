"""Says which libraries run engines on this machine's GPU, and why the others do not.

    python tests/gpu/choose.py OUT.json

The first that fits is tested: TensorRT, else its lean runtime, else TensorRT-RTX, else our own
kernels in place of them (tests/gpu/stand_in). TensorRT-RTX is measured in any case where it runs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from stripwatch.engines.cuda import Device
from stripwatch.engines.identity import GpuTarget, check_plan, load_library, load_runtime
from stripwatch.engines.manifest import Manifest, Plan
from stripwatch.engines.trt_log import make_logger
from stripwatch.engines.trt_validity import accepted_by
from stripwatch.errors import ModelError

ANY_PLAN = Plan("", (), version_compatible=True)


def reason_against(library: str) -> str:
    """Why a library cannot be used here; "" if it can."""
    try:
        match library:
            case "tensorrt":
                load_library("tensorrt")
            case "tensorrt-lean":
                load_runtime("tensorrt", ANY_PLAN)
            case "tensorrt-rtx":
                _ask_tensorrt_rtx()
    except ModelError as error:
        return str(error)
    return ""


def _ask_tensorrt_rtx() -> None:
    """Ask it about a plan of one layer.

    Raises:
        ModelError: it is not installed, or refuses the GPU.
    """
    target: GpuTarget = "tensorrt-rtx"
    trt, device = load_library(target), Device(0)
    builder = trt.Builder(make_logger(trt))
    network = builder.create_network(1)
    layer = network.add_activation(
        network.add_input("values", trt.float32, (4,)), trt.ActivationType.RELU
    )
    network.mark_output(layer.get_output(0))
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    with TemporaryDirectory() as folder:
        path = Path(folder) / "inspection.plan"
        path.write_bytes(bytes(plan))
        with device.current():
            accepted = accepted_by(trt, path)
    manifest = Manifest(
        target=target,
        engine_hash="",
        builder="",
        precision="fp16",
        frame_shape=(1, 1),
        classes=(),
        plan=Plan(trt.__version__, ()),
    )
    try:
        check_plan(Path("engine"), manifest, trt.__version__, device.capability, accepted)
    finally:
        device.release()


def main(out: Path) -> None:
    """Print one word for each library to use, and write everything to a file."""
    skipped = {
        name: reason
        for name in ("tensorrt", "tensorrt-lean", "tensorrt-rtx")
        if (reason := reason_against(name))
    }
    use = [name for name in ("tensorrt", "tensorrt-lean", "tensorrt-rtx") if name not in skipped]
    if "tensorrt" in use and "tensorrt-lean" in use:
        use.remove("tensorrt-lean")
    use = use or ["stand-in"]
    out.write_text(json.dumps({"use": use, "skipped": skipped}))
    for name, reason in skipped.items():
        print(f"=== skipped: {name}: {reason}", file=sys.stderr)
    print(*use)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
