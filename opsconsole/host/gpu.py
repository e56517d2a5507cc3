"""NVIDIA GPUs through NVML. Without a driver: an empty list and the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

# nvmlClocksEventReasons bits, nvml.h. Idle (1) and application clocks (2) are not throttling.
_THROTTLE = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "thermal",
    0x40: "hardware thermal",
    0x80: "power brake",
}


class GpuProcess(Struct, frozen=True):
    """A process that computes on a GPU. ``used_bytes`` None: the driver does not tell."""

    pid: int
    used_bytes: int | None


class Gpu(Struct, frozen=True, kw_only=True):
    """One GPU now. ``None``: this card does not report it (MIG, some consumer cards)."""

    index: int
    name: str
    utilization: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    temperature: int | None = None
    throttled: tuple[str, ...] = ()
    ecc_errors: int | None = None
    processes: tuple[GpuProcess, ...] = ()


class Gpus(Struct, frozen=True, kw_only=True):
    """All GPUs of this machine, or why there are none to show."""

    devices: tuple[Gpu, ...] = ()
    driver: str | None = None
    cuda: str | None = None
    reason: str = ""


class GpuReader:
    """Keeps NVML open between readings; :meth:`read` never raises."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._reason = ""
        self._driver: str | None = None
        self._cuda: str | None = None

    def read(self) -> Gpus:
        """The GPUs now."""
        if self._nvml is None and not self._reason:
            self._open()
        if self._nvml is None:
            return Gpus(reason=self._reason)
        nvml = self._nvml
        try:
            count = nvml.nvmlDeviceGetCount()
            devices = tuple(self._device(i) for i in range(count))
        except nvml.NVMLError as error:
            return Gpus(driver=self._driver, cuda=self._cuda, reason=f"NVML: {error}")
        reason = "" if devices else "the driver sees no GPU"
        return Gpus(devices=devices, driver=self._driver, cuda=self._cuda, reason=reason)

    def close(self) -> None:
        """Let go of the driver."""
        if self._nvml is not None:
            self._nvml.nvmlShutdown()
            self._nvml = None

    def _open(self) -> None:
        try:
            import pynvml as nvml
        except ImportError:
            self._reason = "the package nvidia-ml-py is not installed"
            return
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            not_found = "LibraryNotFound" in type(error).__name__ or "Not Found" in str(error)
            self._reason = (
                "no NVIDIA driver (libnvidia-ml.so.1 not found)" if not_found else f"NVML: {error}"
            )
            return
        self._nvml = nvml
        self._driver = _text(_ask(nvml.nvmlSystemGetDriverVersion))
        number = _ask(nvml.nvmlSystemGetCudaDriverVersion_v2)
        self._cuda = f"{number // 1000}.{number % 1000 // 10}" if number else None

    def _device(self, index: int) -> Gpu:
        nvml = self._nvml
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        utilization = _ask(nvml.nvmlDeviceGetUtilizationRates, handle)
        memory = _ask(nvml.nvmlDeviceGetMemoryInfo, handle)
        power = _ask(nvml.nvmlDeviceGetPowerUsage, handle)
        limit = _ask(nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
        reasons = _ask(nvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle) or 0
        processes = _ask(nvml.nvmlDeviceGetComputeRunningProcesses, handle) or []
        return Gpu(
            index=index,
            name=_text(_ask(nvml.nvmlDeviceGetName, handle)) or f"GPU {index}",
            utilization=utilization.gpu / 100 if utilization else None,
            memory_used=int(memory.used) if memory else None,
            memory_total=int(memory.total) if memory else None,
            power_watts=power / 1000 if power is not None else None,
            power_limit_watts=limit / 1000 if limit is not None else None,
            temperature=_ask(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
            throttled=tuple(name for bit, name in _THROTTLE.items() if reasons & bit),
            ecc_errors=_ask(
                nvml.nvmlDeviceGetTotalEccErrors,
                handle,
                nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
                nvml.NVML_VOLATILE_ECC,
            ),
            processes=tuple(
                GpuProcess(p.pid, int(p.usedGpuMemory) if p.usedGpuMemory else None)
                for p in processes
            ),
        )


def _ask(function: Callable[..., Any], *args: Any) -> Any:
    """What NVML answers, or None where this card or driver does not support the question."""
    import pynvml as nvml

    try:
        return function(*args)
    except nvml.NVMLError:
        return None


def _text(value: Any) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
