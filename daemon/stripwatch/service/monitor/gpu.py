"""Memory, utilisation and temperature of NVIDIA GPUs, by NVML where it is there."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class GpuFigures:
    """One GPU; None: it does not tell."""

    number: int  # NVML's, as nvidia-smi shows it
    memory_used_bytes: int
    memory_total_bytes: int
    utilisation: float | None  # share of time in which it computed, 0 to 1
    temperature_celsius: int | None


class Gpus:
    """The GPUs of this computer; belongs to one thread."""

    def __init__(self) -> None:
        """Open NVML; without it there are no figures."""
        self._nvml: Any = None
        try:
            import pynvml
        except ModuleNotFoundError:  # of the extras for GPUs
            return
        with suppress(pynvml.NVMLError):  # no driver
            pynvml.nvmlInit()
            self._nvml = pynvml

    def read(self) -> list[GpuFigures]:
        """The figures of all GPUs; one that has failed is left out."""
        if self._nvml is None:
            return []
        figures = []
        with suppress(self._nvml.NVMLError):
            for number in range(self._nvml.nvmlDeviceGetCount()):
                with suppress(self._nvml.NVMLError):
                    figures.append(self._read_one(number))
        return figures

    def _read_one(self, number: int) -> GpuFigures:
        nvml = self._nvml
        device = nvml.nvmlDeviceGetHandleByIndex(number)
        memory = nvml.nvmlDeviceGetMemoryInfo(device)
        utilisation = temperature = None
        with suppress(nvml.NVMLError):  # parts of a GPU, as MIG makes them, do not have it
            utilisation = nvml.nvmlDeviceGetUtilizationRates(device).gpu / 100
        with suppress(nvml.NVMLError):
            temperature = nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU)
        return GpuFigures(number, memory.used, memory.total, utilisation, temperature)
