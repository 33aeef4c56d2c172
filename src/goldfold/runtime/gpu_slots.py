"""One GPU a job: taken by an OS file lock, which the kernel frees when the job dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCKS = Path("/tmp")


def visible_devices() -> list[str]:
    """GPU indices as CUDA counts them, without loading torch or touching the driver.

    CUDA counts what a container shows from 0, whatever the numbers of the device files.
    """
    return [str(number) for number, _ in enumerate(Path("/dev").glob("nvidia[0-9]*"))]


@contextmanager
def gpu_slot(devices: list[str] | None = None, poll_seconds: float = 1.0) -> Iterator[str | None]:
    """Hold one GPU that no other goldfold job holds, and show only that one to this process.

    Call before torch is imported. Yields the device, or None where there is no GPU or where a scheduler or the user
    has already set CUDA_VISIBLE_DEVICES.
    """
    devices = visible_devices() if devices is None else devices
    if not devices or "CUDA_VISIBLE_DEVICES" in os.environ:
        yield None
        return
    while True:
        for device in devices:
            handle = os.open(LOCKS / f"goldfold-{os.getuid()}-gpu{device}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            os.environ["CUDA_VISIBLE_DEVICES"] = device
            try:
                yield device
            finally:
                del os.environ["CUDA_VISIBLE_DEVICES"]
                os.close(handle)
            return
        time.sleep(poll_seconds)
