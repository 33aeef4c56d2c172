"""Check config and data with the code of the first stages, before hours are spent on training."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.audit.doubts.boxes import about_emptied, about_rare_boxes, about_repeated
from goldfold.audit.doubts.classes import about_classes
from goldfold.audit.doubts.copies import about_copies
from goldfold.audit.doubts.crops import about_crops
from goldfold.audit.doubts.files import about_files, about_left_out, about_unlisted, about_unread
from goldfold.audit.doubts.folds import about_groups, about_holdout, about_parted
from goldfold.audit.doubts.masks import about_masks
from goldfold.audit.doubts.metadata import about_metadata
from goldfold.audit.doubts.submission import about_formulas
from goldfold.base.errors import ConfigError, GoldfoldError, as_error, shortened
from goldfold.base.files import read_json
from goldfold.base.words import count
from goldfold.catalog import PRESETS
from goldfold.commands.external_trial import check_external
from goldfold.components import name_of
from goldfold.config import Config, columns, frozen, load, slices, with_classes
from goldfold.config.trial_keys import as_written
from goldfold.config.tried import after_prediction, coverages
from goldfold.images.files import passed_over, tools_in_words
from goldfold.planning.outputs import SEALED
from goldfold.tables import read_table
from goldfold.tasks import facts

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.tasks.protocol import Target

FEWEST_CLASSES = 2
"""Classes of made-up predictions where the config names none."""
SHOWN = 20
"""Classes and rows that are printed; JSON lists all."""


@dataclass
class Check:
    """Result of a check; ``error`` is the reason why the config cannot be run, None if it can."""

    config: str
    error: str | None = None
    task: str | None = None
    images: dict[str, int] = field(default_factory=dict)
    """Usable images by split."""
    cases: dict[str, int] = field(default_factory=dict)
    """Cases by split, if a case may have several images."""
    holdout: int = 0
    """Training cases that are set aside, and not in the counts of folds and classes."""
    classes: dict[str, dict[str, float]] = field(default_factory=dict)
    """Class -> fold -> amount that the fold validates: images, objects or pixels."""
    folds: list[int] = field(default_factory=list)
    """Number of validation images of each fold."""
    not_validated: int = 0
    """Training images that no fold validates."""
    deviation: float = 0.0
    """Largest relative deviation of a class from its even share per fold; 0.1 is a tenth."""
    furthest: dict[str, Any] = field(default_factory=dict)
    """The class with this deviation: ``class``, ``fold``, signed ``deviation``, the ``amount`` of it that the fold validates,
    and the ``even`` amount."""
    left_out: list[dict[str, str]] = field(default_factory=list)
    """Rows of the quarantine: split, id, path, part (image, box, ...), reason, outcome (``left out``, or ``cut``: the sound
    remainder of the part is trained on)."""
    groups: dict[str, Any] = field(default_factory=dict)
    """``number`` of groups of training images, sizes of the ``smallest`` and the ``largest``, and the latter's ``name``; empty
    without groups."""
    copies: list[dict[str, Any]] = field(default_factory=list)
    """Rows of images that have a copy; see `goldfold.audit.duplicates.find`."""
    crops: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Counts of cropped images by split, see `goldfold.crop.counts`; empty if all are taken whole."""
    passed_over: dict[str, int] = field(default_factory=dict)
    """Files and folders of other tools below the data folders, by name."""
    doubts: list[str] = field(default_factory=list)


def check(path: str | Path) -> Check:
    """Read the config, make manifest and folds in a temporary folder, and collect the results."""
    found = Check(str(path))
    try:
        config = load(path)
        found.task = config.task
        _try_ensemble(config)
        _try_augmentations(config)
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            _run_stages(config, Path(folder), found)
    except (GoldfoldError, SystemExit) as error:
        found.error = str(as_error(error))
    return found


def _try_ensemble(config: Config) -> None:
    """Try the metric and the steps of the ensemble as the preflight of a run does."""
    from goldfold.commands.ensemble_trial import check_ensemble

    settings = after_prediction(config)
    check_ensemble(settings, settings["n_classes"] or FEWEST_CLASSES)


def _try_augmentations(config: Config) -> None:
    """Try augmentations as the preflight of a run does, except presets of goldfold.

    Presets work on all images, and a trial loads albumentations, which loads torch: several seconds.

    Raises:
        ConfigError: one fails.
    """
    own = {
        (run.model, run.round)
        for run in config.grid.trained_runs()
        if not isinstance(augment := config.model(run.model, run.round).train.augment, str) or augment not in PRESETS
    }
    if not own:
        return
    from goldfold.commands.augmentation_trial import check_augmentations

    names = {name for name, _ in own}
    for model in slices.network_checks(config):
        if model["name"] in names:
            try:
                check_augmentations(model)
            except ConfigError as error:
                raise ConfigError(as_written(str(error), model["written"])) from error


def _run_stages(config: Config, folder: Path, found: Check) -> None:
    """Run the stages manifest and folds in ``folder``, and fill ``found`` from their results."""
    from goldfold import tasks
    from goldfold.audit import duplicates
    from goldfold.stages import demo, folds, manifest

    if config.data.demo_files:
        demo.run(**slices.demo(config))
    settings = {**slices.manifest(config), **with_classes.settings(config)}
    found.doubts += manifest.run(folder=str(folder / "manifest"), workers=os.cpu_count() or 1, **settings)
    tables = {name: read_table(folder / f"manifest/{name}.csv") for name in (*config.tables, "quarantine")}
    found.left_out = tables.pop("quarantine").to_dict("records")
    _look_at_tables(config, tables, settings["task"], found)
    found.copies = duplicates.read(folder / "manifest/duplicates.csv").to_dict("records")
    found.doubts += about_copies(found.copies, settings["duplicates"], len(tables["train"]))
    folds.run(
        manifest=str(folder / "manifest"),
        folder=str(folder / "folds"),
        keys=slices.given(config),
        taken=columns.taken(config),
        coverages=coverages(config),
        **slices.folds(config),
    )
    names = read_json(folder / "manifest/classes.json")
    if config.holdout:
        _look_at_holdout(folder / "folds", tasks.target(settings["task"], names), found)
    _look_at_folds(folder / "folds", names, found)
    if config.externals:
        check_external(config, folder)
    found.doubts += about_classes(found.classes)
    found.doubts += about_rare_boxes(tables["train"], names, config.folds.n_folds)
    found.doubts += frozen.doubts(config)
    found.doubts += about_groups(read_json(folder / "folds/test_groups.json"))
    if "test" in tables:
        classes = names if facts(config.task).kinds[0] == "class" else []
        found.doubts += about_formulas([*tables["test"]["id"], *classes])


def _look_at_tables(config: Config, tables: dict[str, pd.DataFrame], task: dict[str, Any], found: Check) -> None:
    """Count images, cases and crops of the manifest's tables, and add the doubts about them."""
    from goldfold.crop import counts as roi
    from goldfold.images import cases

    images = {name: cases.each(table) for name, table in tables.items()}
    found.images = {name: len(table) for name, table in images.items()}
    found.cases = {name: len(table) for name, table in tables.items() if cases.are_in(table)}
    found.doubts += about_left_out(found.left_out, found.images)
    found.doubts += about_emptied(found.left_out, tables["train"])
    found.doubts += about_repeated(tables["train"])
    found.doubts += about_files(
        [path for table in images.values() for path in table["path"]], config.data.scale_16bit, config.data.max_pixels
    )
    _refuse_pasting(config, cases.lacking(tables["train"]))
    found.doubts += about_unread(config.data.raw_paths())
    found.doubts += about_masks(tables["train"], task)
    found.doubts += about_metadata(tables, (columns.taken(config) or {"categorical": []})["categorical"])
    listed = [path for name, table in images.items() if name != "answers" for path in table["path"]]
    listed += [row["path"] for row in found.left_out]
    found.doubts += about_unlisted(config.data.listed_folders, listed)
    found.passed_over = dict(passed_over(path for path in config.data.raw_paths() if os.path.isdir(path)))
    found.crops = roi.counts(tables)
    found.doubts += about_crops(found.crops)


def _look_at_holdout(folder: Path, target: Target, found: Check) -> None:
    """Count the cases of the holdout, and add what is left out because of it."""
    sealed = read_table(folder / SEALED)
    found.holdout = len(sealed)
    found.left_out = read_table(folder / "quarantine.csv").to_dict("records")
    found.doubts += about_holdout(target.content(sealed))


def _look_at_folds(folder: Path, names: list[str], found: Check) -> None:
    """Collect sizes of folds, groups and classes, and the class furthest from its even share."""
    from goldfold.splits.checks import read_summary, shares, worst
    from goldfold.splits.groups import sizes_of
    from goldfold.splits.together import parted

    train = read_table(folder / "train.csv")
    found.doubts += about_parted(parted(train, train["fold"].to_numpy(int)))
    summary = read_summary(folder / "summary.csv")
    found.not_validated = int(summary["(all)"].get(-1, 0))
    summary = summary[summary.index >= 0]
    found.folds = summary["(all)"].astype(int).tolist()
    name, row, far = worst(shares(summary[names]))
    found.deviation = abs(far)
    found.furthest = {
        "class": name,
        "fold": int(summary.index[row]),
        "deviation": far,
        "amount": float(summary[name].iloc[row]),
        "even": float(summary[name].mean()),
    }
    found.groups = sizes_of(train)
    found.classes = {name: {str(fold): float(n) for fold, n in summary[name].items()} for name in names}


def _refuse_pasting(config: Config, lacking: str | None) -> None:
    """Refuse to mix parts of images if a case lacks a view, as training does."""
    from goldfold.images.cases import refuse_pasting

    for name, number in sorted({(run.model, run.round) for run in config.grid.runs()}):
        mixes = [name_of(one) for one in config.model(name, number).train.every_mix]
        refuse_pasting(mixes, lacking, f"models ({name}), round {number}: ")


def as_text(found: Check) -> str:
    """Result as text."""
    from goldfold.audit import quarantine
    from goldfold.crop import counts as roi
    from goldfold.splits.groups import groups_in_words, in_range
    from goldfold.tasks import facts

    if found.error is not None:
        return f"{found.config}: cannot be run\n{found.error}"
    images = ", ".join(f"{number:,} {split}" for split, number in found.images.items())
    lines = [f"{found.config}: can be run", f"task: {found.task}", f"images: {images}"]
    if found.cases:
        lines.append(f"cases: {', '.join(f'{number:,} {split}' for split, number in found.cases.items())}")
    lines += [f"holdout: {found.holdout:,} of the training cases are set aside"] * (found.holdout > 0)
    lines.append(f"folds: {len(found.folds)}, of {in_range(found.folds)}")
    lines += roi.as_text(found.crops)
    lines += [f"never validated: {count(found.not_validated, 'training image')}"] * (found.not_validated > 0)
    far = found.furthest
    lines.append(f"furthest from its even share: class {far['class']!r} in fold {far['fold']}, {far['deviation']:+.1%}")
    unit = facts(str(found.task)).unit.removesuffix("s" * (far["amount"] == 1))
    lines.append(f"  it validates {far['amount']:,.0f} {unit} of it; {far['even']:,.1f} would be even")
    if found.groups:
        lines.append(f"groups: {groups_in_words(found.groups)}")
    lines.append(f"classes: {len(found.classes)}")
    for name, parts in list(found.classes.items())[:SHOWN]:
        lines.append(f"  {name}: {sum(parts.values()):,.0f} ({', '.join(f'{n:,.0f}' for n in parts.values())} by fold)")
    lines += [f"  and {len(found.classes) - SHOWN} more"] * (len(found.classes) > SHOWN)
    numbers = [count(quarantine.n_images(found.left_out), "image"), quarantine.parts_in_words(found.left_out)]
    lines.append(f"left out: {'; '.join(filter(None, numbers))}")
    for row in found.left_out[:SHOWN]:
        lines.append(f"  {row['split']} {row['id']} ({row['path']}): {quarantine.reason_of(row)}")
    lines += [f"  and {len(found.left_out) - SHOWN} more"] * (len(found.left_out) > SHOWN)
    lines += [tools_in_words(found.passed_over)] if found.passed_over else []
    lines.append("doubts:" if found.doubts else "doubts: none")
    return "\n".join(map(shortened, [*lines, *(f"  {doubt}" for doubt in found.doubts)]))


def as_json(found: Check) -> dict[str, Any]:
    """Result as JSON values."""
    return {"ok": found.error is None, **found.__dict__}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``goldfold check``."""
    parser.add_argument("--config", type=Path, default=Path("config.yaml"), help="config file (default: config.yaml)")


def run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Print the result."""
    if os.getcwd() not in sys.path:  # for user-defined functions
        sys.path.append(os.getcwd())
    found = check(options.config)
    print(json.dumps(as_json(found), indent=2) if options.json else as_text(found))
    return 0 if found.error is None else 1
