"""Boxes around objects, each with a class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from goldfold import catalog, components
from goldfold.base.errors import DataError
from goldfold.base.numbers import WHOLE
from goldfold.tasks.protocol import Entries, Examined

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import Tensor, nn

    from goldfold.cache.images import CachedImages
    from goldfold.ensembling.boxes import Method
    from goldfold.inference.views import View
    from goldfold.losses import Losses
    from goldfold.metrics import Metric
    from goldfold.metrics.detection import Evidence
    from goldfold.predictions.arrays import Arrays
    from goldfold.report.blocks import Section
    from goldfold.submission.form import Form

Found = tuple[Any, Any, Any]
"""Boxes (n, 4), scores (n,) and labels (n,) of an image."""
BoxField = Literal["label", "class_index", "score", "x1", "y1", "x2", "y2", "width", "height"]


@dataclass
class BoxBatch:
    """Images (batch, channels, height, width) uint8; for each, ``boxes`` (n, 4) in pixels and ``labels`` (n,)."""

    ids: list[str]
    images: Tensor
    targets: list[dict[str, Tensor]]

    def to(self, device: torch.device) -> BoxBatch:
        """The batch on ``device``."""
        targets = [{name: value.to(device) for name, value in target.items()} for target in self.targets]
        return replace(self, images=self.images.to(device, non_blocking=True), targets=targets)


@dataclass(frozen=True)
class Settings:
    """Settings of the config's ``task_params``."""

    box_fields: Annotated[list[BoxField], Field(min_length=1)] = field(
        default_factory=lambda: ["label", "score", "x1", "y1", "x2", "y2"]
    )
    """What a PredictionString holds for each box, in this order."""
    least_score: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Boxes below are left out of the submission."""


class Detection:
    """Predictions hold ``sizes`` (n, 2), the images' own height and width, and ``counts`` (n,) of boxes; laid end to end,
    ``boxes`` float32 (sum, 4) x1, y1, x2, y2 in pixels of the image, ``scores`` float32 and ``labels`` int32 (sum,).
    """

    target = "boxes"
    unit = "objects"
    kinds = ("class", "classes")
    columns = ("width", "height", "boxes")
    cached: tuple[str, ...] = ()
    cache_files: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    metrics = catalog.METRICS["boxes"]
    reported = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar100", "f1")
    losses = catalog.LOSSES["boxes"]
    methods = catalog.ENSEMBLES["boxes"]
    networks = catalog.NETWORKS["boxes"]
    views = catalog.TURNS
    fuses_by = ("iou_threshold", "skip_threshold")
    learns_with: tuple[str, ...] = ()
    settings = Settings
    late = ("box_fields", "least_score")
    weighs_samples = False
    has_validation_loss = False
    labels_by_agreement = False
    on_missing_label = "quarantine"
    resizes = ("squash", "pad", "crop")
    follows_roi = True
    flaws_may = ("fail", "quarantine", "drop")
    submits_by: tuple[str, ...] = ()
    submission_files = ("submission.json",)

    def __init__(self, classes: Sequence[str], box_fields: Sequence[str] = (), least_score: float = 0.0) -> None:
        self.classes, self.least_score = list(classes), least_score
        self.fields = list(box_fields or Settings().box_fields)

    # --- raw data
    @classmethod
    def examine(
        cls, table: pd.DataFrame, classes: Sequence[str] | None, where: str, drops: bool, workers: int
    ) -> Examined:
        """Boxes lie in their image and have an area; an image without any is a negative."""
        from goldfold.targets import boxes
        from goldfold.targets.classes import natural_order

        texts, flaws, found = [], [], set()
        dropped, cut = list[tuple[str, str]](), list[tuple[str, str]]()
        for row in table.to_dict("records"):
            if not isinstance(row["boxes"], str):
                texts.append("")
                flaws.append("")
                continue
            checked = boxes.check(row["boxes"], int(row["width"]), int(row["height"]), classes)
            found |= set(checked.labels) if drops or not checked.flaws else set()
            texts.append(checked.once if drops else checked.text)
            flaws.append("" if drops else "; ".join(checked.flaws))
            for what, is_cut in zip(checked.flaws, checked.cut, strict=True) if drops else ():
                (cut if is_cut else dropped).append((row["id"], what))
            dropped += [(row["id"], what) for what in checked.twice if drops]
        names = list(classes) if classes is not None else natural_order(found)
        if not names:
            raise DataError(f"{where}: there is not one box, so there is nothing to learn. Look at the annotations.")
        missing = ["" if isinstance(text, str) else "image has no annotation" for text in table["boxes"]]
        return Examined(table.assign(boxes=texts), names, missing, flaws, dropped, part="box", cut=cut)

    def content(self, table: pd.DataFrame) -> pd.DataFrame:
        """Objects of each class."""
        import pandas as pd

        from goldfold.targets.boxes import from_text

        labels = [pd.Series(from_text(text)[0], dtype=str).value_counts() for text in table["boxes"]]
        return pd.DataFrame({name: [int(row.get(name, 0)) for row in labels] for name in self.classes}, table.index)

    def _boxes(self, text: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Boxes (n, 4) and indices of classes (n,) of one image."""
        from goldfold.targets.boxes import from_text

        labels, boxes = from_text(text)
        return boxes, np.array([self.classes.index(label) for label in labels], dtype=np.int64)

    # --- samples
    def targets(self, table: pd.DataFrame, images: CachedImages, resize: str) -> list[dict[str, Any]]:
        """``bboxes`` (n, 4) in pixels of the frame and ``labels`` (n,); those of which
        the frame shows no more than a pixel's width or height are left out."""
        from goldfold.images.geometry import place
        from goldfold.targets.boxes import clipped

        fields = []
        for row in table.to_dict("records"):
            boxes, labels = self._boxes(row["boxes"])
            frame = images.frame
            placement = place((int(row["height"]), int(row["width"])), frame, resize, images.roi(row["id"]))
            framed = placement.to_frame(boxes)
            seen = clipped(framed, width=frame[1], height=frame[0])
            keep = (np.diff(seen.reshape(-1, 2, 2), axis=1) > 1).all(axis=(1, 2))
            fields.append({"bboxes": seen[keep].astype(np.float32), "labels": labels[keep]})
        return fields

    @property
    def compose_params(self) -> dict[str, Any]:
        """Boxes as x1, y1, x2, y2 in pixels; those of which a random crop leaves less than a quarter go."""
        least = {"min_visibility": 0.25, "min_width": 1, "min_height": 1}
        return {"bbox_params": {"format": "pascal_voc", "label_fields": ["labels"], "clip": True, **least}}

    def collate(self, samples: list[dict[str, Any]]) -> BoxBatch:
        """Images stacked, channels first in shape and last in memory."""
        import torch

        images = torch.from_numpy(np.stack([sample["image"] for sample in samples])).permute(0, 3, 1, 2)
        targets = [
            {
                "boxes": torch.as_tensor(np.asarray(sample["bboxes"], dtype=np.float32).reshape(-1, 4)),
                "labels": torch.as_tensor(np.asarray(sample["labels"], dtype=np.int64).reshape(-1)),
            }
            for sample in samples
        ]
        return BoxBatch([sample["id"] for sample in samples], images, targets)

    # --- learning
    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Detector with an output a class."""
        from goldfold import models
        from goldfold.models.wrapping import Normalised

        built = models.build(
            network, n_classes=len(self.classes), in_channels=channels, image_size=image_size, **params
        )
        return Normalised(built, channels)

    def loss(self) -> Callable[[nn.Module, BoxBatch], Losses]:
        """Sum of the detector's own losses, which it has in training mode alone."""
        from goldfold.losses import Losses

        def total(model: nn.Module, batch: BoxBatch) -> Losses:
            found: dict[str, Tensor] = model(batch.images, batch.targets)
            zero = batch.images.new_zeros((), dtype=next(iter(found.values())).dtype)
            parts = {name.removeprefix("loss_"): part.detach() for name, part in found.items()}
            return Losses(sum(found.values(), zero), parts)

        return total

    # --- predicting
    def predict(self, model: nn.Module, images: Tensor, views: Sequence[View]) -> dict[str, Any]:
        """``found``: for each image boxes in pixels of the frame, scores, labels; views are turned back and fused."""
        height, width = images.shape[-2:]
        found: list[list[Found]] = [[] for _ in images]
        for view in views:
            seen = view.forward(images)
            for own, output in zip(found, model(seen), strict=True):
                boxes = view.turn.boxes_back(output["boxes"], tuple(seen.shape[-2:]))  # type: ignore[union-attr,arg-type]
                own.append((_numpy(boxes), _numpy(output["scores"]), _numpy(output["labels"])))
        if len(views) == 1:
            return {"found": [own[0] for own in found]}
        from goldfold.ensembling.boxes import wbf

        sizes = np.tile([[height, width]], (len(found), 1))
        return {"found": _fused(found, sizes, [1.0] * len(views), wbf)}

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int], resize: str
    ) -> Entries:
        """Boxes in pixels of the images, cut where the image was; what was found in the frame's padding is left out."""
        from goldfold.images.geometry import placements

        sizes = table[["height", "width"]].astype(int).to_numpy(dtype=np.int32).reshape(-1, 2)
        found = [image for part in parts for image in part["found"]]
        turned = [
            _with_area(placement.to_original(boxes), scores, labels)
            for placement, (boxes, scores, labels) in zip(placements(table, frame, resize), found, strict=True)
        ]
        return self._arrays(table["id"].to_numpy(dtype=str), sizes, turned).items()

    def _arrays(self, ids: NDArray[np.str_], sizes: NDArray[Any], found: Sequence[Found]) -> Arrays:
        """Boxes, scores and labels by image as the arrays of a file."""
        boxes, scores, labels = (
            np.concatenate([np.asarray(image[part], dtype=float).reshape(-1, width) for image in found] or [np.empty((0, width))])
            for part, width in ((0, 4), (1, 1), (2, 1))
        )  # fmt: skip
        return {
            "ids": ids,
            "classes": np.array(self.classes),
            "sizes": np.asarray(sizes, dtype=np.int32).reshape(-1, 2),
            "counts": np.array([len(image[1]) for image in found], dtype=np.int32),
            "boxes": boxes.astype(np.float32),
            "scores": scores[:, 0].astype(np.float32),
            "labels": labels[:, 0].astype(np.int32),
        }

    # --- after predicting
    def by_image(self, predictions: Arrays, ids: Sequence[str] | None = None) -> list[Found]:
        """Boxes (n, 4), scores (n,) and labels (n,) of each image, in the order of ``ids`` where given."""
        from goldfold.predictions.arrays import rows_of

        ends = np.cumsum(predictions["counts"])
        rows = np.arange(len(ends)) if ids is None else rows_of(predictions, ids)
        spans = [slice(int(ends[row] - predictions["counts"][row]), int(ends[row])) for row in rows]
        return [(predictions["boxes"][s], predictions["scores"][s], predictions["labels"][s]) for s in spans]

    def join(self, parts: Sequence[Arrays]) -> Arrays:
        """Parts one below the other, ordered by id."""
        from goldfold.predictions.arrays import disjoint

        order, ids = disjoint(parts, self.classes)
        found = [image for part in parts for image in self.by_image(part)]
        sizes = np.concatenate([part["sizes"] for part in parts])[order]
        return self._arrays(ids, sizes, [found[row] for row in order])

    def fuse(
        self,
        members: Sequence[Arrays],
        weights: Sequence[float],
        workers: int = 1,
        method: components.Written = "wbf",
        iou_threshold: float = 0.55,
        skip_threshold: float = 0.0,
    ) -> Arrays:
        """Boxes of all members fused, image by image; one member alone stays as it is."""
        from goldfold.predictions.arrays import common_ids, rows_of

        ids = common_ids(members, self.classes)
        sizes = members[0]["sizes"][rows_of(members[0], ids.tolist())]
        of_members = [self.by_image(member, ids.tolist()) for member in members]
        images = [list(image) for image in zip(*of_members, strict=True)]
        if len(members) == 1:
            return self._arrays(ids, sizes, [image[0] for image in images])
        fusion, shares = components.load(method, self.methods, "fusion method"), list(weights)
        if components.name_of(method) in ("nms", "soft_nms"):
            images, shares = _weighed(images, shares), []
        found = _fused(images, sizes, shares or None, fusion, iou_threshold, skip_threshold, workers)
        return self._arrays(ids, sizes, found)

    def evidence(self, predictions: Arrays, truth: pd.DataFrame, targets: Any = None) -> Evidence:
        """Which boxes are found, at COCO's thresholds of overlap, in pixels of the images."""
        from goldfold.metrics.detection import compare

        true = [self._boxes(text) for text in truth["boxes"]]
        return compare(true, self.by_image(predictions, list(truth["id"])), len(self.classes))

    @classmethod
    def metric(cls, wanted: components.Written) -> Metric:
        """Metric as a config writes it."""
        from goldfold import metrics

        return metrics.build(wanted, cls.metrics)

    def by_class(self, evidence: Evidence) -> pd.DataFrame:
        """Objects, boxes found, AP, AP50, AP75, and precision and recall at the best threshold."""
        import pandas as pd

        from goldfold.metrics.detection import by_class

        return pd.DataFrame(by_class(evidence), index=self.classes)

    def pseudo_labels(self, predictions: Arrays, threshold: float) -> pd.DataFrame:
        """Boxes that reach ``threshold``, of the images that have one; ``confidence`` is their mean score."""
        import pandas as pd

        from goldfold.targets.boxes import to_text

        rows = []
        for id, size, (boxes, scores, labels) in zip(
            predictions["ids"], predictions["sizes"], self.by_image(predictions), strict=True
        ):
            sure = scores >= threshold
            if sure.any():
                text = to_text([self.classes[label] for label in labels[sure]], boxes[sure].astype(float).round(2))
                rows.append((str(id), round(float(scores[sure].mean()), 6), int(size[1]), int(size[0]), text))
        columns = ["id", "confidence", "width", "height", "boxes"]
        return pd.DataFrame(rows, columns=columns).sort_values("id").reset_index(drop=True)

    # --- submitting
    def form(
        self, sample: pd.DataFrame | None, where: str, settings: Mapping[str, Any], metric: components.Written
    ) -> Form:
        """Columns: id and PredictionString."""
        from goldfold.submission import boxes

        return boxes.form(sample, where, settings)

    def refuse_doubts(self, named: Sequence[str] | None, metric: components.Written, form: Form | None) -> None:
        """Nothing is in doubt."""

    def submission(self, predictions: Arrays, form: Form) -> pd.DataFrame:
        """The boxes of an image as one text, surest first; empty where there are none."""
        from goldfold.submission import boxes

        found, ids = self.by_image(predictions), predictions["ids"].tolist()
        return boxes.table(found, ids, self.classes, self.fields, self.least_score, form)

    def write_extras(self, predictions: Arrays, table: pd.DataFrame, folder: str, class_ids: Mapping[str, int]) -> None:
        """``submission.json``: COCO results, with the ids of the competition's own files where it has any.

        Without such ids images have goldfold's, and classes 1, 2, ... in their order.
        """
        from goldfold.base.files import write_json
        from goldfold.submission import boxes

        ids = list(table["id"])
        numbers = [_number(id) for id in table["coco_id"]] if "coco_id" in table else ids
        categories = [class_ids[name] if class_ids else index + 1 for index, name in enumerate(self.classes)]
        found = self.by_image(predictions, ids)
        write_json(f"{folder}/submission.json", boxes.coco(found, numbers, categories, self.least_score))

    # --- showing
    def table(self, predictions: Arrays) -> pd.DataFrame:
        """A row a box: id, class, score and corners in pixels of the image."""
        import pandas as pd

        frame = pd.DataFrame(predictions["boxes"].round(2), columns=["x1", "y1", "x2", "y2"])
        frame.insert(0, "id", np.repeat(predictions["ids"], predictions["counts"]))
        frame.insert(1, "prediction", np.array(self.classes, dtype=object)[predictions["labels"]])
        frame.insert(2, "confidence", predictions["scores"].round(6))
        return frame

    def pages(self, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
        """Scores by class, precision against recall, and boxes drawn on images."""
        from goldfold.report import detection

        return detection.pages(self, predictions, truth, gallery)

    def drawn(self, row: Mapping[str, Any]) -> NDArray[Any] | None:
        """The image with its boxes."""
        from goldfold.report import detection

        return detection.drawn(self, row)


def _number(id: str) -> int | str:
    """An id as the competition's JSON has it: the table holds text."""
    return int(id) if WHOLE.fullmatch(id) else id


def _with_area(boxes: NDArray[Any], scores: Any, labels: Any) -> Found:
    there = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return boxes[there], np.asarray(scores)[there], np.asarray(labels)[there]


def _numpy(values: Tensor) -> NDArray[Any]:
    found: NDArray[Any] = values.float().cpu().numpy()
    return found


def _weighed(images: Sequence[Sequence[Found]], weights: Sequence[float]) -> list[list[Found]]:
    """Scores times the weight of their member, the largest being 1.

    ensemble-boxes would divide them by the number of members.
    """
    factors = np.asarray(weights) / max(weights)
    return [
        [(boxes, scores * factor, labels) for (boxes, scores, labels), factor in zip(image, factors, strict=True)]
        for image in images
    ]


def _fused(
    images: Sequence[Sequence[Found]],
    sizes: NDArray[Any],
    weights: Sequence[float] | None,
    fusion: Method,
    iou_threshold: float = 0.55,
    skip_threshold: float = 0.0,
    workers: int = 1,
) -> list[Found]:
    """Boxes of each image fused, in pixels as they came."""
    from goldfold.ensembling.boxes import fuse_images

    scales = [np.array([size[1], size[0]] * 2, dtype=np.float64) for size in sizes]
    scaled = [
        ([boxes / scale for boxes, _, _ in image], [scores for _, scores, _ in image], [labels for _, _, labels in image])
        for image, scale in zip(images, scales, strict=True)
    ]  # fmt: skip
    found = fuse_images(fusion, scaled, weights, iou_threshold, skip_threshold, workers)
    return [(boxes * scale, scores, labels) for (boxes, scores, labels), scale in zip(found, scales, strict=True)]
