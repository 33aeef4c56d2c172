"""Any number of labels an image, none too: each class is a yes or no of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from goldfold import catalog, components
from goldfold.base.errors import ConfigError, DataError, nearest
from goldfold.tasks import logits as of_logits
from goldfold.tasks.logits import LabelBatch
from goldfold.tasks.protocol import Entries, Examined

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from goldfold.cache.images import CachedImages
    from goldfold.inference.views import View
    from goldfold.losses import Losses
    from goldfold.metrics import Metric
    from goldfold.metrics.multilabel import MultiLabelled
    from goldfold.predictions.arrays import Arrays
    from goldfold.report.blocks import Section
    from goldfold.submission.form import Form


@dataclass(frozen=True)
class Settings:
    """Settings of the config's ``task_params``."""

    threshold: float = 0.5
    """From which probability on an image is of a class: in F1, and in submissions of labels."""
    positive_weights: dict[str, float] = field(default_factory=dict)
    """What an image counts in the loss where it is of the class, by class; 1 where not named."""


class MultiLabel:
    """A member's predictions hold ``logits`` float32 (n, classes), an ensemble's ``probabilities`` (n, classes)."""

    target = "labels"
    unit = "images"
    kinds = ("class", "classes")
    columns = ("labels",)
    cached: tuple[str, ...] = ()
    cache_files: tuple[str, ...] = ()
    shown = ("labels",)
    metrics = catalog.METRICS["labels"]
    reported = ("f1_macro", "f1_micro", "roc_auc", "map", "log_loss")
    losses = catalog.LOSSES["labels"]
    default_loss: ClassVar[components.Written] = "bce"
    methods = catalog.ENSEMBLES["labels"]
    networks = catalog.NETWORKS["values"]
    views = catalog.VIEWS
    fuses_by: tuple[str, ...] = ()
    learns_with = ("loss", "label_smoothing")
    settings = Settings
    late = ("threshold",)
    weighs_samples = True
    has_validation_loss = True
    labels_by_agreement = False
    on_missing_label = "quarantine"
    follows_roi = True
    resizes = ("squash", "pad", "crop")
    flaws_may = ("fail", "quarantine", "drop")
    submits_by = ("format", "label_column")
    submission_files: tuple[str, ...] = ()
    compose_params: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        classes: Sequence[str],
        threshold: float = 0.5,
        positive_weights: Mapping[str, float] | None = None,
        label_separator: str = " ",
    ) -> None:
        """``label_separator`` is what parts labels in the data, and so in the submission."""
        self.classes, self.threshold, self.separator = list(classes), threshold, label_separator
        for name, weight in (positive_weights or {}).items():
            if name not in self.classes:
                hint = nearest(name, self.classes)
                raise DataError(
                    f"task_params.positive_weights: {name!r} is no class; {hint}classes: {', '.join(classes)}"
                )
            if not weight > 0:
                raise ConfigError(f"task_params.positive_weights.{name} = {weight}: must be more than 0")
        self.positive_weights = [float((positive_weights or {}).get(name, 1.0)) for name in self.classes]

    # --- raw data
    @classmethod
    def examine(
        cls,
        table: pd.DataFrame,
        classes: Sequence[str] | None,
        where: str,
        drops: bool,
        workers: int,
        positive_weights: Mapping[str, float] | None = None,
        label_separator: str = " ",
    ) -> Examined:
        """Labels are named, none of an image is empty or there twice; they come in the order of the classes."""
        import pandas as pd

        from goldfold.targets.classes import classes_of
        from goldfold.targets.label_sets import from_text, to_text

        found = [None if pd.isna(text) else from_text(text) for text in table["labels"]]
        every = pd.Series([label for labels in found for label in labels or [] if label], dtype=object)
        names = classes_of(every, classes, where)
        if not names:
            raise DataError(f"{where}: no image has a label. Look at data.label_column.")
        place = {name: number for number, name in enumerate(names)}
        flaws, dropped = [""] * len(table), list[tuple[str, str]]()
        for row, labels in enumerate(found):
            flaw = _flaw(labels or [], label_separator)
            if flaw and drops:
                dropped.append((table["id"].iloc[row], flaw))
            elif flaw:
                flaws[row] = flaw
        texts = [
            None if row is None else to_text(sorted(set(row) & set(names), key=place.__getitem__)) for row in found
        ]
        missing = ["image has no labels" if labels is None else "" for labels in found]
        made = table.assign(labels=pd.Series(texts, index=table.index, dtype=object))
        return Examined(made, names, missing, flaws, dropped, part="label")

    def content(self, table: pd.DataFrame) -> pd.DataFrame:
        """1 in the column of each label."""
        import pandas as pd

        return pd.DataFrame(self._truth(table).astype(int), columns=self.classes)

    # --- samples
    def targets(
        self, table: pd.DataFrame, images: CachedImages | None = None, resize: str = ""
    ) -> list[dict[str, Any]]:
        """``labels`` (classes,), 0 or 1."""
        return [{"labels": row} for row in self._truth(table)]

    def _truth(self, table: pd.DataFrame) -> NDArray[np.uint8]:
        from goldfold.targets.label_sets import indicators

        return indicators(table["labels"], self.classes)

    def collate(self, samples: list[dict[str, Any]]) -> LabelBatch:
        """Images stacked, channels first in shape and last in memory; labels (batch, classes)."""
        import torch

        labels = torch.from_numpy(np.stack([sample["labels"] for sample in samples])).float()
        return of_logits.collate(samples, labels)

    # --- learning
    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Network with a head of one output a class."""
        return of_logits.network(network, len(self.classes), image_size, channels, **params)

    def loss(
        self, loss: components.Several | None = None, label_smoothing: float = 0.0
    ) -> Callable[[nn.Module, LabelBatch], Losses]:
        """Mean over the batch of weight x loss; smoothing draws each yes or no towards one half."""
        import torch

        from goldfold.losses import combined

        criterion, weights = combined(self.losses, loss or self.default_loss), torch.tensor(self.positive_weights)

        def mean_loss(model: nn.Module, batch: LabelBatch) -> Losses:
            target = batch.labels * (1 - label_smoothing) + label_smoothing / 2
            losses = criterion(model(batch.images.float()), target, weights.to(target.device))
            return losses.map(lambda values: (batch.weights * values).mean())

        return mean_loss

    # --- predicting
    def predict(self, model: nn.Module, images: Tensor, views: Sequence[View]) -> dict[str, Any]:
        """``logits``: of one view as the network gives them, of several the log odds of the mean probability."""
        import torch
        from torch.nn import functional

        outputs = [model(view.forward(images)).float() for view in views]
        if len(outputs) == 1:
            return {"logits": outputs[0].cpu().numpy()}
        stack = torch.stack(outputs)
        yes, no = (torch.logsumexp(functional.logsigmoid(sign * stack), dim=0) for sign in (1, -1))
        return {"logits": (yes - no).cpu().numpy()}

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int] = (0, 0), resize: str = ""
    ) -> Entries:
        """Batches one below the other."""
        return of_logits.packed(table["id"], parts, self.classes)

    # --- after predicting
    def join(self, parts: Sequence[Arrays]) -> Arrays:
        """Parts one below the other, ordered by id."""
        return of_logits.joined(parts, self.classes)

    def fuse(
        self,
        members: Sequence[Arrays],
        weights: Sequence[float],
        workers: int = 1,
        method: components.Written = "probability",
    ) -> Arrays:
        """Members aligned on id; ``probabilities`` (n, classes) are what ``method`` makes of each class for itself."""
        chosen = components.load(method, self.methods, "ensemble method")

        def each_class(stack: NDArray[Any], shares: Sequence[float]) -> NDArray[Any]:
            pairs = np.stack([1 - stack, stack], axis=-1)  # (members, images, classes, no and yes)
            values = [chosen(pairs[:, :, place], shares)[:, 1] for place in range(stack.shape[2])]
            return np.stack(values, axis=1)

        return of_logits.fused(members, weights, self.classes, _sigmoid, each_class)

    def probabilities(self, predictions: Arrays, ids: Sequence[str] | None = None) -> NDArray[np.float64]:
        """Probabilities (n, classes), in the order of ``ids`` where given.

        Raises:
            DataError: an id has no prediction.
        """
        return of_logits.probabilities(predictions, _sigmoid, ids)

    def evidence(self, predictions: Arrays, truth: pd.DataFrame, targets: Any = None) -> MultiLabelled:
        """Probabilities beside what is true."""
        from goldfold.metrics.multilabel import MultiLabelled

        return MultiLabelled(self.probabilities(predictions, list(truth["id"])), self._truth(truth), self.threshold)

    @classmethod
    def metric(cls, wanted: components.Written) -> Metric:
        """Metric as a config writes it."""
        from goldfold import metrics

        return metrics.build(wanted, cls.metrics)

    def by_class(self, evidence: MultiLabelled) -> pd.DataFrame:
        """Images, precision, recall, F1, area under the ROC curve, average precision."""
        import pandas as pd

        from goldfold.metrics.ranking import average_precision, roc_area

        hits, predicted, n = evidence.counts()
        pairs = list(zip(evidence.probabilities.T, (evidence.truth == 1).T, strict=True))
        with np.errstate(invalid="ignore"):
            columns = {"images": n, "precision": hits / predicted, "recall": hits / n, "f1": 2 * hits / (predicted + n)}
        columns["roc_auc"] = np.array([roc_area(*pair) for pair in pairs])
        columns["average_precision"] = np.array([average_precision(*pair) for pair in pairs])
        return pd.DataFrame(columns, index=self.classes)

    def pseudo_labels(self, predictions: Arrays, threshold: float) -> pd.DataFrame:
        """All labels of the images of which every class is sure: its probability, or that of not being there, is
        ``threshold`` or more. A class is there from one half on."""
        import pandas as pd

        from goldfold.targets.label_sets import to_text

        values = self.probabilities(predictions)
        confidence = np.maximum(values, 1 - values).min(axis=1)
        labels = [to_text(self._named(row)) for row in values >= 0.5]
        table = pd.DataFrame({"id": predictions["ids"], "labels": labels, "confidence": confidence.round(6)})
        return table[confidence >= threshold].sort_values("id").reset_index(drop=True)

    def _named(self, is_there: NDArray[np.bool_]) -> list[str]:
        return [name for name, there in zip(self.classes, is_there, strict=True) if there]

    # --- submitting
    def form(
        self, sample: pd.DataFrame | None, where: str, settings: Mapping[str, Any], metric: components.Written
    ) -> Form:
        """Columns: id and labels; or id and every class."""
        from goldfold.submission import label_sets

        return label_sets.form(self.classes, self.separator, sample, where, settings, self.metric(metric).of_labels)

    def refuse_doubts(self, named: Sequence[str] | None, metric: components.Written, form: Form | None) -> None:
        """Nothing is in doubt: no class comes before another."""

    def submission(self, predictions: Arrays, form: Form) -> pd.DataFrame:
        """The labels of an image in one cell, or a column a class."""
        from goldfold.submission import label_sets

        values, ids = self.probabilities(predictions), predictions["ids"].tolist()
        return label_sets.table(values, ids, self.classes, form, self.threshold, self.separator)

    def write_extras(self, predictions: Arrays, table: pd.DataFrame, folder: str, class_ids: Mapping[str, int]) -> None:
        """Nothing: the table holds all."""

    # --- showing
    def table(self, predictions: Arrays) -> pd.DataFrame:
        """id, the labels, the probability of the least sure of them, and one column a class."""
        import pandas as pd

        from goldfold.targets.label_sets import to_text

        values = self.probabilities(predictions)
        frame = pd.DataFrame(values.round(6), columns=[f"p_{name}" for name in self.classes])
        frame.insert(0, "id", predictions["ids"])
        frame.insert(1, "prediction", [to_text(self._named(row)) for row in values >= self.threshold])
        frame.insert(2, "confidence", np.maximum(values, 1 - values).min(axis=1).round(6))
        return frame

    def pages(self, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
        """Scores by class, labels that come together, calibration, errors in pictures."""
        from goldfold.report import multilabel

        evidence = self.evidence(predictions, truth)
        return multilabel.pages(evidence, self.classes, self.by_class(evidence), truth, gallery)

    def drawn(self, row: Mapping[str, Any]) -> None:
        """Nothing is drawn on an image: its labels stand below it."""


def _flaw(labels: Sequence[str], separator: str) -> str:
    """What is wrong with the labels of an image, empty where nothing is."""
    if "" in labels:
        return f"its labels {separator.join(labels)!r} have an empty one"
    repeated = next((label for place, label in enumerate(labels) if label in labels[:place]), None)
    return "" if repeated is None else f"its labels have {repeated!r} twice"


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import expit

    values: NDArray[np.float64] = expit(logits)
    return values
