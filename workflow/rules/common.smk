"""Config, names of files, and the input functions."""

import os
import sys

# The code beside this Snakefile, whatever other goldfold is installed.
sys.path.insert(0, f"{workflow.basedir}/src")

from goldfold.config import chosen, merged, slices
from goldfold.config import parse as parse_config
from goldfold.runtime import provenance
from goldfold.runtime.contents import fingerprint
from goldfold.runtime.errors import GoldfoldError, as_error


def checked_config(files):
    """The typed config; what is wrong with it ends the run here, before any job."""
    try:
        values = merged(files, workflow.config_settings.config)
        return parse_config(values, origin=", ".join(map(str, files)))
    except (GoldfoldError, SystemExit) as error:
        sys.exit(f"goldfold: {as_error(error)}")  # Snakemake would add lines of code


provenance.export_source_path(workflow.basedir)
CONFIG = checked_config(workflow.overwrite_configfiles or ["config.yaml"])
RESULTS = CONFIG.results
MODELS = {model.name: model for model in CONFIG.models}
FOLDS = list(range(CONFIG.folds.n_folds))
LAST_ROUND = CONFIG.rounds[-1]
RUN = "{model}/round{round}/fold{fold}/seed{seed}"
PARTS = ["oof", *CONFIG.splits[1:]]
SUBMISSION = [f"{RESULTS}/submission.csv"] if CONFIG.data.has_test else []
SUBMISSION_FILES = [f"{RESULTS}/{name}" for name in slices.submission_files(CONFIG)]
SUBMISSION_FOLDERS = [f"{RESULTS}/{name}" for name in slices.submission_folders(CONFIG)]
RAW = CONFIG.data.raw_paths() + CONFIG.data.owned(CONFIG.submission.sample)


wildcard_constraints:
    model="|".join(MODELS),
    round=r"\d+",
    fold=r"\d+",
    seed=r"\d+",
    spec=r"\d+x\d+-\w+",
    shard=r"(train|test|unlabeled)-\d+",


def folds_file(name):
    """Input function for a file of the folds stage; asking the checkpoint first keeps unchanged files unchanged."""

    def get(wildcards):
        checkpoints.folds.get()
        settle_again(os.stat(f"{RESULTS}/folds/run.json").st_mtime_ns)
        return f"{RESULTS}/folds/{name}".format(**wildcards)

    return get


def image_lists(wildcards):
    """Lists of the images to predict besides the validation fold's."""
    return [folds_file(f"{split}.csv")(wildcards) for split in CONFIG.splits[1:]]


def cache_folders(model, splits):
    """Cached images of some splits at a model's size."""
    return expand(
        "{results}/cache/{spec}/{split}-{piece}",
        results=RESULTS,
        spec=slices.cache_spec(CONFIG, model),
        split=splits,
        piece=range(CONFIG.data.shards),
    )


def learnt_splits(wildcards):
    """A run of round 0 learns from the training images, a later one from pseudo-labelled images too."""
    return ["train", *(CONFIG.pseudo_sources if int(wildcards.round) else [])]


def cache_for(stage, splits):
    """Input function: the cache of a job that will run.

    One that is up to date needs none: else a cache that was deleted, and is made again for another model, would train
    all anew.
    """

    def get(wildcards):
        if not will_run(stage, wildcards):
            return []
        chosen = splits(wildcards) if callable(splits) else splits
        files = [*slices.cache_files(CONFIG), "run.json"]
        return expand(
            "{folder}/{file}",
            folder=cache_folders(wildcards.model, chosen),
            file=files,
        )

    return get


def pseudo_file(wildcards):
    """Pseudo labels of the run's own fold, from the second round on."""
    return (
        f"{RESULTS}/pseudo/round{wildcards.round}/fold{wildcards.fold}.csv"
        if int(wildcards.round)
        else []
    )


def round_before(source):
    """Input function: what the teachers of the round before, of the same fold, say of a split."""

    def get(wildcards):
        return expand(
            f"{RESULTS}/predict/{RUN}/{source}.npz",
            model=CONFIG.teachers,
            round=int(wildcards.round) - 1,
            fold=wildcards.fold,
            seed=CONFIG.seeds,
        )

    return get


def runs(pattern, rounds):
    """Files of all runs of some rounds; models by name, since their order in the config means nothing."""
    return expand(
        pattern, model=sorted(MODELS), round=rounds, fold=FOLDS, seed=CONFIG.seeds
    )


def n_gpus(wildcards):
    """Devices that a model is trained on at once."""
    return MODELS[wildcards.model].gpus


def place(wildcards):
    """Round, fold and seed as numbers."""
    return {name: int(getattr(wildcards, name)) for name in ("round", "fold", "seed")}


def pretrained_digest(wildcards):
    """Digest of a local weights file, so that other weights under the same name train anew."""
    path = MODELS[wildcards.model].pretrained
    return {"pretrained": fingerprint([path])} if isinstance(path, str) else {}
