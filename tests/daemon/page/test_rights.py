"""Who may do what: every route of the application, logins, sessions, proxies, foreign sites."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from tests.daemon.page.conftest import Opened

from stripwatch.config.page import ROLES, Page, Role
from stripwatch.config.sections import Config
from stripwatch.page.access import (
    FAILURES_MAX,
    FAILURES_S,
    SESSION_IDLE_S_MAX,
    Access,
    TooManyFailuresError,
)
from stripwatch.page.application import TABLE, make_application
from stripwatch.page.users import User, make_user, save_users

PASSWORD = "a long password"  # noqa: S105 - of nobody
JSON = {"content-type": "application/json"}
PUBLIC = {("POST", "/login")}  # and the static files, which hold no data
CHANGING = {("POST", "/api/reviews"): "review", ("POST", "/api/thresholds"): "change"}


@pytest.fixture(scope="module")
def known() -> dict[str, User]:
    """A user of each role, called as his role; one hash for all, since it takes long."""
    hashed = make_user("look", "look", PASSWORD)
    return {role: msgspec.structs.replace(hashed, name=role, role=role) for role in ROLES}


@pytest.fixture
def users(tmp_path: Path, known: dict[str, User]) -> Path:
    """The file of these users."""
    path = tmp_path / "users.json"
    save_users(path, known)
    return path


def filled(path: str) -> str:
    """An address that a route matches."""
    for name, value in {
        "{strip:path}": "C-1",
        "{seq:int}": "1",
        "{kind}": "crop",
        "{camera}": "top",
    }.items():
        path = path.replace(name, value)
    assert "{" not in path
    return path


def routes_of(config: Config) -> list[tuple[str, str]]:
    """Method and path of every route that the application has, but the static files."""
    application: Starlette = make_application(config).starlette
    found = []
    for route in application.routes:
        if isinstance(route, Mount):
            assert route.path == "/static"
            continue
        assert isinstance(route, Route)
        found += [(method, route.path) for method in sorted(route.methods or ())]
    return found


def log_in(client: TestClient, name: str, password: str = PASSWORD) -> int:
    return client.post("/login", json={"user": name, "password": password}).status_code


def test_every_route_without_rights_is_refused(
    opened: Opened, users: Path, journal_config: Config
) -> None:
    """The routes are those of the application, so that a new one cannot be forgotten."""
    routes = routes_of(journal_config)
    assert len(routes) > len(TABLE)
    with opened(Page(users_file=str(users))) as client:
        for method, path in routes:
            answer = client.request(method, filled(path), headers=JSON, content="{}")
            allowed = (400,) if (method, path) in PUBLIC else (401,)
            assert answer.status_code in allowed, (method, path)


@pytest.mark.parametrize("role", ROLES)
def test_no_role_does_more_than_it_may(
    opened: Opened, users: Path, journal_config: Config, role: Role
) -> None:
    """What it may is not refused for its rights, whatever else is wrong with it."""
    with opened(Page(users_file=str(users))) as client:
        assert log_in(client, role) == 200
        for method, path in routes_of(journal_config):
            if (method, path) in PUBLIC or path in ("/logout", "/api/events", "/api/live/{camera}"):
                continue
            needed = CHANGING.get((method, path), "look")
            answer = client.request(method, filled(path), headers=JSON, content="{}")
            is_refused = answer.status_code in (401, 403)
            assert is_refused == (ROLES.index(role) < ROLES.index(needed)), (method, path)
            if is_refused:
                assert answer.json()["error"] == "forbidden"


def test_a_session_lasts_from_login_to_logout(opened: Opened, users: Path) -> None:
    """The cookie is out of reach of scripts and of other sites."""
    with opened(Page(users_file=str(users))) as client:
        refused = client.get("/")
        assert (refused.status_code, refused.text) == (401, "log in")
        answer = client.post("/login", json={"user": "review", "password": PASSWORD})
        assert answer.json() == {"user": "review", "role": "review"}
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get("/").text == "the page"
        me = client.get("/api/me").json()
        assert (me["user"], me["role"], me["can_log_out"]) == ("review", "review", True)
        assert client.post("/logout", headers=JSON).status_code == 204
        assert client.get("/api/me").status_code == 401


def test_a_user_who_is_removed_is_out_at_once(
    opened: Opened, users: Path, known: dict[str, User]
) -> None:
    """And another role holds at once; a file that is being written changes nothing."""
    with opened(Page(users_file=str(users))) as client:
        assert log_in(client, "change") == 200
        demoted = msgspec.structs.replace(known["change"], role="look")
        save_users(users, known | {"change": demoted})
        assert client.get("/api/me").json()["role"] == "look"
        users.write_text("{")
        assert client.get("/api/me").json()["role"] == "look"
        save_users(users, {"look": known["look"]})
        assert client.get("/api/me").status_code == 401


def test_wrong_passwords_and_unknown_users_are_refused_alike(opened: Opened, users: Path) -> None:
    """After a few of them not even the right password is looked at."""
    with opened(Page(users_file=str(users))) as client:
        wrong = client.post("/login", json={"user": "look", "password": "wrong"})
        unknown = client.post("/login", json={"user": "nobody", "password": "wrong"})
        assert wrong.status_code == unknown.status_code == 401
        assert wrong.json() == unknown.json()
        for _ in range(FAILURES_MAX - 2):
            assert log_in(client, "look", "wrong") == 401
        answer = client.post("/login", json={"user": "look", "password": PASSWORD})
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= FAILURES_S + 1
        assert log_in(client, "look", "x" * 2000) == 400


def test_failures_are_counted_by_name_and_by_address_for_a_while(users: Path) -> None:
    now_s = [0.0]
    access = Access(Page(users_file=str(users)), lambda: now_s[0])
    for number in range(FAILURES_MAX):
        access.check_failures("eva", f"10.0.0.{number}")
        access.note_failure("eva", f"10.0.0.{number}")
    with pytest.raises(TooManyFailuresError):
        access.check_failures("eva", "10.0.0.99")
    access.check_failures("adam", "10.0.0.1")
    now_s[0] = FAILURES_S
    access.check_failures("eva", "10.0.0.99")


def connection(address: str = "127.0.0.1", **headers: str) -> HTTPConnection:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "headers": raw, "client": (address, 1)})


def test_a_session_that_nobody_uses_ends(users: Path) -> None:
    now_s = [0.0]
    access = Access(Page(users_file=str(users)), lambda: now_s[0])
    user = access.user("look")
    assert user is not None
    cookie = f"stripwatch_session={access.begin_session(user)}"
    now_s[0] = SESSION_IDLE_S_MAX - 1
    assert access.visitor(connection(cookie=cookie)) is not None
    now_s[0] += SESSION_IDLE_S_MAX + 1
    assert access.visitor(connection(cookie=cookie)) is None
    assert access.visitor(connection(cookie="stripwatch_session=guessed")) is None


def test_a_proxy_is_believed_from_its_address_alone() -> None:
    """Its header names the user; a role only where the configuration says so."""
    page = Page(proxy_addresses=("10.0.0.1",), proxy_role="review")
    access = Access(page)
    visitor = access.visitor(connection("10.0.0.1", x_forwarded_user="eva"))
    assert visitor is not None
    assert (visitor.name, visitor.role) == ("eva", "review")
    assert access.visitor(connection("10.0.0.2", x_forwarded_user="eva")) is None
    assert access.visitor(connection("127.0.0.1", x_forwarded_user="eva")) is None
    assert access.visitor(connection("10.0.0.1")) is None
    assert access.visitor(connection("10.0.0.1", x_forwarded_user="x" * 65)) is None
    with_roles = Access(Page(proxy_addresses=("10.0.0.1",), proxy_role_header="X-Role"))
    told = with_roles.visitor(connection("10.0.0.1", x_forwarded_user="eva", x_role="change"))
    assert told is not None
    assert told.role == "change"
    for role in ("", "root"):
        assert with_roles.visitor(connection("10.0.0.1", x_forwarded_user="e", x_role=role)) is None


@pytest.mark.parametrize(
    ("page", "host", "is_own"),
    [
        (Page(), "127.0.0.1:8350", True),
        (Page(), "localhost:8350", True),
        (Page(), "[::1]:8350", True),
        (Page(), "evil.example:8350", False),
        (Page(), "", False),
        (Page(hosts=("line1.plant",)), "LINE1.plant:443", True),
        (Page(hosts=("line1.plant",)), "127.0.0.1", False),
        (Page(endpoint="10.0.0.5:80", users_file="x"), "anything", True),
    ],
)
def test_the_page_does_not_go_by_names_of_others(page: Page, host: str, is_own: bool) -> None:
    """A foreign name that leads to this computer must not reach a page without a login."""
    access = Access.__new__(Access)  # without its file of users
    access._page = page
    assert access.is_own_host(connection(host=host)) == is_own


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", **JSON},
        {"sec-fetch-site": "same-site", **JSON},
        {"origin": "https://evil.example", **JSON},
        {"origin": "null", **JSON},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
    ],
)
def test_another_site_cannot_make_a_browser_write(opened: Opened, headers: dict[str, str]) -> None:
    with opened() as client:
        for method, path, _role, _ in TABLE:
            if method == "POST":
                answer = client.post(filled(path), headers=headers, content="{}")
                assert (answer.status_code, answer.json()["error"]) == (403, "cross_site"), path


def test_every_answer_has_the_headers_of_security(opened: Opened) -> None:
    """Errors, too; there is no inline script or style."""
    with opened() as client:
        for path in ("/", "/static/index.html", "/api/me", "/api/nothing", "/static/nothing"):
            headers = client.get(path).headers
            assert "unsafe-inline" not in headers["content-security-policy"]
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert "strict-transport-security" not in headers
        assert client.get("/static/index.html").headers["cache-control"] == "no-cache"
        assert client.get("/api/me").headers["cache-control"] == "no-store"
        answer = client.get("/api/me", headers={"host": "evil.example"})
        assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")
        assert client.get("/static/../../pyproject.toml").status_code == 404
        large = client.post("/api/what-if", headers=JSON, content=b" " * 100_000)
        assert large.status_code == 413


def test_without_users_all_on_this_computer_have_one_role(opened: Opened) -> None:
    """By default they look; nobody logs in."""
    with opened(Page()) as client:
        me = client.get("/api/me").json()
        assert (me["user"], me["role"], me["can_log_out"]) == ("local", "look", False)
        assert log_in(client, "eva") == 404
