"""Section on the ensemble: method, weights, fitted steps, and agreement of its members."""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold import components, tasks
from goldfold.base.words import count
from goldfold.drawing.blocks import Block, Cell, Section, Table, Text
from goldfold.drawing.figures import matrix
from goldfold.drawing.words import percent
from goldfold.report import fits, fitted, full_data, soups
from goldfold.report.results import Results

MEANINGS = {
    "probability": "the weighted mean of the members' probabilities",
    "geometric": "the weighted geometric mean of the members' probabilities",
    "logit": (
        "the weighted mean of the members' log odds, log(p / (1 - p)), computed per class and scaled so that an image's "
        "probabilities sum to one; one member that is nearly certain moves the result more than with a mean of probabilities"
    ),
    "rank": "the weighted mean of the ranks that the members assign to the images",
    "power": "the weighted power mean of the members' probabilities, in which confident members count more",
    "vote": "the weighted share of the members that choose a class; ties are decided by the mean probability",
    "fitted_average": "the weighted mean of the members' predictions, with the weights that score best",
    "hill_climbing": "the mean of members chosen one after the other, each time the one that helps most, with repetition",
    "fitted_fusion": "fusion of boxes with the IoU threshold, score floor, rule of confidence and weights that score best",
    "simplex": "the weighted mean of the members' predictions, with the weights of the least log loss or squared error",
    "stacking": "a linear model of the members' predictions",
    "boosted_stacking": "gradient-boosted trees on the members' predictions",
    "wbf": "overlapping boxes of one class are replaced by their mean, weighted by score (weighted boxes fusion)",
    "nms": "of overlapping boxes of one class, the one with the highest score is kept (non-maximum suppression)",
    "soft_nms": "boxes that overlap a higher-scoring box of their class lose score (soft non-maximum suppression)",
    "nmw": "overlapping boxes of one class are replaced by their mean, weighted by score and overlap (non-maximum weighted)",
}
AGREEMENT = "Agreement of the members"
MOST_MEMBERS = 24
MOST_IMAGES, FEWEST_IMAGES = 400, 10
"""Images on which members are compared by their scores of single images."""


def section(results: Results) -> Section | None:
    """Method, weights, steps and agreement; None for one model whose predictions are not changed."""
    if len(results.ensemble["weights"]) < 2:
        steps = fitted.blocks(results)
        intro = "Steps applied to the model's predictions."
        return Section("ensemble", "After prediction", intro, steps) if steps else None
    written = results.ensemble["method"]
    method, name = components.label(written), components.name_of(written)
    meaning = f": {MEANINGS[name]}" if name in MEANINGS else ""
    intro = f"Method: “{method}”{meaning}. Predictions are joined on the {results.row}'s id."
    blocks: list[Block] = [*_members(results), *fitted.blocks(results)]
    return Section(
        "ensemble",
        "Ensemble",
        intro,
        [*blocks, *soups.blocks(results), *full_data.blocks(results), *_agreement(results)],
    )


def _members(results: Results) -> list[Block]:
    """Weight of each member, or the size of its coefficients in a linear stack; empty for other stacks."""
    if fits.are_weighted(results):
        return [_weights(results)]
    width = 1 if results.facts.target == "value" else len(results.classes)
    of = fits.coefficients(results.steps[0]["fitted"], width)
    if not of:
        return []
    without = [fits.coefficients(one[0], width) for one in results.without_fold.values()]
    known = [one for one in without if one]
    rows: list[list[str | Cell]] = [
        [
            name,
            Cell(f"{size:.4f}", size / max(of.values())),
            fits.span([one[name] for one in known], ".4f") if known else "–",
        ]
        for name, size in of.items()
    ]
    caption = (
        "A stack has no weights. Coefficient: mean absolute coefficient of the member's columns in the fit on all folds, and the "
        "smallest and largest in the fits without a fold. Members that are alike share what one of them alone would get."
    )
    return [Table(["member", "coefficient", "without a fold"], rows, text_columns=["member"], caption=caption)]


def _weights(results: Results) -> Table:
    """Weight of each member; fitted ones also as fitted without a fold."""
    weights, without = results.ensemble["weights"], fits.weights_without_fold(results)
    largest = max(weights.values(), default=1.0) or 1.0
    rows: list[list[str | Cell]] = [
        [
            name,
            Cell(f"{weight:.3f}", weight / largest),
            *([fits.span([one[name] for one in without], ".3f")] if without else []),
        ]
        for name, weight in weights.items()
    ]
    columns = ["member", "weight", *["without a fold"] * bool(without)]
    caption = (
        "Weight: fitted on all folds, used for test images and in bundles. Without a fold: smallest and largest weight in the "
        "fits on the other folds, which the out-of-fold score is of. A weight that changes much from fold to fold is noise."
        if without
        else ""
    )
    return Table(columns, rows, text_columns=["member"], caption=caption)


def _agreement(results: Results) -> list[Block]:
    names = list(results.members)[:MOST_MEMBERS]
    if len(names) < 2:
        return [Text("There is only one member, so there is nothing to compare.")]
    if not results.facts.shown:  # no single answer per image to compare
        return _alike_by_image(results, names)
    tables = {
        name: tasks.tables(results.task, results.classes).table(results.joined(name)).set_index("id").sort_index()
        for name in names
    }
    if "prediction" not in tables[names[0]]:
        return _alike_by_image(results, names)
    agreement = _pairwise(names, lambda a, b: float((tables[a]["prediction"] == tables[b]["prediction"]).mean()))
    numbers = {name: _centred(table) for name, table in tables.items()}
    has_values = any(len(values) for values in numbers.values())  # tables of many classes have none
    correlation = _pairwise(names, lambda a, b: float((numbers[a] * numbers[b]).sum()))
    off = ~np.eye(len(names), dtype=bool)
    why = (
        "An ensemble gains most from members that are good and make different errors; if all members agree, another seed "
        "of the same model adds little."
    )
    if len(names) == 2:
        text = (
            f"The two members agree on {percent(agreement[0, 1])} of the training {results.row}s"
            f"{f'; the correlation of their predicted values is {correlation[0, 1]:.3f}' * has_values}. {why}"
        )
        return [Text(text, heading=AGREEMENT)]
    text = (
        f"Pairs of members agree on {percent(float(agreement[off].min()))} to {percent(float(agreement[off].max()))} of the "
        f"training {results.row}s. {why}"
    )
    same = f"Percentage of {results.row}s for which both members give the same answer."
    alike = _drawn("correlation", correlation, names, 3, "Pearson correlation of the members' predicted values.")
    return [Text(text, heading=AGREEMENT), _drawn("agreement", agreement, names, 1, same), *[alike] * has_values]


def _alike_by_image(results: Results, names: list[str]) -> list[Block]:
    """Correlation of the members' scores of single images, for tasks whose predictions are not single answers."""
    value, n = results.chosen_metric.value, len(results.truth)
    rows = np.unique(np.linspace(0, n - 1, min(n, MOST_IMAGES)).astype(int))
    scores = np.array([[value(results.member_evidence[name], rows[[at]]) for at in range(len(rows))] for name in names])
    known = scores[:, np.isfinite(scores).all(axis=0)]
    if known.shape[1] < FEWEST_IMAGES:
        return []
    centred = known - known.mean(axis=1, keepdims=True)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), np.finfo(float).tiny)
    alike = centred @ centred.T
    off = ~np.eye(len(names), dtype=bool)
    low, high = float(alike[off].min()), float(alike[off].max())
    text = (
        f"Scored per {results.row} ({results.metric}, {count(known.shape[1], results.row)}), two members have a correlation of "
        f"{f'{low:.3f}' if len(names) == 2 else f'{low:.3f} to {high:.3f}'}. An ensemble gains most from members that are good "
        f"and make different errors; if all members agree, another seed of the same model adds little. Some {results.row}s "
        f"are hard for every member, which raises the correlation."
    )
    blocks: list[Block] = [Text(text, heading=AGREEMENT)]
    if len(names) > 2:
        caption = f"Pearson correlation of the members' scores per {results.row}."
        blocks.append(_drawn("correlation", alike, names, 3, caption))
    return blocks


def _pairwise(names: Sequence[str], value: Callable[[str, str], float]) -> NDArray[np.float64]:
    found = np.eye(len(names))
    for (row, first), (column, second) in combinations(enumerate(names), 2):
        found[row, column] = found[column, row] = value(first, second)
    return found


def _centred(table: pd.DataFrame) -> NDArray[np.float64]:
    """All predicted values, without the confidence, as one vector of mean 0 and length 1."""
    values = table.select_dtypes("number").drop(columns="confidence", errors="ignore").to_numpy(dtype=float).ravel()
    values = values - values.mean() if len(values) else values
    return values / (np.linalg.norm(values) or 1.0)


def _drawn(name: str, values: NDArray[np.float64], names: list[str], digits: int, caption: str) -> Block:
    """Matrix whose colours run from the least to the most similar pair."""
    off = ~np.eye(len(names), dtype=bool)
    low, high = float(values[off].min()), float(values[off].max())
    strength = np.clip((values - low) / ((high - low) or 1.0), 0, 1) * 0.7 + 0.1
    scale = 100 if name == "agreement" else 1
    texts = [[f"{scale * value:.{digits}f}" for value in row] for row in values]
    for place in range(len(names)):
        strength[place, place], texts[place][place] = 0.0, "–"
    return matrix(name, strength, texts, names, caption=caption)
