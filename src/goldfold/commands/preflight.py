"""Try every network and its training components once before any job: ``python -m goldfold.commands.preflight < JSON``.

A wrong parameter, an unsupported image size, a user-defined network that cannot be imported or unavailable weights are
then reported within seconds, not after hours of other jobs. Published weights are downloaded into the cache, where jobs
find them, also on nodes without internet access, and no two jobs download the same file. Runs in a process of its own, so
that the Snakefile does not load torch.
"""

import json
import logging
import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn

from goldfold import catalog
from goldfold.base.errors import ConfigError, GoldfoldError, as_error, cause
from goldfold.commands.component_trial import check_components
from goldfold.commands.sample_trial import check_samples
from goldfold.commands.start_trial import check_start
from goldfold.commands.update_trial import check_hooks, check_optimizer
from goldfold.commands.view_trial import check_views
from goldfold.config.trial_keys import WHOLE, as_written
from goldfold.ensembling.coverage import refuse_unreachable
from goldfold.inference.embedding import Embedder
from goldfold.inference.embedding import check as check_embedding
from goldfold.inference.predictor import build as build_frozen
from goldfold.losses.parts import weighted
from goldfold.metadata.columns import Columns, check_learnable, check_lists
from goldfold.models import build, trial
from goldfold.models.arguments import OUR_OWN, arguments
from goldfold.models.case_head import MEAN
from goldfold.models.features import n_features, refuse_headless
from goldfold.models.fusion import Branch, branch_of
from goldfold.models.norm_layers import layers
from goldfold.models.timm_models import input_size, offline
from goldfold.samples.sizes import sizes_of
from goldfold.tables import read_table

N_CLASSES = 2
"""Number of classes to try if the config names none; the true number is known only when the data are read."""
GIVES = {
    "classification": "values", "ordinal": "values", "multilabel": "values", "regression": "values", "segmentation": "maps",
    "detection": "boxes", "points": "maps",
}  # fmt: skip
"""Task -> kind of output that it needs from networks."""
DYNAMIC = (
    "A network of another size than image_size_px must take any size: convolutional ones do, at multiples of their stride; "
    "vision transformers of timm with params: {dynamic_img_size: true}, at multiples of their patch."
)
STACKED, COVERAGES = "stacked", "coverages"
"""Keys of checks of what steps of the ensemble take: metadata columns, and enough cases for a coverage."""


def check(model: dict[str, Any]) -> bool:
    """Build the network of an entry of the config's models, pass images through it, and build its optimizer.

    Returns:
        True if its batch normalisation should be adapted but it has none.

    Raises:
        GoldfoldError: it cannot be built or used at this size, or its weights are not available.
    """
    if taken := sorted(OUR_OWN & set(model["params"])):
        raise ConfigError(f"params: {taken[0]!r} is set by goldfold itself; remove it")
    n_classes, batch_size = (
        model.get("n_classes") or N_CLASSES,
        model.get("train", {}).get("batch_size", trial.TRAIN_IMAGES),
    )
    wanted = trial.Wanted(
        tuple(model["size"]),
        model["channels"],
        n_classes,
        _gives(model),
        min(batch_size, trial.TRAIN_IMAGES),
        _branch(model),
        model.get("views", MEAN),
        model.get("embedding"),
        partial(weighted, weights=model.get("train", {}).get("loss_weights") or {}),
    )
    params = {**arguments(model), "n_classes": wanted.n_classes, "in_channels": wanted.channels}
    make = partial(_at_size, model["network"], params)
    network = trial.check(make, _named(model), wanted, partial(_own_size, model))
    _check_weights(model, {**params, "image_size": wanted.size})
    if model.get("shows_features") and wanted.branch is None and wanted.views == MEAN:
        refuse_headless(network)
    _check_auxiliary(model, network, wanted)
    if model.get("frozen"):
        check_embedding(build_frozen(Embedder(), model, wanted.channels), wanted.size, wanted.channels)
    elif lost := trial.without_gradient(network):
        n = f"{len(lost)} of {len(list(network.parameters()))} parameters get no gradient and keep their initial values"
        print(f"goldfold: models ({model['name']}): note: {n}, first {lost[0]!r}", file=sys.stderr)
    check_views(model, make, _named(model), wanted)
    if "train" in model:
        _check_sizes(model, make, wanted)
        check_start(model, params, make)
        check_optimizer(network, model["train"])
        check_hooks(network, model["train"])
        check_components(model, wanted.n_classes)
        check_samples(model, wanted.n_classes)
    return model["batch_norm"] == "adapted" and not layers(network)


def _check_sizes(model: Mapping[str, Any], make: trial.Make, wanted: trial.Wanted) -> None:
    """Pass images of every size of training through the network, which is built for its final size.

    Raises:
        ConfigError: it does not work at one of them.
    """
    for size in sizes_of(model["train"].get("sizes")):
        try:
            trial.check_size(lambda _: make(wanted.size), _named(model), replace(wanted, size=size))
        except GoldfoldError as error:
            said = str(error).removeprefix("image_size_px: ")
            raise ConfigError(f"train.sizes: {trial.words(size)}: {said} {DYNAMIC}") from error


def _check_auxiliary(model: Mapping[str, Any], network: nn.Module, wanted: trial.Wanted) -> None:
    """Raise GoldfoldError if the network has no features for auxiliary targets, or nothing can be learnt from these."""
    if "auxiliary" not in model:
        return
    if wanted.branch is None and wanted.views == MEAN:
        n_features(network, "train.auxiliary")
    if "folds" in model:
        check_learnable(model["folds"], Columns.of(model["auxiliary"]))


def _branch(model: Mapping[str, Any]) -> Branch | None:
    """Branch of the metadata that the network takes, each categorical column with one level.

    Raises:
        DataError: the lists of the folds, where they are up to date, have columns that cannot be used.
    """
    metadata = model.get("metadata")
    if metadata is None:
        return None
    if "folds" in model:
        check_lists(model["folds"], Columns.of(metadata))
    return branch_of(metadata, [1] * len(metadata["categorical"]))


def _at_size(network: str, params: Mapping[str, Any], size: tuple[int, int]) -> Any:
    return build(network, **params, image_size=size)


def _gives(model: Mapping[str, Any]) -> Any:
    """Output that the task needs; for a user-defined task, known only for built-in networks."""
    network, task = model["network"], model.get("task")
    of_ours = next((gives for gives, entries in catalog.NETWORKS.items() if network in entries), "anything")
    return GIVES.get(str(task), of_ours)


def _named(model: Mapping[str, Any]) -> str:
    on = f" on {model['backbone']!r}" if model["backbone"] else ""
    return f"network {model['network']!r}{on}"


def _own_size(model: Mapping[str, Any]) -> tuple[int, int] | None:
    """Native input size of its backbone; None if unknown."""
    try:
        return input_size(model["backbone"]) if model["backbone"] else None
    except Exception:  # one size less to try
        return None


def _check_weights(model: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    """Download published weights, or load a local file as the job will.

    Raises:
        GoldfoldError: they are not available, or do not fit this network.
    """
    pretrained = model["pretrained"]
    if isinstance(pretrained, str):
        build(
            model["network"], **params, pretrained=pretrained, partly_pretrained=model.get("partly_pretrained", False)
        )
    elif pretrained and model["network"] == "clip":
        from goldfold.models import clip

        clip.fetch(model["params"]["checkpoint"], model.get("takes_texts", False))
    elif pretrained and "checkpoint" in model["params"]:
        build(model["network"], **params, pretrained=True)
    elif pretrained and model["backbone"]:
        try:
            fetch(model["backbone"])
        except Exception as error:
            raise GoldfoldError(offline(model["backbone"], error)) from error


def fetch(backbone: str) -> None:
    """Download the weights of a timm backbone into the cache.

    Raises:
        Exception: they are not available; the type depends on what failed.
    """
    import timm
    from timm.models import load_state_dict_from_hf
    from torch.hub import load_state_dict_from_url

    settings = timm.get_pretrained_cfg(backbone)
    if settings is None or not settings.has_weights:
        raise LookupError("timm has no published weights for it")
    if settings.hf_hub_id:
        load_state_dict_from_hf(settings.hf_hub_id, settings.hf_hub_filename or "")
    elif settings.url:
        load_state_dict_from_url(settings.url, map_location="cpu", weights_only=True)


def main(models: list[dict[str, Any]]) -> int:
    """Check each model, and metadata of the ensemble; print one line per problem; return the exit status."""
    logging.getLogger("timm").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    said, without = dict[str, None](), []
    networks = [model for model in models if "name" in model]
    for model in models:
        try:
            if STACKED in model:
                check_lists(model["folds"], Columns.of(model[STACKED]), by_steps=True)
                continue
            if COVERAGES in model:
                refuse_unreachable(read_table(f"{model['folds']}/train.csv"), model[COVERAGES])
                continue
            without += [model["name"]] * check(model)
        except (Exception, SystemExit) as raised:
            error = as_error(raised)
            what = str(error) if isinstance(error, GoldfoldError) else f"{type(error).__name__}: {cause(error)}"
            written = model.get("written") or (
                {"": f"models ({model['name']})"} if "name" in model else {"": "ensemble", **WHOLE}
            )
            said[f"goldfold: {as_written(what, written)}"] = None
    if networks and len(without) == len(networks):
        listed = ", ".join(without)
        said[
            f"goldfold: batch_norm: adapted has no effect, since no model has batch normalisation ({listed}). Remove it."
        ] = None
    for line in said:  # one of the whole config is found with each model
        print(line, file=sys.stderr)
    return int(bool(said))


if __name__ == "__main__":
    sys.exit(main(json.load(sys.stdin)))
