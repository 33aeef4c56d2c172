"""One number an image."""

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
    from goldfold.metrics.regression import Valued
    from goldfold.predictions.arrays import Arrays
    from goldfold.report.blocks import Section
    from goldfold.submission.form import Form


@dataclass(frozen=True)
class Settings:
    """Regression has no settings of its own."""


class Regression:
    """Predictions hold ``values`` float64 (n,), in units of the target, and ``spreads`` float64 (n,), how far the views
    and members lie apart (standard deviation, the same units; 0 where there is one alone).

    Its ``classes`` are bins of the target, such as ``1.5 to 2``: folds are balanced by them, scores are told by them, and
    the network's output is scaled by their edges.
    """

    target = "value"
    unit = "images"
    kinds = ("range", "ranges")
    columns = ("value",)
    cached: tuple[str, ...] = ()
    cache_files: tuple[str, ...] = ()
    shown = ("value",)
    metrics = catalog.METRICS["value"]
    reported = ("rmse", "mae", "r2", "quadratic_kappa")
    losses = catalog.LOSSES["value"]
    default_loss: ClassVar[components.Written] = "mse"
    methods = catalog.ENSEMBLES["value"]
    networks = catalog.NETWORKS["values"]
    views = catalog.VIEWS
    fuses_by: tuple[str, ...] = ()
    learns_with = ("loss",)
    settings = Settings
    late: tuple[str, ...] = ()
    weighs_samples = True
    has_validation_loss = True
    labels_by_agreement = True
    on_missing_label = "quarantine"
    follows_roi = True
    resizes = ("squash", "pad", "crop")
    flaws_may = ("fail", "quarantine")
    submits_by = ("label_column",)
    submission_files: tuple[str, ...] = ()
    compose_params: ClassVar[dict[str, Any]] = {}

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = list(classes)

    # --- raw data
    @classmethod
    def examine(
        cls, table: pd.DataFrame, classes: Sequence[str] | None, where: str, drops: bool, workers: int
    ) -> Examined:
        """Targets are finite numbers, and not all the same."""
        import pandas as pd

        from goldfold.targets.bins import bins_of, edges_of

        texts = table["value"]
        numbers = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64)
        sound = np.isfinite(numbers)
        missing = ["image has no target" if lacks else "" for lacks in texts.isna()]
        flaws = [
            "" if is_sound or lacks else f"its target {text!r} is no finite number"
            for text, is_sound, lacks in zip(texts, sound, missing, strict=True)
        ]
        if classes is None:
            if not sound.any():
                raise DataError(f"{where}: no image has a number to learn. Look at data.target_column.")
            names = bins_of(numbers[sound])
            if numbers[sound].min() == numbers[sound].max():
                raise DataError(
                    f"{where}: all {int(sound.sum())} targets are {numbers[sound][0]:g}. There is nothing to learn."
                )
        else:
            names = list(classes)
            try:
                edges_of(names)
            except DataError as error:
                raise DataError(f"data.classes: regression has no classes; remove it. {error}") from error
        return Examined(table, names, missing, flaws)

    def content(self, table: pd.DataFrame) -> pd.DataFrame:
        """1 in the column of the bin that holds the target."""
        import pandas as pd

        from goldfold.targets.bins import edges_of, place_in

        places = place_in(_numbers(table), edges_of(self.classes))
        return pd.DataFrame(np.eye(len(self.classes), dtype=int)[places], columns=self.classes)

    @property
    def _scale(self) -> tuple[float, float]:
        """Middle and spread of the training targets: half of what four fifths of them span, about a standard deviation."""
        from goldfold.targets.bins import edges_of

        edges = edges_of(self.classes)
        low, middle, high = (float(np.quantile(edges, level)) for level in (0.1, 0.5, 0.9))
        return middle, (high - low) / 2 or 1.0

    # --- samples
    def targets(
        self, table: pd.DataFrame, images: CachedImages | None = None, resize: str = ""
    ) -> list[dict[str, Any]]:
        """``value``: the number in units of the target."""
        return [{"value": value} for value in _numbers(table).tolist()]

    def collate(self, samples: list[dict[str, Any]]) -> LabelBatch:
        """Images stacked, channels first in shape and last in memory; numbers (batch,), scaled."""
        import torch

        middle, spread = self._scale
        scaled = [(sample["value"] - middle) / spread for sample in samples]
        return of_logits.collate(samples, torch.tensor(scaled, dtype=torch.float32))

    # --- learning
    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Network with one output, the number, scaled."""
        return of_logits.network(network, 1, image_size, channels, **params)

    def loss(self, loss: components.Several | None = None) -> Callable[[nn.Module, LabelBatch], Losses]:
        """Mean over the batch of weight x loss."""
        from goldfold.losses import combined

        criterion = combined(self.losses, loss or self.default_loss)

        def mean_loss(model: nn.Module, batch: LabelBatch) -> Losses:
            losses = criterion(model(batch.images.float())[:, 0], batch.labels)
            return losses.map(lambda values: (batch.weights * values).mean())

        return mean_loss

    # --- predicting
    def predict(self, model: nn.Module, images: Tensor, views: Sequence[View]) -> dict[str, Any]:
        """``values`` (batch,), the mean over the views, and ``spreads`` (batch,), how far these lie apart."""
        middle, spread = self._scale
        outputs = [model(view.forward(images))[:, 0].double().cpu().numpy() for view in views]
        stack = np.stack(outputs) * spread + middle
        return {"values": stack.mean(axis=0), "spreads": stack.std(axis=0)}

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int] = (0, 0), resize: str = ""
    ) -> Entries:
        """Batches one below the other."""
        listed = list(parts)
        values, spreads = (
            np.concatenate([np.zeros(0), *(part[key] for part in listed)]) for key in ("values", "spreads")
        )
        return self._arrays(table["id"].to_numpy(dtype=str), values, spreads).items()

    def _arrays(self, ids: NDArray[Any], values: NDArray[Any], spreads: NDArray[Any]) -> dict[str, NDArray[Any]]:
        named = {"ids": np.array(ids, dtype=str), "classes": np.array(self.classes)}
        return {**named, "values": values.astype(np.float64), "spreads": spreads.astype(np.float64)}

    # --- after predicting
    def join(self, parts: Sequence[Arrays]) -> Arrays:
        """Parts one below the other, ordered by id."""
        from goldfold.predictions.arrays import disjoint

        order, ids = disjoint(parts, self.classes)
        return self._arrays(
            ids, *(np.concatenate([part[key] for part in parts])[order] for key in ("values", "spreads"))
        )

    def fuse(
        self, members: Sequence[Arrays], weights: Sequence[float], workers: int = 1, method: components.Written = "mean"
    ) -> Arrays:
        """Members aligned on id; the spread is that of all their views together."""
        from goldfold.predictions.arrays import common_ids, rows_of

        ids = common_ids(members, self.classes)
        rows = [rows_of(member, ids.tolist()) for member in members]
        stack, spreads = (
            np.stack([member[key][own] for member, own in zip(members, rows, strict=True)])
            for key in ("values", "spreads")
        )
        around = (stack - np.average(stack, axis=0, weights=weights)) ** 2
        spread = np.sqrt(np.average(spreads**2 + around, axis=0, weights=weights))
        return self._arrays(ids, components.load(method, self.methods, "ensemble method")(stack, weights), spread)

    def evidence(self, predictions: Arrays, truth: pd.DataFrame, targets: Any = None) -> Valued:
        """Predicted numbers beside the true ones."""
        from goldfold.metrics.regression import Valued
        from goldfold.predictions.arrays import rows_of

        return Valued(predictions["values"][rows_of(predictions, list(truth["id"]))], _numbers(truth))

    @classmethod
    def metric(cls, wanted: components.Written) -> Metric:
        """Metric as a config writes it."""
        from goldfold import metrics

        return metrics.build(wanted, cls.metrics)

    def by_class(self, evidence: Valued) -> pd.DataFrame:
        """Images whose true number lies in the bin, the root of their mean squared error, and their mean error."""
        import pandas as pd

        from goldfold.targets.bins import edges_of, place_in

        places, errors = place_in(evidence.truth, edges_of(self.classes)), evidence.predicted - evidence.truth
        rows = []
        for place in range(len(self.classes)):
            of_bin = errors[places == place]
            scores = (np.sqrt((of_bin**2).mean()), of_bin.mean()) if len(of_bin) else (np.nan, np.nan)
            rows.append((len(of_bin), *map(float, scores)))
        return pd.DataFrame(rows, index=self.classes, columns=["images", "rmse", "mean_error"])

    def pseudo_labels(self, predictions: Arrays, threshold: float) -> pd.DataFrame:
        """Numbers on which models, seeds and views agree: ``confidence`` is 1 - their spread in spreads of the target."""
        import pandas as pd

        confidence = np.clip(1 - predictions["spreads"] / self._scale[1], 0, 1)
        values = [f"{value:.9g}" for value in predictions["values"]]
        table = pd.DataFrame({"id": predictions["ids"], "value": values, "confidence": confidence.round(6)})
        return table[confidence >= threshold].sort_values("id").reset_index(drop=True)

    # --- submitting
    def form(
        self, sample: pd.DataFrame | None, where: str, settings: Mapping[str, Any], metric: components.Written
    ) -> Form:
        """Columns: id and the number."""
        from goldfold.submission.form import Form

        if sample is None:
            return Form([settings["id_column"], settings["label_column"]])
        columns = [str(column) for column in sample.columns]
        if len(columns) != 2:
            raise DataError(f"{where}: has the columns {', '.join(columns)}; for one number an image two are needed.")
        return Form(columns, keys=[(str(id),) for id in sample.iloc[:, 0]])

    def refuse_doubts(self, named: Sequence[str] | None, metric: components.Written, form: Form | None) -> None:
        """Grades must be whole numbers."""
        from goldfold.targets.bins import edges_of

        edges = edges_of(self.classes) if metric == "quadratic_kappa" else np.zeros(0)
        if (wrong := edges[edges != np.round(edges)]).size:
            raise DataError(
                f"metric quadratic_kappa needs grades, and targets such as {wrong[0]:g} are not whole. Use rmse."
            )

    def submission(self, predictions: Arrays, form: Form) -> pd.DataFrame:
        """The number of each image."""
        import pandas as pd

        return pd.DataFrame({form.columns[0]: predictions["ids"], form.columns[1]: predictions["values"]})

    def write_extras(self, predictions: Arrays, table: pd.DataFrame, folder: str, class_ids: Mapping[str, int]) -> None:
        """Nothing: the table holds all."""

    # --- showing
    def table(self, predictions: Arrays) -> pd.DataFrame:
        """id, the predicted number, and how far views and members lie apart."""
        import pandas as pd

        columns = {"id": predictions["ids"], "predicted": predictions["values"], "spread": predictions["spreads"]}
        return pd.DataFrame(columns).round({"spread": 6})

    def pages(self, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
        """Predicted against true, errors by size of the target, the worst errors in pictures."""
        from goldfold.report import regression

        evidence = self.evidence(predictions, truth)
        return regression.pages(evidence, self.by_class(evidence), truth, gallery)

    def drawn(self, row: Mapping[str, Any]) -> None:
        """Nothing is drawn on an image: its number stands below it."""


def _numbers(table: pd.DataFrame) -> NDArray[np.float64]:
    """The targets of a table that has been examined, (n,)."""
    return table["value"].astype(float).to_numpy(dtype=np.float64)
