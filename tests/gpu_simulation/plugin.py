"""pytest on the simulated GPU: its options, its fixtures, and when its own tests run.

tests/conftest.py loads this file. `--simulated-gpu` runs pycuda and our engine on the simulation,
which `make .venv/.gpu-simulation` builds.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from tests.gpu_simulation.checksum import is_tested

HERE = Path(__file__).resolve().parent
BUILT = Path(sys.prefix) / "gpu-simulation"
PYTHON_PATH = (str(HERE), str(BUILT / "site"))
STAND_IN = HERE.parent / "gpu" / "stand_in"
SETTINGS = {
    "copy_us_per_mib": 0,
    "kernel_us": 0,
    "memory_mib": 2048,
    "capability": 89,
    "devices": 1,
    "launch_us": 0,
    "graph_us": 0,
    "faults_stay": 0,
    "uncapturable": 0,
    "pins_stay": 0,
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--simulated-gpu", action="store_true", help="run tests/gpu on a simulated GPU"
    )
    parser.addoption(
        "--stand-in",
        action="store_true",
        help="with --simulated-gpu: our own kernels in place of TensorRT",
    )
    parser.addoption(
        "--test-simulation",
        action="store_true",
        help="run tests/gpu_simulation although nothing in it has changed",
    )


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--simulated-gpu"):
        return
    library = BUILT / "lib" / "libcuda.so.1"
    if not library.exists():
        raise pytest.UsageError(f"{library} is missing; make .venv/.gpu-simulation builds it")
    ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)  # before pycuda, which then takes this one
    sys.path[:0] = PYTHON_PATH
    if config.getoption("--stand-in"):
        sys.path.insert(0, str(STAND_IN))
        os.environ["NVCC"] = str(STAND_IN / "host_nvcc.sh")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the simulation's own tests while it is what they have passed on (ADR 11)."""
    if HERE not in item.path.parents or item.config.getoption("--test-simulation"):
        return
    if is_tested():
        pytest.skip("the simulated GPU has not changed; `make test-simulation` tests it anyway")


class DeviceStats(Mapping[str, int]):
    """Current counts of the simulated GPU: `stats["streams"]`."""

    NAMES = (
        "contexts",
        "streams",
        "events",
        "allocations",
        "allocated_bytes",
        "allocations_total",
        "host_pins",
        "pageable_copies",
        "copies_htod",
        "copies_dtoh",
        "launches",
        "faults",
        "late_frees",
        "graphs",
        "captures",
        "graph_launches",
    )

    def __init__(self, library: ctypes.CDLL) -> None:
        self._read = library.sim_stat
        self._read.restype = ctypes.c_long

    def __getitem__(self, name: str) -> int:
        value = int(self._read(name.encode()))
        if value < 0:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.NAMES)

    def __len__(self) -> int:
        return len(self.NAMES)


@pytest.fixture
def simulated(request: pytest.FixtureRequest) -> bool:
    """Whether the GPU is the simulated one."""
    return bool(request.config.getoption("--simulated-gpu"))


@pytest.fixture
def simulation(simulated: bool) -> Iterator[ctypes.CDLL]:
    """The driver library of the simulated GPU; the default settings are restored afterwards."""
    if not simulated:
        pytest.skip("only the simulated GPU has this")
    library = ctypes.CDLL(str(BUILT / "lib" / "libcuda.so.1"))
    library.sim_set.argtypes = (ctypes.c_char_p, ctypes.c_long)
    yield library
    library.sim_fail(0, 0)
    for name, value in SETTINGS.items():
        library.sim_set(name.encode(), value)


@pytest.fixture
def device_stats(simulation: ctypes.CDLL) -> DeviceStats:
    """Counts of the simulated GPU."""
    return DeviceStats(simulation)


@pytest.fixture
def set_device(simulation: ctypes.CDLL) -> Callable[[str, int], None]:
    """Changes the simulated GPU for one test: `set_device("copy_us_per_mib", 500)`."""

    def change(name: str, value: int) -> None:
        assert simulation.sim_set(name.encode(), value) == 0, f"{name} cannot be {value}"

    return change


@pytest.fixture
def break_device(simulation: ctypes.CDLL) -> Callable[..., None]:
    """Makes the `after`-th copy, fill or launch from now on fail with an error of the device."""

    def fail(error: int = 700, after: int = 1) -> None:  # CUDA_ERROR_ILLEGAL_ADDRESS
        simulation.sim_fail(error, after)

    return fail


@pytest.fixture
def gpu_environment(request: pytest.FixtureRequest, simulated: bool) -> dict[str, str]:
    """The environment in which another process finds the same GPU."""
    environment = dict(os.environ)
    if simulated:
        first = (str(STAND_IN),) if request.config.getoption("--stand-in") else ()
        here = environment.get("PYTHONPATH", "")
        environment["PYTHONPATH"] = os.pathsep.join((*first, *PYTHON_PATH, here))
    return environment
