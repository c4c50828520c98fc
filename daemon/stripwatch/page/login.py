"""Logging in and out."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated

import msgspec
import structlog
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stripwatch._version import __version__
from stripwatch.page.access import (
    COOKIE,
    Access,
    TooManyFailuresError,
    check_password,
)
from stripwatch.page.bodies import body_of
from stripwatch.page.guard import RefusedError, address_of, error_answer, visitor_of


class _Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    user: Annotated[str, Meta(max_length=64)]
    password: Annotated[str, Meta(max_length=1000)]


async def log_in(request: Request) -> Response:
    """Begin a session."""
    access: Access = request.app.state.access
    if not access.has_login:
        raise RefusedError(HTTPStatus.NOT_FOUND, "not_found", "nobody logs in here: no users_file")
    asked = await body_of(request, _Login)
    address = address_of(request)
    try:
        async with access.checking:
            access.check_failures(asked.user, address)
            user = access.user(asked.user)
            is_right = await asyncio.to_thread(check_password, user, asked.password)
            if not is_right or user is None:
                access.note_failure(asked.user, address)
    except TooManyFailuresError as error:
        refused = RefusedError(HTTPStatus.TOO_MANY_REQUESTS, "too_many", str(error))
        answer = error_answer(refused)
        answer.headers["Retry-After"] = str(round(error.wait_s) + 1)
        return answer
    log = structlog.get_logger()
    if not is_right or user is None:
        log.warning("login refused", user=asked.user, address=address)
        raise RefusedError(
            HTTPStatus.UNAUTHORIZED, "unauthorized", "the user or the password is wrong"
        )
    log.info("logged in", user=user.name, role=user.role, address=address)
    answer = JSONResponse({"user": user.name, "role": user.role})
    answer.set_cookie(
        COOKIE,
        access.begin_session(user),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


async def log_out(request: Request) -> Response:
    """End the session."""
    access: Access = request.app.state.access
    access.end_session(request)
    answer = Response(status_code=HTTPStatus.NO_CONTENT.value)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


async def me(request: Request) -> Response:
    """Who asks, and what he may do."""
    visitor = visitor_of(request)
    return JSONResponse(
        {
            "user": visitor.name,
            "role": visitor.role,
            "can_log_out": visitor.can_log_out,
            "version": __version__,
        }
    )
