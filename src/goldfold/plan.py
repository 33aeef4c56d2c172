"""The plan of a run as plain data: the grid of `goldfold.grid`, its jobs, and every path of the results.

With the grid the only place that knows runs and where their files lie. Neither imports a library, so that the Snakefile,
the stages and the commands can all ask them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from goldfold.grid import LABELS, RUN, Grid, Labels, Run

if TYPE_CHECKING:
    from goldfold.config import Config

SHARD = "{spec}/{shard}"
UPSTREAM = ("demo", "manifest", "folds")
"""Stages that write or read the raw data; what comes after depends on the lists that they write."""
STAGES = (*UPSTREAM, "cache", "train", "predict", "pseudo_label", "ensemble", "submit", "report")
WILDCARDS: dict[str, tuple[str, ...]] = {
    "cache": ("spec", "shard"),
    "train": ("model", "round", "fold", "seed"),
    "predict": ("model", "round", "fold", "seed"),
    "pseudo_label": ("round", "fold"),
}
"""What tells the jobs of a stage apart; a stage that is not named has one job."""
PLACE = ("round", "fold", "seed")
"""Wildcards that are numbers."""
FOLD_TABLES = ("summary.csv", "quarantine.csv", "duplicates.csv")
FOLD_FACTS = ("split.json", "classes.json", "class_ids.json", "test_groups.json")


class Job(NamedTuple):
    """A job: its stage, and what tells it from the stage's others."""

    stage: str
    model: str = ""
    round: int = 0
    fold: int = 0
    seed: int = 0
    spec: str = ""
    shard: str = ""

    @property
    def name(self) -> str:
        """Stage and place.

        >>> job_of("train", Run("unet", 0, 1, 2)).name
        'train unet/round0/fold1/seed2'
        """
        patterns = {"cache": SHARD, "train": RUN, "predict": RUN, "pseudo_label": LABELS}
        return f"{self.stage} {patterns.get(self.stage, '').format(**self._asdict())}".rstrip()

    @property
    def run(self) -> Run:
        """The run that it makes a part of."""
        return Run(self.model, self.round, self.fold, self.seed)

    @property
    def place(self) -> dict[str, int]:
        """Round, fold and seed."""
        return {"round": self.round, "fold": self.fold, "seed": self.seed}


def job_of(stage: str, run: Run) -> Job:
    """The job of a stage that makes a part of a run."""
    return Job(stage, run.model, run.round, run.fold, run.seed)


def job_at(stage: str, wildcards: Any) -> Job:
    """The job of a stage by Snakemake's wildcards, which are attributes, and all text."""
    found: dict[str, Any] = {name: getattr(wildcards, name) for name in WILDCARDS.get(stage, ())}
    return Job(stage, **(found | {name: int(found[name]) for name in PLACE if name in found}))


@dataclass(frozen=True)
class Files:
    """What the jobs of a stage write, as patterns of their wildcards.

    Args:
        outputs: one path or several by the name that the rule declares them by, the record last.
        beside: files that are written besides the outputs, and that the record must know.
    """

    outputs: dict[str, str | list[str]]
    log: str
    benchmark: str
    beside: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        return self.outputs[name]

    @property
    def all(self) -> list[str]:
        """All outputs."""
        return [path for found in self.outputs.values() for path in ([found] if isinstance(found, str) else found)]


@dataclass(frozen=True)
class Plan:
    """All that a config asks to be made.

    Args:
        results: folder of the results.
        specs: name of the cache by model; models of one size share it.
        splits: parts of the data that have images.
        tables: tables that the manifest makes.
        sources: splits that pseudo labels are made for, of all rounds together.
        n_shards: pieces of the cache per split.
        demo: files of the data that the stage `demo` writes.
        generated: paths that the data source writes itself.
        task_cache: files that a piece of cache holds.
        task_submission: files, and folders with a closing slash, of the submission besides its table.
        has_metadata: whether the data have metadata columns.
        with_metadata: names of the models that take them.
    """

    results: str
    grid: Grid
    specs: dict[str, str]
    splits: tuple[str, ...]
    tables: tuple[str, ...]
    sources: tuple[str, ...]
    n_shards: int
    demo: tuple[str, ...] = ()
    generated: tuple[str, ...] = ()
    task_cache: tuple[str, ...] = ()
    task_submission: tuple[str, ...] = ()
    has_metadata: bool = False
    with_metadata: tuple[str, ...] = ()

    @property
    def has_test(self) -> bool:
        """Whether there are test images, and so a submission."""
        return "test" in self.splits

    @property
    def made_data(self) -> list[str]:
        """Files of the data that are not the user's: where one is gone, it is made again."""
        return [*self.demo, *self.generated]

    @cached_property
    def files(self) -> dict[str, Files]:
        """What each stage writes."""
        return _files(self)

    @cached_property
    def labels(self) -> dict[tuple[int, int], Labels]:
        """Pseudo labels by round and fold."""
        return {(labels.round, labels.fold): labels for labels in self.grid.labels()}

    def parents(self, run: Run) -> tuple[Run, ...]:
        """Runs that a run learns from, all of its own fold."""
        labels, start = self.labels.get((run.round, run.fold)), self.grid.start(run)
        return (*(labels.teachers if labels else ()), *([start.parent] if start else ()))

    @property
    def metadata_parts(self) -> list[str]:
        """Parts of the data that have a list of metadata."""
        parts = [*(f"fold{fold}" for fold in range(self.grid.n_folds)), *["test"] * self.has_test]
        return parts if self.has_metadata else []

    @property
    def runs(self) -> list[Run]:
        """All training runs."""
        return self.grid.runs()

    def stages(self) -> list[str]:
        """Stages that have jobs, upstream first."""
        unused = {"submit": not self.has_test, "demo": not self.demo}
        return [stage for stage in STAGES if not unused.get(stage)]

    def jobs(self, stage: str) -> list[Job]:
        """Jobs of a stage."""
        if stage in ("train", "predict"):
            return [job_of(stage, run) for run in self.grid.runs()]
        if stage == "pseudo_label":
            return [Job(stage, round=number, fold=fold) for number, fold in self.labels]
        if stage == "cache":
            return [job for spec in sorted({*self.specs.values()}) for job in self.pieces(spec, self.splits)]
        return [Job(stage)] if stage in self.stages() else []

    def pieces(self, spec: str, splits: Iterable[str]) -> list[Job]:
        """Pieces of the cache of one size."""
        return [Job("cache", spec=spec, shard=f"{split}-{piece}") for split in splits for piece in range(self.n_shards)]

    def caches(self, job: Job) -> list[Job]:
        """Pieces of the cache that a training or a prediction reads: training learns from pseudo-labelled images too."""
        if job.stage == "train":
            labels = self.labels.get((job.round, job.fold))
            return self.pieces(self.specs[job.model], ["train", *(labels.sources if labels else ())])
        return self.pieces(self.specs[job.model], self.splits) if job.stage == "predict" else []

    def metadata_lists(self, job: Job) -> list[str]:
        """Files below ``folds/`` with the metadata that a training or a prediction reads, where its model takes it."""
        if job.model not in self.with_metadata:
            return []
        labels = self.labels.get((job.round, job.fold)) if job.stage == "train" else None
        others = self.splits[1:] if job.stage == "predict" else labels.sources if labels else ()
        return [metadata_list(part) for part in (f"fold{job.fold}", *others)]

    def above(self, job: Job) -> list[Job]:
        """Jobs that a job takes files from, the cache and the lists of the folds aside.

        A job asks for the cache only where it runs, and the lists are written only where their content changes.
        """
        if job.stage == "manifest":
            return self.jobs("demo")
        if job.stage == "folds":
            return [Job("manifest")]
        if job.stage == "train":
            return [*self.jobs_of_labels(job), *self.start_of(job)]
        if job.stage == "predict":
            return [job._replace(stage="train")]
        if job.stage == "pseudo_label":
            return [job_of("predict", run) for run in self.labels[job.round, job.fold].teachers]
        if job.stage == "ensemble":
            return self.jobs("predict")
        if job.stage == "submit":
            return [Job("ensemble")]
        return [Job("ensemble"), *self.jobs("submit"), *self.jobs("train")] if job.stage == "report" else []

    def jobs_of_labels(self, job: Job) -> list[Job]:
        """The job whose pseudo labels a training learns from, where there is one."""
        has_labels = (job.round, job.fold) in self.labels
        return [Job("pseudo_label", round=job.round, fold=job.fold)] if has_labels else []

    def start_of(self, job: Job) -> list[Job]:
        """The training whose weights a training starts from, where it does not start from scratch."""
        start = self.grid.start(job.run)
        return [job_of("train", start.parent)] if start else []

    def record(self, job: Job) -> str:
        """Path of a job's record."""
        return str(self.files[job.stage]["record"]).format_map(job._asdict())

    def outputs(self, job: Job) -> list[str]:
        """What Snakemake takes for a job's outputs, its record among them."""
        values = job._asdict()
        return [path.format_map(values) for path in self.files[job.stage].all]

    def expected(self, job: Job) -> list[str]:
        """Files that a job's record must know: its outputs, and the lists that it writes beside them."""
        return [*self.outputs(job), *self.files[job.stage].beside]

    def folder(self, stage: str, run: Run) -> str:
        """Folder that a stage writes for a run."""
        return f"{self.results}/{stage}/{run.folder}"

    def predictions(self, part: str, runs: Iterable[Run]) -> list[str]:
        """Files of predictions of some runs, of a part (``oof`` or a split)."""
        return [f"{self.folder('predict', run)}/{part}.npz" for run in runs]

    def cache_folders(self, job: Job) -> list[str]:
        """Folders of the pieces of the cache that a job reads."""
        return [f"{self.results}/cache/{SHARD.format_map(piece._asdict())}" for piece in self.caches(job)]


def cache_spec(size: tuple[int, int], resize: str) -> str:
    """Name of the cache of images of one size.

    >>> cache_spec((224, 320), "squash")
    '224x320-squash'
    """
    return f"{size[0]}x{size[1]}-{resize}"


def plan_of(config: "Config") -> Plan:
    """The plan of a config."""
    grid = config.grid
    return Plan(
        results=config.results,
        grid=grid,
        specs={model.name: cache_spec(config.cached_size(model), model.resize) for model in config.models},
        splits=tuple(config.splits),
        tables=tuple(config.tables),
        sources=tuple(split for split in config.splits if any(split in stage.sources for stage in grid.rounds)),
        n_shards=config.data.shards,
        demo=tuple(config.data.demo_files),
        generated=tuple(config.data.generated),
        task_cache=config.cache_files,
        task_submission=config.submission_files,
        has_metadata=config.data.has_metadata,
        with_metadata=tuple(model.name for model in config.models if model.branch is not None),
    )


def _files(plan: Plan) -> dict[str, Files]:
    root, tests = plan.results, ["oof", "test"][: 1 + plan.has_test]

    def files(outputs: dict[str, Any], about: str, record: str, beside: Iterable[str] = ()) -> Files:
        whole = {name: found if isinstance(found, str) else list(found) for name, found in outputs.items()}
        log, times = f"{root}/logs/{about}.log", f"{root}/benchmarks/{about}.tsv"
        return Files({**whole, "record": f"{root}/{record}"}, log, times, tuple(beside))

    manifest = {
        "tables": [f"{root}/manifest/{table}.csv" for table in plan.tables],
        "quarantine": f"{root}/manifest/quarantine.csv",
        "duplicates": f"{root}/manifest/duplicates.csv",
        "classes": f"{root}/manifest/classes.json",
        "class_ids": f"{root}/manifest/class_ids.json",
        "generated": plan.generated,
    }
    train, predict, cache = f"{root}/train/{RUN}", f"{root}/predict/{RUN}", f"{root}/cache/{SHARD}"
    ensemble = {
        "ensemble": [f"{root}/ensemble/{part}.{suffix}" for part in tests for suffix in ("npz", "csv")],
        "weights": f"{root}/ensemble/weights.json",
        "fitted": f"{root}/ensemble/fitted.json",
        "rounds": f"{root}/ensemble/rounds.csv",
        "leaderboard": f"{root}/leaderboard.csv",
        "metrics": f"{root}/metrics.json",
        "headline": f"{root}/headline.json",
    }
    extras = plan.task_submission if plan.has_test else ()
    submit = {
        "table": f"{root}/submission.csv",
        "files": [f"{root}/{name}" for name in extras if not name.endswith("/")],
        "folders": [f"{root}/{name[:-1]}" for name in extras if name.endswith("/")],
    }
    parts = ["oof", *plan.splits[1:]]
    return {
        "demo": files({"data": plan.demo}, "demo", "demo/run.json"),
        "manifest": files(manifest, "manifest", "manifest/run.json"),
        "folds": files({}, "folds", "folds/run.json", (f"{root}/folds/{name}" for name in _fold_lists(plan))),
        "cache": files(
            {"files": [f"{cache}/{name}" for name in plan.task_cache]}, f"cache/{SHARD}", f"cache/{SHARD}/run.json"
        ),
        "train": files(
            {"model": f"{train}/model.safetensors", "history": f"{train}/history.csv"},
            f"train/{RUN}",
            f"train/{RUN}/run.json",
        ),
        "predict": files(
            {"parts": [f"{predict}/{part}.npz" for part in parts]}, f"predict/{RUN}", f"predict/{RUN}/run.json"
        ),
        "pseudo_label": files(
            {"table": f"{root}/pseudo/{LABELS}.csv"}, f"pseudo/{LABELS}", f"pseudo/{LABELS}.run.json"
        ),
        "ensemble": files(ensemble, "ensemble", "ensemble/run.json"),
        "submit": files(submit, "submit", "submission.run.json"),
        "report": files(
            {"page": f"{root}/report/report.html", "curves": f"{root}/report/curves.csv"}, "report", "report/run.json"
        ),
    }


def metadata_list(part: str) -> str:
    """Name of the list of metadata of a part of the data: ``fold<k>``, or a split.

    >>> metadata_list("fold0")
    'fold0-metadata.csv'
    """
    return f"{part}-metadata.csv"


def _fold_lists(plan: Plan) -> list[str]:
    """Lists that the folds stage writes beside its record: new only where their content is."""
    return [
        *(f"fold{fold}.csv" for fold in range(plan.grid.n_folds)),
        *(f"{table}.csv" for table in plan.tables),
        *(metadata_list(part) for part in plan.metadata_parts),
        *(f"shards/{split}-{piece}.csv" for split in plan.splits for piece in range(plan.n_shards)),
        *FOLD_TABLES,
        *FOLD_FACTS,
    ]
