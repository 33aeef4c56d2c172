"""Shift between two tables of images: how separable they are, by which features, and the most telling images."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.audit.adversarial import Auc, alone, compare
from goldfold.audit.shift_features import FEATURES, OF_THE_FILE, look
from goldfold.base.files import read_json, write_json
from goldfold.images.depth import DEFAULT, Rule
from goldfold.images.looking import look_at
from goldfold.lineage import source

FOLDER = Path(".goldfold/shift")
SHOWN = 12
"""Images named per set."""


@dataclass(frozen=True)
class Feature:
    """A feature: AUC of it alone (0.5 to 1), and its median in both sets."""

    name: str
    kind: str
    alone: float
    first: float
    second: float


@dataclass(frozen=True)
class Shift:
    """Differences between the second set and the first."""

    auc: Auc
    of_pixels: Auc
    """AUC without sizes and files, by what a network sees."""
    images: tuple[int, int]
    """Images of each set that were compared."""
    drops: dict[str, float]
    """Kind of feature -> loss of AUC when it is shuffled, the largest first."""
    features: list[Feature]
    """The most separating first."""
    like_second: list[tuple[str, float]]
    """Images of the first set that look most like the second: id, share of the second set that looks less so."""
    like_first: list[tuple[str, float]]
    """Images of the second set that look most like the first."""

    @property
    def is_seen(self) -> bool:
        """True if the whole interval is above 0.5."""
        return self.auc.low > 0.5


def between(
    first: pd.DataFrame, second: pd.DataFrame, most: int, workers: int, scale_16bit: Rule = DEFAULT
) -> Shift | None:
    """Compare two tables; results are cached on disk per set of images. None if too few images can be read.

    Args:
        first, second: id, path, sha256; ``unit`` if images belong together.
        most: largest number of images per set; of more, those with the lowest hash of their id, the same every time.
        workers: number of processes that read images.
        scale_16bit: rule from 16 to 8 bits: brightness as networks see it can be a shift.
    """
    tables = [_chosen(table, most) for table in (first, second)]
    key = json.dumps(
        [_version(), scale_16bit, [table[["id", "sha256", "unit"]].to_numpy().tolist() for table in tables]]
    )
    path = FOLDER / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
    known = _remembered(path)
    if known is None:
        looker = look if scale_16bit == DEFAULT else partial(look, scale_16bit=scale_16bit)
        seen = look_at((path for table in tables for path in table["path"]), looker, workers)
        tables = [table[[bool(seen.get(path, ("", []))[1]) for path in table["path"]]] for table in tables]
        values = [[seen[path][1] for path in table["path"]] for table in tables]
        features = np.array([*values[0], *values[1]], dtype=np.float64).reshape(-1, len(FEATURES))
        found = _found(features, tables)
        known = {"shift": None if found is None else asdict(found)}
        write_json(path, known)
    return None if known["shift"] is None else _from_json(known["shift"])


def _chosen(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """Choose rows such that a new image hardly changes the choice."""
    hashes = [hashlib.sha256(id.encode()).digest() for id in table["id"]]
    order = sorted(range(len(table)), key=hashes.__getitem__)[:most]
    chosen = table.iloc[sorted(order)]
    return chosen if "unit" in chosen else chosen.assign(unit=chosen["sha256"])


def _version() -> list[str]:
    """Digest of the code and versions of the libraries that the result depends on."""
    code = source.digest(source.reach([source.whole(Path(__file__))]))
    return [code, version("scikit-learn"), version("numpy")]


def _remembered(path: Path) -> dict[str, Any] | None:
    try:
        return dict(read_json(path))
    except (OSError, ValueError):
        return None


def _found(features: NDArray[np.float64], tables: list[pd.DataFrame]) -> Shift | None:
    is_second = np.repeat([False, True], [len(table) for table in tables])
    both = pd.concat(tables, ignore_index=True)
    kinds, units = list(FEATURES.values()), both["unit"].tolist()
    every = compare(features, is_second, kinds, units)
    visible = [column for column, kind in enumerate(kinds) if kind not in OF_THE_FILE]
    pixels = compare(features[:, visible], is_second, [], units)
    if every is None or pixels is None:
        return None
    medians = [np.median(features[is_second == side], axis=0) for side in (False, True)]
    rows = [
        Feature(name, kind, alone(features[:, column], is_second), float(medians[0][column]), float(medians[1][column]))
        for column, (name, kind) in enumerate(FEATURES.items())
    ]
    drops = dict(sorted(every.drops.items(), key=lambda item: -item[1]))
    scores, ids = every.scores, both["id"]
    ends = [
        _most_alike(ids[own], scores[own] * sign, scores[~own] * sign)
        for own, sign in ((~is_second, 1), (is_second, -1))
    ]
    images = (len(tables[0]), len(tables[1]))
    return Shift(every.auc, pixels.auc, images, drops, sorted(rows, key=lambda row: -row.alone), *ends)


def _most_alike(
    ids: Iterable[str], scores: NDArray[np.float64], others: NDArray[np.float64]
) -> list[tuple[str, float]]:
    """Ids with the highest scores, each with the share of ``others`` that it exceeds."""
    named, ordered = list(ids), np.sort(others)
    shares = np.searchsorted(ordered, scores) / len(ordered)
    best = np.argsort(-scores, kind="stable")[:SHOWN]
    return [(named[row], float(shares[row])) for row in best]


def _from_json(values: dict[str, Any]) -> Shift:
    ends = {key: [(id, share) for id, share in values[key]] for key in ("like_second", "like_first")}
    return Shift(
        Auc(**values["auc"]), Auc(**values["of_pixels"]), (values["images"][0], values["images"][1]), values["drops"],
        [Feature(**row) for row in values["features"]], **ends,
    )  # fmt: skip
