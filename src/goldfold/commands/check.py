"""Check config and data with the code of the first stages, before hours are spent on training."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold import trials
from goldfold.audit.doubts.boxes import about_emptied, about_rare_boxes, about_repeated
from goldfold.audit.doubts.classes import about_classes, about_external
from goldfold.audit.doubts.copies import about_copies
from goldfold.audit.doubts.crops import about_crops
from goldfold.audit.doubts.files import about_files, about_left_out, about_unlisted, about_unread
from goldfold.audit.doubts.folds import about_groups, about_holdout, about_parted
from goldfold.audit.doubts.masks import about_masks
from goldfold.audit.doubts.metadata import about_metadata, about_targets
from goldfold.audit.doubts.submission import about_formulas
from goldfold.base.errors import ConfigError, GoldfoldError, as_error
from goldfold.base.files import read_json
from goldfold.commands.checked import Check, as_json, as_text
from goldfold.commands.external_trial import check_external
from goldfold.components import name_of
from goldfold.config import Config, columns, frozen, load, slices, with_classes
from goldfold.config.tried import after_prediction, coverages
from goldfold.images.files import passed_over
from goldfold.planning.outputs import SEALED
from goldfold.planning.plan import plan_of
from goldfold.planning.row_lists import EXTERNAL, chosen_rows
from goldfold.tables import read_table
from goldfold.tasks import facts

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.tasks.protocol import Target

FEWEST_CLASSES = 2
"""Classes of made-up predictions where the config names none."""
TOLD, NOTE = "goldfold: ", ": note: "
"""Start of a line of the preflight, and part of one about a network that can be used."""


def check(path: str | Path, *, with_networks: bool = False) -> Check:
    """Read the config, make manifest and folds in a temporary folder, and collect the results.

    Args:
        with_networks: whether every network is built and tried too, as at the start of a run.
    """
    found = Check(str(path))
    try:
        config = load(path)
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            if config.detector is not None:
                found.detector = _check_detector(config.detector, Path(folder) / "detector", with_networks)
            _check(config, Path(folder), found, with_networks)
            if config.detector is not None:
                _match(config, Path(folder), found)
    except (GoldfoldError, SystemExit) as error:
        found.error = str(as_error(error))
    return found


def _check(config: Config, folder: Path, found: Check, with_networks: bool) -> None:
    found.task = config.task
    _try_ensemble(config)
    _run_stages(config, folder, found)
    if with_networks:
        _try_networks(config, folder / "folds", found)


def _check_detector(config: Config, folder: Path, with_networks: bool) -> Check:
    """Check the detector by whose boxes images are cropped; its manifest and folds stay in ``folder``.

    Raises:
        ConfigError: it cannot be run.
    """
    found = Check(config.name)
    try:
        _check(config, folder, found, with_networks)
    except GoldfoldError as error:
        raise ConfigError(f"the detector {config.name!r}: {error}") from error
    return found


def _match(config: Config, folder: Path, found: Check) -> None:
    """Run the stage match, and count the images by the networks whose boxes they will be cropped by."""
    from goldfold.config.dependencies import SETTINGS
    from goldfold.crop.detector import whose
    from goldfold.planning.plan import Job
    from goldfold.stages import match

    lists = folder / "detector/folds"
    found.doubts += match.run(
        tables={name: str(folder / f"manifest/{name}.csv") for name in config.tables},
        own={
            path.stem: str(path)
            for path in lists.glob("*.csv")
            if path.stem in ("train", "test", "unlabeled", "holdout")
        },
        classes=str(lists / "classes.json"),
        table=str(folder / "images.csv"),
        **SETTINGS["match"](config, Job("match")),
    )
    images = read_table(folder / "images.csv")
    for split in images["split"].unique():
        found.boxes[split] = dict(Counter(whose(images, split)))


def _try_ensemble(config: Config) -> None:
    """Try the metric and the steps of the ensemble as the preflight of a run does."""
    from goldfold.commands.ensemble_trial import check_ensemble

    settings = after_prediction(config)
    check_ensemble(settings, settings["n_classes"] or FEWEST_CLASSES)


def _try_networks(config: Config, folds: Path, found: Check) -> None:
    """Try all networks and their training components; what is told of those that can be used is a doubt.

    Raises:
        GoldfoldError: one cannot be used.
    """
    asked = trials.trials(config, plan_of(config), str(folds))
    done = trials.run(asked, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    lines = done.stderr.splitlines()  # libraries and user-defined code may print too
    said = [line.removeprefix(TOLD) for line in lines if line.startswith(TOLD)]
    notes = [line for line in said if NOTE in line]
    if done.returncode:
        ended = f"the trial of the networks ended with status {done.returncode}, as for lack of memory: {' '.join(lines[-3:])}"
        raise ConfigError("\n".join(line for line in said if line not in notes) or ended)
    found.doubts += [line.replace(NOTE, ": ", 1) for line in notes]


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
    found.doubts += _about_columns(config, tables)
    if config.externals:
        found.doubts += check_external(config, folder)
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
    listed = [path for name, table in images.items() if name != "answers" for path in table["path"]]
    listed += [row["path"] for row in found.left_out]
    found.doubts += about_unlisted(config.data.listed_folders, listed)
    found.passed_over = dict(passed_over(path for path in config.data.raw_paths() if os.path.isdir(path)))
    found.crops = roi.counts(tables)
    found.doubts += about_crops(found.crops)


def _about_columns(config: Config, tables: dict[str, pd.DataFrame]) -> list[str]:
    """Doubts about metadata and about training rows that are never validated."""
    taken = columns.taken(config) or {"numeric": [], "categorical": []}
    learnt = [name for names in taken.get("auxiliary", {}).values() for name in names]
    doubts = [*about_metadata(tables, taken["categorical"])]
    doubts += about_targets(tables["train"], [*taken["numeric"], *taken["categorical"]], learnt)
    return doubts + ([*about_external(tables["train"])] if EXTERNAL in chosen_rows(config).values() else [])


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


def add_options(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``goldfold check``."""
    parser.add_argument(
        "--config", "--configfile", type=Path, default=Path("config.yaml"), help="config file (default: config.yaml)"
    )
    parser.add_argument(
        "--no-networks",
        action="store_true",
        help="check config and data only; networks are then tried at the start of a run",
    )


def run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Print the result."""
    if os.getcwd() not in sys.path:  # for user-defined functions
        sys.path.append(os.getcwd())
    found = check(options.config, with_networks=not options.no_networks)
    print(json.dumps(as_json(found), indent=2) if options.json else as_text(found))
    return 0 if found.error is None else 1
