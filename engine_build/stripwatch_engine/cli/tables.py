"""Tables that `engine-build` prints: an engine, and its verification."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table
from rich.text import Text

from stripwatch.engines.identity import RTX_DEFAULT_GPUS
from stripwatch.engines.manifest import (
    JUDGED_PX_MIN,
    Manifest,
    SourceModel,
    Verdict,
    Verification,
)
from stripwatch.engines.manifest_text import (
    batch_text,
    class_text,
    classes_not_judged,
    gate_text,
    verdict_of,
)
from stripwatch_engine.verify.frame_sample import PATTERN

KEPT_SHOWN = 6
VERDICTS: dict[Verdict, tuple[str, str]] = {  # text, style
    "passed": ("passed", ""),
    "not verified": ("NOT VERIFIED", "bold red"),
    "degraded": ("DEGRADED", "bold red"),
}


def engine_table(
    folder: Path, manifest: Manifest, seconds: float | None = None, kept: tuple[str, ...] = ()
) -> Table:
    """Table of an engine's properties.

    Args:
        folder: with the engine.
        manifest: of the engine.
        seconds: duration of its build; None = not built now.
        kept: nodes that stay in float32.
    """
    size = sum((folder / name).stat().st_size for name in manifest.files)
    lines, pixels = manifest.frame_shape
    table = Table(title=f"engine {folder}", show_header=False, title_justify="left")
    table.add_row("target", f"{manifest.target} {manifest.precision}, {manifest.builder}")
    table.add_row("frames", f"{lines} x {pixels}, {batch_text(manifest.batch)} at once")
    for entry in manifest.classes:
        table.add_row(f"class {entry.id}", class_text(entry))
    for model in manifest.models:
        table.add_row(_role(model), _source(model))
    if manifest.gate:
        table.add_row("gate", gate_text(manifest.gate))
    if manifest.plan:
        gpus = ", ".join(manifest.plan.compute_capabilities) or RTX_DEFAULT_GPUS
        table.add_row("GPUs", f"compute capability {gpus}")
    if kept:
        more = f" and {len(kept) - KEPT_SHOWN} more" if len(kept) > KEPT_SHOWN else ""
        table.add_row("kept in float32", ", ".join(kept[:KEPT_SHOWN]) + more)
    table.add_row("size", f"{size / 1e6:.1f} MB")
    if seconds is not None:
        table.add_row("built in", f"{seconds:.1f} s")
    table.add_row("hash", manifest.engine_hash[:16])
    return table


def verification_tables(verification: Verification) -> list[Table | Text]:
    """A heading, a table for each comparison with the float32 graph, and remarks."""
    verdict = VERDICTS[verdict_of(verification)]
    frames = f"{verification.frames} frames ({verification.source})"
    shown: list[Table | Text] = [
        Text.assemble("verification ", verdict, f": {frames} against {verification.reference}")
    ]
    not_judged = classes_not_judged(verification)
    for agreement in verification.agreements:
        # Not the title of the table: rich wraps a title at the width of its table.
        heading = (
            f"{agreement.compared}: error of probabilities {agreement.error_mean:.6f} in the "
            f"mean, {agreement.error_max:.4f} at most"
        )
        table = Table()
        table.add_column("class")
        for name in ("Dice", "pixels, float32", "pixels here"):
            table.add_column(name, justify="right")
        for entry in agreement.classes:
            table.add_row(
                entry.name,
                f"{entry.dice:.4f}" + (" *" if entry.name in not_judged else "  "),
                str(entry.reference_px),
                str(entry.found_px),
            )
        shown += [Text(heading), table]
    return [*shown, Text(_remarks(verification))]


def _remarks(verification: Verification) -> str:
    dice, error = verification.dice_min, verification.error_mean_max
    parts = [f"limits: Dice at least {dice:g}, mean error at most {error:g}"]
    names = classes_not_judged(verification)
    if names:
        parts.append(
            f"* not judged: fewer than {JUDGED_PX_MIN} pixels of {', '.join(names)} in these "
            "frames, or all of them; name frames that show it with --verify"
        )
    if verification.source == PATTERN:
        parts.append(
            "the test pattern shows that the engine computes what the model computes, not that the "
            "model is right on your line; name frames of the line with --verify"
        )
    if verification.remark:
        parts.append(verification.remark)
    return "\n".join(parts)


def _role(model: SourceModel) -> str:
    return f"class {model.class_id} by" if model.class_id else model.role


def _source(model: SourceModel) -> str:
    channels, height, width = model.input_shape
    return f"{model.file} ({model.sha256[:12]}), takes {channels} x {height} x {width}"
