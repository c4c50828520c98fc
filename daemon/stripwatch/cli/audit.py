"""`stripwatch audit`: a sample of a strip for a person to judge, and what came of it."""

from __future__ import annotations

import argparse
import random
import sys
from contextlib import closing
from pathlib import Path

import msgspec

from stripwatch.cli.audit_frames import clean_frames
from stripwatch.cli.stored_strip import add_strip, find_strip, opened
from stripwatch.errors import ConfigError, ExitCode, StorageError
from stripwatch.inspect.grading.audit import CLEAN, draw_clean_places, draw_defects, score
from stripwatch.inspect.grading.record import Flaw
from stripwatch.journal.pictures import PictureStore
from stripwatch.view.audit_folder import (
    KEY,
    TABLE,
    Item,
    Key,
    read_judgements,
    scores_text,
    write_table,
)

PER_CLASS_MAX = 10_000

Picture = tuple[Item, bytes | None]  # the number of the item is given later


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand, and its own."""
    parser = commands.add_parser(
        "audit",
        allow_abbrev=False,
        help="draw a sample for a person to judge, and score it",
        description="How often the inspection is right, from a random sample that a person judges "
        "without seeing its answers.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    sample = actions.add_parser(
        "sample",
        allow_abbrev=False,
        help="draw pictures of defects, and clean places",
        description="Draw defects of each class and clean frames at random into a folder: "
        f"pictures, {TABLE} to fill in, and {KEY}, which the person must not open.",
    )
    add_strip(sample)
    add = sample.add_argument
    add("--per-class", type=_count, default=20, metavar="N", help="defects of each class: 20")
    add("--clean", type=_count, default=20, metavar="N", help="clean frames: 20")
    add("--seed", type=int, required=True, metavar="N", help="the same seed draws the same sample")
    add("--recording", type=Path, metavar="FILE.mcap", help="of the strip, for the clean frames")
    add("-o", "--output", type=Path, required=True, metavar="FOLDER", help="new, or empty")
    sample.set_defaults(command=_sample)
    scores = actions.add_parser(
        "score",
        allow_abbrev=False,
        help="score a sample that was judged",
        description="Print the precision of each class and the misses in the clean frames, with "
        "95 % Wilson intervals.",
    )
    scores.add_argument("folder", type=Path, metavar="FOLDER", help="of audit sample")
    scores.add_argument("--json", action="store_true", help="print the figures as JSON")
    scores.set_defaults(command=_score)


def _sample(args: argparse.Namespace) -> ExitCode:
    folder: Path = args.output
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is not empty; give a new folder, or remove the old sample")
    chance = random.Random(args.seed)  # noqa: S311 - a sample that can be drawn again
    with opened(args) as (config, journal, reader):
        strip = find_strip(args, config, reader)
        record = strip.record
        drawn: list[Picture] = _pictures(
            journal, strip.signature.stream, draw_defects(record.defects, args.per_class, chance)
        )
        if args.recording:
            drawn += clean_frames(args.recording, reader, config, record.strip, args.clean, chance)
        else:
            frame_mm = config.line.frame_lines * config.line.mm_per_line
            drawn += [
                (Item(number=0, told=CLEAN, side=side, downweb_mm=span), None)
                for side, span in draw_clean_places(record, args.clean, frame_mm, chance)
            ]
            sys.stderr.write(
                "clean frames are places without a picture; give --recording FILE.mcap of the "
                "strip to have them as pictures\n"
            )
    chance.shuffle(drawn)
    items = _write_pictures(folder, drawn)
    classes = tuple(sorted({flaw.class_name for flaw in record.defects}))
    write_table(
        folder,
        Key(
            strip=record.strip,
            stream=strip.signature.stream,
            seed=args.seed,
            classes=classes,
            items=tuple(items),
        ),
    )
    sys.stdout.write(
        f"{folder / TABLE}: {len(items)} to judge; allowed: {', '.join(classes)}, clean, unsure\n"
    )
    return ExitCode.OK


def _score(args: argparse.Namespace) -> ExitCode:
    scores = score(read_judgements(args.folder))
    if args.json:
        text = msgspec.json.format(msgspec.json.encode(scores), indent=2).decode() + "\n"
    else:
        text = scores_text(scores)
    sys.stdout.write(text)
    return ExitCode.OK


def _pictures(journal: Path, stream: str, defects: list[Flaw]) -> list[Picture]:
    """The defects with what is around them: without the mask, which would tell the answer."""
    items = [
        Item(
            number=0,
            told=flaw.class_name,
            side=flaw.side,
            downweb_mm=flaw.along_mm,
            crossweb_mm=flaw.across_mm,
            seq=flaw.seq,
        )
        for flaw in defects
    ]
    try:
        store = PictureStore(journal, read_only=True)
    except StorageError as error:
        sys.stderr.write(f"the sample has no pictures of defects: {error}\n")
        return [(item, None) for item in items]
    with closing(store):
        crops = [_crop(store, stream, item) for item in items]
    return list(zip(items, crops, strict=True))


def _crop(store: PictureStore, stream: str, item: Item) -> bytes | None:
    pictures = store.get(stream, item.seq or 0)
    return next((one.image for one in pictures if one.kind == "crop"), None)


def _write_pictures(folder: Path, drawn: list[Picture]) -> list[Item]:
    """Write the pictures under numbers that tell nothing."""
    items = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, (item, image) in enumerate(drawn, 1):
            name = f"{number:04}.png" if image else ""
            if image:
                (folder / name).write_bytes(image)
            items.append(msgspec.structs.replace(item, number=number, picture=name))
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror or error}") from error
    return items


def _count(text: str) -> int:
    if text.isdecimal() and text.isascii() and len(text) < 8 and int(text) <= PER_CLASS_MAX:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: expected a number from 0 to {PER_CLASS_MAX}")
