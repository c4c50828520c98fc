"""Page of an exploration: tables and pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from stripwatch.service.console import Progress
from stripwatch_train.explore.counts import (
    BLACK_MAX,
    FENCE,
    PERCENTILES,
    Exploration,
    FrameFacts,
    large_share,
)
from stripwatch_train.explore.plots import (
    areas_picture,
    bars_picture,
    brightness_picture,
    frames_picture,
    sizes_picture,
)
from stripwatch_train.explore.tables import (
    CLASS_HEAD,
    COMBINATION_HEAD,
    class_rows,
    combination_rows,
    frame_title,
    percent_text,
    short_name,
    spread,
    up_to,
)
from stripwatch_train.page import Picture, Section, TableOf, write_page

COMBINATIONS_MAX = 16  # that are drawn; the table has all
SIZES_MAX = 10
LARGE_MAX = 3  # of a class
EXTREMES = 4  # darkest and brightest frames

SECTION_AREAS = (
    "Both axes are logarithmic. stripwatch reports connected components, and min_area_px drops the "
    "small ones. Choose it from the left tail of the components, and compare with the left tail of "
    "the frames: there, a dropped defect is a missed frame. Components of a few pixels are often "
    "labelling errors."
)


def write_exploration(
    exploration: Exploration,
    folder: Path,
    *,
    samples: int,
    seed: int = 0,
    progress: Progress = lambda *_: None,
) -> Path:
    """Write index.html and its pictures.

    Args:
        exploration: to show.
        folder: to write.
        samples: frames to draw of each combination of classes.
        seed: of their choice.
        progress: called before each part of the page.

    Returns:
        The page's path.

    Raises:
        ConfigError: an image cannot be read any more.
        StorageError: the folder cannot be written.
    """
    data_set = exploration.data_set
    has_defects = any(frame.combination for frame in exploration.frames)
    has_images = exploration.pixels is not None
    parts: list[Callable[[], list[Section]]] = [
        lambda: [*_findings(exploration), _classes(exploration), _combinations(exploration)],
        lambda: [_areas(exploration)] if has_defects else [],
        lambda: [_sizes(exploration)],
        lambda: [_overlays(exploration, samples, seed)] if has_images else [],
        lambda: _large(exploration),
        lambda: [_brightness(exploration)] if has_images else [],
    ]
    sections: list[Section] = []
    for done, part in enumerate(parts):
        progress("parts of the page", done, len(parts))
        sections += part()
    frames, classes = len(exploration.frames), len(data_set.classes)
    lead = f"{frames:,} frames, {classes} classes."
    return write_page(folder, f"Data set {data_set.source}", lead, sections)


def _findings(exploration: Exploration) -> list[Section]:
    findings = list(exploration.data_set.findings)
    if exploration.pixels is None:
        findings.append(
            "The images are not there: overlays and brightness are left out, and the largest "
            "masks are named but not shown. "
            "Frames that the table does not name are not counted, clean ones among them."
        )
    rows = tuple((finding,) for finding in findings)
    table = TableOf(("what was noticed while reading",), rows)
    return [Section("Noticed", tables=(table,))] if rows else []


def _classes(exploration: Exploration) -> Section:
    clean = sum(not frame.combination for frame in exploration.frames)
    rows = [("clean", clean, 0)] + [
        (entry.name, len(exploration.with_class(entry.id)), entry.id)
        for entry in exploration.data_set.classes
    ]
    caption = "Frames that have a class; one with several counts for each."
    background = exploration.background_share()
    return Section(
        "Classes",
        f"Of all pixels {percent_text(background)} are of no class.",
        tables=(TableOf(CLASS_HEAD, tuple(class_rows(exploration))),),
        pictures=(bars_picture("classes", rows, len(exploration.frames), caption),),
    )


def _combinations(exploration: Exploration) -> Section:
    found = exploration.combinations()
    shown = [
        (exploration.name(classes), count, classes[0] if len(classes) == 1 else 0)
        for classes, count in found[:COMBINATIONS_MAX]
    ]
    caption = "Frames by the classes that they have" + up_to(len(shown), len(found))
    return Section(
        "Combinations of classes",
        tables=(TableOf(COMBINATION_HEAD, tuple(combination_rows(exploration))),),
        pictures=(bars_picture("combinations", shown, len(exploration.frames), caption),),
    )


def _areas(exploration: Exploration) -> Section:
    head = ("pixels", "number", "smallest", *(f"{percent} %" for percent in PERCENTILES), "largest")
    frames: list[tuple[str, ...]] = []
    components: list[tuple[str, ...]] = []
    for entry in exploration.data_set.classes:
        if exploration.with_class(entry.id):
            frames.append((f"{entry.name}, a frame", *spread(exploration.frame_areas(entry.id))))
            components.append(
                (f"{entry.name}, a component", *spread(exploration.component_areas(entry.id)))
            )
    caption = "Frames and components by size. Lines, from the left: the 1st, 5th and 50th "
    return Section(
        "Mask areas",
        SECTION_AREAS,
        tables=(TableOf(head, tuple(frames)), TableOf(head, tuple(components))),
        pictures=(areas_picture(exploration, caption + "percentile."),),
    )


def _sizes(exploration: Exploration) -> Section:
    sizes = Counter(frame.shape for frame in exploration.frames)
    total = len(exploration.frames)
    rows = [
        (f"{lines} x {pixels}", f"{count:,}", percent_text(count / total))
        for (lines, pixels), count in sizes.most_common(SIZES_MAX)
    ]
    rest = total - sum(count for _, count in sizes.most_common(SIZES_MAX))
    if rest:
        others = f"{len(sizes) - SIZES_MAX} other sizes"
        rows.append((others, f"{rest:,}", percent_text(rest / total)))
    pictures = (sizes_picture(exploration, "Each dot is a frame."),) if len(sizes) > 1 else ()
    table = TableOf(("lines x pixels", "frames", "of all"), tuple(rows))
    return Section("Image sizes", tables=(table,), pictures=pictures)


def _overlays(exploration: Exploration, samples: int, seed: int) -> Section:
    generator = np.random.default_rng(seed)
    pictures: list[Picture] = []
    found = exploration.combinations()
    for combination, count in found[:COMBINATIONS_MAX]:
        frames = [frame for frame in exploration.frames if frame.combination == combination]
        chosen = sorted(generator.choice(count, min(samples, count), replace=False).tolist())
        some = [frames[index] for index in chosen]
        titles = [frame_title(frame, exploration, combination) for frame in some]
        name = "overlays-" + ("-".join(map(str, combination)) or "clean")
        caption = f"{exploration.name(combination)}: {len(some)} of {count:,} frames."
        pictures.append(frames_picture(name, some, titles, exploration, caption))
    return Section(
        "Frames of each combination",
        f"Chosen at random, with seed {seed}" + up_to(len(pictures), len(found)),
        pictures=tuple(pictures),
    )


def _large(exploration: Exploration) -> list[Section]:
    rows: list[tuple[str, ...]] = []
    shown: list[FrameFacts] = []
    titles: list[str] = []
    for entry in exploration.data_set.classes:
        frames = sorted(exploration.with_class(entry.id), key=lambda frame: -frame.share(entry.id))
        if not frames:
            continue
        shares = [frame.share(entry.id) for frame in frames]
        limit = large_share(shares)
        above = sum(share > limit for share in shares)
        numbers = map(percent_text, (float(np.median(shares)), limit, shares[0]))
        # Without any, the largest mask shows what large means in this data set.
        largest = frames[: min(max(above, 1), LARGE_MAX)]
        rows.append((entry.name, *numbers, f"{above:,}", ", ".join(map(short_name, largest))))
        for frame in largest:
            if frame not in shown:
                shown.append(frame)
                titles.append(frame_title(frame, exploration, frame.combination))
    if not rows:
        return []
    head = ("class", "median share of a frame", "limit", "largest", "frames above", "the largest")
    text = (
        f"Above the upper quartile by more than {FENCE:g} times the distance of the quartiles. "
        "Check whether such a mask is a large defect or a labelling error, such as an outline that "
        "was closed the wrong way round."
    )
    caption = f"For each class: the largest above the limit, {LARGE_MAX} at most, or the largest."
    table = TableOf(head, tuple(rows))
    if exploration.pixels is None:
        return [Section("Large masks", text, (table,))]
    picture = frames_picture("large-masks", shown, titles, exploration, caption)
    return [Section("Large masks", text, (table,), (picture,))]


def _brightness(exploration: Exploration) -> Section:
    pixels = exploration.pixels
    assert pixels is not None
    ordered = sorted(exploration.frames, key=lambda frame: (frame.mean, frame.sample.name))
    # Few frames are not shown twice.
    number = min(EXTREMES, -(-len(ordered) // 2))
    pictures = [
        brightness_picture(
            exploration, "Frames by brightness and by their black share; grey levels of all pixels."
        )
    ]
    for name, frames in (("darkest", ordered[:number]), ("brightest", ordered[::-1][:number])):
        titles = [f"{short_name(frame)}: mean {frame.mean:.0f}" for frame in frames]
        caption = f"The {name} frames."
        pictures.append(frames_picture(name, frames, titles, exploration, caption))
    rows = (
        ("mean", f"{pixels.mean:.4f}", f"{255 * pixels.mean:.1f}"),
        ("std", f"{pixels.std:.4f}", f"{255 * pixels.std:.1f}"),
    )
    tenth = sum(frame.black > 0.1 for frame in exploration.frames)
    text = (
        "The mean and the spread of all pixels, by which a model's input is scaled and which "
        f"model.json carries. {tenth:,} frames are black (level {BLACK_MAX} or below) by more than "
        "a tenth: the area beside the strip, or frames that were taken in the dark."
    )
    table = TableOf(("of all pixels", "as 0 to 1", "of 255"), rows)
    return Section("Brightness", text, (table,), tuple(pictures))
