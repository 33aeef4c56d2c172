"""Draw augmented samples of a config's own data, before any run; print a preset to copy."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.base.errors import ConfigError, DataError, GoldfoldError, unknown
from goldfold.base.files import read_json, refuse_unwritable
from goldfold.catalog import PRESETS
from goldfold.commands.disk import ELSEWHERE, readable_errors
from goldfold.config import Config, load, slices
from goldfold.tables import read_table

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.drawing.overlays import Pixels

MOST_IMAGES = 64
"""Images per split that are read to choose cases from."""
MOST_ROWS, MOST_COLUMNS = 50, 40
ENDINGS = (".png", ".jpg", ".jpeg")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``goldfold augment``."""
    parser.add_argument("given", nargs="?", type=Path, metavar="CONFIG", help="config file (default: config.yaml)")
    parser.add_argument("--config", "--configfile", type=Path, help="the same, as in the other commands")
    parser.add_argument("-o", "--out", type=Path, default=Path("augment.png"), help="image to write (augment.png)")
    parser.add_argument("--model", metavar="NAME", help="model whose size and augmentation are shown (the first)")
    parser.add_argument("--round", type=int, default=0, metavar="N", help="round whose settings are shown (0)")
    parser.add_argument("--rows", type=_up_to(MOST_ROWS), default=6, metavar="N", help="number of training cases (6)")
    parser.add_argument(
        "--columns", type=_up_to(MOST_COLUMNS), default=7, metavar="N", help="augmented samples of each (7)"
    )
    parser.add_argument(
        "--use", metavar="AUGMENT", help="preset or YAML file to show instead of the config's train.augment"
    )
    parser.add_argument(
        "--preset", metavar="NAME", help="print the YAML file of a preset, to copy and edit, and do nothing else"
    )


def _up_to(most: int) -> Any:
    def number(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {most}")
        return int(text)

    return number


def run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Print a preset, or write the contact sheet."""
    if options.preset is not None:
        return _print_preset(options.preset)
    if options.given is not None and options.config is not None:
        raise ConfigError(f"the config is named twice, {options.given} and --config {options.config}; name one")
    path = options.given or options.config or Path("config.yaml")
    if options.out.suffix.lower() not in ENDINGS:
        raise GoldfoldError(f"-o {options.out}: name a file that ends in {' or '.join(ENDINGS)}")
    if os.getcwd() not in sys.path:  # for user-defined functions
        sys.path.append(os.getcwd())
    config = load(path)
    name = options.model or next(model.name for model in config.models if not model.is_made)
    refuse_unwritable(options.out.parent, ELSEWHERE)
    with readable_errors():
        pixels, cases = sheet_of(config, name, options.round, options.rows, options.columns, options.use)
        _write(options.out, pixels)
    if options.json:
        print(json.dumps({"file": str(options.out), "model": name, "cases": cases}, indent=2))
    else:
        print(f"{options.out}: {len(cases)} training cases of model {name}, {options.columns} augmented samples each")
    return 0


def _print_preset(name: str) -> int:
    from goldfold.samples.presets.reading import file_of

    if name not in PRESETS:
        raise unknown("augmentation preset", name, PRESETS)
    print(file_of(name).read_text(encoding="utf-8"), end="")
    return 0


def _write(path: Path, pixels: Pixels) -> None:
    from PIL import Image

    Image.fromarray(pixels).save(path)


def sheet_of(
    config: Config, name: str, number: int, rows: int, columns: int, use: str | None = None
) -> tuple[Pixels, list[str]]:
    """Draw the sheet of a model in a round; return it with the ids of its cases.

    Raises:
        GoldfoldError: there is no such model or round, the data cannot be read, or the augmentation fails on them.
    """
    from goldfold import tasks
    from goldfold.commands.augmentation_trial import check_augmentations
    from goldfold.drawing import contact
    from goldfold.training import preview
    from goldfold.training.spec import read

    settings = _learning(config, name, number)
    if use is not None:
        settings["train"] |= {"augment": _instead(use)}
    place = {"round": number, "fold": 0, "seed": config.seeds[0]}
    spec = read(settings, slices.resize(config, name), config.data.channels, place)
    table, names = _training_table(config)
    task = slices.task(config)
    target = tasks.target(task, names)
    chosen = contact.spread(table, target.content(table), rows)
    check_augmentations({**settings, "task": config.task, "channels": config.data.channels})
    try:
        found = preview.previews(spec, task, names, chosen, columns, config.data.scale_16bit)
    except GoldfoldError:
        raise
    except Exception as error:  # a transform may raise anything
        raise ConfigError(
            f"train.augment of model {name} fails on these images: {type(error).__name__}: {error}"
        ) from error
    mask = str(chosen["mask"].iloc[0]) if "mask" in chosen else ""
    wanted = use or config.model(name, number).train.augment
    return contact.contact_sheet(spec, target, names, found, wanted, mask), list(chosen["id"])


def _learning(config: Config, name: str, number: int) -> dict[str, Any]:
    if name not in (names := [model.name for model in config.models if not model.is_made]):
        raise unknown("model", name, names)
    if not 0 <= number < len(config.every_round):
        raise ConfigError(f"--round {number}: the config has rounds 0 to {len(config.every_round) - 1}")
    trained = [number for number, one in enumerate(config.every_round) if name in (one.models or ())]
    if number not in trained:
        raise ConfigError(
            f"--round {number}: does not train model {name!r}; rounds that do: {', '.join(map(str, trained)) or 'none'}"
        )
    return slices.learning(config, name, number)


def _instead(use: str) -> Any:
    """Steps of a preset or a file, checked."""
    from goldfold.config.augmentation import every_problem, from_file, is_file

    try:
        return from_file(use) if is_file(use) else _checked(use, list(every_problem(use)))
    except ValueError as error:
        raise ConfigError(f"--use {error}") from error


def _checked(use: str, problems: list[str]) -> str:
    if problems:
        raise ConfigError(f"--use {problems[0]}")
    return use


def _training_table(config: Config) -> tuple[pd.DataFrame, list[str]]:
    """Training table of the manifest, of at most 64 images, and the classes; of all images if these are too few."""
    from goldfold.stages import demo, folds, manifest

    if config.data.demo_files:
        demo.run(**slices.demo(config))
    settings = {**slices.manifest(config), "sample": None}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        how: dict[str, Any] = {"folder": folder, "workers": os.cpu_count() or 1}
        try:
            manifest.run(**{**how, **settings, "most_rows": None if config.holdout else MOST_IMAGES})
        except DataError:
            manifest.run(**{**how, **settings})
        lists = Path(folder)
        if config.holdout:  # its cases are drawn from all, and are no training cases
            folds.run(folder, str(lists := lists / "folds"), keys=slices.given(config), **slices.folds(config))
        table = read_table(lists / "train.csv")
        return table, read_json(Path(folder) / "classes.json")
