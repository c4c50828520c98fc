"""Targets tensorrt and tensorrt-rtx: models in the precision of the engine, built into a plan."""

from __future__ import annotations

from pathlib import Path

from stripwatch.errors import ConfigError, StorageError
from stripwatch_engine.graph.compose import compose_inspection_graph
from stripwatch_engine.models.deployment import Deployment
from stripwatch_engine.settings import BuildSettings
from stripwatch_engine.targets.base import BuildInputs, Built, refuse_flags
from stripwatch_engine.targets.lower import COMPARED_FRAMES, lower
from stripwatch_engine.targets.tensorrt_plan import FLAVOURS, build_plan

PLAN_FILE = "inspection.plan"


def check_settings(settings: BuildSettings, timing_cache: Path | None) -> None:
    """Refuse flags of other targets.

    Raises:
        ConfigError: the message names the flag.
    """
    flavour = FLAVOURS[settings.target]
    allowed = {"--workspace-mib"}
    if flavour.capability_choice:
        allowed.add("--capability")
    if flavour.compatibility_flags:
        allowed |= {"--hardware-compatible", "--version-compatible"}
    if flavour.timing_cache:
        allowed.add("--timing-cache")
    refuse_flags(settings, timing_cache, allowed)


def calibration_count(settings: BuildSettings) -> int:
    """Number of frames to calibrate on; 0 = none."""
    return {"fp32": 0, "fp16": COMPARED_FRAMES, "int8": settings.calibration_frames}[
        settings.precision
    ]


def build(inputs: BuildInputs) -> Built:
    """Convert the models to the precision and build a plan into the draft folder.

    Raises:
        ConfigError: a model or a flag does not fit the batch or the library.
        ModelError: the library is missing, or cannot build the models.
        DeviceError: the library needs a GPU and there is none.
        StorageError: the plan or the timing cache cannot be written.
        KeyboardInterrupt: Ctrl-C, after the builder has stopped.
    """
    settings = inputs.settings
    _check_batch(inputs.deployment, settings)
    lowered = lower(
        inputs.deployment, settings.precision, inputs.calibration_frames, inputs.progress
    )
    graph = compose_inspection_graph(lowered.deployment, bytes_early=False)
    serialized, plan = build_plan(graph, settings, inputs.timing_cache, inputs.progress)
    try:
        (inputs.draft / PLAN_FILE).write_bytes(serialized)
    except OSError as error:
        raise StorageError(f"cannot write {inputs.draft.parent}: {error.strerror}") from error
    return Built(
        files=(PLAN_FILE,),
        builder=f"{settings.target} {plan.version}",
        batch=settings.batch,
        plan=plan,
        kept=lowered.kept,
        emulated=compose_inspection_graph(lowered.emulated, bytes_early=True)
        if lowered.emulated
        else None,
    )


def _check_batch(deployment: Deployment, settings: BuildSettings) -> None:
    """Refuse batches for a model that was exported for one image.

    Raises:
        ConfigError: there is such a model, and batches of more than one frame are asked for.
    """
    for member in deployment.members:
        if member.model.fixed_batch and settings.batch[1] > 1:
            raise ConfigError(
                f"{member.path} was exported for one image at a time; build it with --batch 1:1, "
                "or export it with a dynamic batch"
            )
