"""Report section with images: Dice per image, and masks drawn on images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.words import count
from goldfold.drawing import mask_colours, overlays
from goldfold.drawing.axes import BLUE, GOLD, Canvas
from goldfold.drawing.blocks import Block, Figure, Picture, Section, Text
from goldfold.drawing.figures import WIDTH_PX
from goldfold.drawing.overlays import Pixels
from goldfold.drawing.pictures import galleries, picture
from goldfold.drawing.words import change, listed, shortened
from goldfold.metrics.segmentation import dice
from goldfold.targets.mask_coding import IGNORE
from goldfold.tasks.segmentation.maps import masks
from goldfold.tasks.segmentation.outcome import Outcome
from goldfold.tasks.segmentation.spec import Mask, Spec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_DOTS = 1500
TICKS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
"""Ticks of the logarithmic axis of sizes, in per cent."""
PANEL_PX = 260
ERRORS = {1: (overlays.FOUND, 0.4), 2: (overlays.MISSED, 0.9), 3: (overlays.FALSE, 0.9)}
"""Colour and opacity by kind of pixel (shared, missed, false); errors are more opaque."""
COLUMN_PX, WIDE_COLUMN_PX = 230, 440
CERTAIN_TREND = 0.3
"""Minimum absolute rank correlation for a trend to be reported."""
CHANCE = 0.01
"""Maximum p-value of the rank correlation for a trend to be reported."""


def image_section(outcome: Outcome, gallery: int) -> Section:
    """Build the section with the spread of Dice and the images of lowest and of highest Dice."""
    worst_first = np.lexsort((outcome.truth["id"].to_numpy(dtype=str), outcome.dice))
    several = len(outcome.spec.classes) > 1
    if several:
        how = "Each picture: image, true mask and predicted mask; below, the Dice of its classes, lowest first."
        how += " Pixels of several classes have the mean of their colours." * outcome.spec.overlaps
        legend = overlays.class_legend(outcome.spec.classes, outcome.colours)
        column = WIDE_COLUMN_PX
    else:
        how = "Drawn on each image: pixels shared by prediction and truth, missed pixels, and false pixels."
        legend, column = overlays.ERROR_LEGEND, COLUMN_PX
    shown = galleries(lambda rows: _pictures(outcome, rows), worst_first, gallery, "by Dice", how, column, legend)
    rank = trend(outcome)
    blocks = [_spread(outcome, rank), *_trend_in_words(rank), *shown]
    return Section("images", "Image by image", _in_words(outcome), blocks, "Images")


def _in_words(outcome: Outcome) -> str:
    low, middle, high = np.quantile(outcome.dice, [0.1, 0.5, 0.9])
    text = (
        f"Dice per image, the mean over the classes true or predicted in it: half are above {middle:.4f}, one in ten below "
        f"{low:.4f}, one in ten above {high:.4f}; the mean is {outcome.dice.mean():.4f}. All are training images, each "
        f"predicted by models not trained on it."
    )
    empty = outcome.n_true == 0
    if empty.any():
        n_given = int((outcome.dice[empty] < 1).sum())
        verb = "has" if empty.sum() == 1 else "have"
        text += (
            f" {count(int(empty.sum()), 'image')} {verb} no pixel of any class: Dice is 1 if none is predicted either, and 0 "
            f"for the {n_given:,} where some are."
        )
    return text


def _spread(outcome: Outcome, rank: float | None) -> Figure:
    """Draw a histogram of Dice per image and, if there is a trend, Dice against the share of class pixels."""
    with Canvas(WIDTH_PX if rank is not None else WIDTH_PX // 2, 290) as canvas:
        if rank is None:
            (bars,) = canvas.axes()
            caption = ""
        else:
            bars, dots = canvas.axes(1, 2, gridspec_kw={"width_ratios": [1, 1.25]})
            caption = _draw_sizes(dots, outcome)
        bars.hist(outcome.dice, np.linspace(0, 1, 26).tolist(), color=GOLD, rwidth=0.9)
        bars.set(xlim=(0, 1), xlabel="Dice of an image", title="images by Dice")
        against = ", and Dice against size" if rank is not None else ""
        return canvas.block("dice_of_images", caption, f"Histogram of Dice per image{against}")


def _draw_sizes(dots: Axes, outcome: Outcome) -> str:
    """Draw Dice against the share of an image's pixels that have a class; return the caption."""
    n_present = int((outcome.n_true > 0).sum())
    shown = np.flatnonzero(outcome.n_true > 0)
    shown = shown[np.unique(np.linspace(0, n_present - 1, min(MOST_DOTS, n_present)).astype(int))]
    area = 100 * outcome.n_true[shown] / np.maximum(outcome.counted[shown], 1)
    dots.scatter(area, outcome.dice[shown], 22, color=BLUE, alpha=0.45, linewidths=0)
    dots.set_xscale("log")
    dots.set_xticks([tick for tick in TICKS if area.min() / 3 <= tick <= 3 * area.max()])
    dots.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    dots.minorticks_off()
    dots.set(ylim=(-0.02, 1.02), xlabel="share of the image with a class, %", title="Dice by size")
    caption = "Right: one dot per image with any class; the size axis is logarithmic."
    return caption + (f" {len(shown):,} of {n_present:,} images are drawn." if len(shown) < n_present else "")


def trend(outcome: Outcome) -> float | None:
    """Return the rank correlation of Dice with the share of class pixels; None if it is weak or not significant."""
    from scipy.stats import spearmanr

    present = outcome.n_true > 0
    area, score = outcome.n_true[present] / outcome.counted[present], outcome.dice[present]
    if len(set(area)) < 3 or len(set(score)) < 3:
        return None
    found = spearmanr(area, score)
    is_certain = abs(found.statistic) >= CERTAIN_TREND and found.pvalue < CHANCE
    return float(found.statistic) if is_certain else None


def _trend_in_words(rank: float | None) -> list[Block]:
    if rank is None:
        return []
    way = "lower" if rank > 0 else "higher"
    return [Text(f"Images with fewer class pixels tend to have a {way} Dice (rank correlation {change(rank, 2)}).")]


def _pictures(outcome: Outcome, rows: NDArray[np.intp]) -> list[Picture]:
    spec, table = outcome.spec, outcome.truth.iloc[rows].to_dict("records")
    found = []
    for row, of, mask in zip(rows, table, masks(spec, outcome.predictions, [of["id"] for of in table]), strict=True):
        image = overlays.opened(of.get("path", ""))
        drawn = None if image is None else _compared(spec, image, spec.true_mask(of["mask"]), mask, outcome.colours)
        lines = [of["id"], *_of_classes(outcome, int(row))]
        found.append(picture("", f"Dice {outcome.dice[row]:.3f}", lines, drawn))
    return found


def _of_classes(outcome: Outcome, row: int) -> list[str]:
    """Return the Dice of the classes of an image, lowest first; empty for a single class."""
    if len(outcome.spec.classes) == 1:
        return []
    values = dice(*(part[row] for part in (outcome.overlap.both, outcome.overlap.predicted, outcome.overlap.true)))
    order = [index for index in np.argsort(values, kind="stable") if np.isfinite(values[index])]
    return [listed([f"{shortened(outcome.spec.classes[index], 16)}: {values[index]:.2f}" for index in order], 4)]


def _compared(
    spec: Spec,
    image: Pixels,
    true: Mask,
    predicted: Mask,
    colours: Sequence[overlays.Colour] = (),
) -> Pixels:
    """Draw shared, missed and false pixels for one class; for several, image, truth and prediction side by side."""
    several = len(spec.classes) > 1
    small, (truth, mask) = overlays.reduced(image, [true, predicted], 2 * (PANEL_PX if several else overlays.SIDE_PX))
    if several:
        masks = [_tinted(spec, overlays.grey(small), part, colours, 0.8) for part in (truth, mask)]
        return overlays.panels([overlays.enlarged(part, PANEL_PX) for part in (small, *masks)])
    true_class, given = truth == spec.first, mask == spec.first  # classes that may overlap are several
    codes = np.select([true_class & given, true_class, given & (truth != IGNORE)], [1, 2, 3], 0).astype(np.uint8)
    return overlays.enlarged(overlays.tinted(small, codes, ERRORS))


def _tinted(spec: Spec, image: Pixels, mask: Mask, colours: Sequence[overlays.Colour], share: float) -> Pixels:
    """Tint each class, and unknown pixels; pixels of several classes have the mean of their colours."""
    unknown = mask == spec.coding.ignore
    return overlays.layered(image, [spec.coding.has(mask, code) for code in spec.coding.codes], colours, share, unknown)


def drawn(spec: Spec, row: Mapping[str, Any]) -> Pixels | None:
    """Draw a training image with the outlines of its mask, each class lightly tinted; None if it cannot be read."""
    image = overlays.opened(row["path"])
    if image is None:
        return None
    small, (mask,) = overlays.reduced(image, [spec.true_mask(row["mask"])], 2 * overlays.SIDE_PX)
    colours = mask_colours.of_classes(spec.coding, row["mask"])
    shown = overlays.enlarged(_tinted(spec, small, mask, colours, 0.35))
    known = mask != spec.coding.ignore
    for code, colour in zip(spec.coding.codes, colours, strict=True):
        if (own := spec.coding.has(mask, code) & known).any():
            overlays.outlined(shown, own, colour)
    return shown
