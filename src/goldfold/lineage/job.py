"""Job scaffolding: log, errors as text, entry in the list of running jobs, record."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from goldfold.base import status
from goldfold.base.errors import Stopped, as_error
from goldfold.base.files import sealed, write_json
from goldfold.base.gpu_slots import gpu_slot
from goldfold.base.log import send_to, tell
from goldfold.base.run_lock import held, leave_with_the_run
from goldfold.lineage import contents, provenance, recipes, records
from goldfold.planning.jobs import stage_of


class Job:
    """Job handle of a script: settings in, facts for the record out."""

    def __init__(self, snakemake: Any) -> None:
        self.snakemake = snakemake
        self.recipe = recipes.read(snakemake.input.recipe)
        self.code = self._code_that_is_there()
        # not read: records of external members, which a training only waits for
        besides = {str(path) for path in (snakemake.input.recipe, *snakemake.input.get("checked", ()))}
        inputs = dict.fromkeys(str(path) for path in snakemake.input if str(path) not in besides)
        self.inputs = records.input_digests(inputs)
        self.facts: dict[str, Any] = {}
        """Further entries of the record; files written besides the outputs are listed under ``files``."""

    def _code_that_is_there(self) -> dict[str, str]:
        """Digests of the code that this process loads, which may have been edited since Snakemake read it."""
        of = self.recipe["code"]["of"]
        self.recipe["code"] = {**self.recipe["code"], "digest": provenance.source_digest(*of)}
        return provenance.code_table(*of)

    def reads(self, paths: Iterable[str]) -> None:
        """List further files in the record that the job reads besides its inputs.

        Raises:
            DataError: a file differs from the record of the job that wrote it.
        """
        self.inputs |= records.input_digests(dict.fromkeys(path for path in paths if path not in self.inputs))

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the stage."""
        return dict(self.recipe["settings"])

    def record(self, started: float) -> dict[str, Any]:
        """The record of the job."""
        snakemake, facts = self.snakemake, dict(self.facts or {})
        own, log, finished = str(snakemake.output.record), Path(str(snakemake.log[0])), time.time()
        outputs = dict.fromkeys(str(path) for path in snakemake.output if str(path) != own)
        files = [str(path) for path in facts.pop("files", [])]
        return {
            "schema": records.SCHEMA,
            "rule": stage_of(snakemake.rule),
            "wildcards": dict(snakemake.wildcards.items()),
            "recipe": self.recipe,
            "inputs": self.inputs,
            "outputs": {path: contents.digest(path) for path in outputs},
            **contents.stamps([*outputs, *files]),
            "logs": [str(path) for path in (log, _benchmark_of(log))],
            "files": {path: contents.digest(path) for path in files},
            **facts,
            "code": self.code,
            "git": provenance.git_state(),
            "versions": provenance.versions(),
            "hardware": provenance.hardware(),
            "started": started,
            "first_step_at": status.first_step_at(),
            "finished": finished,
            "seconds": round(finished - started, 2),
        }


@contextmanager
def job(snakemake: Any) -> Iterator[Job]:
    """Run a job: send its output to its log, end it on a GoldfoldError with only the message, and write its record.

    Only Snakemake and the progress bar write to the terminal. A job that needs a GPU gets one of its own; modules that load
    torch must be imported inside the block, after that.
    """
    log, record = Path(str(snakemake.log[0])), Path(str(snakemake.output.record))
    wildcards = dict(snakemake.wildcards.items())
    name = " ".join([stage_of(snakemake.rule), *(f"{key}={value}" for key, value in wildcards.items())])
    leave_with_the_run()
    send_to(log)
    gpus = snakemake.params.get("gpus")
    slot = gpu_slot(**gpus) if gpus else nullcontext()
    try:
        with held(record), status.running(_results_of(log), name), slot:
            made, started = Job(snakemake), time.time()
            yield made
            write_json(record, sealed(made.record(started)))
    except Stopped:
        raise
    except (Exception, SystemExit) as error:
        tell(as_error(error), record.parent, name)
        _leave()


def _leave() -> None:
    """End the process without Snakemake's wrapper printing a traceback."""
    sys.stdout.flush()
    sys.stderr.flush()
    raise SystemExit(1)


def _benchmark_of(log: Path) -> Path:
    """Benchmark file of a log: results/<name>/benchmarks/....tsv for results/<name>/logs/....log."""
    results = _results_of(log)
    return results / "benchmarks" / log.relative_to(results / "logs").with_suffix(".tsv")


def _results_of(log: Path) -> Path:
    """Folder of results of a log: results/<name> for results/<name>/logs/..."""
    return next((parent.parent for parent in log.parents if parent.name == "logs"), log.parent)
