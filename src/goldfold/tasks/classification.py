"""One label an image: two classes or many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from goldfold import catalog, components
from goldfold.base.errors import DataError
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
    from goldfold.metrics.classification import Labelled
    from goldfold.predictions.arrays import Arrays
    from goldfold.report.blocks import Section
    from goldfold.submission.form import Form


@dataclass(frozen=True)
class Settings:
    """Classification has no settings of its own."""


class Classification:
    """A member's predictions hold ``logits`` float32 (n, classes), an ensemble's ``probabilities`` (n, classes)."""

    target = "label"
    unit = "images"
    kinds = ("class", "classes")
    columns = ("label",)
    cached: tuple[str, ...] = ()
    cache_files: tuple[str, ...] = ()
    shown = ("label",)
    metrics = catalog.METRICS["label"]
    reported = ("accuracy", "balanced_accuracy", "f1_macro", "log_loss", "quadratic_kappa", "roc_auc")
    losses = catalog.LOSSES["label"]
    default_loss: ClassVar[components.Written] = "cross_entropy"
    methods = catalog.ENSEMBLES["label"]
    networks = catalog.NETWORKS["values"]
    views = catalog.VIEWS
    fuses_by: tuple[str, ...] = ()
    learns_with = ("loss", "label_smoothing", "mixup_alpha", "cutmix_alpha", "mix_probability")
    settings = Settings
    late: tuple[str, ...] = ()
    weighs_samples = True
    has_validation_loss = True
    labels_by_agreement = False
    on_missing_label = "quarantine"
    resizes = ("squash", "pad", "crop")
    follows_roi = True
    flaws_may = ("fail",)
    submits_by = ("format", "label_column")
    submission_files: tuple[str, ...] = ()
    compose_params: ClassVar[dict[str, Any]] = {}

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = list(classes)

    # --- raw data
    @classmethod
    def examine(
        cls, table: pd.DataFrame, classes: Sequence[str] | None, where: str, drops: bool, workers: int
    ) -> Examined:
        """Labels are named, and of at least two classes."""
        from goldfold.targets.classes import classes_of

        names = classes_of(table["label"].dropna(), classes, where)
        if len(names) == 1:
            n = table["label"].notna().sum()
            raise DataError(f"{where}: all {n} images are of one class, {names[0]!r}. Name at least two.")
        missing = ["image has no label" if lacks else "" for lacks in table["label"].isna()]
        return Examined(table, names, missing, [""] * len(table))

    def content(self, table: pd.DataFrame) -> pd.DataFrame:
        """1 in the column of the label."""
        import pandas as pd

        return pd.DataFrame({name: (table["label"] == name).astype(int) for name in self.classes})

    # --- samples
    def targets(
        self, table: pd.DataFrame, images: CachedImages | None = None, resize: str = ""
    ) -> list[dict[str, Any]]:
        """``label``: index of the class."""
        index = {name: number for number, name in enumerate(self.classes)}
        return [{"label": index[label]} for label in table["label"]]

    def collate(self, samples: list[dict[str, Any]]) -> LabelBatch:
        """Images stacked, channels first in shape and last in memory."""
        import torch

        return of_logits.collate(samples, torch.tensor([sample["label"] for sample in samples]))

    # --- learning
    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Network with a head of one output a class."""
        return of_logits.network(network, len(self.classes), image_size, channels, **params)

    def loss(
        self,
        loss: components.Several | None = None,
        label_smoothing: float = 0.0,
        mixup_alpha: float = 0.0,
        cutmix_alpha: float = 0.0,
        mix_probability: float = 1.0,
    ) -> Callable[[nn.Module, LabelBatch], Losses]:
        """Mean over the batch of weight x loss; in training, images and labels are mixed where mixup or cutmix (timm's) is on."""
        from timm.data.mixup import Mixup
        from torch.nn import functional

        from goldfold.losses import combined

        criterion, n, mixes = (
            combined(self.losses, loss or self.default_loss),
            len(self.classes),
            bool(mixup_alpha or cutmix_alpha),
        )
        mix = Mixup(mixup_alpha, cutmix_alpha, prob=mix_probability, num_classes=n, label_smoothing=label_smoothing)

        def mean_loss(model: nn.Module, batch: LabelBatch) -> Losses:
            images, weights = batch.images.float(), batch.weights
            if (
                mixes and model.training and len(images) % 2 == 0
            ):  # odd only where all training images are fewer than one batch
                images, target = mix(images, batch.labels)
                weights = (weights + weights.flip(0)) / 2  # each image is mixed with its mirror in the batch
            else:
                target = functional.one_hot(batch.labels, n).float() * (1 - label_smoothing) + label_smoothing / n
            return criterion(model(images), target).map(lambda values: (weights * values).mean())

        return mean_loss

    # --- predicting
    def predict(self, model: nn.Module, images: Tensor, views: Sequence[View]) -> dict[str, Any]:
        """``logits``: of one view as the network gives them, of several the log of the mean probability."""
        import torch

        outputs = [model(view.forward(images)).float() for view in views]
        if len(outputs) == 1:
            return {"logits": outputs[0].cpu().numpy()}
        log_mean = torch.logsumexp(torch.log_softmax(torch.stack(outputs), dim=-1), dim=0) - float(np.log(len(outputs)))
        return {"logits": log_mean.cpu().numpy()}

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
        """Members aligned on id; ``probabilities`` (n, classes) are what ``method`` makes of theirs."""
        average = components.load(method, self.methods, "ensemble method")
        return of_logits.fused(members, weights, self.classes, _softmax, average)

    def probabilities(self, predictions: Arrays, ids: Sequence[str] | None = None) -> NDArray[np.float64]:
        """Probabilities (n, classes), in the order of ``ids`` where given.

        Raises:
            DataError: an id has no prediction.
        """
        return of_logits.probabilities(predictions, _softmax, ids)

    def evidence(self, predictions: Arrays, truth: pd.DataFrame, targets: Any = None) -> Labelled:
        """Probabilities beside the labels."""
        from goldfold.metrics.classification import Labelled

        labels = np.array([target["label"] for target in self.targets(truth)], dtype=np.int64)
        return Labelled(self.probabilities(predictions, list(truth["id"])), labels)

    @classmethod
    def metric(cls, wanted: components.Written) -> Metric:
        """Metric as a config writes it."""
        from goldfold import metrics

        return metrics.build(wanted, cls.metrics)

    def by_class(self, evidence: Labelled) -> pd.DataFrame:
        """Images, precision, recall and F1."""
        import pandas as pd
        from sklearn.metrics import precision_recall_fscore_support

        chosen = evidence.probabilities.argmax(axis=1)
        precision, recall, f1, n = precision_recall_fscore_support(
            evidence.labels, chosen, labels=range(len(self.classes)), zero_division=np.nan
        )
        return pd.DataFrame({"images": n, "precision": precision, "recall": recall, "f1": f1}, index=self.classes)

    def pseudo_labels(self, predictions: Arrays, threshold: float) -> pd.DataFrame:
        """The most probable class where its probability reaches ``threshold``."""
        import pandas as pd

        values = self.probabilities(predictions)
        confidence = values.max(axis=1)
        labels = np.array(self.classes, dtype=object)[values.argmax(axis=1)]
        table = pd.DataFrame({"id": predictions["ids"], "label": labels, "confidence": confidence.round(6)})
        return table[confidence >= threshold].sort_values("id").reset_index(drop=True)

    # --- submitting
    def form(
        self, sample: pd.DataFrame | None, where: str, settings: Mapping[str, Any], metric: components.Written
    ) -> Form:
        """Columns: id and label; or id and every class; or, for two classes, id and one probability."""
        from goldfold.submission import labels

        return labels.form(self.classes, sample, where, settings, self.metric(metric).of_labels)

    def refuse_doubts(self, named: Sequence[str] | None, metric: components.Written, form: Form | None) -> None:
        """The order of the classes must be known where grades or a single probability are scored."""
        from goldfold.targets.classes import refuse_unordered

        is_single = form is not None and form.keys is not None and not form.as_labels and len(form.columns) == 2
        one_probability = is_single and form is not None and form.columns[1] not in self.classes
        refuse_unordered(self.classes, named, metric, one_probability)

    def submission(self, predictions: Arrays, form: Form) -> pd.DataFrame:
        """A label column, a column a class, or one probability."""
        from goldfold.submission import labels

        return labels.table(self.probabilities(predictions), predictions["ids"].tolist(), self.classes, form)

    def write_extras(self, predictions: Arrays, table: pd.DataFrame, folder: str, class_ids: Mapping[str, int]) -> None:
        """Nothing: the table holds all."""

    # --- showing
    def table(self, predictions: Arrays) -> pd.DataFrame:
        """id, the most probable class, its probability, and one column a class."""
        import pandas as pd

        values = self.probabilities(predictions)
        frame = pd.DataFrame(values.round(6), columns=[f"p_{name}" for name in self.classes])
        frame.insert(0, "id", predictions["ids"])
        frame.insert(1, "prediction", np.array(self.classes, dtype=object)[values.argmax(axis=1)])
        frame.insert(2, "confidence", values.max(axis=1).round(6))
        return frame

    def pages(self, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
        """Errors in pictures, confusion, scores by class, calibration."""
        from goldfold.report import classification

        return classification.pages(self.probabilities(predictions, list(truth["id"])), self.classes, truth, gallery)

    def drawn(self, row: Mapping[str, Any]) -> None:
        """Nothing is drawn on an image: its label stands below it."""


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import softmax

    values: NDArray[np.float64] = softmax(logits, axis=1)
    return values
