"""`stripwatch check`: checks a configuration and its engine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from stripwatch.config.load import load_config
from stripwatch.config.sections import Config, Input, Publish
from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import DefectClass, Manifest, Verification, load_manifest
from stripwatch.engines.manifest_text import (
    batch_text,
    class_text,
    classes_not_judged,
    gate_text,
    verdict_of,
)
from stripwatch.errors import ExitCode
from stripwatch.net.access import Access, open_access
from stripwatch.net.local_address import check_local
from stripwatch.service.engine_fit import resolve_classes
from stripwatch.service.kept_thresholds import Kept, applied, holding, load_kept
from stripwatch.service.monitor.server import HOST, metrics_url
from stripwatch.view.verdict_text import grading_texts


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "check",
        allow_abbrev=False,
        help="check a configuration without starting anything",
        description="Check a configuration and the engine that it names, without opening a socket "
        "or loading the engine.",
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.TOML")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.set_defaults(command=_check)


def _check(args: argparse.Namespace) -> ExitCode:
    config = load_config(args.config)
    folder = Path(config.engine.folder)
    manifest = load_manifest(folder)
    configured = resolve_classes(config, manifest, args.config)
    kept = holding(load_kept(Path(config.journal.folder or "journal")), configured)
    classes = applied(kept, configured)
    engine_factory(folder, manifest, config.engine)  # loads nothing
    ends: tuple[Input | Publish, ...] = (*config.inputs, config.publish)
    for end in ends:
        if end.attach == "bind":
            check_local(end.endpoint)
    if config.metrics:
        check_local(f"tcp://{HOST}:{config.metrics.port}")
    if config.requests:
        check_local(config.requests.endpoint)
    access = open_access(config.security)
    show = _json if args.json else _summary
    sys.stdout.write(show(args.config, config, manifest, classes, access, kept))
    return ExitCode.OK


def _summary(
    path: Path,
    config: Config,
    manifest: Manifest,
    classes: tuple[DefectClass, ...],
    access: Access | None,
    kept: tuple[Kept, ...],
) -> str:
    lines, pixels = config.line.frame_shape
    rows = [
        f"{path}: good",
        (
            f"  frames   {lines} x {pixels}, {lines * config.line.mm_per_line:g} mm along the "
            f"strip, {pixels * config.line.mm_per_pixel:g} mm across"
        ),
        f"  cameras  {', '.join(camera.name for camera in config.cameras)}",
        *(f"  input    {entry.attach} {entry.pattern} {entry.endpoint}" for entry in config.inputs),
        f"  engine   {manifest.target} {manifest.precision}, built by {manifest.builder}",
        f"  {_verification(manifest.verification)}",
        f"  batch    {config.batch.rows} frames; the engine takes {batch_text(manifest.batch)}",
        f"  gate     {gate_text(manifest.gate)}",
        *(f"  class {entry.id}  {class_text(entry)}" for entry in classes),
        *(
            f"  set by {one.who}: {one.class_name} {one.key} {one.value:g}, "
            f"in place of {one.configured:g}"
            for one in kept
        ),
        *(f"  grading  {text}" for text in grading_texts(config)),
        f"  events   {config.publish.attach} {config.publish.endpoint}",
        f"  requests {'bind ' + config.requests.endpoint if config.requests else 'none'}",
        f"  security {_security(config, access)}",
        f"  metrics  {metrics_url(config.metrics.port) if config.metrics else 'none'}",
    ]
    return "\n".join(rows) + "\n"


def _security(config: Config, access: Access | None) -> str:
    if access is not None:
        return f"CURVE; keys that are let in: {', '.join(access.names) or 'none yet'}"
    if config.security.allow_plaintext:
        return "NOT ENCRYPTED, by security.allow_plaintext"
    return "not encrypted; only this computer reaches the daemon"


def _json(
    path: Path,
    config: Config,
    manifest: Manifest,
    classes: tuple[DefectClass, ...],
    access: Access | None,
    kept: tuple[Kept, ...],
) -> str:
    """The summary as one JSON object, for scripts."""
    verification = manifest.verification
    summary = {
        "config": str(path),
        "line": config.line,
        "cameras": config.cameras,
        "inputs": config.inputs,
        "publish": config.publish,
        "requests": config.requests,
        "security": {"curve": access is not None, "keys": access.names if access else ()},
        "metrics": config.metrics and metrics_url(config.metrics.port),
        "batch": config.batch,
        "engine": {
            "folder": config.engine.folder,
            "target": manifest.target,
            "precision": manifest.precision,
            "builder": manifest.builder,
            "hash": manifest.engine_hash,
            "batch": manifest.batch,
            "gate": manifest.gate,
            "verdict": verdict_of(verification) if verification else "not verified",
            "not_judged": classes_not_judged(verification) if verification else (),
        },
        "classes": classes,
        "set_by_operators": kept,
        "grading": {"rule_set": config.grading.rule_set, "remarks": grading_texts(config)},
    }
    return msgspec.json.format(msgspec.json.encode(summary), indent=2).decode() + "\n"


def _verification(verification: Verification | None) -> str:
    if verification is None or not verification.agreements:
        reason = verification.remark.replace("\n", "; ") if verification else ""
        return f"NOT VERIFIED: {reason}" if reason else "NOT VERIFIED"
    agreements = verification.agreements
    dice = min((entry.dice for one in agreements for entry in one.classes), default=1.0)
    error = max(one.error_mean for one in agreements)
    frames = f"{verification.frames} frames ({verification.source})"
    not_judged = ", ".join(classes_not_judged(verification))
    match verdict_of(verification):
        case "passed":
            return f"verified on {frames}: worst Dice {dice:.4g}, mean error {error:.2g}"
        case "not verified":
            about = f": they do not show {not_judged}" if not_judged else ""
            return (
                f"NOT VERIFIED by {frames}{about}; verify the engine on frames of the line: "
                "engine-build --verify"
            )
        case "degraded":
            return (
                f"DEGRADED on {frames}: worst Dice {dice:.4g} (limit {verification.dice_min:g}), "
                f"mean error {error:.2g} (limit {verification.error_mean_max:g})"
            )
