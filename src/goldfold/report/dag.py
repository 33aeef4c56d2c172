"""Drawing of the stages of a run."""

from collections.abc import Mapping
from html import escape
from itertools import pairwise

from goldfold.drawing.blocks import Figure

NODE_WIDTH, NODE_HEIGHT, GAP = 118, 66, 30
LINE_OF_STAGES = ("manifest", "crop", "folds", "cache", "train", "derive", "predict", "ensemble", "submit")
LOWER_STAGES = (
    "inner_train",
    "inner_predict",
    "clean",
    "generate",
    "teach",
    "pseudo_label",
    "full_train",
    "full_predict",
    "embed",
    "heads",
)
"""Stages below the line, in their order: those that make something to train on, and those of networks of all rows."""
TOP, LOWER = 34.0, 168.0
ASIDE = 22
"""Pixels from the middle of a stage to an arrow that leaves it for a stage whose own arrow comes back to it."""
Places = dict[str, tuple[float, float]]
"""Left and top edge of each stage."""


def draw(details: Mapping[str, str], caption: str) -> Figure:
    """DAG with one line of detail per stage.

    Args:
        details: text by stage. A stage without one was not part of the run: `submit` and `pseudo_label` are drawn pale, the
            latter if its place is free, others not at all.
        caption: text below the figure.
    """
    line = [name for name in LINE_OF_STAGES if name not in ("crop", "derive") or name in details]
    places = _places(line, details)
    width = max(x for x, _ in places.values()) + NODE_WIDTH + 10
    arrows = [_forward(places, a, b) for a, b in pairwise(line)] + _arrows(places, details)
    nodes = [_node(name, place, details.get(name)) for name, place in places.items()]
    svg = (
        f'<svg class="dag" viewBox="0 0 {width:g} {LOWER + NODE_HEIGHT + 10:g}">{_ARROW}{"".join(arrows + nodes)}</svg>'
    )
    return Figure("dag", svg, b"", round(width), caption, "The stages of the run and how they depend on each other")


def _x(column: float) -> float:
    return 10 + column * (NODE_WIDTH + GAP)


def _places(line: list[str], details: Mapping[str, str]) -> Places:
    """Places of all stages; those below `train` begin at its column, and push `report` to the right if they are many."""
    columns: dict[str, float] = {name: number for number, name in enumerate(line)}
    lower: dict[str, float] = {}
    if "inner_train" in details:
        lower |= {"inner_train": columns["folds"], "inner_predict": columns["cache"]}
    makers = [name for name in ("clean", "generate", "teach", "pseudo_label") if name in details]
    if makers in ([], ["pseudo_label"]):
        lower["pseudo_label"] = (columns["train"] + columns["predict"]) / 2
    else:
        lower |= {name: columns["train"] + number for number, name in enumerate(makers)}
    if "full_train" in details:
        after = max([columns["train"], *(column + 1 for column in lower.values())])
        lower |= {"full_train": after, "full_predict": after + 1}
    if "embed" in details:
        after = max([columns["train"] - 1, *(column + 1 for column in lower.values() if "train" in details)])
        lower |= {"embed": after, "heads": after + 1}
    middle = (columns["ensemble"] + columns["submit"]) / 2
    lower["report"] = max(middle, max(lower.values()) + 1)
    if "demo" in details:
        lower["demo"] = columns["manifest"]
    return {name: (_x(column), TOP) for name, column in columns.items()} | {
        name: (_x(column), LOWER) for name, column in lower.items()
    }


def _arrows(places: Places, details: Mapping[str, str]) -> list[str]:
    """Arrows between the line and the lower stages."""
    arrows = [_down(places["ensemble"], places["report"]), _down(places["submit"], places["report"])]
    if "pseudo_label" in details:
        arrows += [_down(places["predict"], places["pseudo_label"]), _up(places["pseudo_label"], places["train"])]
    if "teach" in details:
        arrows += [_down(places["train"], places["teach"], ASIDE), _up(places["teach"], places["train"])]
    if "generate" in details:
        arrows += [_down(places["cache"], places["generate"]), _up(places["generate"], places["train"])]
    if "clean" in details:
        arrows += [_down(places["cache"], places["inner_train"]), _up(places["clean"], places["train"])]
        arrows += [_forward(places, a, b) for a, b in pairwise(("inner_train", "inner_predict", "clean"))]
    if "full_train" in details:
        arrows += [_down(places["cache"], places["full_train"]), _up(places["full_predict"], places["ensemble"])]
        arrows.append(_forward(places, "full_train", "full_predict"))
    if "embed" in details:
        arrows += [_down(places["cache"], places["embed"]), _up(places["heads"], places["ensemble"])]
        arrows.append(_forward(places, "embed", "heads"))
    if "demo" in details:
        arrows.append(_up(places["demo"], places["manifest"]))
    return arrows


_ARROW = (
    '<defs><marker id="dag-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0 L8 4 L0 8 z" class="dag-tip"/></marker></defs>'
)


def _node(name: str, place: tuple[float, float], detail: str | None) -> str:
    x, y = place
    middle = x + NODE_WIDTH / 2
    css = "dag-node" if detail is not None else "dag-node dag-off"
    return (
        f'<g class="{css}"><rect x="{x:g}" y="{y:g}" width="{NODE_WIDTH}" height="{NODE_HEIGHT}" rx="12"/>'
        f'<text x="{middle:g}" y="{y + 28:g}" class="dag-name">{escape(name)}</text>'
        f'<text x="{middle:g}" y="{y + 48:g}" class="dag-detail">{escape(detail or "not in this run")}</text></g>'
    )


def _forward(places: Mapping[str, tuple[float, float]], first: str, second: str) -> str:
    y = places[first][1] + NODE_HEIGHT / 2
    return _path(f"M{places[first][0] + NODE_WIDTH:g} {y:g} H{places[second][0] - 4:g}")


def _down(upper: tuple[float, float], lower: tuple[float, float], aside: float = 0) -> str:
    """Arrow from the bottom of a stage to the top of a stage in the lower line, both ``aside`` of the middle."""
    start, end = upper[0] + NODE_WIDTH / 2 + aside, lower[0] + NODE_WIDTH / 2 + aside
    end += (start - end) * 0.4 * (aside == 0)
    return _curve(start, TOP + NODE_HEIGHT, end, LOWER - 4)


def _up(lower: tuple[float, float], upper: tuple[float, float]) -> str:
    start, end = lower[0] + NODE_WIDTH / 2, upper[0] + NODE_WIDTH / 2
    start += (end - start) * 0.4
    return _curve(start, LOWER, end, TOP + NODE_HEIGHT + 4)


def _curve(x0: float, y0: float, x1: float, y1: float) -> str:
    half = (y0 + y1) / 2
    return _path(f"M{x0:g} {y0:g} C{x0:g} {half:g} {x1:g} {half:g} {x1:g} {y1:g}")


def _path(d: str) -> str:
    return f'<path d="{d}" class="dag-edge" marker-end="url(#dag-arrow)"/>'
