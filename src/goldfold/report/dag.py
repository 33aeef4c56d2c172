"""Drawing of the stages of a run."""

from collections.abc import Mapping
from html import escape
from itertools import pairwise

from goldfold.drawing.blocks import Figure

NODE_WIDTH, NODE_HEIGHT, GAP = 118, 66, 30
LINE_OF_STAGES = ("manifest", "folds", "cache", "train", "derive", "predict", "ensemble", "submit")
TOP, LOWER = 34, 168


def draw(details: Mapping[str, str], rounds: int, caption: str) -> Figure:
    """DAG with one line of detail per stage.

    Args:
        details: text by stage; a stage without one was not part of the run and is drawn pale, `demo` and `derive` not at all.
        rounds: number of rounds with pseudo labels.
        caption: text below the figure.
    """
    line = [name for name in LINE_OF_STAGES if name != "derive" or name in details]
    places: dict[str, tuple[float, float]] = {
        name: (10 + number * (NODE_WIDTH + GAP), TOP) for number, name in enumerate(line)
    }
    middle = (places["train"][0] + places["predict"][0]) / 2
    places["pseudo_label"] = (middle, LOWER)
    places["report"] = ((places["ensemble"][0] + places["submit"][0]) / 2, LOWER)
    width = places["submit"][0] + NODE_WIDTH + 10
    arrows = [_forward(places, a, b) for a, b in pairwise(line)]
    arrows += [_down(places["ensemble"], places["report"]), _down(places["submit"], places["report"])]
    if rounds:
        arrows += [_down(places["predict"], places["pseudo_label"]), _up(places["pseudo_label"], places["train"])]
    if "demo" in details:
        places["demo"] = (places["manifest"][0], LOWER)
        arrows.append(_up(places["demo"], places["manifest"]))
    nodes = [_node(name, place, details.get(name)) for name, place in places.items()]
    svg = f'<svg class="dag" viewBox="0 0 {width} {LOWER + NODE_HEIGHT + 10}">{_ARROW}{"".join(arrows + nodes)}</svg>'
    return Figure("dag", svg, b"", round(width), caption, "The stages of the run and how they depend on each other")


_ARROW = (
    '<defs><marker id="dag-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0 L8 4 L0 8 z" class="dag-tip"/></marker></defs>'
)


def _node(name: str, place: tuple[float, float], detail: str | None) -> str:
    x, y = place
    middle = x + NODE_WIDTH / 2
    css = "dag-node" if detail is not None else "dag-node dag-off"
    return (
        f'<g class="{css}"><rect x="{x:g}" y="{y}" width="{NODE_WIDTH}" height="{NODE_HEIGHT}" rx="12"/>'
        f'<text x="{middle:g}" y="{y + 28}" class="dag-name">{escape(name)}</text>'
        f'<text x="{middle:g}" y="{y + 48}" class="dag-detail">{escape(detail or "not in this run")}</text></g>'
    )


def _forward(places: Mapping[str, tuple[float, float]], first: str, second: str) -> str:
    y = TOP + NODE_HEIGHT / 2
    return _path(f"M{places[first][0] + NODE_WIDTH:g} {y:g} H{places[second][0] - 4:g}")


def _down(upper: tuple[float, float], lower: tuple[float, float]) -> str:
    """Arrow from the bottom of a stage to the top of a stage in the lower line."""
    start, end = upper[0] + NODE_WIDTH / 2, lower[0] + NODE_WIDTH / 2
    end += (start - end) * 0.4
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
