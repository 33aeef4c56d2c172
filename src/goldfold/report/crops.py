"""Section on what is cut out of the images: counts, and a contact sheet."""

import base64
from typing import Any

import numpy as np
import pandas as pd

from goldfold.base.words import count
from goldfold.crop.counts import counts, shares
from goldfold.drawing.blocks import Block, Figure, Section, Table, Text
from goldfold.drawing.overlays import LINE_PX, Box, Pixels, boxed, opened
from goldfold.drawing.words import shortened
from goldfold.images.geometry import roi_of
from goldfold.report.results import Results

MOST_SHOWN, COLUMNS = 40, 8
CELL_PX, WORDS_PX, GAP_PX = 150, 18, 6
DIMMED = 0.35
"""How bright what is cut off is drawn."""
BRIGHT = 99.0
"""Percentile of an image's levels that is drawn white."""
LINE = (255, 190, 40)
JPEG_QUALITY = 85


def section(results: Results) -> Section | None:
    """None where images are taken whole."""
    found = counts(results.tables)
    if not found:
        return None
    method = results.settings["data"]["roi"]["method"]
    blocks: list[Block] = [_table(found)]
    lost = sum(of["boxes_lost"] for of in found.values())
    if lost:
        blocks.append(Text(f"{count(lost, 'box', 'boxes')} to learn from lie wholly outside what is kept; as no model sees "
                           "them, they count as missed."))  # fmt: skip
    every = pd.concat([table.assign(split=split) for split, table in results.tables.items() if split in found])
    blocks.append(_sheet(every.reset_index(drop=True)))
    intro = f"What is cut out of each image before it is resized, by “{method}”."
    return Section("crops", "Crops", intro, blocks)


def _table(found: dict[str, dict[str, Any]]) -> Table:
    """Splits down, what came of them across."""
    reasons = list(dict.fromkeys(reason for of in found.values() for reason in of["whole"]))
    rows = [
        [
            split,
            f"{of['images']:,}",
            "–" if of["share"] is None else f"{of['share']:.0%}",
            *(f"{of['whole'].get(reason, 0):,}" for reason in reasons),
        ]
        for split, of in found.items()
    ]
    columns = ["split", "images", "pixels kept, mean", *(f"whole: {reason}" for reason in reasons)]
    return Table(columns, rows, text_columns=["split"])


def chosen(table: pd.DataFrame, most: int = MOST_SHOWN) -> pd.DataFrame:
    """Images to show: up to a quarter that are taken whole, and others from the smallest share kept to the largest."""
    kept = table.assign(kept=shares(table))
    whole = kept[kept["roi_fallback"] != ""]
    cut = kept[kept["roi_fallback"] == ""].sort_values(["kept", "id"], kind="stable")
    n_whole = min(len(whole), most // 4)
    n_cut = min(len(cut), most - n_whole)
    rows = np.unique(np.linspace(0, max(len(cut) - 1, 0), n_cut).round().astype(int))
    return pd.concat([whole.head(n_whole), cut.iloc[rows]])


def _sheet(table: pd.DataFrame) -> Block:
    shown = chosen(table)
    cells = [cell(row) for row in shown.to_dict("records")]
    columns = min(COLUMNS, len(cells))
    blank = np.full_like(cells[0], 255)
    cells += [blank] * (-len(cells) % columns)
    picture = np.vstack([np.hstack(cells[start : start + columns]) for start in range(0, len(cells), columns)])
    caption = (
        f"{count(len(shown), 'image')} of {len(table):,}: the box is what is kept, the rest is dimmed; under each its id and "
        f"the share of its pixels that is kept, the smallest first. Those taken whole stand before them. Dark images are drawn "
        f"lighter."
    )
    return _figure("crops", picture, caption, f"Contact sheet of {len(shown)} images with what is cut out of them")


def cell(row: dict[str, Any]) -> Pixels:
    """An image with its box, what is cut off dimmed, and words below; white around it."""
    canvas = np.full((CELL_PX + WORDS_PX + GAP_PX, CELL_PX + GAP_PX, 3), 255, np.uint8)
    image, roi = opened(row["path"]), roi_of(row["roi"])
    if image is not None:
        drawn = _drawn(_lightened(image), roi)
        canvas[: drawn.shape[0], : drawn.shape[1]] = drawn
    share = "whole" if row["roi_fallback"] else f"{row['kept']:.0%}"
    return _written(canvas, f"{shortened(row['id'], 12)} {share}")


def _lightened(image: Pixels) -> Pixels:
    """Levels spread over all of the range: many scans are nearly black as they are."""
    high = max(1.0, float(np.percentile(image, BRIGHT)))
    return (image * (255 / high)).clip(0, 255).astype(np.uint8)


def _drawn(image: Pixels, roi: tuple[int, int, int, int] | None) -> Pixels:
    if roi is None:
        return boxed(image, [], CELL_PX)
    x1, y1, x2, y2 = roi
    dimmed = (image * DIMMED).astype(np.uint8)
    dimmed[y1:y2, x1:x2] = image[y1:y2, x1:x2]
    return boxed(dimmed, [Box(roi, LINE)], CELL_PX, LINE_PX)


def _written(canvas: Pixels, words: str) -> Pixels:
    from PIL import Image, ImageDraw, ImageFont

    from goldfold.drawing.overlays import font_file

    page = Image.fromarray(canvas)
    ImageDraw.Draw(page).text((1, CELL_PX + 1), words, fill=(60, 60, 60), font=ImageFont.truetype(font_file(), 11))
    return np.asarray(page)


def _figure(name: str, picture: Pixels, caption: str, description: str) -> Figure:
    """A picture of pixels as a figure of the page and as a file beside it."""
    import cv2

    pixels = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    height, width = picture.shape[:2]
    uri = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    svg = f'<svg viewBox="0 0 {width} {height}"><image href="{uri}" width="{width}" height="{height}"/></svg>'
    return Figure(name, svg, cv2.imencode(".png", pixels)[1].tobytes(), width, caption, description)
