"""Jobs: stages, and the wildcards that distinguish the jobs of a stage."""

from typing import Any, NamedTuple

from goldfold.planning.outputs import EMBEDDED, HEADS, SHARD
from goldfold.planning.runs import FULL, IMAGES, INNER, LABELS, RUN, WHOLE, Run

DETECTOR = "detector_"
"""Beginning of the names of the rules of a detector, whose stages are those of any other run."""
CROPPING = ("match", "crop")
"""Stages that crop images by the boxes of a detector, see `goldfold.config.detector`."""
UPSTREAM = ("demo", "manifest", *CROPPING, "folds")
"""Stages that write or read the raw data; later stages depend on the lists that they write."""
STAGES = (
    *UPSTREAM, "cache", "embed", "heads", "heads_once", "inner_train", "inner_predict", "clean", "generate", "train", "derive",
    "predict", "teach", "pseudo_label",
    "full_label", "full_train", "full_predict", "external", "ensemble", "submit", "report",
)  # fmt: skip
OF_RUNS = ("train", "derive", "predict", "teach")
"""Stages with jobs of runs."""
INNER_WORK = {"inner_train": "train", "inner_predict": "predict"}
"""Stages whose jobs do the work of another one, on inner parts of a fold, see `goldfold.planning.inner`."""
FULL_WORK = {"full_label": "pseudo_label", "full_train": "train", "full_predict": "predict"}
"""The same for runs on all labelled rows, see `goldfold.planning.full`."""
OF_FULL = ("full_train", "full_predict")
"""Stages of `FULL_WORK` with jobs of runs."""
WORK = INNER_WORK | FULL_WORK | {"heads_once": "heads"}
WILDCARDS: dict[str, tuple[str, ...]] = {
    "cache": ("spec", "shard"),
    "embed": ("embedding", "shard"),
    **dict.fromkeys(HEADS, ("model",)),
    **dict.fromkeys(OF_RUNS, ("model", "round", "fold", "seed")),
    **dict.fromkeys(INNER_WORK, ("model", "round", "fold", "part", "seed")),
    **dict.fromkeys(FULL_WORK, ("model", "round", "seed")),
    "full_label": ("round",),
    "generate": ("model", "round", "fold"),
    "clean": ("round", "fold"),
    "pseudo_label": ("round", "fold"),
    "external": ("external",),
}
"""Wildcards that distinguish the jobs of a stage; a stage that is not listed has one job."""
PLACE = ("round", "fold", "seed")
"""Wildcards that are numbers."""


class Job(NamedTuple):
    """A job: its stage and its wildcards."""

    stage: str
    model: str = ""
    round: int = 0
    fold: int = 0
    seed: int = 0
    spec: str = ""
    shard: str = ""
    part: str = ""
    external: str = ""
    embedding: str = ""

    @property
    def work(self) -> str:
        """Stage whose work the job does: ``train`` for an inner training, else its own stage."""
        return WORK.get(self.stage, self.stage)

    @property
    def name(self) -> str:
        """Stage and place.

        >>> job_of("train", Run("unet", 0, 1, 2)).name
        'train unet/round0/fold1/seed2'
        """
        inner, of_fold = dict.fromkeys(INNER_WORK, INNER), dict.fromkeys(("clean", "pseudo_label"), LABELS)
        full = {**dict.fromkeys(FULL_WORK, FULL), "full_label": "round{round}"}
        heads = {"embed": EMBEDDED, **dict.fromkeys(HEADS, "{model}")}
        patterns = {
            "cache": SHARD, "generate": IMAGES, "external": "{external}",
            **dict.fromkeys(OF_RUNS, RUN), **of_fold, **inner, **full, **heads,
        }  # fmt: skip
        return f"{self.stage} {patterns.get(self.stage, '').format(**self._asdict())}".rstrip()

    @property
    def run(self) -> Run:
        """The run that the job belongs to."""
        return Run(self.model, self.round, self.fold, self.seed)

    @property
    def place(self) -> dict[str, int]:
        """Round, fold and seed."""
        return {"round": self.round, "fold": self.fold, "seed": self.seed}


def stage_of(rule: str) -> str:
    """Stage of a rule, which may be that of a detector.

    >>> stage_of("detector_train"), stage_of("train")
    ('train', 'train')
    """
    return rule.removeprefix(DETECTOR)


def job_of(stage: str, run: Run) -> Job:
    """The job of a stage for a run."""
    return Job(stage, run.model, run.round, run.fold, run.seed)


def job_at(stage: str, wildcards: Any) -> Job:
    """The job of a stage by Snakemake's wildcards, which are attributes of type str."""
    found: dict[str, Any] = {name: getattr(wildcards, name) for name in WILDCARDS.get(stage, ())}
    found |= {"fold": WHOLE} if stage in FULL_WORK else {}
    return Job(stage, **(found | {name: int(found[name]) for name in PLACE if name in found}))
