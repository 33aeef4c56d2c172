"""Config, plan, and the input functions; every path is the plan's."""

import os
import sys

# The code beside this Snakefile, whatever other goldfold is installed.
sys.path.insert(0, f"{workflow.basedir}/src")

from goldfold.config import merged, slices
from goldfold.config import parse as parse_config
from goldfold.plan import job_at
from goldfold.lineage import provenance
from goldfold.base.errors import GoldfoldError, as_error
from goldfold.session import Session


def checked_config(files):
    """The typed config; what is wrong with it ends the run here, before any job."""
    try:
        values = merged(files, workflow.config_settings.config)
        return parse_config(values, origin=", ".join(map(str, files)))
    except (GoldfoldError, SystemExit) as error:
        sys.exit(f"goldfold: {as_error(error)}")  # Snakemake would add lines of code


provenance.export_source_path(workflow.basedir)
CONFIG = checked_config(workflow.overwrite_configfiles or ["config.yaml"])
SESSION = Session(CONFIG, logger, workflow.is_main_process)
PLAN = SESSION.plan
FILES = PLAN.files
MODELS = {model.name: model for model in CONFIG.models}


wildcard_constraints:
    model="|".join(MODELS),
    round="|".join(str(stage.number) for stage in PLAN.grid.rounds),
    fold="|".join(map(str, range(PLAN.grid.n_folds))),
    seed="|".join(map(str, PLAN.grid.seeds)),
    spec=r"\d+x\d+-\w+",
    shard=r"(train|test|unlabeled)-\d+",


def folds_file(name):
    """Input function for a file of the folds stage; asking the checkpoint first keeps unchanged files unchanged."""

    def get(wildcards):
        checkpoints.folds.get()
        SESSION.settle_again(os.stat(FILES["folds"]["record"]).st_mtime_ns)
        return f"{PLAN.results}/folds/{name}".format(**wildcards)

    return get


def metadata_lists(stage):
    """Input function: metadata of the cases of a job whose model takes it."""

    def get(wildcards):
        return [
            folds_file(name)(wildcards)
            for name in PLAN.metadata_lists(job_at(stage, wildcards))
        ]

    return get


def image_lists(wildcards):
    """Lists of the images to predict besides the validation fold's."""
    return [folds_file(f"{split}.csv")(wildcards) for split in PLAN.splits[1:]]


def cache_folders(stage):
    """Params function: folders of the cached images that a job reads."""
    return lambda wildcards: PLAN.cache_folders(job_at(stage, wildcards))


def cache_for(stage):
    """Input function: the cache of a job that will run.

    One that is up to date needs none: else a cache that was deleted, and is made again for another model, would train
    all again.
    """

    def get(wildcards):
        job = job_at(stage, wildcards)
        pieces = PLAN.caches(job) if will_run(job) else []
        return [path for piece in pieces for path in PLAN.outputs(piece)]

    return get


def pseudo_file(wildcards):
    """Pseudo labels of the run's own fold, in a round that has a teacher."""
    jobs = PLAN.jobs_of_labels(job_at("train", wildcards))
    return PLAN.outputs(jobs[0])[0] if jobs else []


def start_file(wildcards):
    """Weights that a run starts from: of an earlier round, of its own fold and seed."""
    jobs = PLAN.start_of(job_at("train", wildcards))
    return PLAN.outputs(jobs[0])[0] if jobs else []


def labels_at(wildcards):
    """Pseudo labels of a round and fold."""
    return PLAN.labels[int(wildcards.round), int(wildcards.fold)]


def teachers(part):
    """Input function: predictions of a split by the teachers of a fold, of earlier rounds and of that fold."""

    def get(wildcards):
        labels = labels_at(wildcards)
        return PLAN.predictions(part, labels.teachers) if part in labels.sources else []

    return get


def each_run(patterns, **of):
    """Files of all runs, or of those of some rounds or models."""
    return [
        pattern.format_map(vars(run))
        for pattern in ([patterns] if isinstance(patterns, str) else patterns)
        for run in PLAN.grid.runs(**of)
    ]


def n_gpus(wildcards):
    """Devices that a model is trained on at once."""
    return MODELS[wildcards.model].gpus
