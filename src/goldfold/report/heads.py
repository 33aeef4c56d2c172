"""Section on heads on frozen backbones: their embeddings, and how strongly each was regularised."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold import components
from goldfold.base.files import read_json
from goldfold.drawing.axes import BLUE, MUTED, SERIES, Canvas
from goldfold.drawing.blocks import Block, Figure, Section, Table, Text
from goldfold.drawing.figures import matrix
from goldfold.drawing.words import listed, shortened
from goldfold.embeddings import read
from goldfold.heads.components import Components
from goldfold.heads.protocol import LABEL
from goldfold.report.results import Results

MOST_SHOWN = 2000
"""Most cases in a picture, every n-th of more."""
MOST_PICTURES = 3
MOST_CLASSES = 30
RANDOM = (
    "Weights of {names} are random (pretrained: false), so that their embeddings say little about the images: set pretrained to "
    "true, or to the path of a weight file."
)


def section(results: Results) -> Section | None:
    """Table of the heads, and a picture of each embedding; None without heads on disk."""
    records = {name: found for name in results.models if (found := _record(results.root, name))}
    if not records:
        return None
    random = sorted({name for name, own in records.items() if not _settings(results, name).get("pretrained")})
    blocks: list[Block] = [_table(records)]
    blocks += [Text(RANDOM.format(names=listed(random)))] if random else []
    embeddings = dict.fromkeys(own["embeddings"] for own in records.values())
    pictures = (_picture(results, name) for name in [*embeddings][:MOST_PICTURES])
    blocks += [picture for picture in pictures if picture is not None]
    blocks += [
        _similarity(name, own["similarity"], results.classes) for name, own in records.items() if "similarity" in own
    ]
    intro = (
        "A head is fitted to embeddings, the inputs of the last layer of a network that is not trained. Mean and spread of the "
        "embeddings, the strength and the head of a fold come from its training rows alone."
    )
    return Section("heads", "Heads on frozen backbones", intro, blocks, "Heads")


def _similarity(name: str, cosines: list[list[float]], classes: list[str]) -> Figure:
    """Draw the similarity of the images of each class and the text of each class, from pale (least) to full (most)."""
    n = min(len(classes), MOST_CLASSES)
    values = np.array(cosines)[:n, :n]
    shares = ((values - values.min()) / max(float(np.ptp(values)), 1e-9)).clip(0.05)
    texts = [[f"{value:.2f}" for value in row] for row in values]
    more = f" The first {n} of {len(classes)} classes are shown." if n < len(classes) else ""
    caption = (
        f"{name}: mean cosine of the images of each class (rows) with the text of each class (columns). Where the strongest cell "
        f"of a row is not on the diagonal, other words may do better (prompts).{more}"
    )
    names = "images", "text"
    return matrix(f"similarity-{name}", shares, texts, classes[:n], names, caption)


def _record(root: Path, name: str) -> dict[str, Any]:
    path = root / "heads" / name / "run.json"
    return dict(read_json(path).get("head", {})) if path.exists() else {}


def _settings(results: Results, name: str) -> dict[str, Any]:
    return next(dict(model) for model in results.settings["models"] if model["name"] == name)


def _table(records: dict[str, dict[str, Any]]) -> Table:
    rows = []
    for name, own in records.items():
        chosen = ", ".join(
            f"{value:g}" if isinstance(value, int | float) else str(value) for value in own["chosen"].values()
        )
        rows.append([name, components.label(own["head"]), own["embeddings"], f"{own['width']:,}", chosen])
    columns = ["model", "head", "embeddings", "columns", "chosen by fold"]
    return Table(columns, rows, text_columns=["model", "head", "embeddings", "chosen by fold"])


def _picture(results: Results, name: str) -> Figure | None:
    """Draw the first two principal components of the embeddings of the training images; None if they are not on disk."""
    paths = sorted((results.root / "embeddings" / name).glob("train-*.npz"))
    rows = results.truth.iloc[:: max(1, -(-len(results.truth) // MOST_SHOWN))]
    if not paths:
        return None
    features = read(paths).of(rows["id"].tolist())
    places = Components.fit(features, 2)(features)
    if places.shape[1] < 2:
        return None
    labels = rows["label"].to_numpy(dtype=str) if results.facts.target == LABEL else np.zeros(len(rows), dtype=str)
    return _scatter(name, places, labels, results.classes)


def _scatter(name: str, places: NDArray[np.float32], labels: NDArray[np.str_], classes: list[str]) -> Figure:
    shown = [one for one in classes if (labels == one).any()][: len(SERIES)] if len({*labels.tolist()}) > 1 else []
    with Canvas(560, 440) as canvas:
        (axes,) = canvas.axes()
        rest = ~np.isin(labels, shown)
        colour, alpha = (BLUE, 0.5) if not shown else (MUTED, 0.25)
        if rest.any():
            axes.scatter(places[rest, 0], places[rest, 1], 9, color=colour, alpha=alpha, linewidths=0)
        for number, one in enumerate(shown):
            own = labels == one
            axes.scatter(
                places[own, 0],
                places[own, 1],
                11,
                color=SERIES[number],
                alpha=0.6,
                linewidths=0,
                label=shortened(one, 20),
            )
        axes.set_xlabel("first principal component")
        axes.set_ylabel("second")
        if shown:
            canvas.figure.legend(loc="outside upper right", ncols=len(shown))
        more = (
            f" The first {len(shown)} of {len(classes)} classes are coloured." if len(classes) > len(shown) > 0 else ""
        )
        caption = f"Embeddings {name} of the training images, which no label has an influence on.{more}"
        return canvas.block(f"embeddings-{name}", caption, "Principal components of embeddings")
