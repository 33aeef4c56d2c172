"""A class for every pixel: one class against the background, or several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from goldfold import catalog, components
from goldfold.tasks.protocol import Entries, Examined

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import Tensor, nn

    from goldfold.cache.images import CachedImages
    from goldfold.images.geometry import Placement
    from goldfold.inference.views import View
    from goldfold.losses import Losses
    from goldfold.metrics import Metric
    from goldfold.metrics.segmentation import Overlap
    from goldfold.predictions.arrays import Arrays
    from goldfold.report.blocks import Section
    from goldfold.samples.dense import FramedMasks
    from goldfold.submission.form import Form

LEAST_SURE = 0.5
"""Share of an image's pixels that must be sure for it to be pseudo-labelled."""
FULL = 255
"""A probability of 1 as it is stored."""


@dataclass
class MaskBatch:
    """Images (batch, channels, height, width) uint8, masks (batch, height, width) of indices, weights (batch,)."""

    ids: list[str]
    images: Tensor
    masks: Tensor
    weights: Tensor

    def to(self, device: torch.device) -> MaskBatch:
        """The batch on ``device``."""
        moved = [tensor.to(device, non_blocking=True) for tensor in (self.images, self.masks, self.weights)]
        return replace(self, images=moved[0], masks=moved[1], weights=moved[2])


@dataclass(frozen=True)
class Settings:
    """Settings of the config's ``task_params``."""

    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Least probability for a pixel to be of the class, where there is one class."""


class Segmentation:
    """Predictions hold ``sizes`` (n, 2), the images' own height and width, and ``maps/<row>``, one image's probabilities.

    A map is uint8 (channels - 1, height, width), 255 for a probability of 1, at the network's resolution, of the whole
    image: its border of padding is cut off. The first channel (the background) is what the others leave. Where images are
    cut, ``rois`` (n, 4), x1, y1, x2, y2 in the images' pixels, says of which part a map is; around it is background.
    """

    target = "mask"
    unit = "pixels"
    kinds = ("class", "classes")
    columns = ("width", "height", "mask_sha256")
    cached = ("mask", "mask_sha256", "mask_depth")
    cache_files = ("masks.npy",)
    shown: tuple[str, ...] = ()
    metrics = catalog.METRICS["mask"]
    reported = ("dice", "iou", "dice_per_image", "iou_per_image")
    losses = catalog.LOSSES["mask"]
    default_loss: ClassVar[components.Written] = {"dice": 0.5, "ce": 0.5}
    methods = catalog.ENSEMBLES["mask"]
    networks = catalog.NETWORKS["maps"]
    views = catalog.TURNS
    fuses_by: tuple[str, ...] = ()
    learns_with = ("loss",)
    settings = Settings
    late = ("threshold",)
    weighs_samples = True
    has_validation_loss = True
    labels_by_agreement = False
    on_missing_label = "fail"
    resizes = ("squash", "pad")  # what a crop leaves out would count as background
    follows_roi = True
    flaws_may = ("fail", "quarantine")
    submits_by: tuple[str, ...] = ()
    submission_files = ("masks/",)
    compose_params: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        classes: Sequence[str],
        mask_values: str | Mapping[str, int] = "index",
        ignore_value: int | Sequence[int] | None = None,
        threshold: float = 0.5,
        mask_palette: str = "auto",
        unlisted_values: str = "flaw",
    ) -> None:
        from goldfold.targets.mask_coding import Coding

        self.classes, self.threshold = list(classes), threshold
        self.coding = Coding(classes, mask_values, ignore_value, unlisted_values == "nearest")
        self.first, self.n_channels = self.coding.first, self.coding.n_channels

    # --- raw data
    @classmethod
    def examine(
        cls,
        table: pd.DataFrame,
        classes: Sequence[str] | None,
        where: str,
        drops: bool,
        workers: int,
        mask_values: str | Mapping[str, int] = "index",
        ignore_value: int | Sequence[int] | None = None,
        mask_palette: str | Mapping[str, Sequence[int]] = "auto",
        unlisted_values: str = "flaw",
    ) -> Examined:
        """Masks can be read, have their image's size, and hold no value that is no class."""
        from goldfold.targets import mask_values as values
        from goldfold.targets.mask_table import Masks, Rule, values_json

        to_nearest = unlisted_values == "nearest"
        masks = Masks(table, Rule(mask_values, ignore_value, mask_palette), workers)
        sound = values.sound_of(masks.contents, masks.flaws(None), classes is None and mask_values == "names")
        names = values.classes_of(sound, classes, mask_values, ignore_value, masks.smears)
        examined = table.assign(
            mask=masks.names,
            mask_sha256=masks.digests,
            mask_depth=[values.depth(content) for content in masks.contents],
            mask_values=values_json(masks.contents),
        )
        missing = ["" if there else "image has no mask" for there in masks.has]
        flaws = masks.flaws(values.known(names, mask_values, ignore_value), to_nearest)
        settled = {} if masks.shared is None else {"mask_palette": masks.shared}
        return Examined(examined, names, missing, flaws, settled=settled)

    def content(self, table: pd.DataFrame) -> pd.DataFrame:
        """Pixels of each class."""
        import pandas as pd

        from goldfold.targets.mask_values import parsed

        numbers = self.coding.pixels([parsed(text) for text in table["mask_values"]])
        return pd.DataFrame(numbers, columns=self.classes, index=table.index)

    # --- samples
    def targets(self, table: pd.DataFrame, images: CachedImages, resize: str) -> FramedMasks:
        """``mask``: (height, width) indices, IGNORE outside the image and where nothing is known; made when asked for."""
        from goldfold.samples.dense import FramedMasks

        return FramedMasks(table, images, resize, self.coding)

    def collate(self, samples: list[dict[str, Any]]) -> MaskBatch:
        """Images stacked, channels first in shape and last in memory."""
        import torch

        images = torch.from_numpy(np.stack([sample["image"] for sample in samples])).permute(0, 3, 1, 2)
        masks = torch.from_numpy(np.stack([sample["mask"] for sample in samples])).long()
        weights = torch.tensor([sample["weight"] for sample in samples], dtype=torch.float32)
        return MaskBatch([sample["id"] for sample in samples], images, masks, weights)

    # --- learning
    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Network with one output a channel; a single one where there is one class and background."""
        from goldfold import models
        from goldfold.models.wrapping import Normalised

        outputs = 1 if self.n_channels == 2 else self.n_channels
        built = models.build(network, n_classes=outputs, in_channels=channels, image_size=image_size, **params)
        return Normalised(built, channels)

    def loss(self, loss: components.Several | None = None) -> Callable[[nn.Module, MaskBatch], Losses]:
        """Mean over the batch; images of one weight are scored together, since Dice is not a mean over images."""
        import torch

        from goldfold.losses import combined, summed

        criterion = combined(self.losses, loss or self.default_loss)

        def mean_loss(model: nn.Module, batch: MaskBatch) -> Losses:
            logits, groups = model(batch.images), []
            for weight in torch.unique(batch.weights):
                rows = batch.weights == weight
                share = weight * rows.float().mean()
                groups.append(criterion(logits[rows], batch.masks[rows]).map(partial(torch.mul, share)))
            return summed(groups)

        return mean_loss

    # --- predicting
    def predict(self, model: nn.Module, images: Tensor, views: Sequence[View]) -> dict[str, Any]:
        """``maps`` (batch, channels - 1, height, width) uint8, the mean over the views."""
        import torch

        mean: Tensor | None = None
        for view in views:
            logits = model(view.forward(images)).float()
            shares = torch.sigmoid(logits) if logits.shape[1] == 1 else torch.softmax(logits, dim=1)[:, 1:]
            back = view.turn.inverse(shares) / len(views)  # type: ignore[union-attr]
            mean = back if mean is None else mean + back
        assert mean is not None, "there is at least one view"
        return {"maps": (mean * FULL).round().to(torch.uint8).cpu().numpy()}

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int], resize: str
    ) -> Entries:
        """Maps without the frame's padding, one image after the other."""
        from goldfold.images.geometry import placements

        sizes = table[["height", "width"]].astype(int).to_numpy(dtype=np.int32).reshape(-1, 2)
        placed = placements(table, frame, resize)
        rois = {"rois": np.array([one.roi for one in placed], np.int32).reshape(-1, 4)} if "roi" in table else {}
        yield from self._heads(table["id"].to_numpy(dtype=str), {"sizes": sizes, **rois}).items()
        maps = (image for part in parts for image in part["maps"])
        for row, (placement, image) in enumerate(zip(placed, maps, strict=True)):
            inner = placement.out_of_frame(image.transpose(1, 2, 0))
            yield f"maps/{row}", np.ascontiguousarray(inner.transpose(2, 0, 1))

    def _heads(self, ids: NDArray[np.str_], shapes: Mapping[str, NDArray[np.int32]]) -> dict[str, NDArray[Any]]:
        return {"ids": ids, "classes": np.array(self.classes), **shapes}

    def _shapes(self, parts: Sequence[Arrays]) -> dict[str, NDArray[np.int32]]:
        """Sizes and, where images are cut, parts of the images of ``parts``, laid end to end."""
        names = [name for name in ("sizes", "rois") if name in parts[0]]
        return {name: np.concatenate([part[name] for part in parts]) for name in names}

    # --- after predicting
    def join(self, parts: Sequence[Arrays]) -> Arrays:
        """Parts one below the other, ordered by id; maps are read when asked for."""
        from goldfold.predictions.arrays import OneByOne, disjoint

        order, ids = disjoint(parts, self.classes)
        places = [(part, row) for part in parts for row in range(len(part["ids"]))]
        shapes = {name: array[order] for name, array in self._shapes(parts).items()}

        def make(row: int) -> NDArray[Any]:
            part, own = places[order[row]]
            return part[f"maps/{own}"]

        return OneByOne(self._heads(ids, shapes), "maps", len(ids), make)

    def fuse(
        self,
        members: Sequence[Arrays],
        weights: Sequence[float],
        workers: int = 1,
        method: components.Written = "probability",
    ) -> Arrays:
        """Maps of one image at a time, at the largest size that a member has it; never more than one image is held."""
        from goldfold.ensembling.maps import fused
        from goldfold.predictions.arrays import OneByOne, common_ids, rows_of
        from goldfold.predictions.maps import alike, kept

        average = components.load(method, self.methods, "ensemble method")
        ids = common_ids(members, self.classes)
        rows = [rows_of(member, ids.tolist()) for member in members]

        def make(row: int) -> NDArray[np.uint8]:
            maps = [member[f"maps/{own[row]}"] for member, own in zip(members, rows, strict=True)]
            return maps[0] if len(maps) == 1 else kept(fused(alike(maps), weights, average))

        shapes = {name: array[rows[0]] for name, array in self._shapes(members[:1]).items()}
        return OneByOne(self._heads(ids, shapes), "maps", len(ids), make)

    def masks(self, predictions: Arrays, ids: Sequence[str], sizes: Sequence[tuple[int, int]] | None = None
              ) -> Iterator[NDArray[np.uint8]]:  # fmt: skip
        """Channel of every pixel, image by image, at the images' own size, or of the part that was cut out at ``sizes``."""
        from goldfold.predictions.arrays import rows_of
        from goldfold.predictions.maps import resized, whole

        cuts = _cuts(predictions)
        for place, row in enumerate(rows_of(predictions, ids)):
            values = resized(predictions[f"maps/{row}"], sizes[place] if sizes is not None else cuts[row].part)
            if self.n_channels == 2:
                channels = (values[0] >= self.threshold).astype(np.uint8)
            else:
                channels = whole(values).argmax(axis=0).astype(np.uint8)
            yield channels if sizes is not None else cuts[row].put_back(channels)

    def evidence(self, predictions: Arrays, truth: pd.DataFrame, targets: FramedMasks | None = None) -> Overlap:
        """Pixels shared and not, at the size of the masks on disk; of ``targets`` at the network's, where given."""
        from goldfold.metrics.segmentation import Overlap, count
        from goldfold.targets.mask_coding import IGNORE

        ids, sizes = list(truth["id"]), None
        if targets is None:
            true = [partial(self.true_mask, path) for path in truth["mask"]]
        else:
            true = [partial(targets.inner, row) for row in range(len(ids))]
            sizes = [targets.placement(row).inner for row in range(len(ids))]
        masks = zip(self.masks(predictions, ids, sizes), true, strict=True)
        last = self.n_channels - 1
        counts = [count(mask, of(), self.first, last, IGNORE) for mask, of in masks]
        both, predicted, alone = (
            np.array([image[part] for image in counts]).reshape(-1, len(self.classes)) for part in range(3)
        )
        return Overlap(both, predicted, alone)

    def true_mask(self, path: str) -> NDArray[np.uint8]:
        """Channel of every pixel of a mask file."""
        from goldfold.targets.masks import decode_mask

        return self.coding.channels(decode_mask(path))

    @classmethod
    def metric(cls, wanted: components.Written) -> Metric:
        """Metric as a config writes it."""
        from goldfold import metrics

        return metrics.build(wanted, cls.metrics)

    def by_class(self, evidence: Overlap) -> pd.DataFrame:
        """Images that have the class, share of all pixels, Dice and IoU over the set."""
        import pandas as pd

        from goldfold.metrics.segmentation import by_class, dice, iou

        true = evidence.both + evidence.true
        return pd.DataFrame(
            {
                "images": (true > 0).sum(axis=0),
                "pixels": true.sum(axis=0),
                "dice": by_class(evidence, dice),
                "iou": by_class(evidence, iou),
            },
            index=self.classes,
        )

    def pseudo_labels(self, predictions: Arrays, threshold: float) -> pd.DataFrame:
        """Hard masks; pixels whose probability is below ``threshold`` count for nothing.

        An image with less than half of its pixels sure is left out. ``confidence`` is the mean probability of the pixels
        that are sure. Where images are cut, the part alone counts.
        """
        import pandas as pd

        from goldfold.predictions.maps import resized, whole
        from goldfold.targets.mask_coding import IGNORE

        rows = []
        for row, (id, cut) in enumerate(zip(predictions["ids"], _cuts(predictions), strict=True)):
            height, width = cut.original
            values = whole(resized(predictions[f"maps/{row}"], cut.part))
            confidence, index = values.max(axis=0), values.argmax(axis=0).astype(np.uint8)
            sure = confidence >= threshold
            if sure.mean() >= LEAST_SURE:
                index[~sure] = IGNORE
                mean = round(float(confidence[sure].mean()), 6)
                text = self.coding.to_text(cut.put_back(index))
                rows.append((str(id), mean, width, height, text, round(float(sure.mean()), 6)))
        columns = ["id", "confidence", "width", "height", "rle", "sure"]
        return pd.DataFrame(rows, columns=columns).sort_values("id").reset_index(drop=True)

    # --- submitting
    def form(
        self, sample: pd.DataFrame | None, where: str, settings: Mapping[str, Any], metric: components.Written
    ) -> Form:
        """Columns: id and run lengths; with several classes, id, class and run lengths."""
        from goldfold.submission import masks

        return masks.form(self.classes, sample, where, settings)

    def refuse_doubts(self, named: Sequence[str] | None, metric: components.Written, form: Form | None) -> None:
        """Nothing is in doubt."""

    def submission(self, predictions: Arrays, form: Form) -> pd.DataFrame:
        """Run lengths of each image, or of each class in each image."""
        from goldfold.submission import masks

        ids = predictions["ids"].tolist()
        return masks.table(self.masks(predictions, ids), ids, self.classes, self.first, form)

    def write_extras(self, predictions: Arrays, table: pd.DataFrame, folder: str, class_ids: Mapping[str, int]) -> None:
        """``masks/<id>.png`` at the images' own size, with the pixel values of the training masks."""
        from goldfold.targets.masks import write_mask

        ids = list(table["id"])
        for id, mask in zip(ids, self.masks(predictions, ids), strict=True):
            write_mask(f"{folder}/masks/{id}.png", self.coding.written(mask))

    # --- showing
    def table(self, predictions: Arrays) -> pd.DataFrame:
        """id, size, and pixels of each class."""
        import pandas as pd

        ids = predictions["ids"].tolist()
        counts = [
            np.bincount(mask.ravel(), minlength=self.n_channels)[self.first :] for mask in self.masks(predictions, ids)
        ]
        frame = pd.DataFrame(np.reshape(counts, (len(ids), -1)), columns=[f"pixels_{name}" for name in self.classes])
        frame.insert(0, "id", ids)
        frame.insert(1, "width", predictions["sizes"][:, 1])
        frame.insert(2, "height", predictions["sizes"][:, 0])
        return frame

    def pages(self, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
        """Scores by class, by image, and masks drawn on images, the worst first."""
        from goldfold.report import segmentation

        return segmentation.pages(self, predictions, truth, gallery)

    def drawn(self, row: Mapping[str, Any]) -> NDArray[Any] | None:
        """The image with the outlines of its mask."""
        from goldfold.report import segmentation

        return segmentation.drawn(self, row)


def _cuts(predictions: Arrays) -> list[Placement]:
    """Where the part that each map is of lies in its image."""
    from goldfold.images.geometry import place

    sizes = [(int(height), int(width)) for height, width in predictions["sizes"]]
    rois = predictions["rois"].tolist() if "rois" in predictions else [None] * len(sizes)
    return [place(size, size, "squash", roi and tuple(roi)) for size, roi in zip(sizes, rois, strict=True)]
