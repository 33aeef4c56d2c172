"""One label an image: two classes or many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax

from goldfold.runtime.errors import DataError, nearest
from goldfold.tasks.protocol import Arrays, Fuse

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from goldfold.inference.views import View
    from goldfold.metrics import Score
    from goldfold.report.blocks import Section


@dataclass
class LabelBatch:
    """Images (batch, channels, height, width) uint8, class indices (batch,), weights (batch,)."""

    ids: list[str]
    images: Tensor
    labels: Tensor
    weights: Tensor

    def to(self, device: torch.device) -> LabelBatch:
        """The batch on ``device``."""
        moved = [tensor.to(device, non_blocking=True) for tensor in (self.images, self.labels, self.weights)]
        return replace(self, images=moved[0], labels=moved[1], weights=moved[2])


class Classification:
    """A member's predictions hold ``logits`` float32 (n, classes), an ensemble's ``probabilities`` (n, classes)."""

    prediction_kind = "probabilities"

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = list(classes)

    # --- samples
    def targets(self, table: pd.DataFrame) -> list[dict[str, Any]]:
        """``label``: index of the class."""
        index = {name: number for number, name in enumerate(self.classes)}
        return [{"label": index[label]} for label in table["label"]]

    def collate(self, samples: list[dict[str, Any]]) -> LabelBatch:
        """Images stacked, channels first in shape and last in memory."""
        import torch

        images = torch.from_numpy(np.stack([sample["image"] for sample in samples])).permute(0, 3, 1, 2)
        labels = torch.tensor([sample["label"] for sample in samples])
        weights = torch.tensor([sample["weight"] for sample in samples], dtype=torch.float32)
        return LabelBatch([sample["id"] for sample in samples], images, labels, weights)

    # --- learning
    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Network with a head of one output a class."""
        from goldfold import models
        from goldfold.models.wrapping import Normalised

        built = models.build(
            network, n_classes=len(self.classes), in_channels=channels, image_size=image_size, **params
        )
        return Normalised(built, channels)

    def loss(
        self,
        loss: str = "cross_entropy",
        label_smoothing: float = 0.0,
        mixup_alpha: float = 0.0,
        cutmix_alpha: float = 0.0,
        mix_probability: float = 1.0,
    ) -> Callable[[nn.Module, LabelBatch], Tensor]:
        """Mean over the batch of weight x loss, on images and labels mixed where mixup or cutmix (timm's) is on."""
        from timm.data.mixup import Mixup
        from torch.nn import functional

        from goldfold import losses

        criterion, n, mixes = losses.build(loss), len(self.classes), bool(mixup_alpha or cutmix_alpha)
        mix = Mixup(mixup_alpha, cutmix_alpha, prob=mix_probability, num_classes=n, label_smoothing=label_smoothing)

        def mean_loss(model: nn.Module, batch: LabelBatch) -> Tensor:
            images, weights = batch.images.float(), batch.weights
            if mixes and len(images) % 2 == 0:  # odd only where all training images are fewer than one batch
                images, target = mix(images, batch.labels)
                weights = (weights + weights.flip(0)) / 2  # each image is mixed with its mirror in the batch
            else:
                target = functional.one_hot(batch.labels, n).float() * (1 - label_smoothing) + label_smoothing / n
            return (weights * criterion(model(images), target)).mean()

        return mean_loss

    # --- predicting
    def predict(self, model: nn.Module, images: Tensor, views: Sequence[View]) -> Arrays:
        """``logits``: of one view as the network gives them, of several the log of the mean probability."""
        import torch

        outputs = [model(view.forward(images)).float() for view in views]
        if len(outputs) == 1:
            return {"logits": outputs[0].cpu().numpy()}
        log_mean = torch.logsumexp(torch.log_softmax(torch.stack(outputs), dim=-1), dim=0) - float(np.log(len(outputs)))
        return {"logits": log_mean.cpu().numpy()}

    def pack(self, ids: Sequence[str], parts: list[Arrays]) -> Arrays:
        """Batches one below the other."""
        logits = np.concatenate([part["logits"] for part in parts]) if parts else np.zeros((0, len(self.classes)))
        return {"ids": np.array(ids, dtype=str), "classes": np.array(self.classes), "logits": logits.astype(np.float32)}

    # --- after predicting
    def join(self, parts: list[Arrays]) -> Arrays:
        """Parts one below the other, ordered by id."""
        for part in parts:
            self._check_classes(part)
        ids = np.concatenate([part["ids"] for part in parts])
        order = np.argsort(ids, kind="stable")
        if len(np.unique(ids)) != len(ids):
            raise DataError(f"predictions overlap: id {_first_repeated(ids)!r} is in more than one part")
        return self.pack(ids[order].tolist(), [{"logits": np.concatenate([part["logits"] for part in parts])[order]}])

    def fuse(self, members: list[Arrays], method: Fuse, weights: Sequence[float]) -> Arrays:
        """Members aligned on id; ``probabilities`` (n, classes) are what ``method`` makes of theirs."""
        ids = np.sort(members[0]["ids"])
        for member in members:
            self._check_classes(member)
            if not np.array_equal(np.sort(member["ids"]), ids):
                odd = sorted(set(ids.tolist()) ^ set(member["ids"].tolist()))
                raise DataError(f"members predict different images, e.g. {odd[:1] or _first_repeated(member['ids'])}")
        stack = np.stack([self.probabilities(member, ids.tolist()) for member in members])
        values = method(stack, weights) if len(ids) else stack[0]
        return {"ids": ids, "classes": np.array(self.classes), "probabilities": values}

    def probabilities(self, predictions: Arrays, ids: Sequence[str] | None = None) -> NDArray[np.float64]:
        """Probabilities (n, classes), in the order of ``ids`` where given.

        Raises:
            DataError: an id has no prediction.
        """
        if "probabilities" in predictions:
            values = predictions["probabilities"]
        else:
            values = softmax(predictions["logits"].astype(np.float64), axis=1)
        if ids is None:
            return values
        rows = pd.Series(np.arange(len(values)), index=predictions["ids"]).reindex(list(ids))
        if rows.isna().any():
            raise DataError(f"{int(rows.isna().sum())} images have no prediction, first {rows.index[rows.isna()][0]!r}")
        return values[rows.to_numpy(dtype=int)]

    def score(self, predictions: Arrays, truth: pd.DataFrame, metric: str, n_resamples: int = 1000) -> Score:
        """Metric over the images of ``truth``, resampled by group where there are groups."""
        from goldfold import metrics

        values = self.probabilities(predictions, list(truth["id"]))
        labels = self._indices(truth)
        chosen = metrics.build(metric)
        groups = list(truth["group"]) if "group" in truth else None
        return metrics.score(lambda rows: chosen.value(values[rows], labels[rows]), len(labels), groups, n_resamples)

    def pseudo_labels(self, predictions: Arrays, threshold: float) -> pd.DataFrame:
        """The most probable class where its probability reaches ``threshold``."""
        values = self.probabilities(predictions)
        confidence = values.max(axis=1)
        labels = np.array(self.classes, dtype=object)[values.argmax(axis=1)]
        table = pd.DataFrame({"id": predictions["ids"], "label": labels, "confidence": confidence.round(6)})
        return table[confidence >= threshold].sort_values("id").reset_index(drop=True)

    # --- submitting
    def check_sample(self, sample: pd.DataFrame, path: str) -> None:
        """Columns: id and label; or id and every class; or, for two classes, id and one probability."""
        columns = [str(column) for column in sample.columns[1:]]
        if not columns:
            raise DataError(
                f"{path}: has only the column {sample.columns[0]!r}; a sample file needs what is predicted too."
            )
        if len(columns) == 1 and columns[0] not in self.classes:
            self._check_sample_labels(sample[columns[0]], path)
            return
        wrong = [name for name in columns if name not in self.classes]
        lacking = [name for name in self.classes if name not in columns]
        if wrong:
            hint = nearest(wrong[0], self.classes)
            raise DataError(f"{path}: column {wrong[0]!r} is not a class; {hint}classes: {', '.join(self.classes)}")
        if lacking and len(self.classes) > 2:
            raise DataError(f"{path}: no column for class {lacking[0]!r}; classes: {', '.join(self.classes)}")

    def _check_sample_labels(self, values: pd.Series[str], path: str) -> None:
        """A column of class names, or of numbers for the probability of the second of two classes."""
        present = [str(value) for value in values.dropna().unique()]
        wrong = [value for value in present if value not in self.classes]
        numbers = pd.to_numeric(pd.Series(wrong, dtype=object), errors="coerce")
        if wrong and not (len(self.classes) == 2 and numbers.between(0, 1).all()):
            hint = nearest(wrong[0], self.classes)
            raise DataError(f"{path}: {wrong[0]!r} is not a class; {hint}classes: {', '.join(self.classes)}")

    def sample_wants_labels(self, sample: pd.DataFrame, path: str, format: str, metric: str) -> bool:
        """Whether to fill a sample file with class names (else with probabilities).

        A single column of two classes is ambiguous (samples are often all zeros): ``auto`` lets the metric decide.
        """
        columns = [str(column) for column in sample.columns[1:]]
        is_one_column = len(columns) == 1 and columns[0] not in self.classes
        if format == "label" and not is_one_column:
            raise DataError(
                f"{path}: submission.format is label, but the sample has the columns {', '.join(columns)}; a label needs "
                f"one column that is no class. Set submission.format: auto."
            )
        if format == "probabilities" and is_one_column and len(self.classes) > 2:
            raise DataError(
                f"{path}: submission.format is probabilities, but the sample has one column, {columns[0]!r}, for "
                f"{len(self.classes)} classes. Set submission.format: auto, or give the sample a column a class."
            )
        if format != "auto" or not is_one_column:
            return format == "label"
        are_labels = all(str(value) in self.classes for value in sample[columns[0]].dropna().unique())
        return are_labels and (len(self.classes) > 2 or self.wants_labels(metric))

    def submission(self, predictions: Arrays, columns: Sequence[str], as_labels: bool) -> pd.DataFrame:
        """A label column, a column a class, or for two classes the probability of the second (or of the one named).

        Probabilities are written as the ensemble gives them: scaling the rows of a rank average to one would change the
        order within a class, and so the score.
        """
        values = self.probabilities(predictions)
        table = pd.DataFrame({columns[0]: predictions["ids"]})
        if as_labels:
            table[columns[1]] = np.array(self.classes, dtype=object)[values.argmax(axis=1)]
            return table
        for column in columns[1:]:
            index = self.classes.index(column) if column in self.classes else 1
            table[column] = values[:, index]
        return table

    def default_columns(self, id_column: str, label_column: str, as_labels: bool) -> list[str]:
        """Columns of a submission that follows no sample file."""
        columns = [id_column, label_column] if as_labels else [id_column, *self.classes]
        if id_column in self.classes and not as_labels:
            raise DataError(f"submission.id_column: {id_column!r} is also the name of a class; choose another.")
        return columns

    def wants_labels(self, metric: str) -> bool:
        """Whether ``metric`` looks at labels only."""
        from goldfold import metrics

        return metrics.build(metric).of_labels

    # --- showing
    def table(self, predictions: Arrays) -> pd.DataFrame:
        """id, the most probable class, its probability, and one column a class."""
        values = self.probabilities(predictions)
        frame = pd.DataFrame(values.round(6), columns=[f"p_{name}" for name in self.classes])
        frame.insert(0, "id", predictions["ids"])
        frame.insert(1, "prediction", np.array(self.classes, dtype=object)[values.argmax(axis=1)])
        frame.insert(2, "confidence", values.max(axis=1).round(6))
        return frame

    def pages(self, predictions: Arrays, truth: pd.DataFrame, paths: dict[str, str], gallery: int) -> list[Section]:
        """Errors in pictures, confusion, scores by class, calibration."""
        from goldfold.report import classification

        return classification.pages(
            self.probabilities(predictions, list(truth["id"])), self.classes, truth, paths, gallery
        )

    def _indices(self, table: pd.DataFrame) -> NDArray[np.int64]:
        return np.array([target["label"] for target in self.targets(table)], dtype=np.int64)

    def _check_classes(self, predictions: Arrays) -> None:
        found = [str(name) for name in predictions["classes"]]
        if found != self.classes:
            raise DataError(f"predictions are of the classes {found}, not {self.classes}, in this order")


def _first_repeated(ids: NDArray[Any]) -> str:
    names, counts = np.unique(ids, return_counts=True)
    return str(names[counts > 1][0]) if (counts > 1).any() else ""
