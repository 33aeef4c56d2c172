"""What a task must answer. Stages call these and nothing else that depends on the kind of prediction."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:  # the stages that need no torch do not load it
    from torch import Tensor, nn

    from goldfold.inference.views import View
    from goldfold.metrics import Score
    from goldfold.report.blocks import Section

Arrays = dict[str, NDArray[Any]]
"""Predictions of a set of images: ``ids`` (n,), ``classes``, and the task's own arrays. What an .npz file holds."""
Fuse = Callable[..., Any]


class Task(Protocol):
    """One kind of prediction, from targets to pictures.

    ``raw`` below is what a network gives for a batch, ``Arrays`` what is kept on disk for a set of images.
    """

    classes: list[str]
    prediction_kind: str
    """Key of goldfold.ensembling.METHODS."""

    # --- samples
    def targets(self, table: pd.DataFrame) -> list[dict[str, Any]]:
        """Fields of each row's target, under names that albumentations augments with the image where it must."""

    def collate(self, samples: list[dict[str, Any]]) -> Any:
        """Batch (with ``ids`` and ``to(device)``) of samples with ``id``, ``weight``, ``image`` and target fields."""

    # --- learning
    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> "nn.Module":
        """Network that takes images (batch, channels, height, width) of 0..255."""

    def loss(self, *args: Any, **settings: Any) -> "Callable[[nn.Module, Any], Tensor]":
        """(model, batch) -> mean loss; settings are those of the config's ``train``, by name."""

    # --- predicting
    def predict(self, model: "nn.Module", images: "Tensor", views: "Sequence[View]") -> Arrays:
        """Raw prediction of a batch of uint8 images (batch, channels, height, width), averaged over the views."""

    def pack(self, ids: Sequence[str], parts: list[Arrays]) -> Arrays:
        """Predictions of many batches, in the order of ``ids``."""

    # --- after predicting
    def join(self, parts: list[Arrays]) -> Arrays:
        """Predictions of disjoint sets of images as one."""

    def fuse(self, members: list[Arrays], method: Fuse, weights: Sequence[float]) -> Arrays:
        """One prediction of several of the same images, joined on id."""

    def score(self, predictions: Arrays, truth: pd.DataFrame, metric: str, n_resamples: int = 1000) -> "Score":
        """Score with its interval; ``truth`` has id, the target's columns and, where there are groups, group."""

    def pseudo_labels(self, predictions: Arrays, threshold: float) -> pd.DataFrame:
        """Rows (id, confidence and the target's columns) for the images the prediction is sure of."""

    def check_sample(self, sample: pd.DataFrame, path: str) -> None:
        """Raise DataError where a competition's sample file cannot be filled by this task with these classes."""

    def sample_wants_labels(self, sample: pd.DataFrame, path: str, format: str, metric: str) -> bool:
        """Whether to fill a sample file with the short form of a prediction (labels) rather than with all of it.

        Raises DataError where ``format`` (auto, label, probabilities) does not go with the sample.
        """

    def wants_labels(self, metric: str) -> bool:
        """Whether a submission scored by ``metric`` holds the short form of a prediction."""

    def default_columns(self, id_column: str, label_column: str, as_labels: bool) -> list[str]:
        """Columns of a submission that follows no sample file."""

    def submission(self, predictions: Arrays, columns: Sequence[str], as_labels: bool) -> pd.DataFrame:
        """Table with these columns, a row an image; the first column holds the ids."""

    def table(self, predictions: Arrays) -> pd.DataFrame:
        """Predictions for people to read."""

    def pages(self, predictions: Arrays, truth: pd.DataFrame, paths: dict[str, str], gallery: int) -> "list[Section]":
        """Sections of the report that depend on the kind of prediction, from scores by class to pictures of errors."""


def save(path: str | Path, predictions: Arrays) -> None:
    """Write predictions as .npz, whole or not at all."""
    from goldfold.runtime.files import atomic

    with atomic(path) as temporary:
        np.savez(temporary, **predictions)  # type: ignore[arg-type]


def load(path: str | Path) -> Arrays:
    """Read predictions; nothing in the file is unpickled."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
