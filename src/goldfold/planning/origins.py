"""Models that are not trained by goldfold's loop: soups, snapshots, members that predict by neighbours, and heads on frozen
backbones."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from goldfold.catalog import HEADS_WITHOUT_SEED

KEYS = ("soup", "snapshot", "neighbours", "frozen")
"""Keys of models that are not trained."""


@dataclass(frozen=True)
class Origin:
    """What a model is made from, instead of being trained.

    Args:
        of: ingredients of a soup, or the model of a snapshot or of a member that predicts by neighbours; empty for a head, which
            reads embeddings.
        snapshot: number of the snapshot, from 1; 0 for the others.
        is_pooled: whether it pools all seeds of these models, as a soup does, instead of having one run for each.
        head: name of the head on a frozen backbone; empty for the others.
    """

    of: tuple[str, ...] = ()
    snapshot: int = 0
    is_pooled: bool = True
    head: str = ""

    @property
    def has_one_seed(self) -> bool:
        """Return whether the model has one run per fold, under the first seed, and not one per seed."""
        return self.head in HEADS_WITHOUT_SEED if self.head else self.is_pooled


def origins_of(models: Iterable[Mapping[str, Any]]) -> dict[str, Origin]:
    """Origins of models that are not trained by name, from the models of a config as plain builtins."""
    found: dict[str, Origin] = {}
    for model in models:
        if soup := model.get("soup"):
            found[model["name"]] = Origin(tuple(soup["of"]))
        if snapshot := model.get("snapshot"):
            found[model["name"]] = Origin((snapshot["of"],), snapshot["number"], is_pooled=False)
        if neighbours := model.get("neighbours"):
            found[model["name"]] = Origin((neighbours["of"],), is_pooled=False)
        if frozen := model.get("frozen"):
            head = frozen["head"]
            found[model["name"]] = Origin(head=head if isinstance(head, str) else next(iter(head)))
    return found


def snapshot_name(model: str, number: int) -> str:
    """Name of the member of a snapshot.

    >>> snapshot_name("resnet", 1)
    'resnet-snapshot1'
    """
    return f"{model}-snapshot{number}"


def snapshot_file(number: int) -> str:
    """File of a snapshot in the folder of its training.

    >>> snapshot_file(1)
    'snapshot1.safetensors'
    """
    return f"snapshot{number}.safetensors"


def weight_files(models: Sequence[str], snapshot: int) -> list[str]:
    """Files of the weights that a soup or a snapshot is made from.

    Args:
        models: final weights of the trainings.
        snapshot: number of the snapshot, whose file lies beside them; 0 for a soup.

    >>> weight_files(["train/a/round0/fold0/seed0/model.safetensors"], 2)
    ['train/a/round0/fold0/seed0/snapshot2.safetensors']
    """
    return [f"{path.rpartition('/')[0]}/{snapshot_file(snapshot)}" if snapshot else path for path in models]


def is_snapshot(path: str) -> bool:
    """Return whether a file of a training is a snapshot, which other jobs read.

    >>> is_snapshot("results/x/train/a/round0/fold0/seed0/snapshot1.safetensors")
    True
    """
    name = path.rpartition("/")[2]
    return name.startswith("snapshot") and name.endswith(".safetensors")
