"""Curves of the trainings that learn from unlabelled images by FixMatch."""

from goldfold.base.words import count
from goldfold.drawing.axes import SERIES, Canvas
from goldfold.drawing.blocks import Figure, Text
from goldfold.drawing.figures import WIDTH_PX
from goldfold.planning.outputs import MASK_RATE
from goldfold.report.results import Results, Run

LOSS = "train_loss_unlabeled"


def blocks(results: Results) -> list[Text | Figure]:
    """Mask rate and loss on unlabelled images, one figure per model; empty if no training uses FixMatch."""
    found: list[Text | Figure] = []
    for model in results.models:
        runs = [run for run in results.runs if run.model == model and {MASK_RATE, LOSS} <= set(run.history)]
        if runs:
            n = runs[0].record.get("fixmatch", {}).get("images")
            of = f" of {count(n, 'image')} without labels" if n else ""
            text = (
                f"The mask rate is the share{of} whose weak view is predicted with at least the threshold: the loss uses no "
                f"others. Whether their pseudo labels are right is not known. One thin line per run."
            )
            found += [Text(text, heading=f"FixMatch of {model}"), _curves(model, runs)]
    return found


def _curves(model: str, runs: list[Run]) -> Figure:
    from matplotlib.ticker import MaxNLocator

    with Canvas(WIDTH_PX, 230) as canvas:
        for axes, column, title in zip(
            canvas.axes(1, 2), (MASK_RATE, LOSS), ("mask rate", "weighted loss on unlabelled images"), strict=True
        ):
            for run in runs:
                epochs, colour = run.history["epoch"] + 1, SERIES[run.round % len(SERIES)]
                mark = "o" if len(epochs) == 1 else None  # a line of one point is invisible
                axes.plot(epochs, run.history[column], color=colour, lw=1.3, alpha=0.75, marker=mark)
            axes.set_title(title)
            axes.set_xlabel("epoch")
            axes.set_ylim(bottom=0)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        return canvas.block(f"fixmatch_{model}", "", f"Mask rate and loss on unlabelled images of {model}")
