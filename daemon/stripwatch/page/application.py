"""The page as a Starlette application: every route with the role that it demands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from stripwatch.config.page import Role
from stripwatch.config.sections import Config
from stripwatch.errors import StorageError
from stripwatch.net.curve import ClientCurve
from stripwatch.page import answers, live_answers, login, writes
from stripwatch.page.access import Access
from stripwatch.page.bodies import not_found
from stripwatch.page.daemon_link import StatusThread
from stripwatch.page.desk import Desk
from stripwatch.page.guard import Gate, Handler, RefusedError, Shell, error_answer

STATIC = Path(__file__).parent / "static"

# Method, path, role (None: nobody has to be known) and handler.
TABLE: tuple[tuple[str, str, Role | None, Handler], ...] = (
    ("POST", "/login", None, login.log_in),
    ("POST", "/logout", "look", login.log_out),
    ("GET", "/api/me", "look", login.me),
    ("GET", "/api/state", "look", answers.state),
    ("GET", "/api/charts", "look", answers.charts),
    ("GET", "/api/strips", "look", answers.strips),
    ("GET", "/api/strips/{strip:path}/defects", "look", answers.strip_defects),
    ("GET", "/api/strips/{strip:path}/report", "look", answers.strip_report),
    ("GET", "/api/strips/{strip:path}", "look", answers.strip),
    ("GET", "/api/defects", "look", answers.defects),
    ("GET", "/api/defects/{seq:int}", "look", answers.defect),
    ("GET", "/api/defects/{seq:int}/{kind}", "look", answers.defect_picture),
    ("GET", "/api/live/{camera}", "look", live_answers.live),
    ("GET", "/api/events", "look", live_answers.events),
    ("POST", "/api/what-if", "look", answers.what_if),
    ("POST", "/api/reviews", "review", writes.review),
    ("POST", "/api/thresholds", "change", writes.thresholds),
)


class _Static(StaticFiles):
    """Files that a browser asks for again only to hear that they are the same."""

    def file_response(
        self, full_path: object, stat_result: object, scope: Scope, status_code: int = 200
    ) -> Response:
        """As the library's, with the browser's cache for nothing but unchanged files."""
        response = super().file_response(full_path, stat_result, scope, status_code)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response


@dataclass(frozen=True, slots=True)
class Application:
    """The application, and what its process has to do with it."""

    serve: ASGIApp
    starlette: Starlette

    @property
    def desk(self) -> Desk | None:
        """What the handlers share; None before the start."""
        return getattr(self.starlette.state, "desk", None)

    def end_streams(self) -> None:
        """Event loop: let go of the browsers that wait for something."""
        if self.desk:
            self.desk.end_streams()


def make_application(
    config: Config, static: Path = STATIC, curve: ClientCurve | None = None
) -> Application:
    """The application; `curve` is its key, where the daemon wants one.

    Raises:
        ConfigError: the file of users cannot be used.
    """
    access = Access(config.page)

    async def page(_request: Request) -> Response:
        return FileResponse(static / "index.html", headers={"Cache-Control": "no-cache"})

    async def login_page(_request: Request) -> Response:
        return FileResponse(static / "login.html", 401, headers={"Cache-Control": "no-store"})

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        desk = Desk(config, curve)
        app.state.desk = desk
        await desk.now.look()  # the first answer knows what runs without a coil id
        status = StatusThread(config, asyncio.get_running_loop(), desk.now.take, curve)
        tasks = [
            asyncio.create_task(task)
            for task in (
                desk.now.follow_journal(),
                desk.now.follow_classes(),
                desk.now.follow_status(desk.streams),
                desk.streams.follow_journal(),
            )
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(status.close)
            await desk.close()

    app = Starlette(
        routes=[
            Route("/", Gate(page, "look", refused=login_page).answer, methods=["GET"]),
            Mount("/static", _Static(directory=static, check_dir=False), name="static"),
            *(
                Route(path, Gate(handler, role).answer, methods=[method])
                for method, path, role, handler in TABLE
            ),
        ],
        lifespan=lifespan,
        exception_handlers={RefusedError: _refused, StorageError: _no_journal, 404: _not_found},
    )
    app.state.access = access
    app.state.static = static
    return Application(Shell(app, is_https=config.page.cert_file is not None), app)


async def _no_journal(_request: Request, error: Exception) -> Response:
    return error_answer(RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "journal", str(error)))


async def _not_found(_request: Request, _error: Exception) -> Response:
    return error_answer(not_found("there is nothing at this address"))


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return error_answer(error)
