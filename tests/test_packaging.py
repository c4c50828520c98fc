"""The built distribution: what is in it, and that it finds what it ships."""

from __future__ import annotations

import runpy
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from stripwatch import __version__
from stripwatch.errors import ConfigError, ExitCode
from stripwatch.resources import resource_path

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], check=True, timeout=240)
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_our_three_packages_and_no_tests(wheel: Path) -> None:
    """Import names that no other project uses; `daemon` and `train` would be too general."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata_name = f"stripwatch-{__version__}.dist-info/METADATA"
        assert f"\nVersion: {__version__}\n" in archive.read(metadata_name).decode()
    top = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert top == {"stripwatch", "stripwatch_engine", "stripwatch_train"}
    assert not [name for name in names if "test_" in name or "conftest" in name]
    for name in ("config.toml", "models/edge/model.onnx", "models/edge/model.json"):
        assert f"stripwatch/data/{name}" in names
    assert not [name for name in names if name.startswith("stripwatch/data/models/edge/openvino")]
    for package in top:
        assert f"{package}/py.typed" in names
    assert "stripwatch_train/page.html" in names


@pytest.mark.slow
def test_the_installed_wheel_finds_what_it_ships(wheel: Path, tmp_path: Path) -> None:
    """Away from any checkout, the embedded model and the configuration are there."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from stripwatch.resources import resource_path\n"
        "from stripwatch.config.load import load_config\n"
        "print(resource_path('models/edge/model.onnx'))\n"
        "print(load_config(resource_path('config.toml')).line)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.startswith(str(tmp_path))


def test_the_version_is_written_in_one_file() -> None:
    """pyproject.toml reads it from there; the wheel's is compared above."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert pyproject["project"]["dynamic"] == ["version"]
    path = ROOT / pyproject["tool"]["hatch"]["version"]["path"]
    assert runpy.run_path(str(path))["__version__"] == __version__


def test_the_commands_are_installed() -> None:
    distribution = metadata.distribution("stripwatch")
    scripts = {entry.name for entry in distribution.entry_points.select(group="console_scripts")}
    assert scripts == {"stripwatch", "engine-build", "stripwatch-train"}


def test_a_missing_file_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"nothing\.onnx is missing.*install stripwatch again"):
        resource_path("nothing.onnx")


def output_of(script: str) -> str:
    """What a Python of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_daemon_starts_without_torch() -> None:
    """torch never reaches the line PC."""
    script = "import sys, stripwatch.app, stripwatch_engine.cli.main; print('torch' in sys.modules)"
    assert output_of(script) == "False"


def test_the_daemon_starts_without_what_only_engine_build_needs() -> None:
    """The line PC is installed without the extra `build`."""
    script = (
        "import sys, stripwatch.app, stripwatch.cli.run, stripwatch.engines.openvino\n"
        "print({'onnx', 'onnxruntime', 'stripwatch_engine'} & set(sys.modules))"
    )
    assert output_of(script) == "set()"


@pytest.mark.parametrize("missing", [("onnx",), ("onnxruntime",), ("onnx", "onnxruntime")])
def test_engine_build_names_the_extra_that_it_needs(missing: tuple[str, ...]) -> None:
    """It explains itself and shows engines without the extra; only building needs it."""
    script = (
        f"import sys; sys.modules.update(dict.fromkeys({missing!r}))\n"  # as if not installed
        "from stripwatch_engine.cli.main import main\n"
        "sys.stderr = sys.stdout\n"
        "print(main(['model.onnx']), main(['--inspect', 'nowhere']))"
    )
    printed = output_of(script)
    assert f"engine-build needs {' and '.join(missing)}, which the daemon does not need" in printed
    assert "pip install '.[build]'" in printed
    assert "nowhere holds no engine" in printed
    assert printed.endswith(f"{int(ExitCode.CONFIG)} {int(ExitCode.MODEL)}")
