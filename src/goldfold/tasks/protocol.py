"""The facets of a task: what each stage asks of it, and nothing else that depends on the kind of prediction.

Each facet is a class of its own, made of the classes and the settings of the task. A stage imports the facets that it
uses, so that the code which it reaches is the code that it depends on. Members marked *optional* may be absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from goldfold import components

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from torch import nn

    from goldfold.cache.images import CachedImages
    from goldfold.cases import Batch, Inputs
    from goldfold.drawing.blocks import Section
    from goldfold.inference.views import View
    from goldfold.losses import Losses
    from goldfold.metrics import Evidence, Metric
    from goldfold.predictions.arrays import Arrays
    from goldfold.submission.form import Form

Entries = Iterable[tuple[str, "NDArray[Any]"]]


@dataclass
class Examined:
    """Findings of a look at the targets of some images."""

    table: pd.DataFrame
    """A row per image, the target's columns as all later stages read them."""
    classes: list[str]
    missing: list[str]
    """What each image lacks (``image has no label``), empty where it has a target."""
    flaws: list[str]
    """What is wrong with each image's target, empty where nothing is."""
    dropped: list[tuple[str, str]] = field(default_factory=list)
    """(id, what) of parts of targets that were left out while their image stays."""
    part: str = ""
    """Noun for a part of a target (``box``), where targets have parts that can be left out."""
    cut: list[tuple[str, str]] = field(default_factory=list)
    """(id, what) of parts of targets that were cut to what is sound of them, and stay."""
    settled: dict[str, Any] = field(default_factory=dict)
    """Settings of `Examine` that the training targets settled for those of the test images."""


class Examine(Protocol):
    """First look at the targets, which finds the classes: a function, or a class method ``examine`` of a task's class."""

    def __call__(
        self, table: pd.DataFrame, classes: Sequence[str] | None, where: str, drops: bool, workers: int, **settings: Any
    ) -> Examined:
        """Look at every target before anything is trained.

        Args:
            table: id, path, width, height and the target as the source gives it.
            classes: names of the classes in their order; None to find them.
            where: what the table is of, for errors.
            drops: whether a flawed part of a target is left out rather than called a flaw of the image.
            workers: processes that read files.
            settings: of the task.
        """


class Target(Protocol):
    """Targets, from the raw data to samples."""

    def content(self, table: pd.DataFrame) -> pd.DataFrame:
        """How much of each class is in each image: a column per class; folds are balanced by it."""

    def targets(self, table: pd.DataFrame, images: CachedImages, resize: str) -> Sequence[dict[str, Any]]:
        """Fields of each row's target in the network's frame, under names that albumentations turns with the image.

        Args:
            resize: how images were put into the frame.
        """


class Learn(Protocol):
    """Batches and their loss.

    Optional: ``has_validation_loss``, False where the loss cannot be computed in evaluation mode, and so on validation
    images, as detectors' own cannot; ``compose_params``, arguments of albumentations' Compose that say how targets move with
    the image, such as ``{"bbox_params": {"format": "pascal_voc"}}``: needed where targets are boxes or points.
    """

    def collate(self, samples: list[dict[str, Any]]) -> Batch:
        """Batch of samples with ``id``, ``weight``, ``images``, ``present`` and target fields, see `goldfold.cases.stacked`."""

    def loss(self, **settings: Any) -> Callable[[nn.Module, Batch], Losses]:
        """(model, batch) -> mean loss and its parts; settings are the config's ``train`` keys named in `Facts.loss_keys`.

        What is done to images in training alone (mixup) is done where ``model.training``.
        """


class Infer(Protocol):
    """From images to the arrays of a file of predictions."""

    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Network that takes `Inputs` with images of 0..255, such as `goldfold.models.wrapping.Normalised`."""

    def predict(self, model: nn.Module, inputs: Inputs, views: Sequence[View]) -> dict[str, Any]:
        """Outputs of the network for a batch of cases with uint8 images, views turned back."""

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int], resize: str
    ) -> Entries:
        """Entries of the file of predictions, made from one batch after the other.

        Args:
            table: id and, where the task names them among its columns, width and height, in the order of the batches;
                roi where images are cut, see `goldfold.images.geometry.placements`.
            frame: height and width of the network's input; ``resize`` says how images were put into it.
        """


class Output(Protocol):
    """Predictions, once they are made.

    Optional: ``pseudo_labels(predictions, threshold)`` -> rows (id, confidence and the target's columns) for the images
    that the prediction is sure of.
    """

    def join(self, parts: Sequence[Arrays]) -> Arrays:
        """Predictions of disjoint sets of images as one, ordered by id."""

    def fuse(self, members: Sequence[Arrays], weights: Sequence[float], workers: int = 1, **settings: Any) -> Arrays:
        """One prediction of several of the same images, joined on id.

        Args:
            settings: of the config's ``ensemble``; without them, the plain mean of the task.
        """


class Tables(Protocol):
    """Predictions as tables."""

    def table(self, predictions: Arrays) -> pd.DataFrame:
        """Predictions for people to read; the first column is the id."""


class Score(Protocol):
    """Predictions beside the truth."""

    def evidence(
        self, predictions: Arrays, truth: pd.DataFrame, targets: Sequence[dict[str, Any]] | None = None
    ) -> Evidence:
        """Predictions beside the truth, in the order of ``truth`` (id and the target's columns).

        Args:
            targets: what `Target.targets` gave for ``truth``, where the comparison may be made in the network's frame.
        """

    def metric(self, wanted: components.Written) -> Metric:
        """Metric as a config writes it."""

    def by_class(self, evidence: Evidence) -> pd.DataFrame:
        """Scores of single classes: a row per class, a column per score."""


class Decide(Protocol):
    """Optional: decisions by a threshold for each class, which the step `thresholds` fits."""

    def decided_classes(self) -> list[str]:
        """Names of the classes that have a threshold.

        Raises:
            ConfigError: with these classes nothing is decided by thresholds.
        """

    def decidable(self, predictions: Arrays, truth: pd.DataFrame) -> Any:
        """Predictions beside the truth, for any thresholds: see `goldfold.ensembling.thresholds.Decidable`."""

    def decide(self, predictions: Arrays, thresholds: Sequence[float]) -> Arrays:
        """Predictions that are read with these thresholds from here on."""


class Submit(Protocol):
    """Submissions.

    Optional: ``refuse_doubts(named, metric, form)`` raises DataError where the score hangs on something that the config
    does not say (``named`` are its classes); ``write_extras(predictions, table, folder, class_ids)`` writes
    `Facts.submission_files` for the images of ``table``, ``class_ids`` being the number of each class in the data source's
    own files, where it has any.
    """

    def form(
        self, sample: pd.DataFrame | None, where: str, settings: Mapping[str, Any], metric: components.Written
    ) -> Form:
        """Shape of the submission: that of the sample file, or the usual one.

        Args:
            where: name of the sample file, for errors.
            settings: of the config's ``submission``.

        Raises:
            DataError: the sample cannot be filled by this task with these classes.
        """

    def submission(self, predictions: Arrays, form: Form) -> pd.DataFrame:
        """Table with the columns of ``form``, in any order of rows."""


class Show(Protocol):
    """Pages of the report.

    Optional: ``draw_target(row)`` -> image of a training row with its target drawn on it, RGB; needed where the label's
    text alone does not say it.
    """

    def pages(self, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
        """Sections of the report that depend on the kind of prediction, from scores by class to pictures of errors."""


def _members(facet: type) -> tuple[str, ...]:
    return tuple(key for key in vars(facet) if not key.startswith("_"))


REQUIRED = {
    "target": _members(Target),
    "learn": _members(Learn),
    "infer": _members(Infer),
    "output": _members(Output),
    "tables": _members(Tables),
    "score": _members(Score),
    "submit": _members(Submit),
    "show": _members(Show),
}
"""Members that each facet must have."""
OPTIONAL = {"decide": _members(Decide)}
"""Facets that a task may be without, and their members."""
