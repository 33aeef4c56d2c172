"""Notes on trainings that did not run as configured: ended early, or with smaller batches, without an average or compiler."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from goldfold.base.words import count, noun
from goldfold.drawing.blocks import Note
from goldfold.drawing.words import listed
from goldfold.planning.runs import Run as Place
from goldfold.report import rounds
from goldfold.report.results import Results, Run

MOST_NAMES = 3
"""Most runs that a note names."""


def notes(results: Results) -> Iterator[Note]:
    """All notes on how the trainings ended."""
    yield from _on_validation(results)
    yield from _by_other_means(results)
    yield from _without_average(results)
    yield from _smaller_batches(results)
    yield from _not_compiled(results)


def epochs_of(runs: list[Run]) -> str:
    """Numbers of epochs that were trained: ``7`` or ``7 to 12``."""
    done = [len(run.history) for run in runs]
    return f"{min(done)}" if min(done) == max(done) else f"{min(done)} to {max(done)}"


def _stopped(results: Results, on_validation: bool) -> list[Run]:
    """Runs that ended early and that the final networks come from, by their starts or their teachers."""
    of, final = results.grid, rounds.final_runs(results)
    used = {_place(run) for one in final for run in chain(of.ancestry(one), of.taught(one))}
    return [
        run
        for run in results.runs
        if (found := run.record.get("stopped")) and found["on_validation"] == on_validation and _place(run) in used
    ]


def _place(run: Run | Place) -> tuple[str, int, int, int]:
    return run.model, run.round, run.fold, run.seed


def _on_validation(results: Results) -> Iterator[Note]:
    runs = _stopped(results, on_validation=True)
    if runs:
        yield Note(
            "warn",
            "The last epoch was chosen on the validation fold",
            f"{_ended(results, runs)} These networks are scored on the same {results.row}s, which inflates the out-of-fold "
            f"score a little, whatever checkpoint says. A fixed number of epochs (train.epochs, without early_stopping) "
            f"avoids this.",
        )


def _by_other_means(results: Results) -> Iterator[Note]:
    runs = _stopped(results, on_validation=False)
    if runs:
        by_time = any(run.record["stopped"]["by"] == "max_hours" for run in runs)
        text = (
            " The number of epochs depends on the speed of the machine, so another run gives other networks." * by_time
        )
        yield Note("info", "Trainings ended early", f"{_ended(results, runs)}{text}")


def _ended(results: Results, runs: list[Run]) -> str:
    """Say which runs ended after how many epochs, and why."""
    planned = {rounds.train_of(results.settings, run.model, run.round)["epochs"] for run in runs}
    of = f" of {min(planned)}" if len(planned) == 1 else ""
    examples = [f"{_name(run)} ({run.record['stopped']['why']})" for run in runs]
    by = listed(list(dict.fromkeys(str(run.record["stopped"]["by"]) for run in runs)))
    return f"{by} ended {count(len(runs), 'training run')} after {epochs_of(runs)}{of} epochs: {listed(examples, MOST_NAMES)}."


def _without_average(results: Results) -> Iterator[Note]:
    runs = _those(results, lambda record: "swa" in record and record["swa"]["averaged"] < 2)
    if runs and any(rounds.train_of(results.settings, run.model, run.round)["epochs"] > 1 for run in runs):
        text = "ended before SWA had averaged two networks, so the network as trained is used."
        yield Note("warn", "SWA averaged nothing", f"{_names(runs)} {text}")


def _smaller_batches(results: Results) -> Iterator[Note]:
    def is_small(record: dict[str, Any]) -> bool:
        wanted = record.get("recipe", {}).get("settings", {}).get("model", {}).get("train", {}).get("batch_size")
        return bool(wanted) and record.get("batch_size", wanted) < wanted * record.get("gpus", 1)

    runs = _those(results, is_small)
    if runs:
        sizes = listed([str(size) for size in sorted({run.record["batch_size"] for run in runs})])
        yield Note(
            "info",
            "Batches are smaller than configured",
            f"{_names(runs)} had fewer training {results.row}s than train.batch_size: each batch had all of them ({sizes}). "
            f"Set a smaller train.batch_size, with a learning rate for it.",
        )


def _not_compiled(results: Results) -> Iterator[Note]:
    runs = _those(results, lambda record: bool(record.get("not_compiled")))
    if runs:
        why = runs[0].record["not_compiled"]
        yield Note("info", "train.compile had no effect", f"{_names(runs)} {_was(runs)} trained uncompiled: {why}.")


def _was(runs: list[Run]) -> str:
    return noun(len(runs), "was", "were")


def _those(results: Results, wanted: Callable[[dict[str, Any]], bool]) -> list[Run]:
    return [run for run in results.runs if wanted(run.record)]


def _name(run: Run) -> str:
    return f"{run.model}, round {run.round}, fold {run.fold}, seed {run.seed}"


def _names(runs: list[Run]) -> str:
    more = ", ..." * (len(runs) > MOST_NAMES)
    return f"{count(len(runs), 'training run')} ({'; '.join(map(_name, runs[:MOST_NAMES]))}{more})"
