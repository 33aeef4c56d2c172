"""Section on augmentation: training images as training sees them."""

from typing import Any

from goldfold.base.errors import GoldfoldError
from goldfold.base.words import count
from goldfold.components import Several
from goldfold.drawing import contact
from goldfold.drawing.blocks import Block, Gallery, Section, Text
from goldfold.drawing.pictures import picture
from goldfold.drawing.words import listed
from goldfold.report import rounds
from goldfold.report.results import Results, Run
from goldfold.training import preview
from goldfold.training.spec import read

MOST_SHEETS, ROWS, COLUMNS, SIDE_PX = 3, 4, 5, 104
SHEET_PX = 760
SHOWN = ("augment", "flips", "mix", "mix_probability", "sizes")
"""Training settings that change what a sheet shows."""
NEEDED = frozenset({"path", "sha256"})
"""Columns of the training table; results of tests may lack them."""


def section(results: Results) -> Section | None:
    """Contact sheet of each augmentation; None if the results do not say what it was."""
    of: dict[str, tuple[Run, list[str]]] = {}
    for model in results.models:
        run = next((run for run in results.runs if run.model == model and _recipe(run)), None)
        if run is not None:
            settings = _recipe(run)
            train, model_of = settings["model"]["train"], settings["model"]
            key = repr([train.get(name) for name in SHOWN] + [model_of.get(name) for name in ("size", "cache_size")])
            of.setdefault(key, (run, []))[1].append(model)
    if not of or not set(results.tables["train"]) >= NEEDED:
        return None
    blocks = [_sheet(results, run, models) for run, models in list(of.values())[:MOST_SHEETS]]
    left = len(of) - MOST_SHEETS
    more = f" {count(left, 'further augmentation')} not shown." if left > 0 else ""
    intro = (
        "Images as cached (original), and as the first epochs train on them, augmented, flipped and mixed as configured; the "
        "first epoch is number 0, as in train.sizes. An object that cannot be recognised here cannot be learned. Draw other "
        f"settings with goldfold augment.{more}"
    )
    return Section("augmentation", "Augmented samples", intro, blocks, "Augmentation")


def _recipe(run: Run) -> dict[str, Any]:
    """Settings that the run was trained with; empty if its record has none."""
    found: dict[str, Any] = run.record.get("recipe", {}).get("settings", {})
    return found if {"model", "resize", "channels", "place"} <= set(found) else {}


def _sheet(results: Results, run: Run, models: list[str]) -> Block:
    settings = _recipe(run)
    spec = read(settings["model"], settings["resize"], settings["channels"], settings["place"])
    table, target = results.tables["train"], results.target
    chosen = contact.spread(table, target.content(table), ROWS)
    rule = results.settings["data"]["scale_16bit"]
    heading = listed(models)
    try:
        found = preview.previews(spec, results.task, results.classes, chosen, COLUMNS, rule)
    except (GoldfoldError, OSError) as error:
        return Text(f"Cannot be drawn: {error}", heading)
    wanted: Several = rounds.train_of(results.settings, run.model, run.round).get("augment", spec.train.augment)
    mask = str(chosen["mask"].iloc[0]) if "mask" in chosen else ""
    pixels = contact.contact_sheet(spec, target, results.classes, found, wanted, mask, SIDE_PX)
    return Gallery([picture(None, "", drawn=pixels)], "", heading, column_px=SHEET_PX)
