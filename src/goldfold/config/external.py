"""Config of members of other tools, and its checks."""

from collections.abc import Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING

from goldfold.base.errors import shown
from goldfold.base.regular import fault
from goldfold.config.base import UNSET, Name, Section
from goldfold.external import SUFFIXES
from goldfold.planning.runs import Member

if TYPE_CHECKING:
    from goldfold.config.root import Config


class External(Section):
    """Predictions of another tool as a member of the ensemble: out-of-fold predictions of all validated images, trained on the
    folds of this run (`folds/train.csv`), and predictions of the test images."""

    name: Name
    """Name of the member, by which `ensemble.weights` knows it."""
    oof: str
    """File with a prediction of each validated image by a model that was not trained on it: `.csv` with `id`, one probability
    per class and `fold`; `.npz` as goldfold writes; COCO results (`.json`) for boxes."""
    test: str | None = UNSET
    """File with a prediction of each test image; needed if there are test images."""
    fold: str | None = "fold"
    """Column of `oof` with the fold of each image, compared with the folds of this run. null: not compared, and the report
    says so."""


def check_external(config: "Config") -> Iterator[str]:
    """Problems of members of other tools: names that are taken, and files that are not there."""
    taken = {"ensemble": "the ensemble", **{model.name: "a model" for model in config.models}}
    taken |= {Member(model.name, seed).name: "a member" for model in config.models for seed in config.seeds}
    for index, one in enumerate(config.external):
        key = f"external[{index}] ({one.name})"
        if one.name in taken:
            yield f"{key}.name: is the name of {taken[one.name]}; give it another name"
        taken[one.name] = "another external member"
        for part, path in (("oof", one.oof), ("test", one.test)):
            if path is not None:
                yield from _file(f"{key}.{part}", path)
        if config.data.has_test and one.test is None:
            yield f"{key}.test: missing; there are test images, of which every member needs a prediction"
        if one.test is not None and not config.data.has_test:
            yield f"{key}.test: there are no test images; remove it"
        if one.oof == one.test:
            yield f"{key}.test = {shown(one.test)}: is the file of the out-of-fold predictions"
        if one.fold is not None and one.oof.lower().endswith(".json"):
            yield f"{key}.fold: COCO results have no folds; set fold: null if the tool was trained on the folds of this run"


def _file(key: str, path: str) -> Iterator[str]:
    if PurePath(path).suffix.lower() not in SUFFIXES:
        yield f"{key} = {shown(path)}: must end in {', '.join(SUFFIXES)}"
    elif reason := fault(path):
        yield f"{key} = {shown(path)}: {reason}; correct it, or remove the member (nothing is trained again)"
