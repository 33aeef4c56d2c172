"""Contact sheet of a run: training cases as cached, and augmented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.catalog import PRESETS
from goldfold.components import Several, label, name_of
from goldfold.drawing import mask_colours
from goldfold.drawing.overlays import Pixels
from goldfold.drawing.sheets import CELL_PX, Legend, Line, drawn, sheet
from goldfold.targets.mask_bits import Bits
from goldfold.targets.mask_coding import Coding

if TYPE_CHECKING:
    from goldfold.tasks.protocol import Target
    from goldfold.training.preview import Fields, Preview
    from goldfold.training.spec import Spec


def contact_sheet(
    spec: Spec,
    target: Target,
    classes: Sequence[str],
    found: Sequence[Preview],
    wanted: Several,
    mask: str = "",
    side_px: int = CELL_PX,
) -> Pixels:
    """Draw previews: one row per case, first the original, then one column per epoch.

    Args:
        side_px: longest side of a cell.
        wanted: augmentation as the config names it, for the title.
        mask: path of one mask of the data, whose palette may give the colours of classes.
    """
    legend = _legend(target, classes, found[0].original, mask)
    known = legend or Legend((), ())
    lines = [
        Line(
            [part for part in (preview.name, preview.id) if part],
            [drawn(fields, known, side_px) for fields in (preview.original, *preview.augmented)],
        )
        for preview in found
    ]
    columns = ["original", *(f"epoch {number}" for number in range(len(found[0].augmented)))]
    return sheet(title(spec, wanted), columns, lines, legend)


def title(spec: Spec, wanted: Several) -> str:
    """Model, size, flips, and the names of the steps."""
    (height, width), (high, wide) = spec.size, spec.cached
    size = f"{height} x {width} px" + (f" from {high} x {wide} px" if (high, wide) != (height, width) else "")
    steps = [wanted] if isinstance(wanted, str | Mapping) else wanted
    names = [label(one) if name_of(one) in PRESETS else name_of(one) for one in steps]
    mixes = f" · mix: {', '.join(map(name_of, spec.train.mix))}" if spec.train.mix else ""
    return f"{spec.name} · {size} · flips: {spec.train.flips} · augment: {', '.join(names) or 'none'}{mixes}"


def _legend(target: Target, classes: Sequence[str], fields: Fields, mask: str) -> Legend | None:
    if "mask" in fields:
        coding = getattr(target, "coding", None)
        if isinstance(coding, Coding | Bits):
            return Legend.of(classes, mask_colours.of_classes(coding, mask), coding.first)
    return Legend.of(classes) if {"mask", "bboxes", "keypoints"} & set(fields) else None


def spread(table: pd.DataFrame, content: pd.DataFrame, n: int) -> pd.DataFrame:
    """Choose ``n`` rows of different classes, in the order of the classes, spread over the rows of each; no row twice.

    Args:
        content: amount of each class per row of ``table``, one column per class.
    """
    has = [rows for name in content if len(rows := np.flatnonzero(content[name].to_numpy() > 0))]
    taken = [has[place] for place in _even(len(has), n)] or [np.arange(len(table))]
    chosen: dict[int, None] = {}
    for number, rows in enumerate(taken):
        left = rows[~np.isin(rows, list(chosen))]
        share = (n - len(chosen)) // (len(taken) - number)
        chosen |= dict.fromkeys(left[_even(len(left), share)].tolist())
    return table.iloc[list(chosen)].reset_index(drop=True)


def _even(n: int, most: int) -> NDArray[np.intp]:
    """At most ``most`` of n places, spread over all."""
    return np.unique(np.linspace(0, n - 1, min(n, most) + 2)[1:-1].round().astype(int)) if n > most else np.arange(n)
