"""Section on the crops (data.roi): counts and a contact sheet."""

import base64
from typing import Any

import numpy as np
import pandas as pd

from goldfold.base.words import count, noun
from goldfold.crop.counts import BY, counts, shares
from goldfold.drawing.blocks import Block, Figure, Section, Table, Text
from goldfold.drawing.overlays import LINE_PX, Box, Pixels, boxed, opened
from goldfold.drawing.words import shortened
from goldfold.images.geometry import roi_of
from goldfold.report.results import Results

MOST_SHOWN, COLUMNS = 40, 8
CELL_PX, WORDS_PX, GAP_PX = 150, 18, 6
DIMMED = 0.35
"""Brightness of the parts that are cut off, as a share."""
BRIGHT = 99.0
"""Percentile of an image's levels that is drawn as white."""
LINE = (255, 190, 40)
JPEG_QUALITY = 85


def section(results: Results) -> Section | None:
    """Counts and contact sheet; None if no image is cropped."""
    found = counts(results.tables)
    if not found:
        return None
    blocks: list[Block] = [_table(found)]
    lost = sum(of["boxes_lost"] for of in found.values())
    if lost:
        blocks.append(Text(f"{count(lost, 'training box', 'training boxes')} {noun(lost, 'lies', 'lie')} wholly outside the "
                           "crop. No model can see them, so they count as missed."))  # fmt: skip
    every = pd.concat([table.assign(split=split) for split, table in results.tables.items() if split in found])
    blocks.append(_sheet(every.reset_index(drop=True)))
    intro = f"The part of each image that is kept before resizing, found by {_method(results.settings['data']['roi'])}."
    return Section("crops", "Crops", intro, blocks)


def _method(roi: dict[str, Any]) -> str:
    if roi["method"] != "detector":
        return f"the method “{roi['method']}”"
    return (
        f"a detector that this run trained ({roi['config']}, its {roi['from'] or 'ensemble'}). Its own training images are "
        "cropped by networks of the other folds, which have not seen their boxes, all others by all its networks"
    )


def _table(found: dict[str, dict[str, Any]]) -> Table:
    """One row per split: images, share of pixels kept, and images taken whole by reason."""
    reasons = list(dict.fromkeys(reason for of in found.values() for reason in of["whole"]))
    whose = list(dict.fromkeys(by for of in found.values() for by in of.get(BY, ())))
    rows = [
        [
            split,
            f"{of['images']:,}",
            "–" if of["share"] is None else f"{of['share']:.0%}",
            *(f"{of['whole'].get(reason, 0):,}" for reason in reasons),
            *(f"{of.get(BY, {}).get(by, 0):,}" for by in whose),
        ]
        for split, of in found.items()
    ]
    columns = ["split", "images", "pixels kept, mean", *(f"not cropped: {reason}" for reason in reasons)]
    columns += [f"boxes by {by}" for by in whose]
    return Table(columns, rows, text_columns=["split"])


def chosen(table: pd.DataFrame, most: int = MOST_SHOWN) -> pd.DataFrame:
    """Images to show: up to a quarter of them uncropped, the others from the smallest share kept to the largest."""
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
        f"{count(len(shown), 'image')} of {len(table):,}. The box is kept, the dimmed part is cut off; below each image are its "
        f"id and the share of its pixels that is kept. Uncropped images come first, then the smallest share. Dark images are "
        f"brightened."
    )
    return _figure("crops", picture, caption, f"Contact sheet of {len(shown)} images with their crops")


def cell(row: dict[str, Any]) -> Pixels:
    """An image with its crop box, the rest dimmed, and a line of text below, on white."""
    canvas = np.full((CELL_PX + WORDS_PX + GAP_PX, CELL_PX + GAP_PX, 3), 255, np.uint8)
    image, roi = opened(row["path"]), roi_of(row["roi"])
    if image is not None:
        drawn = _drawn(_lightened(image), roi)
        canvas[: drawn.shape[0], : drawn.shape[1]] = drawn
    share = "whole" if row["roi_fallback"] else f"{row['kept']:.0%}"
    return _written(canvas, f"{shortened(row['id'], 12)} {share}")


def _lightened(image: Pixels) -> Pixels:
    """Stretch the levels over the whole range: many scans are nearly black."""
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
    """Figure of a pixel image, embedded as JPEG, with a PNG file beside the page."""
    import cv2

    pixels = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    height, width = picture.shape[:2]
    uri = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    svg = f'<svg viewBox="0 0 {width} {height}"><image href="{uri}" width="{width}" height="{height}"/></svg>'
    return Figure(name, svg, cv2.imencode(".png", pixels)[1].tobytes(), width, caption, description)
