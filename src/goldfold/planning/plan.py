"""The plan of a run as plain data: the grid of `goldfold.planning.grid`, its jobs, and their files.

The modules of this package are the only place that knows runs and their paths. They import no library, so that the
Snakefile, the stages and the commands can all use them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from goldfold.base.errors import ConfigError
from goldfold.planning import edges, full, heads, inner, reads, row_lists
from goldfold.planning.full import NOTHING, FullData
from goldfold.planning.grid import Grid
from goldfold.planning.jobs import CROPPING, OF_RUNS, STAGES, UPSTREAM, Job, job_at, job_of
from goldfold.planning.outputs import HOLDOUT, SHARD, Files, cache_spec, files_of, group_list, metadata_list, part_of
from goldfold.planning.runs import WHOLE, Labels, Run
from goldfold.planning.teaching import parts_of_lesson, teaching_runs
from goldfold.planning.training_inputs import inputs_of
from goldfold.planning.unplanned import why_unplanned

if TYPE_CHECKING:
    from goldfold.config import Config


@dataclass(frozen=True)
class Plan:
    """All jobs and files that a config asks for.

    Args:
        results: folder of the results.
        specs: name of the cache by model; models of one size share a cache.
        splits: splits that have images.
        tables: tables that the manifest stage writes.
        sources: splits that get pseudo labels, over all rounds.
        n_shards: shards of the cache per split.
        demo: data files that the stage `demo` writes.
        generated: paths that the data source itself writes.
        task_cache: files of a cache shard.
        task_submission: files of the submission besides its table; folders end with a slash.
        has_metadata: whether the data have metadata columns.
        with_metadata: names of the models that use them.
        by_metadata: names of the models whose trainings read them otherwise: to sample by one, or as auxiliary targets.
        by_group: names of the models whose training cases are sampled by their groups.
        stacks_metadata: whether steps of the ensemble use them.
        external: names of the members of other tools.
        unlabeled: splits whose images a model learns from without labels, by model and round.
        generating: models and rounds that are trained on generated images besides.
        rows: training rows that a model uses, by model and round; all, if it is not listed.
        full: models that are trained on all labelled rows besides.
        embeddings: name of the embeddings of each head on a frozen backbone.
        stacked: names of the embeddings that steps of the ensemble take.
        detector: plan of the detector by whose boxes images are cropped; None without one.
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
    by_metadata: tuple[str, ...] = ()
    by_group: tuple[str, ...] = ()
    stacks_metadata: bool = False
    external: tuple[str, ...] = ()
    unlabeled: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    generating: tuple[tuple[str, int], ...] = ()
    rows: dict[tuple[str, int], str] = field(default_factory=dict)
    full: FullData = NOTHING
    embeddings: dict[str, str] = field(default_factory=dict)
    stacked: tuple[str, ...] = ()
    detector: "Plan | None" = None

    @property
    def has_test(self) -> bool:
        """Return whether there are test images, and therefore a submission."""
        return "test" in self.splits

    @property
    def predicted(self) -> list[str]:
        """Return the splits that the ensemble predicts besides the training cases."""
        return [split for split in ("test", HOLDOUT) if split in self.splits]

    @property
    def made_data(self) -> list[str]:
        """Data files that goldfold wrote; a missing one is made again."""
        return [*self.demo, *self.generated]

    @cached_property
    def files(self) -> dict[str, Files]:
        """Files that each stage writes."""
        return files_of(self)

    @cached_property
    def labels(self) -> dict[tuple[int, int], Labels]:
        """Pseudo labels by round and fold."""
        return {(labels.round, labels.fold): labels for labels in self.grid.labels()}

    def parents(self, run: Run) -> tuple[Run, ...]:
        """Teachers of a run, and the runs whose weights it starts from or is made from; all of its own fold."""
        if run.model in self.grid.origins:
            return self.grid.sources(run)
        labels, start, lesson = self.labels.get((run.round, run.fold)), self.grid.start(run), self.grid.lesson(run)
        taught = (labels.teachers if labels else ()), (lesson.teachers if lesson else ())
        return (*dict.fromkeys(chain(*taught)), *([start.parent] if start else ()))

    @property
    def folds(self) -> list[int]:
        """Numbers of the folds that have lists; `WHOLE` is among them if models are trained on all rows."""
        return [*range(self.grid.n_folds), *[WHOLE] * bool(self.full.rounds)]

    @property
    def metadata_parts(self) -> list[str]:
        """Parts of the data that have a list of metadata."""
        parts = [*map(part_of, self.folds), *self.predicted]
        return parts if self.has_metadata else []

    @property
    def inner_lists(self) -> list[str]:
        """Lists of the inner trainings that judge labels, below ``folds/``."""
        return inner.lists(self.grid)

    @property
    def row_lists(self) -> list[str]:
        """Lists of the trainings that use some of the training rows, below ``folds/``."""
        return row_lists.lists(self)

    @property
    def runs(self) -> list[Run]:
        """All runs."""
        return self.grid.runs()

    def stages(self) -> list[str]:
        """Stages that have jobs, upstream first."""
        unused = {"submit": not self.has_test, "demo": not self.demo}
        unused |= {"teach": not self.teaching, "external": not self.external, "generate": not self.generating}
        unused |= dict.fromkeys(inner.unused(self.grid), True) | dict.fromkeys(CROPPING, self.detector is None)
        unused |= {stage: not self.jobs(stage) for stage in ("derive", *heads.STAGES, *full.STAGES)}
        return [stage for stage in STAGES if not unused.get(stage)]

    def jobs(self, stage: str) -> list[Job]:
        """Jobs of a stage."""
        if stage == "teach":
            return [job_of(stage, run) for run in self.teaching]
        if stage in OF_RUNS:
            return [job_of(stage, run) for run in heads.network_runs(self) if stage in ("predict", self.maker(run))]
        if stage in heads.STAGES:
            return heads.jobs(self, stage)
        if stage in inner.STAGES:
            return inner.jobs(self.grid, stage)
        if stage in full.STAGES:
            return full.jobs(self.grid, self.full, stage)
        if stage == "pseudo_label":
            return [Job(stage, round=number, fold=fold) for number, fold in self.labels]
        if stage == "cache":
            return [job for spec in sorted({*self.specs.values()}) for job in self.pieces(spec, self.splits)]
        if stage == "generate":
            return [Job(stage, *place, fold=fold) for place in self.generating for fold in range(self.grid.n_folds)]
        if stage == "external":
            return [Job(stage, external=name) for name in self.external]
        return [Job(stage)] if stage in self.stages() else []

    def refuse_unplanned(self, job: Job) -> None:
        """Refuse a job of a run that the config does not ask for, such as of a model that its round does not train.

        Raises:
            ConfigError: it is such a job.
        """
        if job.stage in self._planned and job not in self._planned[job.stage]:
            raise ConfigError(f"{job.name}: {why_unplanned(self.grid, job)}")

    @cached_property
    def _planned(self) -> dict[str, frozenset[Job]]:
        return {stage: frozenset(self.jobs(stage)) for stage in (*OF_RUNS, *full.STAGES)}

    def pieces(self, spec: str, splits: Iterable[str]) -> list[Job]:
        """Cache shards of one size."""
        return [Job("cache", spec=spec, shard=f"{split}-{piece}") for split in splits for piece in range(self.n_shards)]

    def caches(self, job: Job) -> list[Job]:
        """Cache shards that a job of a run reads; training includes those of pseudo-labelled and unlabelled images."""
        if job.stage == "embed":
            return heads.cache(self, job)
        splits = reads.cached_splits(self, job)
        return self.pieces(self.specs[job.model], splits) if splits else []

    def metadata_lists(self, job: Job) -> list[str]:
        """Files below ``folds/`` with the metadata that a job reads, where its model, or a step of the ensemble, uses it."""
        known = frozenset(metadata_list(part) for part in self.metadata_parts)
        return [name for part in reads.metadata_parts(self, job) if (name := metadata_list(part)) in known]

    def group_lists(self, job: Job) -> list[str]:
        """Files below ``folds/`` with the groups that a training reads, where its cases are sampled by group."""
        return [group_list(job.fold)] if job.work == "train" and job.model in self.by_group else []

    def unlabeled_of(self, job: Job) -> list[str]:
        """Splits whose images a training learns from without labels; their lists are inputs of the training."""
        return self.unlabeled.get((job.model, job.round), []) if job.work == "train" else []

    def above(self, job: Job) -> list[Job]:
        """Jobs whose files a job reads, see `goldfold.planning.edges.above`."""
        return edges.above(self, job)

    @property
    def boxes(self) -> list[str]:
        """Files of the detector that crops depend on: networks, and predictions of these and of the ensemble."""
        return edges.boxes(self.detector) if self.detector else []

    def above_of_detector(self, job: Job) -> list[Job]:
        """Jobs of the detector whose files a job reads; empty without a detector."""
        return edges.above_of_detector(job) if self.detector else []

    def labels_of(self, job: Job) -> Labels | None:
        """Pseudo labels that a training reads, or that a job of `full_label` makes."""
        if job.stage in full.STAGES:
            return full.labels_of(self.grid, job.round) if job.work != "predict" else None
        return self.labels.get((job.round, job.fold)) if job.stage == "train" else None

    def histories(self, job: Job) -> list[str]:
        """Histories of the trainings that decide the number of epochs of a training on all rows."""
        return [f"{self.folder('train', run)}/history.csv" for run in full.decided_by(self.grid, self.full, job)]

    def jobs_of_labels(self, job: Job) -> list[Job]:
        """The job that makes the pseudo labels of a training; empty without them."""
        has_labels = (job.round, job.fold) in self.labels
        return [Job("pseudo_label", round=job.round, fold=job.fold)] if has_labels else []

    def images_of(self, job: Job) -> list[Job]:
        """The job that generates images of a training; empty without them."""
        is_taken = (job.model, job.round) in self.generating
        return [Job("generate", job.model, job.round, job.fold)] if is_taken else []

    def start_of(self, job: Job) -> list[Job]:
        """The job that made the weights that a training starts from; empty if it starts from scratch."""
        start = self.grid.start(job.run)
        return [job_of(self.maker(start.parent), start.parent)] if start else []

    def maker(self, run: Run) -> str:
        """The stage that makes the weights of a run: ``derive`` for soups and snapshots, ``train`` for all others."""
        return "derive" if run.model in self.grid.origins else "train"

    @cached_property
    def teaching(self) -> tuple[Run, ...]:
        """Runs that other runs learn from by distillation."""
        return teaching_runs(self.grid)

    def jobs_of_lesson(self, job: Job) -> list[Job]:
        """Jobs that predict the training images of a student by its teachers."""
        return list(dict.fromkeys(job_of(stage, run) for stage, _, run in self._lesson(job)))

    def lesson_files(self, job: Job) -> list[str]:
        """Predictions of the training images of a student by its teachers."""
        return [f"{self.folder(stage, run)}/{part}.npz" for stage, part, run in self._lesson(job)]

    def _lesson(self, job: Job) -> list[tuple[str, str, Run]]:
        labels = self.labels.get((job.round, job.fold))
        return parts_of_lesson(self.grid.lesson(job.run), labels.sources if labels else ())

    def record(self, job: Job) -> str:
        """Path of a job's record."""
        return str(self.files[job.stage]["record"]).format_map(job._asdict())

    def outputs(self, job: Job) -> list[str]:
        """Outputs of a job as declared to Snakemake, including its record."""
        values = job._asdict()
        return [path.format_map(values) for path in self.files[job.stage].all]

    def expected(self, job: Job) -> list[str]:
        """Files that a job's record must list: its outputs, and the lists that it writes besides them."""
        return [*self.outputs(job), *self.files[job.stage].beside]

    def folder(self, stage: str, run: Run) -> str:
        """Folder that a stage writes for a run."""
        return f"{self.results}/{stage}/{run.folder}"

    def predictions(self, part: str, runs: Iterable[Run]) -> list[str]:
        """Prediction files of some runs for a part (``oof`` or a split)."""
        return [f"{self.folder('predict', run)}/{part}.npz" for run in runs]

    def cache_folders(self, job: Job) -> list[str]:
        """Folders of the cache shards that a job reads."""
        return [f"{self.results}/cache/{SHARD.format_map(piece._asdict())}" for piece in self.caches(job)]


def plan_of(config: "Config") -> Plan:
    """The plan of a config."""
    return Plan(
        results=config.results,
        grid=config.grid,
        specs={model.name: cache_spec(config.cached_size(model), model.resizing) for model in config.models},
        splits=tuple(config.splits),
        tables=tuple(config.tables),
        n_shards=config.data.shards,
        demo=tuple(config.data.demo_files),
        generated=tuple(config.data.generated),
        task_cache=config.cache_files,
        task_submission=config.submission_files,
        detector=plan_of(config.detector) if config.detector else None,
        **inputs_of(config),
    )


__all__ = ["STAGES", "UPSTREAM", "Files", "Job", "Plan", "cache_spec", "job_at", "job_of", "plan_of"]
