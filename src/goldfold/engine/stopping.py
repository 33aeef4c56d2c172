"""Save the training state at intervals, and stop cleanly on a signal."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from goldfold.base.errors import Stopped
from goldfold.engine.checkpoint import StateFile

SIGNALS = (signal.SIGTERM, signal.SIGINT)
"""Stop signals of schedulers (Slurm's preemption, Snakemake's shutdown) and of Ctrl-C."""


class StopRequest:
    """Number of the first stop signal that this process received; None if there was none."""

    signal: int | None = None

    def note(self, number: int, frame: Any) -> None:
        """Record a signal; called as its handler."""
        self.signal = self.signal or number


@contextmanager
def signals_noted() -> Iterator[StopRequest]:
    """Only record stop signals within the block, so that no step is interrupted; ignored signals stay ignored."""
    asked = StopRequest()
    is_main = threading.current_thread() is threading.main_thread()  # handlers can only be set in the main thread
    noted = [number for number in SIGNALS if is_main and signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, asked.note) for number in noted}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


class Keeper:
    """Saves the state at intervals, and stops the training after a stop signal."""

    def __init__(
        self, file: StateFile, every_seconds: float, n_steps: int, asked: StopRequest, saved_step: int | None = None
    ) -> None:
        """``saved_step``: step of the state that the file already holds."""
        self.file, self.every_seconds, self.n_steps, self.asked = file, every_seconds, n_steps, asked
        self.saved_step, self.saved_at = saved_step, time.monotonic()

    def __call__(self, step: int, state: Callable[[], dict[str, Any]]) -> None:
        """Save the state if it is due; ``step`` steps are done.

        Raises:
            Stopped: after a stop signal, once the state has been saved.
        """
        is_due = time.monotonic() - self.saved_at >= self.every_seconds
        if step != self.saved_step and (is_due or self.asked.signal):
            self.saved_step = step if self.file.write(state()) else None
            self.saved_at = time.monotonic()
        if self.asked.signal:
            name = signal.Signals(self.asked.signal).name
            outcome = "state saved, run again to resume" if self.saved_step == step else "its state could not be saved"
            print(f"stopped by {name} at step {step} of {self.n_steps}; {outcome}", flush=True)
            raise Stopped(128 + self.asked.signal)
