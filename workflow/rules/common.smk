"""Config, names of files, and the input functions."""

import os
import subprocess
import sys

from snakemake.exceptions import WorkflowError

from goldfold.config import parse as parse_config
from goldfold.runtime.errors import GoldfoldError
from goldfold.runtime.fingerprint import fingerprint
from goldfold.runtime.provenance import source_digest


def checked_config():
    """The typed config; what is wrong with it ends the run here, before any job."""
    try:
        return parse_config(config, origin=", ".join(map(str, workflow.overwrite_configfiles)) or "config.yaml")
    except GoldfoldError as error:
        raise WorkflowError(str(error))


CONFIG = checked_config()
RESULTS = CONFIG.results
MODELS = {model.name: model for model in CONFIG.models}
FOLDS = list(range(CONFIG.folds.n_folds))
LAST_ROUND = CONFIG.rounds[-1]
RUN = "{model}/round{round}/fold{fold}/seed{seed}"
SUBMISSION = [f"{RESULTS}/submission.csv"] if CONFIG.data.has_test else []
PARTS = ["oof", *CONFIG.splits[1:]]
LOADER_WORKERS = str(CONFIG.runtime.loader_workers)
ARITHMETIC = CONFIG.runtime.model_dump(include={"device", "precision", "torch_threads", "predict_batch_size"})

os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [os.path.join(workflow.basedir, "src"), os.environ.get("PYTHONPATH")])
)


wildcard_constraints:
    model="|".join(MODELS),
    round=r"\d+",
    fold=r"\d+",
    seed=r"\d+",
    spec=r"\d+x\d+-\w+",
    shard=r"(train|test|unlabeled)-\d+",


def manifest_settings():
    """All of the config that the manifest depends on."""
    data = CONFIG.data.model_dump(exclude={"channels", "shards", "test_answers"})
    policies = {key: data.pop(key) for key in ("on_bad_image", "on_missing_image", "on_missing_label")}
    return {"source": data, "task": CONFIG.task, "sample": CONFIG.submission.sample, **policies}


def report_settings():
    """All of the config that the report depends on besides its inputs."""
    return {
        **CONFIG.report.model_dump(),
        "name": CONFIG.name,
        "task": CONFIG.task,
        "metric": CONFIG.metric,
        "answers": CONFIG.data.test_answers,
        "settings": CONFIG.model_dump(mode="json"),
    }


def folds_file(name):
    """Input function for a file of the folds stage; asking the checkpoint first keeps unchanged files unchanged."""

    def get(wildcards):
        checkpoints.folds.get()
        return f"{RESULTS}/folds/{name}".format(**wildcards)

    return get


def image_lists(wildcards):
    """Lists of the images to predict besides the validation fold's."""
    return [folds_file(f"{split}.csv")(wildcards) for split in CONFIG.splits[1:]]


def spec_of(model):
    """Name of the cache that holds images as a model takes them."""
    height, width = model.size
    return f"{height}x{width}-{model.resize}"


def cache_files(model, splits):
    """Cached images of some splits at a model's size."""
    return expand(
        "{results}/cache/{spec}/{split}-{piece}/images.npy",
        results=RESULTS,
        spec=spec_of(MODELS[model]),
        split=splits,
        piece=range(CONFIG.data.shards),
    )


def train_caches(wildcards):
    """A run of round 0 learns from the training images, a later one from pseudo-labelled images too."""
    return cache_files(wildcards.model, ["train", *(CONFIG.pseudo_sources if int(wildcards.round) else [])])


def pseudo_file(wildcards):
    """Pseudo labels of the run's own fold, from the second round on."""
    return f"{RESULTS}/pseudo/round{wildcards.round}/fold{wildcards.fold}.csv" if int(wildcards.round) else []


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


def learning_settings(wildcards):
    """All of a model's config that its training depends on."""
    model = MODELS[wildcards.model]
    return {**model.model_dump(exclude={"image_size_px", "resize"}), "size": list(model.size)}


def network_settings(wildcards):
    """All of a model's config that its prediction depends on."""
    model = MODELS[wildcards.model]
    return {**model.model_dump(include={"network", "backbone", "params"}), "size": list(model.size)}


def place(wildcards):
    """Round, fold and seed as numbers."""
    return {name: int(getattr(wildcards, name)) for name in ("round", "fold", "seed")}


def pretrained_digest(wildcards):
    """Digest of a local weights file, so that other weights under the same name train anew."""
    path = MODELS[wildcards.model].pretrained
    return fingerprint([path]) if isinstance(path, str) else ""


def prefetch_weights():
    """Bring published weights into the cache before any job runs, in a process of its own: this one loads no torch."""
    wanted = sorted({m.backbone for m in CONFIG.models if m.pretrained is True and m.backbone and m.network == "timm"})
    if wanted and subprocess.run([sys.executable, "-m", "goldfold.models.prefetch", *wanted]).returncode:
        raise WorkflowError("pretrained weights are missing; see above. Nothing was run.")
