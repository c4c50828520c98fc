"""Bodies and parameters of requests, checked; and answers in JSON."""

from __future__ import annotations

from http import HTTPStatus
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stripwatch.page.guard import RefusedError

T = TypeVar("T")


async def body_of(request: Request, kind: type[T]) -> T:
    """The body of a request.

    Raises:
        RefusedError: it is not what it has to be.
    """
    body = await request.body()
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(str(error)) from None


def parameters_of(request: Request, kind: type[T], lists: tuple[str, ...] = ()) -> T:
    """The query of a request as a struct; a parameter that is left empty is not given.

    Raises:
        RefusedError: it is not what it has to be.
    """
    query = request.query_params
    values: dict[str, object] = {
        name: query.getlist(name) if name in lists else query[name]
        for name in query
        if query[name] != ""
    }
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise bad_request(str(error)) from None


def bad_request(message: str) -> RefusedError:
    """The error of a request that cannot be understood."""
    return RefusedError(HTTPStatus.BAD_REQUEST, "bad_request", message)


def not_found(message: str) -> RefusedError:
    """The error of a request for what is not there."""
    return RefusedError(HTTPStatus.NOT_FOUND, "not_found", message)


def json_answer(value: object) -> Response:
    """A value as JSON; numbers that JSON has no word for are null."""
    return Response(msgspec.json.encode(value), media_type="application/json")
