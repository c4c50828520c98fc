"""Answers that wait: live pictures, and the event stream."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from stripwatch.page.answers import desk_of
from stripwatch.page.bodies import bad_request, parameters_of
from stripwatch.page.guard import RefusedError
from stripwatch.page.stream import parse_place
from stripwatch.wire.names import Count

LIVE_S_MAX = 10.0  # until a picture must have come
STREAMS_MAX = 100


class _Live(msgspec.Struct, frozen=True):
    after: Count = 0


async def live(request: Request) -> Response:
    """The next picture of a camera."""
    camera = desk_of(request).camera(request.path_params["camera"])
    shown = await camera.look(parameters_of(request, _Live).after, LIVE_S_MAX)
    if shown is None:
        return Response(status_code=HTTPStatus.NO_CONTENT.value)
    headers = {
        "X-Picture": str(shown.number),
        "X-Frame-Seq": str(shown.frame_seq),
        "X-Captured-Ns": str(shown.t_ns),
    }
    if shown.strip is not None:
        headers["X-Strip"] = shown.strip
    if shown.downweb_m is not None:
        headers["X-Downweb-M"] = f"{shown.downweb_m:.3f}"
    return Response(shown.jpeg, media_type="image/jpeg", headers=headers)


async def events(request: Request) -> Response:
    """Everything that happens, as server-sent events."""
    text = request.headers.get("last-event-id") or request.query_params.get("after")
    start = parse_place(text) if text else None
    if text and start is None:
        raise bad_request(f"after = {text!r}: expected STREAM:SEQ")
    streams = desk_of(request).streams
    if streams.listeners >= STREAMS_MAX:
        raise RefusedError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "too_many",
            f"{STREAMS_MAX} browsers are connected; close some",
        )
    # A proxy that collects would keep events back.
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(streams.follow(start), media_type="text/event-stream", headers=headers)
