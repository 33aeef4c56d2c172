"""Section on the weights of the images of a case, in networks with attention over them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from goldfold.base.words import count
from goldfold.drawing.blocks import Block, Cell, Gallery, Picture, Section, Table
from goldfold.drawing.pictures import side_by_side
from goldfold.images.cases import PATHS, from_text, view_names
from goldfold.images.limited import chosen
from goldfold.predictions.view_weights import WEIGHTS
from goldfold.report.results import Results

FILE = "view_weights.csv"
"""Name of the table beside the page."""
MOST_IMAGES = 6
"""Most images of a case in a picture: those with the largest weights, in their order."""
DIGITS = 4


def table(results: Results) -> pd.DataFrame | None:
    """Weight of each image of a case: ``member``, ``id``, ``view`` (name or number from 0), ``path`` and ``weight``.

    Out of fold; images that are missing have no row. None if no member weights images.
    """
    if PATHS not in results.tables["train"]:
        return None
    found = [row for member in results.members for row in _rows(results, member)]
    if not found:
        return None
    return pd.DataFrame(found, columns=["member", "id", "view", "path", "weight"]).round({"weight": DIGITS})


def section(results: Results, weights: pd.DataFrame | None, gallery: int) -> Section | None:
    """Mean weight of each named view, and pictures of some cases with their weights; None without weights."""
    if weights is None:
        return None
    intro = (
        "Networks with attention weight the images of a case before they are joined. A large weight says which image the network "
        "looked at, not that it is right to do so, nor where in the image. Each case is weighted by networks that were not "
        f"trained on it; all weights are in {FILE}."
    )
    blocks: list[Block] = []
    if view_names(results.tables["train"]) is not None:
        blocks.append(_by_view(weights))
    blocks += [_gallery(results, name, rows, gallery) for name, rows in weights.groupby("member", sort=False)]
    return Section("view-weights", "Weights of images", intro, blocks)


def _rows(results: Results, member: str) -> Iterator[list[Any]]:
    train = results.tables["train"]
    names, most = view_names(train), _most_images(results, member)
    paths = dict(zip(train["id"], train[PATHS], strict=True)) if PATHS in train else {}
    for arrays in results.members[member].values():
        for id, weights in zip(arrays["ids"].tolist(), arrays[WEIGHTS], strict=True) if WEIGHTS in arrays else ():
            for view, path in enumerate(chosen(from_text(paths[id]), most)) if id in paths else ():
                if path is not None:
                    yield [member, id, names[view] if names else view, path, float(weights[view])]


def _most_images(results: Results, member: str) -> int | None:
    """Most images of a case that the member's network gets."""
    models = {one["name"]: one for one in results.settings["models"]}
    found: dict[str, int | None] = {
        one.name: models.get(one.model, {}).get("max_images") for one in results.grid.members
    }
    return found.get(member)


def _by_view(weights: pd.DataFrame) -> Table:
    several = weights[weights.groupby(["member", "id"])["view"].transform("size") > 1]
    rows: list[list[str | Cell]] = []
    for (member, view), own in several.groupby(["member", "view"], sort=False):
        mean = float(own["weight"].mean())
        low, high = np.quantile(own["weight"], [0.05, 0.95])
        rows.append([member, str(view), f"{len(own):,}", Cell(f"{mean:.3f}", mean), f"{low:.3f} to {high:.3f}"])
    columns = ["member", "view", "cases", "mean weight", "5 to 95 % of cases"]
    return Table(columns, rows, text_columns=columns[:2], caption="Cases with at least two images.")


def _gallery(results: Results, member: str, rows: pd.DataFrame, most: int) -> Gallery:
    """Cases whose weights differ most, then those whose weights differ least."""
    cases = dict(iter(rows.groupby("id")))
    spread = {id: float(own["weight"].max() - own["weight"].min()) for id, own in cases.items() if len(own) > 1}
    order = sorted(spread, key=lambda id: (-spread[id], id))
    first = order[: (most + 1) // 2]
    shown = [*first, *order[len(first) :][::-1][: most - len(first)]]
    caption = (
        f"{len(shown)} of {count(len(spread), 'case')} with several images: those whose weights differ most, then least. The bar "
        f"below an image is its weight."
    )
    heading = f"Weights of images by {member}"
    return Gallery([_picture(id, cases[id]) for id in shown], caption, heading, column_px=320)


def _picture(id: str, rows: pd.DataFrame) -> Picture:
    own = rows.nlargest(MOST_IMAGES, "weight").sort_index()
    line = ", ".join(f"{view} {weight:.2f}" for view, weight in zip(own["view"], own["weight"], strict=True))
    more = len(rows) - len(own)
    lines = [line, *[f"and {count(more, 'image')} with smaller weights"] * (more > 0)]
    return side_by_side(own["path"].tolist(), id, lines, own["weight"].tolist())
