"""Models that are made from the weights of trained models: soups, snapshots and members that predict by neighbours."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KEYS = ("soup", "snapshot", "neighbours")
"""Keys of a model that make it from others."""


@dataclass(frozen=True)
class Origin:
    """Models from whose trained weights a model is made, instead of being trained.

    Args:
        of: ingredients of a soup, or the model of a snapshot or of a member that predicts by neighbours.
        snapshot: number of the snapshot, from 1; 0 for the others.
        is_pooled: whether it pools all seeds of these models, as a soup does, instead of having one run for each.
    """

    of: tuple[str, ...] = ()
    snapshot: int = 0
    is_pooled: bool = True


def origins_of(models: Iterable[Mapping[str, Any]]) -> dict[str, Origin]:
    """Origins of models that are made from others by name, from the models of a config as plain builtins."""
    found: dict[str, Origin] = {}
    for model in models:
        if soup := model.get("soup"):
            found[model["name"]] = Origin(tuple(soup["of"]))
        if snapshot := model.get("snapshot"):
            found[model["name"]] = Origin((snapshot["of"],), snapshot["number"], is_pooled=False)
        if neighbours := model.get("neighbours"):
            found[model["name"]] = Origin((neighbours["of"],), is_pooled=False)
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
