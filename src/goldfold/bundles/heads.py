"""Heads on frozen backbones in bundles, as the last layers of their networks.

A linear head is the last layer of an ordinary network, with the standardisation of its fold folded in; others are layers of
`goldfold.bundles.fitted_layers`. A head is fitted again, as the stage heads did, since results hold its predictions alone; the
layer must give these.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from threadpoolctl import threadpool_limits
from torch import nn

from goldfold import components, tasks
from goldfold.backbones import backbone, digest
from goldfold.base.counter import counter
from goldfold.base.errors import ConfigError, DataError
from goldfold.bundles.finished import ENSEMBLE, FOLDS, MANIFEST, Finished, Run
from goldfold.bundles.fitted_arrays import arrays_of
from goldfold.bundles.fitted_layers import LAYERS, Nearest, Trees, with_last
from goldfold.embeddings import Embeddings, read
from goldfold.head_fits import Facet, parts_of
from goldfold.heads.fitting import FittedHead
from goldfold.heads.linear import Coefficients
from goldfold.heads.protocol import VALUE
from goldfold.inference.predictor import build
from goldfold.models.features import head_of
from goldfold.planning import runs as planned
from goldfold.planning.runs import Member
from goldfold.predictions.arrays import load
from goldfold.tables import read_table
from goldfold.tasks.regression.scale import keep

LINEAR = ("logistic", "ridge")
TASKS = ("classification", "multilabel", "regression")
TOLERANCE = 1e-3
"""Outputs of the layer and of the run may differ by this much, and by this share."""
JUMPS = 0.01
"""Share of the cases whose outputs may differ by more, of heads that are not continuous: the last of the nearest neighbours, and
the side of a threshold in a tree, may be another one after rounding."""
OF_TRAINING = ("pretrained", "partly_pretrained", "mean", "std")
"""Settings of a backbone that its weights contain."""


def written(found: Finished, member: Member) -> components.Written:
    """Head of a member as in the config."""
    head: components.Written = _record(found, member)["recipe"]["settings"]["head"]
    return head


def refuse(found: Finished, others: list[Run]) -> None:
    """Refuse heads that are no last layer of a network.

    Args:
        others: networks that are trained.

    Raises:
        ConfigError: a head with a weight has no layer, sees other views than the bundle, or is of another task; or a step takes
            embeddings.
    """
    if found.settings.get("embeddings"):
        raise ConfigError(
            f"{found.root}: a stack takes embeddings, which a bundle does not make yet. Remove embeddings there, then run "
            f"snakemake again, which trains nothing."
        )
    for member in found.heads:
        settings = _record(found, member)["recipe"]["settings"]
        seen, task = _embedded(found, settings["embeddings"])["views"], found.settings["task"]["name"]
        reason, name = "", components.name_of(settings["head"])
        if task not in TASKS or name not in (*LINEAR, *LAYERS):
            reason = f"{components.label(settings['head'])}, of task {task!r}"
        elif name not in LINEAR and _has_cases(found):
            reason = f"{components.label(settings['head'])}, fitted to the mean embedding over the images of a case"
        elif len(seen) > 1:
            reason = f"fitted to the mean embedding over {len(seen)} views (frozen.views: with one, it can be exported)"
        elif others and others[0].settings["tta"] != seen:
            reason = f"fitted to the view {components.label(seen[0])} alone, while tta has other views"
        elif others and others[0].settings.get("batch_norm") == "adapted":
            reason = "not adapted to images, as batch_norm: adapted wants all networks to be"
        if reason:
            raise ConfigError(
                f"{found.root}: {member.name!r} has weight {found.weights[member.name]:.3g} in the ensemble, but it is a head on "
                f"a frozen backbone, {reason}: a bundle predicts with {', '.join((*LINEAR, *LAYERS))} heads on one view alone, "
                f"of classification, multilabel and regression, and with linear ones alone if cases have several images. Set its "
                f"weight in ensemble.weights to 0 in an average, or remove the model from a stack; then run snakemake again, "
                f"which trains nothing."
            )


def networks(found: Finished, folder: Path) -> Iterator[Run]:
    """Write the network of each head and fold into ``folder``; yield them as runs.

    Raises:
        DataError: files of the run are missing or changed, or its predictions cannot be computed again.
    """
    classes = found.json("folds/classes.json", FOLDS)
    for member in found.heads:
        settings = _record(found, member)["recipe"]["settings"]
        how = _embedded(found, settings["embeddings"])
        frozen = _backbone(found, settings["embeddings"], how)
        known = _read(found, settings["embeddings"])
        described = {key: value for key, value in how["model"].items() if key not in OF_TRAINING}
        kind = {"head": components.name_of(settings["head"]), "target": tasks.facts(settings["task"]["name"]).target}
        extra = {} if kind["head"] in LINEAR else {"frozen_head": kind}
        for fold, (head, scale) in enumerate(_fits(found, member, settings, classes, known)):
            network = build(tasks.infer(settings["task"], classes), described, how["channels"])
            layer = _filled(network, frozen, head, member.model, **kind)
            if kind["target"] == VALUE:
                keep(network, scale)
            _check(found, planned.Run(member.model, 0, fold, member.seed), layer, known, scale)
            path = folder / f"{member.name}-fold{fold}.safetensors"
            save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)
            shared = {**how, "model": {**described, **extra}, "tta": how["views"], "batch_norm": "trained"}
            yield Run(member, member.seed, fold, path, shared)


def _has_cases(found: Finished) -> bool:
    """Return whether a case may have several images."""
    source = found.record(MANIFEST)["recipe"]["settings"]["source"]
    return any(source.get(key) for key in ("case_column", "view_columns", "frame_column"))


def _record(found: Finished, member: Member) -> Any:
    return found.record(f"heads/{member.model}/run.json")


def _embedded(found: Finished, embedding: str) -> dict[str, Any]:
    """Return the settings of the jobs that made embeddings."""
    return dict(found.record(f"embeddings/{embedding}/train-0.run.json")["recipe"]["settings"])


def _backbone(found: Finished, embedding: str, how: Mapping[str, Any]) -> nn.Module:
    """Build the backbone, with the weights that made the embeddings."""
    network, place = backbone(how["model"], how["channels"]), f"embeddings/{embedding}/train-0.run.json"
    if digest(network) != found.record(place)["embedding"]["weights"]:
        raise DataError(
            f"{found.root}: the weights of the frozen backbone {how['model']['backbone'] or how['model']['network']} are other "
            f"than those that made {place.removesuffix('.run.json')}. Run snakemake again, then export."
        )
    return network


def _read(found: Finished, embedding: str) -> Embeddings:
    folder = found.root / "embeddings" / embedding
    names = [f"embeddings/{embedding}/{path.name}" for path in sorted(folder.glob("train-*.npz"))]
    return read(found.file(name, f"{name.removesuffix('.npz')}.run.json") for name in names)


def _fits(
    found: Finished, member: Member, settings: Mapping[str, Any], classes: list[str], known: Embeddings
) -> Iterator[tuple[FittedHead, tuple[float, float]]]:
    """Yield the head of each fold, fitted as in the stage heads, and the scale of its targets."""
    facet, parts = (
        Facet(settings["task"], classes, settings.get("checkpoint", "")),
        parts_of(str(found.file("folds/train.csv", FOLDS))),
    )
    for fold in range(settings["n_folds"]):
        rows = read_table(found.file(f"folds/fold{fold}.csv", FOLDS))
        trained = rows[rows["split"] == "train"].reset_index(drop=True)
        seeds = [counter(member.model, member.seed, fold)]
        with threadpool_limits(1):
            (one,) = facet.fits(settings["head"], known, trained, parts, fold, seeds)
        yield one


def _filled(network: nn.Module, frozen: nn.Module, fitted: FittedHead, model: str, head: str, target: str) -> nn.Module:
    """Give a network the weights of the backbone, and a head as its last layer; return this layer.

    Args:
        fitted: the head.
        head: its name.
        target: kind of target.
    """
    layer, linear = head_of(network), fitted.predict
    arrays = None if isinstance(linear, Coefficients) else arrays_of(fitted)
    if not isinstance(layer, nn.Linear) or layer.bias is None or not (arrays or isinstance(linear, Coefficients)):
        raise ConfigError(
            f"models ({model}): the last layer of its network is no linear layer with a bias, so its head cannot be exported. "
            f"Set its weight in ensemble.weights to 0."
        )
    last = {f"{name}.{part}" for name, one in network.named_modules() if one is layer for part in ("weight", "bias")}
    network.load_state_dict(
        {name: value for name, value in frozen.state_dict().items() if name not in last}, strict=False
    )
    if not isinstance(linear, Coefficients):
        made = LAYERS[head](target, layer.out_features, arrays)
        with_last(network, made)
        return made
    weights = linear.weights / fitted.standard.spread
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights))
        layer.bias.copy_(torch.from_numpy(linear.intercepts - weights @ fitted.standard.centre))
    return layer


def _check(found: Finished, run: planned.Run, layer: nn.Module, known: Embeddings, scale: tuple[float, float]) -> None:
    """Refuse a layer that does not give the out-of-fold predictions that were fused.

    Args:
        scale: middle and spread of numbers, which its outputs are in.
    """
    oof = load(found.fused(f"predict/{run.folder}/oof.npz", f"heads/{run.model}/run.json"))
    with torch.inference_mode():
        outputs: NDArray[np.float32] = layer(torch.from_numpy(known.of(oof["ids"].tolist()))).numpy()
    wanted = oof["logits"] if "logits" in oof else (oof["values"][:, None] - scale[0]) / scale[1]
    is_far = ~np.isclose(outputs, wanted, rtol=TOLERANCE, atol=TOLERANCE).all(axis=1)
    if is_far.sum() > (JUMPS * len(outputs) if isinstance(layer, Nearest | Trees) else 0):
        raise DataError(
            f"{found.root}: the head {run.model} of fold {run.fold} was fitted again, and predicts otherwise than "
            f"{ENSEMBLE.removesuffix('/run.json')} has it: other versions of the libraries? Run snakemake again, then export."
        )
