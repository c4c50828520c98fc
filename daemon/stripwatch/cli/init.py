"""`stripwatch init`: writes a configuration to begin with."""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

from stripwatch.cli.init_answers import Answers, add_flags, answers_of, ask
from stripwatch.config.load import config_of
from stripwatch.config.template import Values, filled
from stripwatch.engines.manifest import MANIFEST_NAME
from stripwatch.errors import ConfigError, ExitCode, StorageError
from stripwatch.files import write_whole
from stripwatch.resources import resource_path


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "init",
        allow_abbrev=False,
        help="write a configuration to begin with",
        description="Write a configuration with every key and a comment on each. What no option "
        "says is asked for on a terminal, and elsewhere is as in the line of the demo.",
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.TOML")
    add_flags(parser)
    parser.set_defaults(command=_init)


def _init(args: argparse.Namespace) -> ExitCode:
    path: Path = args.config
    if path.exists():
        raise ConfigError(f"{path} exists; name a new file")
    template = resource_path("config.toml").read_text(encoding="utf-8")
    answers = answers_of(args)
    if sys.stdin.isatty() and sys.stdout.isatty():
        answers = ask(answers)
    text = filled(template, _sections(answers, path), answers.cameras)
    config = config_of(tomllib.loads(text), path)  # whatever was said: the file will be read
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
    lines, pixels = config.line.frame_shape
    names = " ".join(camera.name for camera in config.cameras)
    sys.stdout.write(f"{path}: cameras {names}, frames of {lines} x {pixels} pixels\n")
    if not (Path(config.engine.folder) / MANIFEST_NAME).exists():
        sys.stdout.write(
            f"There is no engine yet: engine-build MODEL.onnx --frame {lines}x{pixels} "
            f"--output {config.engine.folder}\n"
        )
    sys.stdout.write(f"Look at its other values, then check it with: stripwatch check {path}\n")
    return ExitCode.OK


def _sections(answers: Answers, path: Path) -> dict[str, Values]:
    """The values of the answers, by section."""
    line: dict[str, object] = {}
    if answers.mm_per_line is not None:
        line["mm_per_line"] = answers.mm_per_line
    if answers.mm_per_pixel is not None:
        line["mm_per_pixel"] = answers.mm_per_pixel
    if answers.frame is not None:
        line["frame_lines"], line["frame_pixels"] = answers.frame
    if answers.engine is None:
        return {"line": line}
    return {"line": line, "engine": {"folder": _as_the_file_names_it(answers.engine, path)}}


def _as_the_file_names_it(engine: Path, path: Path) -> str:
    """A folder that was named from here, from the folder of the configuration."""
    folder, beside = engine.resolve(), path.resolve().parent
    return str(folder.relative_to(beside) if folder.is_relative_to(beside) else folder)
