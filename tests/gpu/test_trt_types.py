"""The calls to TensorRT, checked against the TensorRT-RTX package that is installed; no GPU."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGINES = ROOT / "daemon/stripwatch/engines"
USERS = (
    ENGINES / "trt.py",
    ENGINES / "trt_lane.py",
    ENGINES / "trt_plan.py",
    ENGINES / "trt_log.py",
    ENGINES / "trt_validity.py",
    ENGINES / "trt_warm.py",
    ROOT / "engine_build/stripwatch_engine/targets/tensorrt_plan.py",
)
SETTINGS = """
[mypy]
strict = true
disallow_untyped_calls = false
explicit_package_bases = true
[mypy-pycuda.*]
ignore_missing_imports = true
"""
TENSORRT_ONLY = {"HardwareCompatibilityLevel.AMPERE_PLUS", "BuilderFlag.VERSION_COMPATIBLE"}


@pytest.fixture(scope="module")
def rtx() -> ModuleType:
    """The installed package; `make test` installs it."""
    import tensorrt_rtx

    return tensorrt_rtx  # type: ignore[no-any-return] # it carries no types


@pytest.fixture(scope="module")
def stubs(rtx: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Type stubs made of the installed package's own signatures."""
    folder = tmp_path_factory.mktemp("stubs")
    module = f"{rtx.__name__}_bindings"
    stubgen = Path(sys.executable).with_name("stubgen")
    subprocess.run([stubgen, "-q", "-p", module, "-o", folder], check=True, timeout=200)
    # One signature comes out as no Python: an argument with a default before one without.
    text = (folder / module / "tensorrt_rtx.pyi").read_text()
    text = re.sub(r"(\w+: [\w.]+ = \.\.\., \w+: [\w.]+)(?=\) ->)", r"\1 = ...", text)
    # The buffer protocol of compiled classes cannot be seen.
    buffer = "    def __buffer__(self, flags: int, /) -> memoryview: ...\n"
    text = text.replace("class IHostMemory:\n", f"class IHostMemory:\n{buffer}")
    (folder / module / "tensorrt_rtx.pyi").write_text(text)
    package = folder / "tensorrt_rtx"
    package.mkdir()
    (package / "__init__.pyi").write_text(f"from {module}.tensorrt_rtx import *\n")
    return folder


def mypy(stubs: Path, *files: Path) -> str:
    settings = stubs / "mypy.ini"
    paths = ":".join(str(path) for path in (stubs, ROOT / "daemon", ROOT / "engine_build"))
    settings.write_text(SETTINGS.replace("strict = true", f"strict = true\nmypy_path = {paths}"))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(settings), *map(str, files)],
        check=False,
        capture_output=True,
        text=True,
        timeout=250,
        cwd=stubs,
    )
    assert "errors prevented further checking" not in done.stdout, done.stdout
    return "\n".join(line for line in done.stdout.splitlines() if "engines/trt" in line)


@pytest.mark.slow
def test_the_engine_calls_what_the_library_has(stubs: Path) -> None:
    """Names, arguments and what comes back are those of the installed package."""
    assert mypy(stubs, *(path for path in USERS if path.parent == ENGINES)) == ""


@pytest.mark.slow
def test_the_check_sees_a_wrong_call(stubs: Path, tmp_path: Path) -> None:
    """A method that does not exist, and a wrong argument, are found."""
    folder = tmp_path / "engines"
    folder.mkdir()
    wrong = folder / "trt_wrong.py"
    wrong.write_text(
        "import tensorrt_rtx as rtx\n"
        "def run(context: rtx.IExecutionContext) -> bool:\n"
        "    context.execute_async_v4(1)\n"
        '    return context.execute_async_v3("stream")\n'
    )
    found = mypy(stubs, wrong)
    assert '"execute_async_v4"' in found
    assert "SupportsInt" in found


def names_used(path: Path) -> Iterator[str]:
    """What is asked of the module itself, for example `CudaGraphStrategy.DISABLED`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            whole = ast.unparse(node)
            for module in ("self._trt.", "trt."):
                if whole.startswith(module) and not whole.startswith("trt.__"):
                    yield whole.removeprefix(module)


def test_every_name_of_the_module_exists(rtx: ModuleType) -> None:
    """Classes, enumerations and their values; two of them are TensorRT's alone."""
    names = {name for path in USERS for name in names_used(path)}
    assert {"Runtime", "CudaGraphStrategy", "ILogger.ERROR"} <= names
    missing = set()
    for name in names:
        here: object = rtx
        for step in name.split("."):
            here = getattr(here, step, None)
        if here is None:
            missing.add(name)
    assert missing <= TENSORRT_ONLY
