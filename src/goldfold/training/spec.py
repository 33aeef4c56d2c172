"""Typed specification of a run, read from its recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from goldfold.components import Several, Written
from goldfold.metadata.columns import Columns
from goldfold.planning.runs import WHOLE
from goldfold.samples.sizes import ranges, sides


@dataclass(frozen=True)
class Train:
    """The config's ``train``, see `goldfold.config.learning.Train`; ``hooks`` and ``mix`` include those given in short form."""

    epochs: int
    batch_size: int
    accumulate: int
    optimizer: Written
    lr: float
    weight_decay: float
    schedule: Written
    warmup_epochs: float
    update: Written
    hooks: Sequence[Written]
    loss: Several | None
    label_smoothing: float
    mixup_alpha: float
    cutmix_alpha: float
    mix_probability: float
    augment: Any
    flips: str
    validate_every: int
    checkpoint: Literal["last", "best"]
    on_oom: Literal["fail", "shrink"]
    class_weights: Written | None = None
    layer_decay: float | None = None
    lr_scale: Mapping[str, float] | None = None
    freeze: Sequence[Any] = ()
    compile: bool = False
    sampler: Written = "shuffled"
    mix: Sequence[Written] = ()
    sizes: Sequence[Any] = ()
    snapshots: int | None = None
    distill: Mapping[str, Any] | None = None
    fixmatch: Mapping[str, Any] | None = None
    generated: Mapping[str, Any] | None = None
    drop_view: float = 0.0
    auxiliary: Mapping[str, Any] | None = None
    rows: str = "all"
    loss_weights: Mapping[str, float] | None = None
    min_visible: float = 0.25
    warmup: Mapping[str, float] | None = None

    @property
    def other_checkpoint(self) -> Literal["last", "best"]:
        """The checkpoint that is not used as the member: ``best`` or ``last``."""
        return "best" if self.checkpoint == "last" else "last"


@dataclass(frozen=True)
class Spec:
    """One member on one fold, in one round."""

    model: Mapping[str, Any]
    """Entry of the config's ``models``, as for `goldfold.inference.predictor.build`."""
    train: Train
    resize: str
    """Resize mode of its cached images."""
    channels: int
    place: Mapping[str, int]
    """round, fold and seed; the fold is `WHOLE` for a run on all rows."""

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.model["name"])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the network's input."""
        height, width = self.model["size"]
        return int(height), int(width)

    @property
    def sizes(self) -> list[tuple[int, list[tuple[int, int]]]]:
        """Ranges of epochs: the first epoch, and the sizes (height, width) of which each batch has one; empty if training uses
        `size` alone.
        """
        return [(epoch, [*map(sides, choices)]) for epoch, choices in ranges(self.train.sizes)]

    @property
    def cached(self) -> tuple[int, int]:
        """Height and width of its cached images."""
        height, width = self.model.get("cache_size", self.model["size"])
        return int(height), int(width)

    @property
    def is_on_all_rows(self) -> bool:
        """Return whether the run is trained on all labelled rows, and validates none."""
        return self.place["fold"] == WHOLE

    @property
    def metadata(self) -> Columns | None:
        """Metadata columns that its network takes."""
        found = self.model.get("metadata")
        return Columns(tuple(found["numeric"]), tuple(found["categorical"])) if found else None

    @property
    def key(self) -> tuple[int | str, ...]:
        """Seed of the run: counters that all its random numbers are drawn from."""
        return (self.name, self.place["seed"], self.place["round"], self.place["fold"])


def read(model: Mapping[str, Any], resize: str, channels: int, place: Mapping[str, int]) -> Spec:
    """Build the spec of a run from the settings of its recipe."""
    return Spec(model, Train(**model["train"]), resize, channels, place)
