"""What a task must answer. Stages call these and nothing else that depends on the kind of prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from goldfold import components

if TYPE_CHECKING:  # the Snakefile reads a task's facts, and loads neither torch nor pandas for it
    import pandas as pd
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from goldfold.cache.images import CachedImages
    from goldfold.inference.views import View
    from goldfold.losses import Losses
    from goldfold.metrics import Evidence, Metric
    from goldfold.predictions.arrays import Arrays
    from goldfold.report.blocks import Section
    from goldfold.submission.form import Form

Entries = Iterable[tuple[str, "NDArray[Any]"]]


@dataclass
class Examined:
    """What a look at the targets of some images found."""

    table: pd.DataFrame
    """A row an image, the target's columns as all later stages read them."""
    classes: list[str]
    missing: list[str]
    """What each image lacks (``image has no label``), empty where it has a target."""
    flaws: list[str]
    """What is wrong with each image's target, empty where nothing is."""
    dropped: list[tuple[str, str]] = field(default_factory=list)
    """(id, what) of parts of targets that were left out while their image stays."""
    part: str = ""
    """What a part of a target is called (``box``), where targets have parts that can be left out."""
    cut: list[tuple[str, str]] = field(default_factory=list)
    """(id, what) of parts of targets that were cut to what is sound of them, and stay."""
    settled: dict[str, Any] = field(default_factory=dict)
    """Settings of `Task.examine` that the training targets settled for those of the test images."""


class Task(Protocol):
    """One kind of prediction, from targets to pictures."""

    # --- facts that the config is checked against; reading them loads nothing heavy
    target: ClassVar[str]
    """What data sources must bring, and its column: ``label``, ``labels``, ``value``, ``mask`` or ``boxes``."""
    unit: ClassVar[str]
    """What `content` counts, in a word: images, objects, pixels."""
    kinds: ClassVar[tuple[str, str]]
    """What one of `classes` is called, and several of them: class and classes, range and ranges."""
    columns: ClassVar[tuple[str, ...]]
    """Columns of a table of images that training depends on, besides the id."""
    cached: ClassVar[tuple[str, ...]]
    """Columns, besides the image's, that a piece of the cache is made from; ``cache_files`` are what it then holds."""
    cache_files: ClassVar[tuple[str, ...]]
    shown: ClassVar[tuple[str, ...]]
    """Columns of the truth that are worth reading beside a prediction."""
    metrics: ClassVar[Mapping[str, str]]
    """Names, the default first, each with its place ``module:name``; so for losses, methods, networks and views."""
    reported: ClassVar[tuple[str, ...]]
    """Metrics that the ensemble is scored by besides the one that counts."""
    losses: ClassVar[Mapping[str, str]]
    methods: ClassVar[Mapping[str, str]]
    networks: ClassVar[Mapping[str, str]]
    views: ClassVar[Mapping[str, str]]
    fuses_by: ClassVar[tuple[str, ...]]
    """Keys of the config's ``ensemble``, besides method and weights, that `fuse` takes."""
    learns_with: ClassVar[tuple[str, ...]]
    """Keys of the config's ``train`` that `loss` takes."""
    settings: ClassVar[type]
    """Dataclass of the config's ``task_params``."""
    late: ClassVar[tuple[str, ...]]
    """Settings that matter after predicting only: changing them retrains nothing."""
    weighs_samples: ClassVar[bool]
    """Whether the loss can give pseudo-labelled images another weight."""
    has_validation_loss: ClassVar[bool]
    """Whether `loss` can be computed in evaluation mode, and so on validation images; detectors' own cannot."""
    labels_by_agreement: ClassVar[bool]
    """Whether pseudo labels are of images on which several predictions agree, so that there must be several."""
    on_missing_label: ClassVar[str]
    """Default of ``data.on_missing_label``."""
    resizes: ClassVar[tuple[str, ...]]
    """Ways to put images into the network's frame."""
    follows_roi: ClassVar[bool]
    """Whether targets and predictions move with the part that is cut out of an image (`data.roi`)."""
    flaws_may: ClassVar[tuple[str, ...]]
    """Values of ``data.on_bad_label``, the default first."""
    submits_by: ClassVar[tuple[str, ...]]
    """Keys of the config's ``submission``, besides sample and id_column, that `form` takes."""
    submission_files: ClassVar[tuple[str, ...]]
    """What `write_extras` makes beside the table; a name ending in ``/`` is a folder."""

    classes: list[str]

    def __init__(self, classes: Sequence[str], **settings: Any) -> None:
        """Task for these classes; ``settings`` are those of the config, and what the data source says of targets."""

    # --- raw data
    @classmethod
    def examine(
        cls, table: pd.DataFrame, classes: Sequence[str] | None, where: str, drops: bool, workers: int, **settings: Any
    ) -> Examined:
        """Look at every target before anything is trained.

        Args:
            table: id, path, width, height and the target as the source gives it.
            classes: names of the classes in their order; None to find them.
            where: what the table is of, for errors.
            drops: whether a flawed part of a target is left out rather than called a flaw of the image.
            workers: processes that read files.
        """

    def content(self, table: pd.DataFrame) -> pd.DataFrame:
        """How much of each class is in each image: a column a class; folds are balanced by it."""

    # --- samples
    def targets(self, table: pd.DataFrame, images: CachedImages, resize: str) -> Sequence[dict[str, Any]]:
        """Fields of each row's target in the network's frame, under names that albumentations turns with the image.

        Args:
            resize: how images were put into the frame.
        """

    @property
    def compose_params(self) -> dict[str, Any]:
        """Arguments of albumentations' Compose that say how targets move with the image.

        Such as ``{"bbox_params": {"format": "pascal_voc"}}``; empty where targets are no boxes or points.
        """

    def collate(self, samples: list[dict[str, Any]]) -> Any:
        """Batch (with ``ids`` and ``to(device)``) of samples with ``id``, ``weight``, ``image`` and target fields."""

    # --- learning
    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Network that takes images (batch, channels, height, width) of 0..255."""

    def loss(self, **settings: Any) -> Callable[[nn.Module, Any], Losses]:
        """(model, batch) -> mean loss and its parts; settings are the config's ``train`` keys named in ``learns_with``.

        What is done to images in training alone (mixup) is done where ``model.training``.
        """

    # --- predicting
    def predict(self, model: nn.Module, images: Tensor, views: Sequence[View]) -> dict[str, Any]:
        """What the network says of a batch of uint8 images (batch, channels, height, width), views turned back."""

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int], resize: str
    ) -> Entries:
        """Entries of the file of predictions, made from one batch after the other.

        Args:
            table: id and, where the task names them among its columns, width and height, in the order of the batches;
                roi where images are cut, see `goldfold.images.geometry.placements`.
            frame: height and width of the network's input; ``resize`` says how images were put into it.
        """

    # --- after predicting
    def join(self, parts: Sequence[Arrays]) -> Arrays:
        """Predictions of disjoint sets of images as one, ordered by id."""

    def fuse(self, members: Sequence[Arrays], weights: Sequence[float], workers: int = 1, **settings: Any) -> Arrays:
        """One prediction of several of the same images, joined on id.

        Args:
            settings: of the config's ``ensemble``; without them, the plain mean of the task.
        """

    def evidence(
        self, predictions: Arrays, truth: pd.DataFrame, targets: Sequence[dict[str, Any]] | None = None
    ) -> Evidence:
        """Predictions beside the truth, in the order of ``truth`` (id and the target's columns).

        Args:
            targets: what `targets` gave for ``truth``, where the comparison may be made in the network's frame.
        """

    @classmethod
    def metric(cls, wanted: components.Written) -> Metric:
        """Metric as a config writes it."""

    def by_class(self, evidence: Evidence) -> pd.DataFrame:
        """Scores of single classes: a row a class, a column a score."""

    def pseudo_labels(self, predictions: Arrays, threshold: float) -> pd.DataFrame:
        """Rows (id, confidence and the target's columns) for the images the prediction is sure of."""

    # --- submitting
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

    def refuse_doubts(self, named: Sequence[str] | None, metric: components.Written, form: Form | None) -> None:
        """Raise DataError where the score hangs on something the config does not say."""

    def submission(self, predictions: Arrays, form: Form) -> pd.DataFrame:
        """Table with the columns of ``form``, in any order of rows."""

    def write_extras(self, predictions: Arrays, table: pd.DataFrame, folder: str, class_ids: Mapping[str, int]) -> None:
        """Write ``submission_files`` into ``folder``, for the images of ``table``.

        Args:
            class_ids: number of each class in the data source's own files, where it has any.
        """

    # --- showing
    def table(self, predictions: Arrays) -> pd.DataFrame:
        """Predictions for people to read; the first column is the id."""

    def pages(self, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
        """Sections of the report that depend on the kind of prediction, from scores by class to pictures of errors."""

    def drawn(self, row: Mapping[str, Any]) -> NDArray[Any] | None:
        """Image of a training row with its target drawn on it, RGB; None where the image alone says it."""
