"""Answers to questions about strips and defects."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from stripwatch.errors import ConfigError
from stripwatch.inspect.grading.record import StripRecord
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.strips import read_strip
from stripwatch.page import what_if as trial
from stripwatch.page.bodies import (
    bad_request,
    body_of,
    json_answer,
    not_found,
    parameters_of,
)
from stripwatch.page.defect_rows import item_of
from stripwatch.page.defects import Filter, detail, detail_items, scan
from stripwatch.page.desk import Desk
from stripwatch.page.lengths import latest_lengths, length_of
from stripwatch.page.strip_table import StripTable
from stripwatch.page.strips import list_strips, strip_items
from stripwatch.service.strip_report import strip_report as report_of
from stripwatch.wire.names import COUNT_MAX, Count, StripSide
from stripwatch.wire.operator import ClassInForce, ClassSetting

LIST_MAX = 500
PICTURE_S_MAX = 60.0  # after a defect, until its picture is written
MEDIA = {"crop": "image/png", "mask": "image/png", "frame": "image/jpeg"}
# The report brings its own style, and its pictures inside itself.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)

Limit = Annotated[int, Meta(ge=1, le=LIST_MAX)]
Nanoseconds = Annotated[int, Meta(ge=0, le=2**63 - 1)]  # as SQLite keeps them


def desk_of(request: Request) -> Desk:
    """What the handlers share."""
    desk = request.app.state.desk
    assert isinstance(desk, Desk)
    return desk


async def state(request: Request) -> Response:
    """How everything is now."""
    desk = desk_of(request)
    return json_answer(desk.now.state_items(desk.streams.listeners))


class _Charts(msgspec.Struct, frozen=True):
    span: Literal["minute", "hour"] = "minute"


async def charts(request: Request) -> Response:
    """The last minute or hour."""
    return json_answer(desk_of(request).now.chart(parameters_of(request, _Charts).span))


class _Strips(msgspec.Struct, frozen=True):
    search: Annotated[str, Meta(max_length=64)] = ""
    before: Count | None = None
    limit: Limit = 50


async def strips(request: Request) -> Response:
    """The strips of the journal."""
    asked = parameters_of(request, _Strips)
    desk = desk_of(request)
    found = await desk.reading.run(
        lambda reader: list_strips(reader, asked.search, asked.before, asked.limit)
    )
    if asked.before is None:
        lengths = latest_lengths(desk.now.unnamed)
        shown = [one.item() for one in lengths if asked.search.lower() in one.name]
        found["strips"] = (shown + found["strips"])[: asked.limit]
    return json_answer(found)


async def strip(request: Request) -> Response:
    """One strip with all that is not a defect."""
    desk = desk_of(request)
    reviews = (await desk.reviews()).latest
    length = length_of(desk.now.unnamed, request.path_params["strip"])

    def read(table: StripTable) -> bytes:
        items = {
            **strip_items(table.record(), desk.config.grading, table.open_marks),
            "stream": table.stream,
            "first_seq": table.first_seq,
            "last_seq": table.last_seq,
            "reviews": table.count_reviews(reviews),
        }
        if length is not None:  # the journal does not tell when it began, and how far it has got
            items["start_ns"] = items["end_ns"] = None
            items["length_m"] = max(items["length_m"], length.length_mm / 1000)
        return msgspec.json.encode(items)

    body = await desk.with_strip(request.path_params["strip"], read)
    return Response(body, media_type="application/json")


class _Defects(msgspec.Struct, frozen=True):
    after: Count = 0


async def strip_defects(request: Request) -> Response:
    """The defects of a strip as columns."""
    desk = desk_of(request)
    after = parameters_of(request, _Defects).after
    reviews = (await desk.reviews()).latest
    body = await desk.with_strip(
        request.path_params["strip"], lambda table: table.table(after, reviews)
    )
    return Response(body, media_type="application/octet-stream")


async def strip_report(request: Request) -> Response:
    """The report of a strip as a page to print."""
    desk = desk_of(request)
    name: str = request.path_params["strip"]

    def write(reader: JournalReader) -> str:
        config = desk.config
        found = read_strip(reader, name, config)
        return report_of(desk.reading.folder, config, config.grading, found)

    try:
        page = await desk.reading.run(write)
    except ConfigError as error:
        raise not_found(str(error)) from None
    return Response(
        page, media_type="text/html", headers={"Content-Security-Policy": REPORT_POLICY}
    )


class _Wanted(msgspec.Struct, frozen=True, rename={"classes": "class"}):
    classes: tuple[str, ...] = ()
    side: StripSide | None = None
    camera: str | None = None
    strip: str | None = None
    from_ns: Nanoseconds | None = None
    to_ns: Nanoseconds | None = None
    score_min: float = 0.0
    area_mm2_min: float = 0.0
    length_mm_min: float = 0.0
    width_mm_min: float = 0.0
    edge_mm_max: float | None = None
    review: Literal["none", "right", "wrong", "other"] | None = None
    unit: Literal["whole", "piece"] = "whole"
    before: Count | None = None
    limit: Limit = 100


async def defects(request: Request) -> Response:
    """A list of defects."""
    desk = desk_of(request)
    asked = parameters_of(request, _Wanted, ("class",))
    wanted = Filter(**msgspec.structs.asdict(asked))
    reviews = (await desk.reviews()).latest
    index, unnamed = desk.now.class_index, desk.now.unnamed

    def read(reader: JournalReader) -> bytes:
        found = scan(reader, wanted, reviews, unnamed.placed)
        items = [
            item_of(one, index, reviews.get(one.seq), found.picture_seqs.get(one.seq))
            for one in found.events
        ]
        return msgspec.json.encode({"defects": items, "next": found.next_seq})

    return Response(await desk.reading.run(read), media_type="application/json")


def _seq_of(request: Request) -> int:
    seq: int = request.path_params["seq"]
    if seq > COUNT_MAX:
        raise not_found(f"event {seq} is not a defect, or was removed")
    return seq


async def defect(request: Request) -> Response:
    """One defect."""
    desk = desk_of(request)
    seq = _seq_of(request)
    found = await desk.reading.run(lambda reader: detail(reader, seq))
    if found is None:
        raise not_found(f"event {seq} is not a defect, or was removed")
    reviews = (await desk.reviews()).all.get(seq, [])
    items = detail_items(found, desk.now.class_index, reviews, desk.now.unnamed.placed)
    picture_seq = items["item"]["picture_seq"]
    pictures, written_seq = await desk.reading.pictures(found.event.stream, picture_seq)
    items["picture_comes"] = (
        desk.config.pictures.crops
        and not any(one.kind == "crop" for one in pictures)
        and picture_seq > written_seq
        and time.time_ns() - found.journalled_ns < PICTURE_S_MAX * 1e9
    )
    items["pictures"] = [
        {
            "kind": one.kind,
            "x": one.place_px[0],
            "y": one.place_px[1],
            "url": f"/api/defects/{picture_seq}/{one.kind}",
        }
        for one in pictures
    ]
    return json_answer(items)


async def defect_picture(request: Request) -> Response:
    """A picture of a defect."""
    desk = desk_of(request)
    seq, kind = _seq_of(request), request.path_params["kind"]
    if kind not in MEDIA:
        raise not_found(f"no pictures {kind!r}; there are: {', '.join(MEDIA)}")
    stream = await desk.reading.run(lambda reader: reader.bounds().stream)
    for one in (await desk.reading.pictures(stream, seq)).pictures:
        if one.kind == kind:
            headers = {"Cache-Control": "private, max-age=3600"}
            return Response(one.image, media_type=MEDIA[kind], headers=headers)
    raise not_found(f"no picture {kind} of defect {seq} is kept")


async def what_if(request: Request) -> Response:
    """What would remain with other thresholds."""
    desk = desk_of(request)
    asked = await body_of(request, trial.Asked)
    classes = desk.now.classes
    check_names(classes, asked.classes)
    line = desk.config.line
    tried = trial.Trial(classes, asked.classes, line.mm_per_line * line.mm_per_pixel)
    wanted = Filter(limit=max(1, min(asked.last, trial.LAST_MAX)))
    last = await desk.reading.run(lambda reader: scan(reader, wanted, {}).events)
    record: StripRecord | None = None
    of_strip = None
    if asked.strip is not None:
        judge: Callable[[StripTable], StripRecord] = StripTable.record
        record = await desk.with_strip(asked.strip, judge)
        of_strip = trial.of_strip(tried, record, desk.config.grading)
    exactness = tried.exactness(has_pieces=trial.has_pieces(last, record))
    return json_answer(
        {
            "last": trial.of_events(tried, last),
            "strip": of_strip,
            "exactness": exactness,
            "remarks": trial.remarks(exactness),
        }
    )


def check_names(classes: Sequence[ClassInForce], asked: Sequence[ClassSetting]) -> None:
    """Refuse classes that the engine does not have.

    Raises:
        RefusedError: names those that it has.
    """
    names = [entry.name for entry in classes]
    for setting in asked:
        if setting.name not in names:
            raise bad_request(f"no class {setting.name!r}; there are: {', '.join(names)}")
