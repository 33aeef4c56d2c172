"""The frame around every job: its log, its errors as text, its entry in the list of running jobs."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from goldfold.runtime import status
from goldfold.runtime.errors import GoldfoldError
from goldfold.runtime.gpu_slots import gpu_slot


@contextmanager
def job(snakemake: Any) -> Iterator[None]:
    """Send what the job prints to its log; a GoldfoldError ends it with its text alone.

    The terminal stays with Snakemake, and with the progress bar where there is a terminal. A job that asks for a GPU
    gets one to itself; import what loads torch inside the block, after that.
    """
    log = Path(str(snakemake.log[0]))
    log.parent.mkdir(parents=True, exist_ok=True)
    wildcards = dict(snakemake.wildcards.items())
    name = " ".join([snakemake.rule, *(f"{key}={value}" for key, value in wildcards.items())])
    with open(log, "w", encoding="utf-8", buffering=1) as stream:
        status.terminal = os.fdopen(os.dup(2), "w", buffering=1)
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        slot = gpu_slot() if snakemake.resources.get("gpu") else nullcontext()
        with status.running(_results_of(log), name), slot:
            try:
                yield
            except GoldfoldError as error:
                print(f"goldfold: {error}", file=sys.stderr, flush=True)
                _leave()
            except Exception:
                traceback.print_exc()
                _leave()


def _leave() -> None:
    """End the process without Snakemake's wrapper printing the traceback a second time."""
    sys.stdout.flush()
    sys.stderr.flush()
    raise SystemExit(1)


def _results_of(log: Path) -> Path:
    """results/<name> of results/<name>/logs/..."""
    return next((parent.parent for parent in log.parents if parent.name == "logs"), log.parent)
