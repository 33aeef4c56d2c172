"""Facets of a task: the interfaces through which stages use it, with all code that depends on the kind of prediction.

Each facet is a separate class, made from the classes and settings of the task. A stage imports only the facets that it
uses, so that it depends only on their code. Members marked *optional* may be missing.
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
    """Findings about the targets of some images."""

    table: pd.DataFrame
    """One row per image, with the target's columns in the form read by all later stages."""
    classes: list[str]
    missing: list[str]
    """Per image, what is missing (``image has no label``); empty if it has a target."""
    flaws: list[str]
    """Per image, what is wrong with the target; empty if nothing."""
    dropped: list[tuple[str, str]] = field(default_factory=list)
    """(id, description) of parts of targets that were dropped while their image stays."""
    part: str = ""
    """Noun for a part of a target that can be dropped (``box``), if there are such parts."""
    cut: list[tuple[str, str]] = field(default_factory=list)
    """(id, description) of parts of targets that were clipped and kept."""
    settled: dict[str, Any] = field(default_factory=dict)
    """Settings of `Examine` determined from the training targets, to be used for test targets."""


class Examine(Protocol):
    """First check of the targets, which finds the classes: a function, or a class method ``examine`` of a task's class."""

    def __call__(
        self, table: pd.DataFrame, classes: Sequence[str] | None, where: str, drops: bool, workers: int, **settings: Any
    ) -> Examined:
        """Check every target before training.

        Args:
            table: id, path, width, height and the target as provided by the source.
            classes: names of the classes in order; None to find them.
            where: description of the table, for error messages.
            drops: drop a flawed part of a target, instead of reporting it as a flaw of the image.
            workers: number of processes that read files.
            settings: settings of the task.
        """


class Target(Protocol):
    """Targets, from the raw data to samples.

    Optional: ``presence(targets)`` -> (images, classes) True where a class is in a result of `targets`; needed for samplers
    by class if the tables of the folds do not hold all that `content` needs. ``amounts(targets)`` -> (outputs of a network,)
    amount of each in results of `targets`, from which class weights are computed instead of the number of cases.
    ``in_windows(ids, targets, images, min_visible)`` ->
    `goldfold.samples.windows.Targets`, what windows of large images show of a result of `targets`; needed if `Facts.in_windows`.
    """

    def content(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the amount of each class per image, one column per class; folds are balanced by it."""

    def targets(self, table: pd.DataFrame, images: CachedImages, resize: str) -> Sequence[dict[str, Any]]:
        """Return the target fields per row in the network's frame, under names that albumentations transforms.

        Args:
            resize: resize mode of the images.
        """


class Learn(Protocol):
    """Batches and their loss.

    Optional: ``has_validation_loss``, False if the loss cannot be computed in evaluation mode, and so not for validation
    images, as with the losses of detectors; ``compose_params``, arguments of albumentations' Compose for targets that move
    with the image (boxes, points), such as ``{"bbox_params": {"format": "pascal_voc"}}``; ``soft(sample)``, which returns
    a sample whose target can be mixed with others, such as a row of shares for a label; ``scale``, (middle, spread) of
    targets that are numbers; ``fit(rows, network)``, called before the first step with the labelled training rows of the
    fold and the network with its first weights, for what depends on their targets, such as ``scale``.
    """

    def collate(self, samples: list[dict[str, Any]]) -> Batch:
        """Batch samples with ``id``, ``weight``, ``images``, ``present`` and target fields, see `goldfold.cases.stacked`."""

    def loss(self, **settings: Any) -> Callable[[nn.Module, Batch], Losses]:
        """Return (model, batch) -> mean loss and its parts; settings are the ``train`` keys listed in `Facts.loss_keys`.

        If it has a parameter ``counts``, it gets the number of labelled training cases of each class in the fold, in the order
        of the classes. Changes of images in training only apply if ``model.training``.
        """


class Infer(Protocol):
    """Networks, and their predictions as arrays of a file.

    Optional: ``joined(grid, parts)``, see `goldfold.inference.windows.Joins`; needed if `Facts.in_windows`.
    """

    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Build a network for `Inputs` with images of 0..255, such as `goldfold.models.wrapping.Normalised`."""

    def predict(self, model: nn.Module, inputs: Inputs, views: Sequence[View]) -> dict[str, Any]:
        """Return the outputs for a batch of cases with uint8 images, with views inverted."""

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int], resize: str
    ) -> Entries:
        """Return the entries of the prediction file, made from one batch after the other.

        Args:
            table: id and, if among the task's columns, width and height, in the order of the batches; roi if images are
                cropped, see `goldfold.images.geometry.placements`.
            frame: height and width of the network's input; ``resize`` is the resize mode.
        """


class Output(Protocol):
    """Joining and fusing of predictions.

    Optional: ``pseudo_labels(predictions, threshold)`` -> rows (id, confidence and the target's columns) for the images
    with a confident prediction; with a further argument ``soft`` where `Facts.pseudo_label_keys` has it.
    """

    def join(self, parts: Sequence[Arrays]) -> Arrays:
        """Concatenate predictions for disjoint sets of images, ordered by id."""

    def fuse(self, members: Sequence[Arrays], weights: Sequence[float], workers: int = 1, **settings: Any) -> Arrays:
        """Fuse several predictions for the same images, joined on id.

        Args:
            settings: settings of the config's ``ensemble``; default: the plain mean of the task.
        """


class Tables(Protocol):
    """Predictions as tables."""

    def table(self, predictions: Arrays) -> pd.DataFrame:
        """Return a human-readable table of predictions; the first column is the id."""


class Score(Protocol):
    """Scores of predictions against the truth."""

    def evidence(
        self, predictions: Arrays, truth: pd.DataFrame, targets: Sequence[dict[str, Any]] | None = None
    ) -> Evidence:
        """Pair predictions with the truth, in the order of ``truth`` (id and the target's columns).

        Args:
            targets: result of `Target.targets` for ``truth``, if the comparison may be made in the network's frame.
        """

    def metric(self, wanted: components.Written) -> Metric:
        """Build a metric of the config."""

    def by_class(self, evidence: Evidence) -> pd.DataFrame:
        """Return the scores of single classes: one row per class, one column per score."""


class Decide(Protocol):
    """Optional: decisions by one threshold per class, fitted by the step `thresholds`."""

    def decided_classes(self) -> list[str]:
        """Return the names of the classes with a threshold.

        Raises:
            ConfigError: thresholds do not apply to these classes.
        """

    def decidable(self, predictions: Arrays, truth: pd.DataFrame) -> Any:
        """Pair predictions with the truth, for any thresholds, see `goldfold.ensembling.thresholds.Decidable`."""

    def decide(self, predictions: Arrays, thresholds: Sequence[float]) -> Arrays:
        """Return the predictions with these decision thresholds attached."""


class External(Protocol):
    """Optional: predictions of other tools.

    If tables may lack classes, whose logits are then NaN, it also has ``completed(partial, others)``, which returns the
    predictions with these classes filled in from other predictions of at least the same images, with all classes.
    """

    def from_table(self, table: pd.DataFrame, images: pd.DataFrame, where: str) -> Arrays:
        """Return the arrays of a member from a table of text with a column ``id``, in its order.

        Args:
            images: table of the images that the member must predict.
            where: name of the file, for error messages.

        Raises:
            DataError: columns are missing, or values are not predictions.
        """

    def from_arrays(self, arrays: Arrays, images: pd.DataFrame, where: str) -> Arrays:
        """Return the arrays of a member from those of a file, whose ids and classes were checked.

        Args and errors as of `from_table`.
        """


class Submit(Protocol):
    """Submissions.

    Optional: ``refuse_doubts(named, metric, form)`` raises DataError if the score depends on something that the config
    leaves open (``named`` are its classes); ``write_extras(predictions, table, folder, class_ids)`` writes
    `Facts.submission_files` for the images of ``table``, where ``class_ids`` are the class numbers of the data source's
    files, if any.
    """

    def form(
        self, sample: pd.DataFrame | None, where: str, settings: Mapping[str, Any], metric: components.Written
    ) -> Form:
        """Return the format of the submission: that of the sample file, or the default.

        Args:
            where: name of the sample file, for error messages.
            settings: settings of the config's ``submission``.

        Raises:
            DataError: this task with these classes cannot fill the sample.
        """

    def submission(self, predictions: Arrays, form: Form) -> pd.DataFrame:
        """Return a table with the columns of ``form``, with rows in any order."""


class Show(Protocol):
    """Sections of the report.

    Optional: ``draw_target(row)`` -> RGB image of a training row with its target drawn; needed if the text of the label is
    not enough.
    """

    def pages(self, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
        """Return the sections that depend on the kind of prediction, from scores by class to pictures of errors."""


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
"""Required members of each facet."""
OPTIONAL = {"decide": _members(Decide), "external": _members(External)}
"""Optional facets and their members."""
