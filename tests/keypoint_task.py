"""One point per image: a whole task in one file, named in a config as ``task: keypoint_task:Keypoints``.

The label of an image is its point as text, ``x y`` in pixels from the top left corner. Predictions hold ``sizes`` (n, 2),
the images' height and width; ``points`` float32 (n, 2) in pixels; and ``doubts`` float32 (n,), how far the members lie
apart as a share of the image's diagonal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from goldfold import catalog
from goldfold.base.errors import DataError
from goldfold.components import Several, Written
from goldfold.metrics import Metric, build
from goldfold.submission.form import Form
from goldfold.tasks.facts import Facts
from goldfold.tasks.protocol import Entries, Examined

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from goldfold.cache.images import CachedImages
    from goldfold.cases import Batch, Inputs
    from goldfold.drawing.blocks import Section
    from goldfold.inference.views import View
    from goldfold.losses import Losses
    from goldfold.predictions.arrays import Arrays

NEAR = 0.05
"""Share of the diagonal up to which a point counts as found."""


@dataclass(frozen=True)
class Distances:
    """Distance of each prediction to the true point (n,), as a share of the image's diagonal."""

    shares: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.shares)

    def arguments(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64]]:
        return (self.shares[rows],)


def mean_distance(shares: NDArray[np.float64]) -> float:
    """Mean distance from the truth, as a share of the side."""
    return float(shares.mean())


def near(shares: NDArray[np.float64], most: float = NEAR) -> float:
    """Share of the images whose point is at most ``most`` of the side from the truth."""
    return float((shares <= most).mean())


DISTANCE = Metric(mean_distance, greater_is_better=False)


def smooth_l1(points: Tensor, truth: Tensor, beta: float = 0.1) -> Tensor:
    """Huber's loss of each coordinate, (batch, 2)."""
    from torch.nn import functional

    return functional.smooth_l1_loss(points, truth, beta=beta, reduction="none")


def l1(points: Tensor, truth: Tensor) -> Tensor:
    """Absolute error of each coordinate, (batch, 2)."""
    return (points - truth).abs()


def mean(stack: NDArray[np.float64], weights: Sequence[float]) -> NDArray[np.float64]:
    """Weighted mean of the members' points (members, images, 2)."""
    return np.average(stack, axis=0, weights=weights)


@dataclass(frozen=True)
class Settings:
    """Settings of the config's ``task_params``."""

    decimals: int = 2
    """Of the pixels in the submission."""


class Keypoints:
    """Where the point of each image is."""

    facts = Facts(
        target="label",
        columns=("label", "width", "height"),
        metrics={"distance": "keypoint_task:DISTANCE", "near": "keypoint_task:near"},
        reported=("distance", "near"),
        methods={"mean": "keypoint_task:mean"},
        networks=catalog.NETWORKS["values"],
        views=catalog.TURNS,
        losses={"smooth_l1": "keypoint_task:smooth_l1", "l1": "keypoint_task:l1"},
        default_loss="smooth_l1",
        settings=Settings,
        post_training_settings=("decimals",),
        unit="points",
        shown=("label",),
        follows_roi=False,
    )
    compose_params: ClassVar[dict[str, Any]] = {"keypoint_params": {"format": "xy", "remove_invisible": False}}

    def __init__(self, classes: Sequence[str], decimals: int = 2) -> None:
        self.classes, self.decimals = list(classes), decimals

    # --- raw data
    @classmethod
    def examine(
        cls, table: pd.DataFrame, classes: Sequence[str] | None, where: str, drops: bool, workers: int
    ) -> Examined:
        """Points are two numbers and lie in their image."""
        missing = ["image has no point" if lacks else "" for lacks in table["label"].isna()]
        flaws = ["" if lacks else _flaw(row) for row, lacks in zip(table.to_dict("records"), missing, strict=True)]
        return Examined(table, list(classes or ["point"]), missing, flaws)

    def content(self, table: pd.DataFrame) -> pd.DataFrame:
        """One point in every image."""
        import pandas as pd

        return pd.DataFrame(1, index=table.index, columns=self.classes)

    # --- samples
    def targets(self, table: pd.DataFrame, images: CachedImages, resize: str) -> list[dict[str, Any]]:
        """``keypoints`` (1, 2) in pixels of the frame, from the middle of the first one as albumentations counts."""
        from goldfold.images.geometry import place

        fields = []
        for point, size in zip(_points(table["label"]), _sizes(table).tolist(), strict=True):
            framed = place((size[0], size[1]), images.frame, resize).to_frame(np.tile(point, 2))[:, :2]
            fields.append({"keypoints": framed - 0.5})
        return fields

    def collate(self, samples: list[dict[str, Any]]) -> Batch:
        """Points (batch, 2) from the top left corner, as shares of width and height."""
        import torch

        from goldfold.cases import stacked

        points = np.stack([sample["keypoints"][0] for sample in samples]) + 0.5
        height, width = samples[0]["images"].shape[1:3]
        return stacked(samples, torch.tensor(points / [width, height], dtype=torch.float32))

    # --- learning
    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Network with two outputs, shares of width and height before the sigmoid."""
        from goldfold import models
        from goldfold.models.wrapping import Normalised

        built = models.build(network, n_classes=2, in_channels=channels, image_size=image_size, **params)
        return Normalised(built, channels)

    def loss(self, loss: Several) -> Callable[[nn.Module, Batch], Losses]:
        """Mean over the batch of weight x loss."""
        from goldfold.losses import combined

        criterion = combined(self.facts.losses, loss)

        def mean_loss(model: nn.Module, batch: Batch) -> Losses:
            losses = criterion(model(batch.inputs).sigmoid(), batch.targets)
            return losses.map(lambda values: (batch.weights * values.sum(dim=1)).mean())

        return mean_loss

    # --- predicting
    def predict(self, model: nn.Module, inputs: Inputs, views: Sequence[View]) -> dict[str, Any]:
        """``points`` (batch, 2) in pixels of the frame, the mean over the views."""
        import torch

        points = []
        for view in views:
            seen = inputs.map(view.forward)
            height, width = seen.images.shape[-2:]
            found = model(seen).float().sigmoid() * torch.tensor([width, height], device=seen.images.device)
            points.append(view.turn.boxes_back(found.repeat(1, 2), (height, width))[:, :2])  # type: ignore[union-attr]
        return {"points": torch.stack(points).mean(dim=0).cpu().numpy()}

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int], resize: str
    ) -> Entries:
        """Points in pixels of the images."""
        from goldfold.images.geometry import place

        sizes = _sizes(table)
        framed = np.concatenate([np.zeros((0, 2)), *(part["points"] for part in parts)])
        points = np.zeros_like(framed)
        for row, size in enumerate(sizes.tolist()):
            points[row] = place((size[0], size[1]), frame, resize).to_original(np.tile(framed[row], 2))[0, :2]
        return self._arrays(table["id"].to_numpy(dtype=str), sizes, points, np.zeros(len(sizes))).items()

    def _arrays(
        self, ids: NDArray[np.str_], sizes: NDArray[Any], points: NDArray[Any], doubts: NDArray[Any]
    ) -> dict[str, NDArray[Any]]:
        named = {"ids": ids, "classes": np.array(self.classes), "sizes": sizes}
        return {**named, "points": points.astype(np.float32), "doubts": doubts.astype(np.float32)}

    # --- after predicting
    def join(self, parts: Sequence[Arrays]) -> Arrays:
        """Parts one below the other, ordered by id."""
        from goldfold.predictions.arrays import disjoint

        order, ids = disjoint(parts, self.classes)
        joined = (np.concatenate([part[name] for part in parts])[order] for name in ("sizes", "points", "doubts"))
        return self._arrays(ids, *joined)

    def fuse(
        self, members: Sequence[Arrays], weights: Sequence[float], workers: int = 1, method: str = "mean"
    ) -> Arrays:
        """Mean of the points; doubts grow by the members' mean distance to it."""
        from goldfold.predictions.arrays import common_ids, rows_of

        ids = common_ids(members, self.classes)
        rows = [rows_of(member, ids.tolist()) for member in members]
        points, doubts = (
            np.stack([member[name][own] for member, own in zip(members, rows, strict=True)])
            for name in ("points", "doubts")
        )
        sizes, mean = members[0]["sizes"][rows[0]], np.average(points, axis=0, weights=weights)
        spread = np.linalg.norm(points - mean, axis=2) / np.linalg.norm(sizes, axis=1)
        return self._arrays(ids, sizes, mean, np.average(doubts + spread, axis=0, weights=weights))

    def evidence(self, predictions: Arrays, truth: pd.DataFrame, targets: Any = None) -> Distances:
        """Distances to the true points, in pixels of the images."""
        from goldfold.predictions.arrays import rows_of

        rows = rows_of(predictions, list(truth["id"]))
        away = np.linalg.norm(predictions["points"][rows] - _points(truth["label"]), axis=1)
        return Distances(away / np.linalg.norm(predictions["sizes"][rows], axis=1))

    def metric(self, wanted: Written) -> Metric:
        """Metric as a config writes it."""
        return build(wanted, self.facts.metrics)

    def by_class(self, evidence: Distances) -> pd.DataFrame:
        """Images and mean distance."""
        import pandas as pd

        return pd.DataFrame({"images": len(evidence), "distance": evidence.shares.mean()}, index=self.classes)

    def pseudo_labels(self, predictions: Arrays, threshold: float) -> pd.DataFrame:
        """Points on which the members agree: ``confidence`` is 1 - doubt."""
        import pandas as pd

        table = pd.DataFrame({"id": predictions["ids"], "confidence": (1 - predictions["doubts"]).round(6)})
        table["height"], table["width"] = predictions["sizes"].T
        table["label"] = [f"{x:.2f} {y:.2f}" for x, y in predictions["points"].tolist()]
        return table[table["confidence"] >= threshold].sort_values("id").reset_index(drop=True)

    # --- submitting
    def form(self, sample: pd.DataFrame | None, where: str, settings: Mapping[str, Any], metric: str) -> Form:
        """Columns: id, x and y."""
        if sample is None:
            return Form([settings["id_column"], "x", "y"])
        columns = [str(column) for column in sample.columns]
        if len(columns) != 3:
            raise DataError(f"{where}: has the columns {', '.join(columns)}; needed are id, x and y.")
        return Form(columns, keys=[(str(id),) for id in sample.iloc[:, 0]])

    def submission(self, predictions: Arrays, form: Form) -> pd.DataFrame:
        """The point of each image in pixels."""
        import pandas as pd

        points = predictions["points"].astype(float).round(self.decimals)
        return pd.DataFrame(points, columns=form.columns[1:]).assign(**{form.columns[0]: predictions["ids"]})[
            form.columns
        ]

    # --- showing
    def table(self, predictions: Arrays) -> pd.DataFrame:
        """id, point and doubt."""
        import pandas as pd

        points = predictions["points"].round(2)
        columns = {"id": predictions["ids"], "x": points[:, 0], "y": points[:, 1], "doubt": predictions["doubts"]}
        return pd.DataFrame(columns)

    def pages(self, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
        """How far predictions are away, and the farthest of them."""
        from goldfold.drawing.blocks import Facts, Gallery, Section
        from goldfold.drawing.pictures import picture
        from goldfold.predictions.arrays import rows_of

        shares = self.evidence(predictions, truth).shares
        points = predictions["points"][rows_of(predictions, list(truth["id"]))]
        quantiles = [(f"{level} % of the images", f"{np.percentile(shares, level):.4f}") for level in (50, 90, 100)]
        pictures = []
        for row in np.argsort(-shares, kind="stable")[:gallery]:
            image = truth.iloc[row]
            drawn = _with_points(image["path"], [_points([image["label"]])[0], points[row]])
            pictures.append(picture(image["path"], image["id"], [f"{shares[row]:.3f}"], drawn))
        intro = "Distance to the true point as a share of the image's diagonal, out of fold: at most so far are"
        worst = Gallery(pictures, "The farthest first; the true point green, the predicted red.")
        return [Section("distances", "Distances", intro, [Facts(quantiles), worst], "Distances")]

    def draw_target(self, row: Mapping[str, Any]) -> NDArray[Any]:
        """The image with its point."""
        return _with_points(row["path"], list(_points([row["label"]])))


def _points(labels: Iterable[str]) -> NDArray[np.float64]:
    """Points (n, 2) of labels."""
    return np.array([[float(word) for word in label.split()] for label in labels]).reshape(-1, 2)


def _sizes(table: pd.DataFrame) -> NDArray[np.int32]:
    """Height and width of each image (n, 2)."""
    return table[["height", "width"]].astype(int).to_numpy(dtype=np.int32).reshape(-1, 2)


def _flaw(row: Mapping[str, Any]) -> str:
    """What is wrong with the label of an image, empty where nothing is."""
    try:
        x, y = map(float, row["label"].split())
    except ValueError:
        return f"its point {row['label']!r} is not two numbers, x and y"
    inside = 0 <= x <= int(row["width"]) and 0 <= y <= int(row["height"])
    return "" if inside else f"its point {row['label']!r} lies outside the {row['width']} x {row['height']} pixels"


def _with_points(path: str, points: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The image with points drawn on it, the first green, the second red."""
    import cv2

    from goldfold.images.decode import decode

    image = decode(path, 3)
    for (x, y), colour in zip(points, ((0, 200, 0), (230, 0, 0)), strict=False):
        cv2.circle(image, (round(float(x)), round(float(y))), max(2, max(image.shape) // 40), colour, -1)
    return image
