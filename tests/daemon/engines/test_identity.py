"""Engines of another machine are refused with a remedy."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from stripwatch.engines.identity import GpuTarget, check_plan, load_library, load_runtime
from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import DefectClass, Manifest, Plan
from stripwatch.errors import ModelError

HERE = Path("line-3/engine")


def manifest(
    plan: Plan | None, target: GpuTarget = "tensorrt", command: str = "engine-build steel.onnx"
) -> Manifest:
    return Manifest(
        target=target,
        engine_hash="",
        builder="test",
        precision="fp16",
        frame_shape=(8, 16),
        classes=(DefectClass(id=1, name="pits"),),
        files=("inspection.plan",),
        plan=plan,
        command=command,
    )


def plan(version: str = "11.4.0.106", *capabilities: str, **flags: bool) -> Plan:
    return msgspec.structs.replace(Plan(version, capabilities), **flags)


@pytest.mark.parametrize(
    ("built", "version", "capability"),
    [
        (plan("11.4.0.106", "8.9"), "11.4.0.106", "8.9"),
        (plan("11.4.0.106", "8.9"), "11.4.0.106", None),
        (plan("11.4.0.106", "8.6", "8.9"), "11.4.0.106", "8.6"),
        (plan("11.4.0.106"), "11.4.0.106", "7.5"),
        (plan("11.4.0.106", "8.6", hardware_compatible=True), "11.4.0.106", "12.0"),
        (plan("10.7.0"), "10.7.0.post1", None),  # the package was packed anew
        (plan("10.7.0.23", version_compatible=True), "11.4.0.106", None),
        (plan("10.7.0.23", version_compatible=True), "10.7.0.23", None),
        (plan("9.3.0", version_compatible=True), "10.7.0", None),  # numbers, not letters
    ],
)
def test_an_engine_of_this_machine_is_taken(
    built: Plan, version: str, capability: str | None
) -> None:
    """The same version and GPU, or newer ones where the engine was built for that."""
    check_plan(HERE, manifest(built), version, capability)


@pytest.mark.parametrize(
    ("built", "version", "words"),
    [
        (plan("11.4.0.106"), "11.4.1.12", r"11\.4\.0\.106 and runs on that version, .* 11\.4\.1"),
        (plan("11.4.0.106"), "10.7.0", r"TensorRT 11\.4\.0\.106 .* here is TensorRT 10\.7\.0;"),
        (plan("11.4.0", version_compatible=True), "10.7.0", "that version or newer, but here is"),
        (plan("new", version_compatible=True), "10.7.0", "built by TensorRT new"),
        (plan("new"), "10.7.0", "built by TensorRT new"),
        (None, "10.7.0", r"does not say which TensorRT .* here is TensorRT 10\.7\.0"),
    ],
)
def test_an_engine_of_another_version_is_refused(
    built: Plan | None, version: str, words: str
) -> None:
    """The sentence has both versions and the command that builds the engine anew."""
    with pytest.raises(ModelError, match=rf"line-3/engine .*{words}") as caught:
        check_plan(HERE, manifest(built), version, None)
    assert str(caught.value).endswith("; build it anew with: engine-build steel.onnx")


@pytest.mark.parametrize(
    ("built", "target", "capability", "words"),
    [
        (plan("1.7", "8.9"), "tensorrt", "8.6", r"capability 8\.9, but the GPU here has 8\.6;"),
        (plan("1.7", "8.9"), "tensorrt", "12.0", r"capability 8\.9, but .* 12\.0;"),
        (plan("1.7", "8.6", "12.0"), "tensorrt", "8.9", r"capability 8\.6 or 12\.0, but .* 8\.9;"),
        (
            plan("1.7", "12.0", "8.6", hardware_compatible=True),
            "tensorrt",
            "7.5",
            r"capability 8\.6 or newer, but the GPU here has 7\.5;",
        ),
        (plan("1.7"), "tensorrt-rtx", "7.5", r"capability 8\.0, 8\.6, .* or newer, but .* 7\.5;"),
    ],
)
def test_an_engine_of_another_gpu_is_refused(
    built: Plan, target: GpuTarget, capability: str, words: str
) -> None:
    """The sentence has both capabilities and the command."""
    with pytest.raises(ModelError, match=words) as caught:
        check_plan(HERE, manifest(built, target), "1.7", capability)
    assert str(caught.value).endswith("; build it anew with: engine-build steel.onnx")


def test_a_manifest_without_command_gets_a_general_one() -> None:
    with pytest.raises(
        ModelError,
        match=r"engine-build MODEL\.onnx --target tensorrt-rtx --output line-3/engine$",
    ):
        check_plan(HERE, manifest(plan("1.7"), "tensorrt-rtx", command=""), "1.6", None)


RTX_GPUS = ("7.5", "8.0", "8.6", "8.9", "12.0", "12.1")


@pytest.mark.parametrize("capability", [*RTX_GPUS, "12.2", "13.0"])
def test_tensorrt_rtx_runs_on_the_gpus_it_knows(capability: str) -> None:
    """Those of its table and all above it; an engine for Turing is built for Turing alone."""
    built = plan("1.7", "7.5") if capability == "7.5" else plan("1.7")
    check_plan(HERE, manifest(built, "tensorrt-rtx"), "1.7", capability)


@pytest.mark.parametrize("capability", ["7.2", "8.7", "9.0", "10.0", "10.3", "11.0"])
def test_tensorrt_rtx_names_another_target_where_it_does_not_run(capability: str) -> None:
    """Jetson Orin, H100, B200: to build the engine anew would not help."""
    with pytest.raises(ModelError) as caught:
        check_plan(HERE, manifest(plan("1.7"), "tensorrt-rtx"), "1.7", capability)
    assert f"does not support compute capability {capability}" in str(caught.value)
    assert "--target tensorrt, " in str(caught.value)
    assert "anew" not in str(caught.value)


def test_the_librarys_own_word_comes_before_the_table() -> None:
    """A newer TensorRT-RTX may know more GPUs, or no longer all of these."""
    found = manifest(plan("1.9"), "tensorrt-rtx")
    check_plan(HERE, found, "1.9", "9.0", accepted=True)
    with pytest.raises(ModelError, match=r"but the GPU here has 8\.9"):
        check_plan(HERE, found, "1.9", "8.9", accepted=False)


def module(name: str, version: str) -> ModuleType:
    """A library in name and version."""
    found = ModuleType(name)
    vars(found)["__version__"] = version
    return found


@pytest.mark.parametrize("target", ["tensorrt", "tensorrt-rtx"])
def test_a_gpu_engine_needs_its_library(monkeypatch: pytest.MonkeyPatch, target: GpuTarget) -> None:
    """Where it is not installed, the sentence says how to install it."""
    for name in ("tensorrt", "tensorrt_rtx", "tensorrt_lean"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModelError, match=rf"not installed here; .* pip install '\.\[{target}\]'$"):
        engine_factory(HERE, manifest(plan(), target))


@pytest.mark.parametrize(
    ("target", "name"), [("tensorrt", "tensorrt"), ("tensorrt-rtx", "tensorrt_rtx")]
)
def test_a_gpu_engine_of_another_version_is_refused(
    monkeypatch: pytest.MonkeyPatch, target: GpuTarget, name: str
) -> None:
    """By the version of the module, whatever distribution it came in, and before it loads a plan.

    `tensorrt-cu12` and `tensorrt-rtx-cu12`, for example, bring the same modules.
    """
    monkeypatch.setitem(sys.modules, name, module(name, "9.8.7.6"))
    assert load_library(target).__version__ == "9.8.7.6"
    with pytest.raises(ModelError, match=r"11\.4\.0\.106 .* but here is TensorRT.* 9\.8\.7\.6;"):
        engine_factory(HERE, manifest(plan(), target))
    engine_factory(HERE, manifest(plan("9.8.7.6"), target))


def test_the_lean_runtime_runs_only_what_was_built_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands in where TensorRT is missing, and only for version-compatible engines."""
    compatible, exact = plan("11.2.0", version_compatible=True), plan("11.4.0.106")
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt_lean", module("tensorrt_lean", "11.4.0.106"))
    assert load_runtime("tensorrt", compatible).__name__ == "tensorrt_lean"
    engine_factory(HERE, manifest(compatible))
    with pytest.raises(ModelError, match=r"lean runtime 11\.4\.0\.106 alone, .*--version-compat"):
        engine_factory(HERE, manifest(exact))
    newer = plan("11.5.0", version_compatible=True)
    with pytest.raises(ModelError, match=r"built by TensorRT 11\.5\.0 .* here is TensorRT 11\.4"):
        engine_factory(HERE, manifest(newer))
    monkeypatch.setitem(sys.modules, "tensorrt", module("tensorrt", "11.4.0.106"))
    assert load_runtime("tensorrt", compatible).__name__ == "tensorrt"
    engine_factory(HERE, manifest(exact))


def test_the_lean_runtime_builds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build asks for the whole library."""
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt_lean", module("tensorrt_lean", "11.4.0.106"))
    with pytest.raises(ModelError, match=r"needs TensorRT, which is not installed here"):
        load_library("tensorrt")


def test_an_engine_without_a_file_is_refused() -> None:
    """Before any library is looked for."""
    bare = msgspec.structs.replace(manifest(plan()), files=())
    with pytest.raises(ModelError, match=r"names no file to load; .*: engine-build steel\.onnx$"):
        engine_factory(HERE, bare)
