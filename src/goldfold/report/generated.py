"""Section on generated training images: how many there are, and some of them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldfold.base.files import read_json
from goldfold.base.words import count
from goldfold.cache.stores import Rows, open_rows
from goldfold.drawing.blocks import Block, Gallery, Section, Text
from goldfold.drawing.pictures import picture
from goldfold.generating.files import SOURCE
from goldfold.planning.runs import IMAGES
from goldfold.report.results import Results
from goldfold.tables import read_table


def section(results: Results, gallery: int) -> Section | None:
    """Numbers and pictures for each model and round that trains on generated images; None if there is none."""
    blocks: list[Block] = [
        block for model, number, folder in _folders(results) for block in _of(results, model, number, folder, gallery)
    ]
    if not blocks:
        return None
    intro = (
        "In each fold, a generator learns from the training images of the fold alone, and trainings use its images besides. No "
        "score is computed on generated images. Whether they help is not known from these pictures: compare with a model that "
        "is trained without them (`ablate`)."
    )
    return Section("generated", "Generated images", intro, blocks)


def _folders(results: Results) -> Iterator[tuple[str, int, Path]]:
    """Model, round and folder of the images of the first fold, as far as they are on disk."""
    for model, number in dict.fromkeys((run.model, run.round) for run in results.runs):
        folder = results.root / "generate" / IMAGES.format(model=model, round=number, fold=0)
        if (folder / "run.json").exists():
            yield model, number, folder


def _of(results: Results, model: str, number: int, folder: Path, gallery: int) -> list[Text | Gallery]:
    facts = read_json(folder / "run.json").get("generated", {})
    of = model if results.n_rounds == 1 else f"{model}, round {number}"
    numbers = ", ".join(f"{name} {facts[name]:.4g}" for name in sorted({*facts} - {"images", "from"}))
    text = Text(
        f"{count(facts.get('images', 0), 'image')} made from {facts.get('from', 0):,} training images of fold 0"
        f"{f' ({numbers})' if numbers else ''}.",
        heading=of,
    )
    table, images = read_table(folder / "ids.csv"), open_rows(folder / "images.npy")
    chosen = np.linspace(0, len(table) - 1, min(gallery, len(table))).round().astype(int)
    shown = [
        picture(None, source, drawn=_rgb(images, row))
        for row, source in zip(chosen, table[SOURCE].iloc[chosen], strict=True)
    ]
    return [text, Gallery(shown, "Named by the training image whose target each has.", is_compact=True)]


def _rgb(images: Rows, row: int) -> NDArray[np.uint8]:
    """The first three channels of an image; a single one as grey."""
    pixels = np.asarray(images[row])
    return np.ascontiguousarray(pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., :1].repeat(3, axis=-1))
