"""Config, names of files, and the input functions."""

import json
import subprocess
import sys

from snakemake.exceptions import WorkflowError

from goldfold.config import parse as parse_config
from goldfold.config import read, slices
from goldfold.runtime.errors import GoldfoldError
from goldfold.runtime.fingerprint import fingerprint
from goldfold.runtime.provenance import export_source_path, module_digest, source_digest


def checked_config():
    """The typed config; what is wrong with it ends the run here, before any job."""
    files = workflow.overwrite_configfiles or ["config.yaml"]
    try:
        for path in files:
            read(path)  # Snakemake's own reading lets a key stand twice
        return parse_config(config, origin=", ".join(map(str, files)))
    except GoldfoldError as error:
        raise WorkflowError(str(error))


export_source_path(workflow.basedir)
CONFIG = checked_config()
RESULTS = CONFIG.results
MODELS = {model.name: model for model in CONFIG.models}
FOLDS = list(range(CONFIG.folds.n_folds))
LAST_ROUND = CONFIG.rounds[-1]
RUN = "{model}/round{round}/fold{fold}/seed{seed}"
PARTS = ["oof", *CONFIG.splits[1:]]
SUBMISSION = [f"{RESULTS}/submission.csv"] if CONFIG.data.has_test else []
SUBMISSION_FILES = [f"{RESULTS}/{name}" for name in slices.submission_files(CONFIG)]
SUBMISSION_FOLDERS = [f"{RESULTS}/{name}" for name in slices.submission_folders(CONFIG)]
OWN_TASK = module_digest(CONFIG.task.split(":")[0]) if ":" in CONFIG.task else ""


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
        return f"{RESULTS}/folds/{name}".format(**wildcards)

    return get


def image_lists(wildcards):
    """Lists of the images to predict besides the validation fold's."""
    return [folds_file(f"{split}.csv")(wildcards) for split in CONFIG.splits[1:]]


def cache_files(model, splits):
    """Cached images of some splits at a model's size, and what lies beside them."""
    return expand(
        "{results}/cache/{spec}/{split}-{piece}/{file}",
        file=slices.cache_files(CONFIG),
        results=RESULTS,
        spec=slices.cache_spec(CONFIG, model),
        split=splits,
        piece=range(CONFIG.data.shards),
    )


def train_caches(wildcards):
    """A run of round 0 learns from the training images, a later one from pseudo-labelled images too."""
    return cache_files(
        wildcards.model,
        ["train", *(CONFIG.pseudo_sources if int(wildcards.round) else [])],
    )


def pseudo_file(wildcards):
    """Pseudo labels of the run's own fold, from the second round on."""
    return (
        f"{RESULTS}/pseudo/round{wildcards.round}/fold{wildcards.fold}.csv"
        if int(wildcards.round)
        else []
    )


def round_before(source):
    """Input function: what the models of the round before, of the same fold, say of a split."""

    def get(wildcards):
        return expand(
            f"{RESULTS}/predict/{RUN}/{source}.npz",
            model=MODELS,
            round=int(wildcards.round) - 1,
            fold=wildcards.fold,
            seed=CONFIG.seeds,
        )

    return get


def runs(pattern, rounds):
    """Files of all runs of some rounds."""
    return expand(pattern, model=MODELS, round=rounds, fold=FOLDS, seed=CONFIG.seeds)


def place(wildcards):
    """Round, fold and seed as numbers."""
    return {name: int(getattr(wildcards, name)) for name in ("round", "fold", "seed")}


def pretrained_digest(wildcards):
    """Digest of a local weights file, so that other weights under the same name train anew."""
    path = MODELS[wildcards.model].pretrained
    return fingerprint([path]) if isinstance(path, str) else ""


def run_code(stage):
    """Digest of the code that a stage runs for a model: that of other networks does not count."""
    return lambda wildcards: source_digest(
        stage, CONFIG.task, MODELS[wildcards.model].network
    )


def own_code(wildcards):
    """Digest of a network's own module, where the user brings one."""
    network = MODELS[wildcards.model].network
    return module_digest(network.split(":")[0]) if ":" in network else ""


def preflight():
    """Build every network once and fetch its weights, in a process of its own: this one loads no torch."""
    command = [
        sys.executable,
        "-m",
        "goldfold.models.preflight",
        json.dumps(slices.network_checks(CONFIG)),
    ]
    if subprocess.run(command).returncode:
        raise WorkflowError("a model cannot be used; see above. Nothing was run.")
