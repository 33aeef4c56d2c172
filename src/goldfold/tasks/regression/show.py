"""Report sections for one number per image."""

import numpy as np
import pandas as pd

from goldfold.base.words import count
from goldfold.drawing.axes import BLUE, COLOURS, MUTED, Canvas
from goldfold.drawing.blocks import Block, Cell, Facts, Figure, Gallery, Section, Table
from goldfold.drawing.figures import WIDTH_PX
from goldfold.drawing.pictures import picture
from goldfold.drawing.words import change
from goldfold.metrics import regression as metrics
from goldfold.metrics.regression import Valued
from goldfold.predictions.arrays import Arrays
from goldfold.tasks.regression.score import Score
from goldfold.tasks.regression.spec import Spec

MOST_DOTS = 3000


def pages(evidence: Valued, by_bin: pd.DataFrame, truth: pd.DataFrame, gallery: int) -> list[Section]:
    """Return the sections on predicted against true numbers, scores by size of the target, and the worst errors.

    Args:
        evidence: evidence for the images of ``truth``, in its order.
        by_bin: images, rmse and mean error by bin of the true number.
        truth: id, path and value.
        gallery: pictures per gallery.
    """
    return [_numbers(evidence), _bins(by_bin), _errors(evidence, truth, gallery)]


def _numbers(evidence: Valued) -> Section:
    errors = evidence.predicted - evidence.truth
    guess = metrics.rmse(np.full(len(errors), evidence.truth.mean()), evidence.truth)
    own = metrics.rmse(evidence.predicted, evidence.truth)
    lean = "high" if errors.mean() > 0 else "low"
    intro = (
        f"Root mean squared error {own:.4g}, against {guess:.4g} for always predicting the mean of "
        f"{count(len(errors), 'image')}. Predictions are {abs(errors.mean()):.4g} too {lean} on average. The absolute error "
        f"is at most {np.median(np.abs(errors)):.4g} for half of the images, and at most "
        f"{np.quantile(np.abs(errors), 0.9):.4g} for nine in ten."
    )
    return Section("numbers", "Predicted and true", intro, [_scatter(evidence), Facts(_facts(evidence))], "Numbers")


def _facts(evidence: Valued) -> list[tuple[str, str]]:
    return [
        (f"{name}, {key}", f"{value:.4g}")
        for name, numbers in (("true", evidence.truth), ("predicted", evidence.predicted))
        for key, value in (("minimum", numbers.min()), ("mean", numbers.mean()), ("maximum", numbers.max()))
    ]


def _scatter(evidence: Valued) -> Figure:
    """Draw one dot per image, and a histogram of the errors."""
    step = max(1, len(evidence) // MOST_DOTS)
    true, predicted = evidence.truth[::step], evidence.predicted[::step]
    low, high = float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))
    with Canvas(WIDTH_PX, 360) as canvas:
        axes, spread = canvas.axes(1, 2, gridspec_kw={"width_ratios": [1.2, 1]})
        axes.plot([low, high], [low, high], color=MUTED, lw=1.2, ls=(0, (4, 4)))
        axes.scatter(true, predicted, 9, color=BLUE, alpha=0.5, linewidths=0)
        axes.set(xlabel="true", title="predicted")
        spread.hist(evidence.predicted - evidence.truth, bins=40, color=COLOURS["rose"], alpha=0.7)
        spread.set(xlabel="predicted − true", title="images by error")
        caption = (
            f"Left: one dot per image{f' (every {step}-th image)' if step > 1 else ''}; on the dashed line, predicted and true "
            f"numbers are equal. A flatter slope means that predictions are biased towards the mean."
        )
        return canvas.block("predicted", caption, "Predicted against true numbers, and a histogram of the errors")


def _bins(by_bin: pd.DataFrame) -> Section:
    largest = float(by_bin["rmse"].max()) or 1.0
    rows: list[list[str | Cell]] = []
    for name, (n, rmse, mean) in zip(by_bin.index, by_bin.to_numpy(), strict=True):
        scores = [Cell(f"{rmse:.4g}", float(rmse) / largest), change(float(mean))] if n else ["–", "–"]
        rows.append([str(name), *scores, f"{int(n):,}"])
    intro = "Images grouped by their true number. A mean error above 0 means that predictions are too high."
    columns = ["true number", "RMSE", "mean error", "images"]
    return Section("bins", "By size of the target", intro, [Table(columns, rows, text_columns=columns[:1])], "By size")


def _errors(evidence: Valued, truth: pd.DataFrame, gallery: int) -> Section:
    errors = evidence.predicted - evidence.truth
    worst = np.lexsort((truth["id"].to_numpy(dtype=str), -np.abs(errors)))[:gallery]
    pictures = [
        picture(
            truth.iloc[row].get("path"),
            f"{evidence.truth[row]:.4g} → {evidence.predicted[row]:.4g}",
            [f"error {change(errors[row])}", str(truth.iloc[row]["id"])],
        )
        for row in worst
    ]
    intro = (
        "Look for wrong targets, bad crops and hard images. All pictures are training images, each predicted by models not "
        "trained on it."
    )
    blocks: list[Block] = [Gallery(pictures, f"{count(len(worst), 'image')}, largest error first: true → predicted.")]
    return Section("errors", "Errors in pictures", intro, blocks, "Errors")


class Show:
    """Report sections: predicted against true numbers, errors by size of the target, worst errors in pictures."""

    def __init__(self, spec: Spec) -> None:
        self.scores = Score(spec)

    def pages(self, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
        """Return the sections, see `pages`."""
        evidence = self.scores.evidence(predictions, truth)
        return pages(evidence, self.scores.by_class(evidence), truth, gallery)
