"""When the state of a training is saved, and how a training is stopped."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from goldfold.base.errors import Stopped
from goldfold.engine.checkpoint import StateFile

SIGNALS = (signal.SIGTERM, signal.SIGINT)
"""Of schedulers (Slurm's preemption, Snakemake's end) and of Ctrl-C."""


class Asked:
    """Whether this process was asked to end: the signal's number, once there was one."""

    signal: int | None = None

    def note(self, number: int, frame: Any) -> None:
        """Handle a signal."""
        self.signal = self.signal or number


@contextmanager
def signals_noted() -> Iterator[Asked]:
    """Within the block, signals to end are only noted, so that no step is torn; those ignored before stay so."""
    asked = Asked()
    is_main = threading.current_thread() is threading.main_thread()  # only there may handlers be set
    noted = [number for number in SIGNALS if is_main and signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, asked.note) for number in noted}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


class Keeper:
    """Saves the state from time to time, and ends the process once it was asked to."""

    def __init__(
        self, file: StateFile, every_seconds: float, n_steps: int, asked: Asked, saved_step: int | None = None
    ) -> None:
        """``saved_step`` is that of the state which the file holds already."""
        self.file, self.every_seconds, self.n_steps, self.asked = file, every_seconds, n_steps, asked
        self.saved_step, self.saved_at = saved_step, time.monotonic()

    def __call__(self, step: int, state: Callable[[], dict[str, Any]]) -> None:
        """Save where it is time to; ``step`` steps are done.

        Raises:
            Stopped: a signal asked for the end; the state is saved.
        """
        is_due = time.monotonic() - self.saved_at >= self.every_seconds
        if step != self.saved_step and (is_due or self.asked.signal):
            self.saved_step = step if self.file.write(state()) else None
            self.saved_at = time.monotonic()
        if self.asked.signal:
            name = signal.Signals(self.asked.signal).name
            outcome = "state saved, run again to go on" if self.saved_step == step else "its state could not be saved"
            print(f"stopped by {name} at step {step} of {self.n_steps}; {outcome}", flush=True)
            raise Stopped(128 + self.asked.signal)
