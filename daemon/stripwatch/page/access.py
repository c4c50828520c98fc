"""Who a request is from, and what he may do: sessions, the reverse proxy's word, or this computer.

Sessions are kept in memory: they end with the process, and at once when a user is removed.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import HTTPConnection

from stripwatch.config.page import ROLES, Page, Role
from stripwatch.errors import ConfigError
from stripwatch.page.users import User, is_password_of, load_users

COOKIE = "stripwatch_session"
LOCAL_USER = "local"
SESSION_IDLE_S_MAX = 12 * 3600.0  # a shift and more
SESSIONS_MAX = 1000
FAILURES_MAX = 5  # of logins, by name and by address, within
FAILURES_S = 60.0
FOLLOWED_MAX = 10_000  # names and addresses whose failures are counted
PORT_MARK = ":"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who a request is from."""

    name: str
    role: Role
    can_log_out: bool = False

    def may(self, role: Role) -> bool:
        """Whether he may do what this role may."""
        return ROLES.index(self.role) >= ROLES.index(role)


class TooManyFailuresError(Exception):
    """A login is refused without a look at the password."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"too many failed logins; try again in {wait_s:.0f} s")
        self.wait_s = wait_s


@dataclass(slots=True)
class _Session:
    name: str
    seen_s: float


class Access:
    """Decides who somebody is; belongs to the event loop."""

    def __init__(self, page: Page, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the users.

        Raises:
            ConfigError: the file of users cannot be used.
        """
        self._page = page
        self._clock = clock
        self._sessions: OrderedDict[str, _Session] = OrderedDict()  # the one seen longest ago first
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self.checking = asyncio.Lock()  # one password at a time: each takes 64 MiB for a moment
        self._users: dict[str, User] = {}
        self._users_at: tuple[int, int] | None = None
        if page.users_file:
            self._users = load_users(Path(page.users_file))
            self._users_at = self._users_stamp()

    @property
    def has_login(self) -> bool:
        """Whether users log in here."""
        return self._page.users_file is not None

    def visitor(self, connection: HTTPConnection) -> Visitor | None:
        """Who a request is from; None: nobody that is known."""
        if self._page.proxy_addresses:
            if connection.client and connection.client.host in self._page.proxy_addresses:
                return self._of_proxy(connection)
            if not self.has_login:
                return None
        if self.has_login:
            return self._of_session(connection.cookies.get(COOKIE, ""))
        return Visitor(LOCAL_USER, self._page.local_role)

    def is_own_host(self, connection: HTTPConnection) -> bool:
        """Whether a browser that calls us so may be answered.

        Against names of foreign sites that lead to this computer (DNS rebinding).
        """
        host = connection.headers.get("host", "")
        name = host.rpartition(PORT_MARK)[0] if _has_port(host) else host
        name = name.strip("[]").lower()
        if self._page.hosts:
            return name in {one.lower() for one in self._page.hosts} or name == "localhost"
        if self._page.is_local and not self._page.proxy_addresses:
            return name in ("localhost", "127.0.0.1", "::1", self._page.address[0])
        return True

    def check_failures(self, name: str, address: str) -> None:
        """Refuse a login after too many failures.

        Raises:
            TooManyFailuresError: says for how long.
        """
        now_s = self._clock()
        for key in (f"name {name}", f"address {address}"):
            failures = self._failures.get(key, deque())
            while failures and failures[0] <= now_s - FAILURES_S:
                failures.popleft()
            if len(failures) >= FAILURES_MAX:
                raise TooManyFailuresError(failures[0] + FAILURES_S - now_s)

    def note_failure(self, name: str, address: str) -> None:
        """Count a failed login."""
        for key in (f"name {name}", f"address {address}"):
            self._failures.setdefault(key, deque(maxlen=FAILURES_MAX)).append(self._clock())
            self._failures.move_to_end(key)
        while len(self._failures) > FOLLOWED_MAX:
            self._failures.popitem(last=False)

    def user(self, name: str) -> User | None:
        """A user as the file has it now."""
        self._read_again()
        return self._users.get(name)

    def begin_session(self, user: User) -> str:
        """The secret of a new session, for its cookie."""
        secret = secrets.token_urlsafe(32)
        self._sessions[secret] = _Session(user.name, self._clock())
        while len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)
        return secret

    def end_session(self, connection: HTTPConnection) -> None:
        """Forget the session of a request, if it has one."""
        self._sessions.pop(connection.cookies.get(COOKIE, ""), None)

    def _of_session(self, secret: str) -> Visitor | None:
        session = self._sessions.get(secret)
        if session is None:
            return None
        now_s = self._clock()
        user = self.user(session.name)
        if user is None or now_s - session.seen_s > SESSION_IDLE_S_MAX:
            del self._sessions[secret]
            return None
        session.seen_s = now_s
        self._sessions.move_to_end(secret)
        return Visitor(user.name, user.role, can_log_out=True)

    def _of_proxy(self, connection: HTTPConnection) -> Visitor | None:
        name = connection.headers.get(self._page.proxy_user_header, "").strip()
        if not 0 < len(name) <= 64 or not name.isprintable():
            return None
        if self._page.proxy_role_header is None:
            return Visitor(name, self._page.proxy_role)
        told = connection.headers.get(self._page.proxy_role_header, "").strip()
        role = next((one for one in ROLES if one == told), None)
        return Visitor(name, role) if role else None

    def _read_again(self) -> None:
        """Take over changes of the file; what cannot be read changes nothing."""
        stamp = self._users_stamp()
        if stamp is None or stamp == self._users_at:
            return
        assert self._page.users_file
        try:
            users = load_users(Path(self._page.users_file))
        except ConfigError:
            return  # it is being written; the next request looks again
        self._users, self._users_at = users, stamp

    def _users_stamp(self) -> tuple[int, int] | None:
        if self._page.users_file is None:
            return None
        try:
            stat = Path(self._page.users_file).stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino


def check_password(user: User | None, password: str) -> bool:
    """In a worker thread: it takes long on purpose."""
    return is_password_of(user, password)


def _has_port(host: str) -> bool:
    return host.rpartition(PORT_MARK)[2].isdigit() and not host.endswith("]")
