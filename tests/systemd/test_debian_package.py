"""The Debian package in a root folder of its own: installed, upgraded, rolled back and removed.

dpkg and the package's own scripts do it, with DPKG_ROOT in place of a chroot; no systemd runs. The
package has no libraries in it: the test's own serve, so that it is built in seconds.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.line.conftest import Daemon
from tests.programs import program
from tests.systemd.unit_files import ROOT

from stripwatch import __version__
from stripwatch.engines.manifest import FakeBehaviour
from stripwatch.errors import ExitCode
from stripwatch.journal.schema import SCHEMA

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

UNITS = "etc/systemd/system"


def run(*command: str) -> str:
    """The output of a command that succeeds; dpkg wants the folders of root's programs."""
    environment = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, (command, done.stdout[-3000:], done.stderr[-3000:])
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as `make deb` builds it, for the Python that runs the tests."""
    if os.geteuid() != 0:
        pytest.skip("only root may install packages, also in a folder")
    may_mount = [program("unshare", "util-linux"), "--mount", "true"]
    if subprocess.run(may_mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("what the file system shows may not be changed here")
    program("dh", "debhelper")
    folder = tmp_path_factory.mktemp("deb")
    variables = {
        "VENV": sys.prefix,
        "DEB_FOLDER": str(folder),
        "MAN_FOLDER": str(folder / "man"),
        "DEB_PYTHON": str(Path(sys.base_prefix) / "bin" / "python3"),
        "PIP_OPTIONS": "--no-deps",
    }
    values = [f"{name}={value}" for name, value in variables.items()]
    # The environment is there: it runs this test.
    run("make", "-C", str(ROOT), "-o", f"{sys.prefix}/.test", "deb", *values)
    (path,) = folder.glob("stripwatch_*.deb")
    return path


@pytest.fixture(scope="module")
def next_package(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A later version, whose journal has one table more."""
    folder = tmp_path_factory.mktemp("next") / "tree"
    (built,) = package.parent.glob("stripwatch-*/debian/stripwatch")
    shutil.copytree(built, folder, symlinks=True)
    change(folder / "DEBIAN/control", "Version: .*", "Version: 99.0")
    (code,) = folder.glob("opt/stripwatch/lib/python3*/site-packages/stripwatch")
    change(code / "_version.py", '".*"', '"99.0"')
    migrations = 'MIGRATIONS = (*MIGRATIONS, "CREATE TABLE later (x INTEGER) STRICT")\n'
    change(code / "journal/schema.py", "SCHEMA = ", f"{migrations}SCHEMA = ")
    for source in (code / "_version.py", code / "journal/schema.py"):
        for compiled in source.parent.glob(f"__pycache__/{source.stem}.*"):
            compiled.unlink()
    path = folder.with_name("stripwatch_99.0.deb")
    run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(folder), str(path))
    return path


def change(file: Path, pattern: str, text: str) -> None:
    """Replace the last match in a file."""
    content = file.read_text()
    match = [*re.finditer(pattern, content)][-1]
    file.write_text(content[: match.start()] + text + content[match.end() :])


class Computer:
    """A root folder in which packages are installed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("info", "updates", "triggers"):
            (root / "var/lib/dpkg" / name).mkdir(parents=True)
        (root / "var/lib/dpkg/status").touch()

    def dpkg(self, *arguments: str) -> str:
        return run(
            *("dpkg", f"--root={self.root}", "--force-depends", "--force-script-chrootless"),
            *arguments,
        )

    def install(self, package: Path) -> None:
        self.dpkg("--install", str(package))
        (folder,) = self.root.glob("opt/stripwatch/lib/python3*/site-packages")
        (folder / "of-the-test.pth").write_text(sysconfig.get_path("purelib"))

    def command(self, *words: str) -> tuple[str, ...]:
        """A command that sees the package's files where they will be."""
        mount = f'mount --bind {self.root}/opt /opt && exec "$@"'
        return ("unshare", "--mount", "sh", "-c", mount, "sh", *words)

    def names(self, folder: str) -> set[str]:
        return {path.name for path in (self.root / folder).glob("*")}


@pytest.fixture
def computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Computer:
    monkeypatch.delenv("PYTHONPATH", raising=False)  # the package's own code runs
    return Computer(tmp_path / "root")


@pytest.fixture
def daemon(computer: Computer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """The installed daemon, with its journal where systemd's StateDirectory is."""
    monkeypatch.setenv("STATE_DIRECTORY", str(computer.root / "var/lib/stripwatch"))
    folder = tmp_path / "line"
    folder.mkdir()
    with closing(Daemon(folder)) as daemon:
        daemon.make_engine(FakeBehaviour())
        daemon.program = computer.command("/opt/stripwatch/bin/stripwatch")
        yield daemon


def journal_after_a_run(daemon: Daemon) -> tuple[int, str, list[int]]:
    """Schema, stream and numbers of the events once the daemon was up and is stopped."""
    daemon.messages.clear()
    daemon.start()
    daemon.wait_for("READY=1")
    assert daemon.stop() == ExitCode.OK
    with closing(sqlite3.connect(journal())) as database:
        (schema,) = database.execute("PRAGMA user_version").fetchone()
        (stream,) = database.execute("SELECT stream FROM journal").fetchone()
        return schema, stream, [seq for (seq,) in database.execute("SELECT seq FROM event")]


def journal() -> Path:
    return Path(os.environ["STATE_DIRECTORY"]) / "journal" / "journal.db"


def test_lintian_finds_no_error(package: Path) -> None:
    said = run(program("lintian", "lintian"), "--fail-on=error", "--allow-root", str(package))
    assert said == ""


def test_it_is_installed_with_everything_in_its_place(package: Path, computer: Computer) -> None:
    computer.install(package)
    root = computer.root
    (user,) = (root / "etc/passwd").read_text().splitlines()
    for folder in ("var/lib/stripwatch", "var/lib/stripwatch/engines"):
        found = (root / folder).stat()
        assert user.startswith(f"stripwatch:x:{found.st_uid}:{found.st_gid}:")
    assert computer.names(f"{UNITS}/multi-user.target.wants") == {"stripwatch.target"}
    assert not computer.names(f"{UNITS}/stripwatch.target.wants")  # there is nothing to inspect yet
    assert {path.name for path in ROOT.glob("systemd/*.service")} <= computer.names(
        "lib/systemd/system"
    ) | computer.names("usr/lib/systemd/system")
    for name in ("stripwatch", "engine-build"):
        said = run(*computer.command(f"/opt/stripwatch/bin/{name}", "--version"))
        assert said == f"{name} {__version__}\n"
        assert (root / "usr/bin" / name).readlink() == Path(f"/opt/stripwatch/bin/{name}")
        assert (root / f"usr/share/man/man1/{name}.1.gz").is_file()
        assert name in (root / f"usr/share/bash-completion/completions/{name}").read_text()
    # Neither where it was built nor by whom is in it.
    grep = ["grep", "--recursive", "--fixed-strings", str(package.parent), str(root / "opt")]
    assert subprocess.run(grep, capture_output=True, check=False).returncode == 1


def test_an_upgrade_takes_the_journal_along_and_a_rollback_needs_the_old_one(
    package: Path, next_package: Path, computer: Computer, daemon: Daemon, tmp_path: Path
) -> None:
    """As docs/install.md says, with the copy that it tells to make."""
    computer.install(package)
    schema, stream, before = journal_after_a_run(daemon)
    assert (schema, before) == (SCHEMA, [1, 2])
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(journal())) as database:
        database.execute("VACUUM INTO ?", (str(copy),))

    computer.install(next_package)
    assert journal_after_a_run(daemon) == (SCHEMA + 1, stream, [1, 2, 3, 4])

    computer.install(package)
    assert daemon.start().wait(30) == ExitCode.STORAGE
    assert f"has schema {SCHEMA + 1}, written by a newer stripwatch" in daemon.log.read_text()
    shutil.copy(copy, journal())
    assert journal_after_a_run(daemon) == (SCHEMA, stream, [1, 2, 3, 4])


def test_what_was_enabled_and_configured_outlives_an_upgrade_and_a_removal(
    package: Path, next_package: Path, computer: Computer
) -> None:
    """No question is asked; purge takes the links, and leaves what the line has made."""
    computer.install(package)
    root = computer.root
    config = root / "etc/stripwatch/config.toml"
    config.write_text("# ours")
    (root / "var/lib/stripwatch/journal.db").write_text("events")
    run("systemctl", f"--root={root}", "enable", "stripwatch", "stripwatch-camera@top")
    enabled = {"stripwatch.service", "stripwatch-camera@top.service"}

    computer.install(next_package)
    assert computer.names(f"{UNITS}/stripwatch.target.wants") == enabled
    assert config.read_text() == "# ours"

    shutil.rmtree(root / "opt")  # with the test's own file
    computer.dpkg("--remove", "stripwatch")
    assert config.read_text() == "# ours"
    said = computer.dpkg("--purge", "stripwatch")
    assert "stay in /var/lib/stripwatch" in said
    assert not computer.names(f"{UNITS}/stripwatch.target.wants")
    assert not computer.names(f"{UNITS}/multi-user.target.wants")
    assert (root / "var/lib/stripwatch/journal.db").read_text() == "events"
    assert config.read_text() == "# ours"
    assert not computer.names("usr/bin") | computer.names("usr/lib/sysusers.d")
