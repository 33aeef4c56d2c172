"""Handle signals without deadlocks."""

import _thread
import signal


def handle_apart(number: int) -> None:
    """Call the present handler of a signal in a thread of its own.

    Snakemake's handler of SIGTERM takes a lock of its scheduler, in the main thread: a signal that arrives while the main thread
    holds this lock, as it does while jobs are selected, would wait for itself, and the run would never end.
    """
    before = signal.getsignal(number)
    if callable(before):
        handler = before
        signal.signal(number, lambda *args: _thread.start_new_thread(handler, args))
