"""The model card of a bundle in Markdown: contents, score and how the score was validated."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from goldfold import components
from goldfold.base.words import count
from goldfold.ensembling.steps import has_weights
from goldfold.planning.full import JOIN

if TYPE_CHECKING:
    from goldfold.bundles.form import Manifest, Member

MOST_CLASSES = 100
LIBRARIES = ("python", "torch", "torchvision", "timm", "segmentation-models-pytorch", "opencv-python-headless")


def text(manifest: "Manifest") -> str:
    """Return the card as Markdown."""
    parts = (
        _head(manifest),
        _score(manifest),
        _classes(manifest),
        _members(manifest),
        _images(manifest),
        _made(manifest),
    )
    return "\n".join(line for part in parts for line in part)


def _head(manifest: "Manifest") -> Iterator[str]:
    yield f"# {manifest.name}"
    yield ""
    n = sum(len(member.weights) for member in manifest.members)
    yield f"An ensemble of {count(n, 'network')} for {manifest.task['name']}, exported by goldfold {manifest.goldfold}."
    yield ""
    yield "```sh"
    images = manifest.preprocessing
    is_by_table = images.cases is not None or images.metadata is not None
    named = "folder_of_images/ --table cases.csv" if is_by_table else "image.jpg folder_of_images/"
    modules = dict.fromkeys(place.partition(":")[0] for place in manifest.own_code)
    trusted = "".join(f" --trust {module}" for module in modules)
    yield f"goldfold predict PATH_OF_THIS_FOLDER {named} --out predictions.csv{trusted}"
    yield "```"
    yield ""
    if manifest.own_code:
        yield f"It uses user-defined code, which must be importable at prediction: {', '.join(manifest.own_code)}."
        yield ""


def _score(manifest: "Manifest") -> Iterator[str]:
    score, how, row = manifest.score, manifest.validation, _row(manifest)
    yield "## Score"
    yield ""
    value, low, high = (_number(number) for number in (score.value, score.low, score.high))
    yield f"**{score.metric} {value}** (95 % interval {low} to {high})."
    yield ""
    groups = f" in {count(how['groups'], 'group')} that are never split across folds" if how["groups"] else ""
    yield (
        f"Out of fold: each of the {count(how['images'], f'training {row}')}{groups} is predicted by networks that were not "
        f"trained on it, and the ensemble of these predictions is scored once. {count(how['n_folds'], 'fold')} "
        f"({how['splitter']}), {count(len(how['seeds']), 'seed')}, "
        f"{_rounds(how)}. The interval is a percentile bootstrap over "
        f"{'groups' if how['groups'] else f'{row}s'}."
    )
    yield ""
    if score.value is not None and manifest.optimistic is not None:
        yield (
            f"The steps after the networks ({_steps(manifest)}) have fitted parameters. For this score they were fitted, for "
            f"each fold, on the other folds; in this bundle they are fitted on all folds. Fitted and scored on the same "
            f"{row}s they give {_number(manifest.optimistic)}, which is optimistic."
        )
        yield ""
    yield f"The score applies to {row}s similar to the training {row}s. {_whose(how, row)}"
    yield ""


def _whose(how: Mapping[str, Any], row: str) -> str:
    """Say how the networks that are scored differ from those of the bundle."""
    full = how.get("full_data")
    if full is None:
        return (
            f"The bundle averages the networks of all folds, whereas the score uses, for each {row}, only the networks not "
            f"trained on it, so the bundle is usually slightly better."
        )
    models = f"networks of {', '.join(full['models'])} that are trained on all {count(full['rows'], f'labelled {row}')}"
    return (
        f"**The score and its interval belong to the networks of the folds.** The bundle predicts with {models}"
        f"{', together with those of the folds' * (full['test'] == JOIN)}. These have no score of their own: no {row} was held "
        f"out. They have seen more {row}s than any fold network, so they are usually slightly better, which is not measured."
    )


def _row(manifest: "Manifest") -> str:
    """Return the unit that is scored and counted: image or case."""
    return "image" if manifest.preprocessing.cases is None else "case"


def _rounds(how: Mapping[str, Any]) -> str:
    pseudo_labelled = how["pseudo_label_rounds"]
    if how.get("rounds", pseudo_labelled + 1) == pseudo_labelled + 1:  # earlier versions record no other rounds
        return f"{count(pseudo_labelled, 'round')} of pseudo labels"
    return f"{count(how['rounds'], 'round')} of training, {pseudo_labelled} of them with pseudo labels"


def _classes(manifest: "Manifest") -> Iterator[str]:
    how, row = manifest.validation, _row(manifest)
    unit = f"{row}s" if how["unit"] == "images" else how["unit"]
    yield "## Training data"
    yield ""
    others = how.get("never_validated", 0)
    more = f" that are validated, and {others:,} that are not (external, or first in the order)" if others else ""
    yield f"{count(how['images'], row)}{more}."
    yield ""
    yield f"| {how['kind']} | {unit} |"
    yield "|---|---|"
    rows = list(how["by_class"].items())
    yield from (f"| {name} | {number:,} |" for name, number in rows[:MOST_CLASSES])
    if len(rows) > MOST_CLASSES:
        yield f"| and {len(rows) - MOST_CLASSES} more, see bundle.json | |"
    yield ""


def _members(manifest: "Manifest") -> Iterator[str]:
    total = sum(member.weight for member in manifest.members)
    is_weighted = manifest.fusion is None or manifest.fusion.fitted is None or has_weights(manifest.fusion.fitted)
    yield "## Networks"
    yield ""
    heads = manifest.validation.get("heads", {})
    yield "| member | share | network | input (height x width) | networks |"
    yield "|---|---|---|---|---|"
    for member in manifest.members:
        size = f"{' x '.join(map(str, member.network.size))}, {member.network.resize}"
        share = f"{member.weight / total:.3g}" if is_weighted else "–"
        yield f"| {member.name} | {share} | {_network(member, heads)} | {size} | {len(member.weights)} |"
    yield ""
    if heads:
        yield "The weights of a frozen backbone are those that it was given: only its head was fitted to the training images."
        yield ""
    left = manifest.validation["left_out"]
    if left:
        yield f"Left out because their weight is 0: {', '.join(left)}."
        yield ""


def _network(member: "Member", heads: Mapping[str, str]) -> str:
    network, backbone = member.network.network, member.network.backbone
    named = f"{network} on {backbone}" if backbone else network
    return f"{named}, frozen, with the head {heads[member.name]}" if member.name in heads else named


def _images(manifest: "Manifest") -> Iterator[str]:
    images = manifest.preprocessing
    kinds = {1: "grey", 3: "RGB"}
    cut = "" if images.roi is None else f" A region of interest is cropped first ({images.roi['method']})."
    yield "## Prediction"
    yield ""
    channels = kinds.get(images.channels, f"{images.channels} channels")
    yield f"Images are read as {channels}; 16-bit images are scaled to 8 bits by the rule {images.scale_16bit}.{cut}"
    if images.cases is not None:
        how = dict.fromkeys(components.label(member.network.views or "mean") for member in manifest.members)
        joined = f"joined by {', '.join(how)}" if how != {"mean": None} else "whose outputs are averaged"
        yield f"A case may have several images, {joined}; a table lists them (`goldfold predict --table`)."
    if images.metadata is not None:
        names = ", ".join([*images.metadata.numeric, *images.metadata.categorical])
        of_networks = any(member.network.metadata for member in manifest.members)
        takers = "Networks take" if of_networks else "The model of the networks' predictions takes"
        yield f"{takers} metadata columns besides images: {names} (`goldfold predict --table`)."
    views = ", ".join(components.label(view) for view in manifest.views)
    by = {"step": manifest.fusion.step} if manifest.fusion else manifest.ensemble
    fused = ", ".join(f"{key} {_label(value)}" for key, value in by.items())
    yield f"Averaged views: {views}. Networks are fused by {fused}. Batch normalisation: {manifest.batch_norm}."
    yield ""
    for one in manifest.postprocessing:
        fitted = "" if one.fitted is None else f", fitted to `{json.dumps(one.fitted)}`"
        yield f"Then: {components.label(one.step)}{fitted}."
        yield ""


def _steps(manifest: "Manifest") -> str:
    """Return the names of the steps that may have fitted parameters."""
    return ", ".join(components.label(one.step) for one in [manifest.fusion, *manifest.postprocessing] if one)


def _label(value: Any) -> str:
    return components.label(value) if isinstance(value, str | dict) else str(value)


def _made(manifest: "Manifest") -> Iterator[str]:
    yield "## Made with"
    yield ""
    found = [f"{name} {version}" for name in LIBRARIES if (version := manifest.versions.get(name))]
    yield f"goldfold {manifest.goldfold}, {', '.join(found)}."
    yield ""


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
