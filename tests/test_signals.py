"""A signal that arrives while its handler's lock is held must not block the process for ever."""

import signal
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from snakemake.scheduling.job_scheduler import JobScheduler

from goldfold.base.signals import handle_apart


@pytest.fixture
def scheduler() -> Iterator[SimpleNamespace]:
    """Parts of Snakemake's scheduler that its handler of SIGTERM uses; the handler is that of before afterwards."""
    made = SimpleNamespace(_lock=threading.Lock(), _open_jobs=threading.Semaphore(0), _user_kill=None)
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *args: JobScheduler.exit_gracefully(made, *args))
    yield made
    signal.signal(signal.SIGTERM, before)


def test_a_signal_while_snakemake_selects_jobs_ends_the_run_and_does_not_block_it(scheduler: SimpleNamespace) -> None:
    handle_apart(signal.SIGTERM)
    with scheduler._lock:
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0.05)
        assert scheduler._user_kill is None, "it waits for the lock, in another thread"
    assert scheduler._open_jobs.acquire(timeout=10)
    assert scheduler._user_kill == "graceful"


def test_snakemakes_own_handler_would_wait_for_a_lock_that_its_thread_holds(scheduler: SimpleNamespace) -> None:
    scheduler._lock = _Watched()
    with scheduler._lock, pytest.raises(RuntimeError, match="deadlock"):
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_without_a_handler_keeps_its_meaning() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    handle_apart(signal.SIGUSR1)
    assert signal.getsignal(signal.SIGUSR1) is before


class _Watched:
    """A lock that raises an error where a plain one would block its own thread."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __enter__(self) -> None:
        if not self.lock.acquire(blocking=False):
            raise RuntimeError("deadlock")

    def __exit__(self, *error: object) -> None:
        self.lock.release()
