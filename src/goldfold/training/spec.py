"""A run as its recipe describes it, typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from goldfold.components import Several, Written
from goldfold.metadata.columns import Columns


@dataclass(frozen=True)
class Train:
    """The config's ``train``, see `goldfold.config.learning.Train`; ``hooks`` holds those with a short form too."""

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

    @property
    def other_checkpoint(self) -> Literal["last", "best"]:
        """The epoch that does not become the member."""
        return "best" if self.checkpoint == "last" else "last"


@dataclass(frozen=True)
class Spec:
    """One member on one fold, in one round."""

    model: Mapping[str, Any]
    """Of the config's ``models``: what `goldfold.inference.predictor.build` takes."""
    train: Train
    resize: str
    """How its images were put into the cache."""
    channels: int
    place: Mapping[str, int]
    """round, fold and seed."""

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
    def metadata(self) -> Columns | None:
        """Metadata columns that its network takes."""
        found = self.model.get("metadata")
        return Columns(tuple(found["numeric"]), tuple(found["categorical"])) if found else None

    @property
    def key(self) -> tuple[int | str, ...]:
        """Counters that all that is random in the run is drawn from."""
        return (self.name, self.place["seed"], self.place["round"], self.place["fold"])


def read(model: Mapping[str, Any], resize: str, channels: int, place: Mapping[str, int]) -> Spec:
    """Spec of a run from the settings of its recipe."""
    return Spec(model, Train(**model["train"]), resize, channels, place)
