"""Section on the run: DAG, times, versions, config."""

import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import yaml

from goldfold import catalog
from goldfold.base.native import NATIVE
from goldfold.base.words import count
from goldfold.drawing.blocks import Block, Code, Facts, Section, Table, Text
from goldfold.drawing.words import duration
from goldfold.images import cases
from goldfold.planning import full, inner
from goldfold.planning.full import every_run
from goldfold.planning.jobs import OF_FULL
from goldfold.planning.teaching import teaching_runs
from goldfold.report import dag
from goldfold.report.results import Results, Run
from goldfold.report.written import written


def section(results: Results) -> Section:
    """DAG, run times, hardware, versions and the whole config."""
    intro = "Jobs, run times, hardware, versions and settings."
    config = yaml.safe_dump(written(results.settings), sort_keys=False, allow_unicode=True)
    blocks: list[Block] = [
        dag.draw(_details(results), "Jobs of this run by stage."),
        *_times(results),
        *_models(results),
        *_made_with(results.runs),
        Code("Complete config, with all defaults", config),
    ]
    return Section("run", "Run", intro, blocks)


def n_inner_trainings(results: Results) -> int:
    """Number of inner trainings, which judge the labels of cleaning rounds: models x folds x inner parts."""
    return len(inner.jobs(results.grid, "inner_train"))


def n_training_runs(results: Results) -> int:
    """Number of training runs: trained models x folds x seeds x rounds, inner trainings and trainings on all rows."""
    n_full = len(every_run(results.grid, results.full))
    return len(results.grid.trained_runs()) + n_inner_trainings(results) + n_full


def _details(results: Results) -> dict[str, str]:
    settings, n_trained = results.settings, len(results.grid.trained_runs())
    heads = {name for name, origin in results.grid.origins.items() if origin.head}
    n_runs = sum(run.model not in heads for run in results.grid.runs())
    shared = settings.get("cache", {}).get("image_size_px")
    shapes = {
        (str(model.get("cache_image_size_px") or shared or model["image_size_px"]), model["resize"])
        if not model.get("windows")
        else (str(model["windows"]["scale"]), NATIVE)
        for model in settings["models"]
    }
    n_rows = sum(len(table) for table in results.tables.values())
    details = {
        "manifest": count(n_rows, cases.word(results.tables["train"])),
        "folds": count(settings["folds"]["n_folds"], "fold"),
        "cache": count(len(shapes), "image size"),
        **({"train": count(n_trained, "job"), "predict": count(n_runs, "job")} if n_runs or not heads else {}),
        "ensemble": count(len(results.ensemble["weights"]), "member"),
        "report": "this page",
    }
    numbers = {"derive": n_runs - n_trained, "teach": len(teaching_runs(results.grid))}
    numbers |= {stage: len(full.jobs(results.grid, results.full, stage)) for stage in OF_FULL}
    numbers |= {stage: len(inner.jobs(results.grid, stage)) for stage in inner.STAGES}
    numbers |= {"heads": len(heads)}
    details |= {stage: count(number, "job") for stage, number in numbers.items() if number}
    details |= {"embed": "frozen"} if heads else {}
    details |= {"crop": "by a detector"} if settings["data"].get("roi", {}).get("method") == "detector" else {}
    if (source := settings["data"].get("source")) in catalog.DEMOS:
        details["demo"] = source
    if results.test is not None:
        details["submit"] = count(len(results.tables["test"]), cases.word(results.tables["test"]))
    if results.taught:
        details["pseudo_label"] = count(len(results.taught), "round")
    return details


def _times(results: Results) -> list[Block]:
    jobs = results.benchmarks
    if jobs.empty:
        return [Text("No run times were found on disk.", heading="Times")]
    line = dag.LINE_OF_STAGES
    more = dag.LOWER_STAGES
    known = ["demo", *line[: (place := line.index("ensemble"))], *more, *line[place:]]
    order = [name for name in known if name in set(jobs["stage"])]
    rows = [[name, *_summary(jobs[jobs["stage"] == name])] for name in order]
    total = float(jobs["seconds"].sum())
    text = (
        f"{duration(total)} in {count(len(jobs), 'job')} ({total / 3600:.2f} hours, summed over the jobs; wall-clock time is "
        f"shorter if jobs ran in parallel)."
    )
    columns = ["stage", "jobs", "mean", "shortest", "longest", "total", "peak memory"]
    return [Text(text, heading="Times"), Table(columns, rows, text_columns=["stage"])]


def _summary(jobs: pd.DataFrame) -> list[str]:
    seconds, memory = jobs["seconds"], pd.to_numeric(jobs["mb"], errors="coerce").max()
    return [
        f"{len(jobs):,}", *(duration(float(value)) for value in (seconds.mean(), seconds.min(), seconds.max(), seconds.sum())),
        "–" if memory != memory else f"{memory:,.0f} MB",
    ]  # fmt: skip


def _models(results: Results) -> list[Block]:
    rows = []
    for model in results.models:
        runs = [run for run in results.runs if run.model == model]
        jobs = results.benchmarks[(results.benchmarks["stage"] == "train") & (results.benchmarks["model"] == model)]
        if runs:
            parameters = runs[0].record.get("parameters")
            times = _summary(jobs)[1:5] if len(jobs) else ["–"] * 4
            rows.append([model, f"{parameters:,}" if parameters else "–", f"{len(runs):,}", *times])
    columns = ["model", "parameters", "runs", "mean", "shortest", "longest", "total"]
    return [Text("", heading="Training by model"), Table(columns, rows, text_columns=["model"])] if rows else []


def _made_with(runs: list[Run]) -> list[Block]:
    """Hardware, commit and versions; several values where runs differ."""
    if not runs:
        return []
    names = list(dict.fromkeys(name for run in runs for name in run.record.get("versions", {})))
    versions = [(name, _all(runs, _version_of(name))) for name in names]
    began = sorted(run.record["started"] for run in runs if run.record.get("started"))
    starts = [time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(start)) for start in began]
    facts = [
        ("processor", _all(runs, lambda record: record.get("hardware", {}).get("processor"))),
        ("cores", _all(runs, lambda record: record.get("hardware", {}).get("cores"))),
        ("GPU", _all(runs, lambda record: record.get("hardware", {}).get("gpu"), none="none")),
        ("system", _all(runs, lambda record: record.get("hardware", {}).get("system"))),
        ("device, precision", _all(runs, _arithmetic)),
        (
            "arithmetic threads",
            _all(runs, lambda record: _recipe(record, "settings").get("runtime", {}).get("torch_threads")),
        ),
        ("git commit", _all(runs, _commit, none="not a git checkout")),
        ("code digest of training", _all(runs, lambda record: _recipe(record, "code").get("digest"))),
        ("seeds", ", ".join(map(str, sorted({run.seed for run in runs})))),
        ("first training run started", starts[0] if starts else "–"),
        ("last training run started", starts[-1] if starts else "–"),
    ]
    return [Text("", heading="Environment"), Facts(facts), Text("", heading="Versions"), Facts(versions)]


def _all(runs: list[Run], get: Callable[[dict[str, Any]], Any], none: str = "–") -> str:
    values = dict.fromkeys(none if (value := get(run.record)) is None else str(value) for run in runs)
    return " | ".join(values)


def _arithmetic(record: dict[str, Any]) -> str | None:
    precision = {"no": "fp32"}.get(record.get("precision", ""), record.get("precision"))
    return f"{record['device']}, {precision}" if "device" in record else None


def _recipe(record: dict[str, Any], part: str) -> dict[str, Any]:
    return dict(record.get("recipe", {}).get(part, {}))


def _commit(record: dict[str, Any]) -> str | None:
    git = record.get("git", {})
    return f"{git['commit'][:12]}{' with local changes' if git.get('dirty') else ''}" if git.get("commit") else None


def _version_of(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda record: record.get("versions", {}).get(name)
