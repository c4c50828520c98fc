"""What every request passes: size, host, rights, origin; and the headers of every answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stripwatch.config.page import Role
from stripwatch.page.access import Access, Visitor

BODY_BYTES_MAX = 64 * 1024
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}

Handler = Callable[[Request], Awaitable[Response]]


class RefusedError(Exception):
    """A request has no other answer than a sentence."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Gate:
    """What a handler demands of its visitor."""

    handler: Handler
    role: Role | None  # None: nobody has to be known
    refused: Handler | None = None  # answers in place of the error to those who are not known

    async def answer(self, request: Request) -> Response:
        """Answer, or refuse."""
        access: Access = request.app.state.access
        try:
            _check_host(access, request)
            if request.method == "POST":
                _check_origin(request)
            visitor = access.visitor(request)
            request.state.visitor = visitor
            if self.role is not None:
                if visitor is None and self.refused is not None:
                    return await self.refused(request)
                _check_rights(visitor, self.role)
            return await self.handler(request)
        except RefusedError as error:
            return error_answer(error)


def error_answer(error: RefusedError) -> Response:
    """The answer to a request that is refused."""
    body = {"error": error.code, "message": str(error)}
    return JSONResponse(body, error.status.value)


def visitor_of(request: Request) -> Visitor:
    """Who a request is from that has passed a gate with a role."""
    visitor = request.state.visitor
    assert isinstance(visitor, Visitor)
    return visitor


def _check_host(access: Access, request: Request) -> None:
    if not access.is_own_host(request):
        raise RefusedError(
            HTTPStatus.BAD_REQUEST,
            "bad_request",
            "this page does not go by that name; add it to page.hosts",
        )


def _check_rights(visitor: Visitor | None, role: Role) -> None:
    if visitor is None:
        raise RefusedError(HTTPStatus.UNAUTHORIZED, "unauthorized", "log in first")
    if not visitor.may(role):
        raise RefusedError(
            HTTPStatus.FORBIDDEN,
            "forbidden",
            f"{visitor.name} has the role {visitor.role}; this needs {role}",
        )


def _check_origin(request: Request) -> None:
    """A write comes from this page: another site can make a browser send neither of these."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        is_own = site == "same-origin"
    else:
        is_own = origin is None or origin.partition("://")[2] == request.headers.get("host")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not is_own or kind != "application/json":
        raise RefusedError(
            HTTPStatus.FORBIDDEN,
            "cross_site",
            "this is taken from the page itself alone, as application/json",
        )


class Shell:
    """The outermost layer: headers of every answer, and the largest body that is read."""

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        self._app = app
        self._headers = dict(HEADERS)
        if is_https:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        left = BODY_BYTES_MAX

        async def receive_bounded() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise RefusedError(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    "bad_request",
                    f"the request has more than {BODY_BYTES_MAX} bytes",
                )
            return message

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive_bounded, send_with_headers)


def address_of(connection: HTTPConnection) -> str:
    """From where a request comes, for counts of failures."""
    return connection.client.host if connection.client else ""
