"""Export finished results as a bundle."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from goldfold import components, tasks
from goldfold.base.errors import ConfigError, DataError, GoldfoldError
from goldfold.base.files import refuse_unwritable
from goldfold.base.fingerprint import sha256_of
from goldfold.bundles import card, form, heads
from goldfold.bundles.finished import ENSEMBLE, FOLDS, MANIFEST, Finished, Run, finished
from goldfold.bundles.networks import Network
from goldfold.bundles.two_stages import detector_of, with_detector
from goldfold.images.cases import view_names
from goldfold.images.limits import MOST_PIXELS
from goldfold.predictions.arrays import load
from goldfold.splits.scored import scored
from goldfold.tables import read_table
from goldfold.version import VERSION

SHARED = ("channels", "scale_16bit", "tta", "batch_norm", "batch_size")
"""Prediction settings shared by all members."""


def export(results: str | Path, out: str | Path, force: bool = False) -> form.Manifest:
    """Write the networks of finished results, with everything prediction needs, as a bundle into the folder ``out``.

    Models with weight 0 are left out, as they do not contribute to the ensemble's prediction.

    Args:
        force: replace an earlier bundle in ``out``.

    Raises:
        GoldfoldError: the results are unfinished or do not match their records, or ``out`` cannot be written.
    """
    found = finished(results)
    _refuse_external(found)
    runs, target, detector = list(found.runs()), Path(out), detector_of(found)
    heads.refuse(found, runs)
    _refuse_full(target, force)
    refuse_unwritable(target.parent, "Make it writable, or choose another folder with -o.")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as temporary:
        folder = Path(temporary) / "bundle"
        (folder / form.WEIGHTS).mkdir(parents=True)
        runs += heads.networks(found, Path(temporary))
        members, files = _members(runs, found, folder)
        manifest = _manifest(found, runs, members)
        if detector:
            inner = export(detector.root, folder / "detector")
            files |= {form.DETECTOR: sha256_of(folder / form.DETECTOR)}
            manifest = with_detector(manifest, found, inner)
        (folder / form.CARD).write_text(card.text(manifest), encoding="utf-8", newline="\n")
        manifest = manifest.model_copy(update={"files": {form.CARD: sha256_of(folder / form.CARD), **files}})
        form.write(folder, manifest)
        if target.exists():
            shutil.rmtree(target)
        folder.replace(target)
    return manifest


def _refuse_full(out: Path, force: bool) -> None:
    """Refuse a non-empty folder, unless it is an earlier bundle and ``force`` is set."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / form.NAME).is_file():
        raise GoldfoldError(f"{out} exists and is not a bundle. Choose another folder with -o.")
    if not force:
        raise GoldfoldError(f"{out} already contains a bundle. Choose another folder, or add --force to replace it.")


def _members(runs: Sequence[Run], found: Finished, folder: Path) -> tuple[list[form.Member], dict[str, str]]:
    """Copy the weight files; return the members and the digest of each file."""
    members, files = [], {}
    for member, group in groupby(runs, key=lambda run: run.member):
        networks, names = [], []
        for run in group:
            names.append(f"{form.WEIGHTS}/{run.label}.safetensors")
            shutil.copyfile(run.path, folder / names[-1])
            files[names[-1]] = sha256_of(folder / names[-1])
            networks.append({**run.settings["model"], "resize": run.settings["resize"]})
        network = _only(networks, f"networks of the folds of {member.model}")
        weight = found.weights[member.name]
        try:
            members.append(form.Member(name=member.name, weight=weight, network=Network(**network), weights=names))
        except ValidationError as error:
            raise ConfigError(
                f"models ({member.model}): {error.errors()[0]['msg']}, so it cannot be exported."
            ) from error
    return members, files


def _manifest(found: Finished, runs: Sequence[Run], members: Sequence[form.Member]) -> form.Manifest:
    """Build the manifest without the file digests."""
    settings, shared = found.settings, {key: _only([run.settings.get(key) for run in runs], key) for key in SHARED}
    raw = found.record(MANIFEST)["recipe"]["settings"]
    classes = found.json("folds/classes.json", FOLDS)
    metric = components.label(settings["metric"])
    rows = read_table(found.file("folds/train.csv", FOLDS))
    train = scored(rows)
    scores = found.json("metrics.json", ENSEMBLE)
    score, optimistic = scores["oof"][metric], scores.get("optimistic", {}).get(metric, {}).get("value")
    runtime = {
        key: _only([run.settings["runtime"][key] for run in runs], key) for key in ("precision", "torch_threads")
    }
    branch = next((member.network.metadata for member in members if member.network.metadata), None)
    of_steps: dict[str, list[str]] | None = settings.get("metadata")
    manifest = form.Manifest(
        schema_version=_schema(members, raw["source"], branch is not None, of_steps is not None),
        goldfold=VERSION,
        name=found.name,
        task=settings["task"],
        classes=classes,
        preprocessing=form.Preprocessing(
            channels=shared["channels"],
            scale_16bit=shared["scale_16bit"] or "percentile",
            max_pixels=raw.get("max_pixels", MOST_PIXELS),
            roi=raw.get("roi"),
            stack=raw["source"].get("stack"),
            stack_pattern=raw["source"].get("stack_pattern", ""),
            cases=cases_of(raw["source"], view_names(train)),
            metadata=metadata_of(raw["source"], branch.model_dump() if branch else of_steps),
        ),
        members=list(members),
        views=shared["tta"],
        batch_norm=shared["batch_norm"] or "trained",
        **runtime,
        batch_size=shared["batch_size"],
        ensemble=settings["settings"],
        fusion=None if settings.get("fusion") is None else form.Fitted(**found.steps[0]),
        postprocessing=[form.Fitted(**step) for step in found.steps[1:]],
        score=form.Score(metric=metric, **{key: score[key] for key in ("value", "low", "high")}),
        optimistic=optimistic,
        draw_from=_draw_from(classes, found, train),
        validation=_validation(found, classes, train, len(rows) - len(train)),
        own_code=[],
        versions=_versions(found, runs),
        files={},
    )
    return manifest.model_copy(update={"own_code": manifest.places_of_own_code()})


def _schema(members: Sequence[form.Member], source: Mapping[str, Any], takes: bool, steps_take: bool) -> int:
    """Return the oldest schema version that describes a bundle, of which networks or steps may take metadata."""
    keys = ("views", "max_images", "embedding", "frozen_head")
    is_new = any(getattr(one.network, key) for one in members for key in keys)
    if source.get("frame_column") or is_new:
        return form.WITHOUT_DETECTOR
    has_heads = any(one.network.head for one in members)
    return form.OF_STEPS if steps_take or has_heads else form.OF_NETWORKS if takes else form.WITHOUT_METADATA


def cases_of(source: Mapping[str, Any], views: list[str] | None) -> form.Cases | None:
    """Return the columns of the case tables, or None if a case is one image."""
    if not (source.get("case_column") or source.get("view_columns")):
        return None
    return form.Cases(**{key: source.get(key) for key in form.Cases.model_fields if key != "views"}, views=views)


def metadata_of(source: Mapping[str, Any], columns: Mapping[str, Any] | None) -> form.Metadata | None:
    """Columns of the tables that hold metadata; None if nothing takes any.

    Args:
        columns: ``numeric`` and ``categorical``: all columns if networks take them, else those of the steps.
    """
    if columns is None:
        return None
    known = {key: source.get(key) for key in ("image_column", "image_columns", "columns")}
    kinds = {kind: columns[kind] for kind in ("numeric", "categorical")}
    return form.Metadata(id_column=source.get("id_column") or "id", **known, **kinds)


def _only(values: Sequence[Any], what: str) -> Any:
    """Return the value shared by all."""
    if any(value != values[0] for value in values):
        raise DataError(f"{what}: differs between runs of one ensemble. Run snakemake to completion, then export.")
    return values[0]


def _draw_from(classes: list[str], found: Finished, truth: pd.DataFrame) -> float | None:
    """Return the score threshold for drawing boxes: the one with the best out-of-fold F1; None if not finite."""
    if found.settings["task"]["name"] != "detection":
        return None
    from goldfold.metrics.detection import best_threshold

    oof = load(found.file("ensemble/oof.npz", ENSEMBLE))
    scores = tasks.score(found.settings["task"], classes)
    threshold = best_threshold(scores.evidence(oof, truth))  # type: ignore[arg-type]
    return float(threshold) if np.isfinite(threshold) else None


def _validation(found: Finished, classes: list[str], train: pd.DataFrame, n_others: int) -> dict[str, Any]:
    """Describe the validation: folds, splitter, seeds, rounds and image counts.

    Args:
        train: rows that are validated; ``n_others`` more are not.
    """
    settings, folds = found.settings, found.record(FOLDS)["recipe"]["settings"]
    facts, content = tasks.facts(settings["task"]["name"]), tasks.target(settings["task"], classes).content(train).sum()
    return {
        "images": len(train),
        "groups": int(train["group"].nunique()) if "group" in train else None,
        "kind": facts.kinds[0],
        "unit": facts.unit,
        "by_class": {str(name): int(number) for name, number in content.items()},
        "splitter": components.label(folds["splitter"]),
        "n_folds": settings["n_folds"],
        "seeds": settings["seeds"],
        "rounds": found.grid.last + 1,
        "pseudo_label_rounds": len(found.pseudo_labelled),
        "left_out": _left_out(found),
        **({"never_validated": n_others} if n_others else {}),
        **_on_frozen(found),
        **_on_all_rows(found),
    }


def _on_frozen(found: Finished) -> dict[str, Any]:
    """Heads on frozen backbones, by member; empty without any."""
    written = {member.name: components.label(heads.written(found, member)) for member in found.heads}
    return {"heads": written} if written else {}


def _on_all_rows(found: Finished) -> dict[str, Any]:
    """Describe the networks that are trained on all rows; empty without any."""
    if not found.full.rounds:
        return {}
    table = read_table(found.file("folds/full.csv", FOLDS))
    return {"full_data": {"models": sorted(found.full.rounds), "test": found.full.test, "rows": len(table)}}


def _refuse_external(found: Finished) -> None:
    """Refuse an ensemble with predictions of other tools, whose models are not here.

    Raises:
        ConfigError: a member of another tool has a weight.
    """
    if names := found.voting_external:
        raise ConfigError(
            f"{found.root}: {names[0]!r} has weight {found.weights[names[0]]:.3g} in the ensemble, but it is another tool's: a "
            f"bundle cannot predict with it. Set its weight in ensemble.weights to 0, or remove it from external; then run "
            f"snakemake again, which trains nothing."
        )


def _left_out(found: Finished) -> list[str]:
    """Return the models (members where weights are fitted) with weight 0."""
    names = [*found.settings["models"], *found.settings.get("external", ())]
    given: Mapping[str, float] = {name: found.settings["weights"].get(name, 1) for name in names}
    weights = given if found.settings.get("fusion") is None else found.weights
    return [name for name, weight in weights.items() if not weight]


def _versions(found: Finished, runs: Sequence[Run]) -> Mapping[str, str | None]:
    """Return the library versions that the networks were trained with."""
    within = next((run.path for run in runs if run.path.is_relative_to(found.root)), None)
    place = within.relative_to(found.root).with_name("run.json").as_posix() if within else ENSEMBLE
    return dict(found.record(place)["versions"])
