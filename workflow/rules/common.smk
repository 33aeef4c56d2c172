"""Config, plan and input functions; all paths come from the plan."""

import os

from goldfold.config import chosen, columns, slices, tried, with_classes
from goldfold.planning import heads
from goldfold.planning.inner import inner_list
from goldfold.planning.plan import job_at
from goldfold.planning.row_lists import list_of
from goldfold.session import Session

SESSION = Session(
    CONFIG, logger, workflow.is_main_process, DETECTOR and DETECTOR.SESSION
)
PLAN = SESSION.plan
FILES = PLAN.files
MODELS = {model.name: model for model in CONFIG.models}
TRAINED = "|".join(name for name in MODELS if name not in PLAN.grid.origins) or "none"
MADE = "|".join(dict.fromkeys(job.model for job in PLAN.jobs("derive"))) or "none"
NETWORKS = "|".join(name for name in MODELS if name not in PLAN.embeddings) or "none"


wildcard_constraints:
    model="|".join(MODELS),
    round="|".join(str(stage.number) for stage in PLAN.grid.rounds),
    fold="|".join(map(str, range(PLAN.grid.n_folds))),
    seed="|".join(map(str, dict.fromkeys([*PLAN.grid.seeds, *PLAN.full.seeds]))),
    spec=r"\d+x\d+-[\w-]+|native(-[\d.]+)?",
    part=r"\d+of\d+",
    shard=r"(train|test|unlabeled|holdout)-\d+",
    embedding=r"[\w-]+",


def folds_file(name):
    """Input function for a file of the folds stage, requested through the checkpoint, so that unchanged files stay old."""

    def get(wildcards):
        checkpoints.folds.get()
        SESSION.settle_again(os.stat(FILES["folds"]["record"]).st_mtime_ns)
        return f"{PLAN.results}/folds/{name}".format(**wildcards)

    return get


def case_list(stage):
    """Input function: the list of the cases of a fold, with the training rows that a job uses."""
    return lambda wildcards: folds_file(list_of(PLAN, job_at(stage, wildcards)))(
        wildcards
    )


def metadata_lists(stage):
    """Input function: metadata of the cases of a job whose model uses it."""

    def get(wildcards):
        return [
            folds_file(name)(wildcards)
            for name in PLAN.metadata_lists(job_at(stage, wildcards))
        ]

    return get


def group_lists(stage):
    """Input function: groups of the cases of a training that samples by them."""

    def get(wildcards):
        return [
            folds_file(name)(wildcards)
            for name in PLAN.group_lists(job_at(stage, wildcards))
        ]

    return get


def unlabeled_lists(stage):
    """Input function: lists of the images that a training learns from without labels."""

    def get(wildcards):
        splits = PLAN.unlabeled_of(job_at(stage, wildcards))
        return [folds_file(f"{split}.csv")(wildcards) for split in splits]

    return get


def every_list(wildcards):
    """Lists of all images, training images first."""
    return [folds_file(f"{split}.csv")(wildcards) for split in PLAN.splits]


def image_lists(wildcards):
    """Lists of the images to predict besides the validation images."""
    return [folds_file(f"{split}.csv")(wildcards) for split in PLAN.splits[1:]]


def cache_folders(stage):
    """Params function for the folders of cached images that a job reads."""
    return lambda wildcards: PLAN.cache_folders(job_at(stage, wildcards))


def cache_for(stage):
    """Input function for the cache of a job, empty if the job is up to date.

    Otherwise a deleted cache that is rebuilt for one model would retrain all others.
    """

    def get(wildcards):
        job = job_at(stage, wildcards)
        pieces = PLAN.caches(job) if will_run(job) else []
        return [path for piece in pieces for path in PLAN.outputs(piece)]

    return get


def checked_first(stage):
    """Input function for records of external members, of a training that will run: a refused file stops it before it starts.

    With these come the records of `CHECKED`: a detector is trained for images that can be matched with its own.
    """

    def get(wildcards):
        if not will_run(job_at(stage, wildcards)):
            return []
        return [*map(PLAN.record, PLAN.jobs("external")), *CHECKED]

    return get


def read_from(above, stage="train"):
    """Input function for the file that a training reads of a job of stage ``above``: pseudo labels, removed rows, weights."""

    def get(wildcards):
        jobs = PLAN.above(job_at(stage, wildcards))
        return next((PLAN.outputs(job)[0] for job in jobs if job.stage == above), [])

    return get


def start_file(wildcards):
    """Weights that a run starts from, of an earlier round and the same fold and seed."""
    jobs = PLAN.start_of(job_at("train", wildcards))
    return PLAN.outputs(jobs[0])[0] if jobs else []


def source_files(wildcards):
    """Weights of the trainings that a soup or a snapshot is made from, of the same fold."""
    return [PLAN.outputs(job)[0] for job in PLAN.above(job_at("derive", wildcards))]


def embedding_files(stage):
    """Input function for the embeddings of all images that a head reads."""
    return lambda wildcards: heads.features(PLAN, job_at(stage, wildcards))


def every_fold(wildcards):
    """Lists of all folds."""
    return [
        folds_file(f"fold{fold}.csv")(wildcards) for fold in range(PLAN.grid.n_folds)
    ]


def lesson_files(wildcards):
    """Predictions of a student's training images by its teachers, of the same fold."""
    return PLAN.lesson_files(job_at("train", wildcards))


def labels_at(wildcards):
    """Pseudo labels of a round and fold."""
    return PLAN.labels[int(wildcards.round), int(wildcards.fold)]


def judges(stage):
    """Input function for the predictions of the inner trainings that a job of a stage judges by, of its own fold."""

    def get(wildcards):
        return [
            PLAN.outputs(job)[0]
            for job in PLAN.above(job_at(stage, wildcards))
            if job.part
        ]

    return get


def inner_lists(stage):
    """Input function for the lists of these inner trainings."""

    def get(wildcards):
        found = [job for job in PLAN.above(job_at(stage, wildcards)) if job.part]
        lists = dict.fromkeys(inner_list(job.fold, job.part) for job in found)
        return [folds_file(name)(wildcards) for name in lists]

    return get


def teachers(part):
    """Input function for the predictions of a split by the teachers of a fold."""

    def get(wildcards):
        labels = labels_at(wildcards)
        return PLAN.predictions(part, labels.teachers) if part in labels.sources else []

    return get


def full_teachers(part):
    """Input function for the predictions of a split by the teachers of all folds."""

    def get(wildcards):
        labels = PLAN.labels_of(job_at("full_label", wildcards))
        return PLAN.predictions(part, labels.teachers) if part in labels.sources else []

    return get


def each_run(patterns, **of):
    """Files of all runs with a network of their own, or of those of some rounds or models."""
    several = [patterns] if isinstance(patterns, str) else patterns
    runs = heads.network_runs(PLAN, **of)
    return [pattern.format_map(vars(run)) for pattern in several for run in runs]


def n_gpus(wildcards):
    """Number of GPUs that a model is trained on."""
    return MODELS[wildcards.model].gpus


def training_script(wildcards):
    """Script that trains a model: that of the stage, or that of another library's trainer."""
    return chosen.script(CONFIG, "train", wildcards.model)
