"""What an operator decides, passed on to the daemon."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from stripwatch.errors import ConfigError
from stripwatch.page.answers import check_names, desk_of
from stripwatch.page.bodies import body_of, json_answer, not_found
from stripwatch.page.daemon_link import NoAnswerError
from stripwatch.page.defect_rows import class_items
from stripwatch.page.desk import Desk
from stripwatch.page.guard import RefusedError, visitor_of
from stripwatch.wire.names import CLASSES_MAX, ClassName, Count
from stripwatch.wire.operator import BoxPx, ClassSetting, Judgement, Note
from stripwatch.wire.requests import (
    Answer,
    AskReview,
    AskThresholds,
    Classes,
    Error,
    Written,
)
from stripwatch.wire.requests import (
    Request as DaemonRequest,
)


class _Review(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seq: Count
    verdict: Judgement
    class_name: ClassName | None = None
    box_px: BoxPx | None = None
    note: Note = ""


async def review(request: Request) -> Response:
    """Journal a judgement."""
    desk = desk_of(request)
    asked = await body_of(request, _Review)
    stream = await desk.reading.run(lambda reader: reader.bounds().stream)
    who = visitor_of(request).name
    answer = await _ask(
        desk,
        AskReview(
            id=desk.asking.next_id(),
            stream=stream,
            seq=asked.seq,
            who=who,
            verdict=asked.verdict,
            said=asked.class_name,
            box_px=asked.box_px,
            note=asked.note,
        ),
    )
    assert isinstance(answer, Written)
    return json_answer({"seq": answer.seq, "stream": answer.stream})


class _Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    classes: tuple[ClassSetting, ...]
    note: Note = ""


async def thresholds(request: Request) -> Response:
    """Change thresholds and minimum areas."""
    desk = desk_of(request)
    asked = await body_of(request, _Thresholds)
    check_names(desk.now.classes, asked.classes[:CLASSES_MAX])
    who = visitor_of(request).name
    answer = await _ask(
        desk,
        AskThresholds(id=desk.asking.next_id(), who=who, classes=asked.classes, note=asked.note),
    )
    assert isinstance(answer, Classes)
    desk.now.classes = answer.classes
    if answer.seq is not None:
        structlog.get_logger().info("thresholds changed", who=who, seq=answer.seq)
    return json_answer({"seq": answer.seq, "classes": class_items(answer.classes)})


async def _ask(desk: Desk, request: DaemonRequest) -> Answer:
    """The daemon's answer.

    Raises:
        RefusedError: it refuses, or does not answer.
    """
    try:
        answer = await desk.asking.ask(request)
    except NoAnswerError as error:
        raise RefusedError(HTTPStatus.GATEWAY_TIMEOUT, "daemon", str(error)) from None
    except ConfigError as error:
        raise RefusedError(HTTPStatus.CONFLICT, "refused", str(error)) from None
    if isinstance(answer, Error):
        if answer.error == "not_found":
            raise not_found(answer.message)
        raise RefusedError(HTTPStatus.CONFLICT, "refused", answer.message)
    return answer
