"""Stage heads: embeddings of all images -> predictions of a head by fold and seed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from goldfold import components
from goldfold.base.counter import counter
from goldfold.base.files import read_json
from goldfold.base.status import Progress
from goldfold.embeddings import read
from goldfold.head_fits import Facet, parts_of
from goldfold.planning.runs import Run
from goldfold.predictions.arrays import save
from goldfold.tables import read_table


def run(
    predictions: str,
    embedded: Sequence[str],
    folds: Mapping[int, str],
    lists: Mapping[str, str],
    train: str,
    classes: str,
    task: dict[str, Any],
    name: str,
    head: components.Written,
    embeddings: str,
    seeds: Sequence[int],
    n_folds: int,
    checkpoint: str = "",
) -> dict[str, Any]:
    """Write ``oof.npz`` and one file per split of ``lists`` for each fold and seed of a head; return the facts.

    The head of a fold is fitted to its training rows alone: mean and spread of the embeddings, strength and coefficients.

    Args:
        predictions: folder of the predictions of all runs.
        embedded: files of the embeddings of all images.
        folds: CSV of id, split and target by fold.
        lists: split (test, unlabeled, holdout) -> CSV of its images.
        train: CSV of id and, for rows that are validated, fold.
        name: name of the model.
        head: the head as written in the config.
        embeddings: name of the embeddings.
        checkpoint: of the network, whose text tower a head with a parameter `TEXTS` takes.
    """
    facet = Facet(task, read_json(classes), checkpoint)
    known, parts = read(embedded), parts_of(train)
    tables = {split: read_table(path) for split, path in lists.items()}
    # The matrices are small: several threads would wait for each other, and change the last digits.
    progress, chosen, shown = Progress(n_folds * len(seeds), "heads"), dict[str, Any](), list[pd.DataFrame]()
    with threadpool_limits(1):
        for fold in range(n_folds):
            rows = read_table(folds[fold])
            trained, held = (rows[rows["split"] == split].reset_index(drop=True) for split in ("train", "val"))
            fits = facet.fits(head, known, trained, parts, fold, [counter(name, seed, fold) for seed in seeds])
            for seed, (one, scale) in zip(seeds, fits, strict=True):
                place = {"round": 0, "fold": fold, "seed": seed}
                folder = Path(predictions) / Run(name, 0, fold, seed).folder
                for part, table in {"oof": held, **tables}.items():
                    entries = facet.entries(one, scale, known, table)
                    save(folder / f"{part}.npz", [*entries, *((key, np.array(value)) for key, value in place.items())])
                chosen[str(fold)] = one.chosen
            if checkpoint:
                shown.append(
                    pd.DataFrame(one(known.of(held["id"].tolist())) / one.chosen).groupby(held["label"]).mean()
                )
                progress.advance(1)
    progress.close()
    print(f"{components.label(head)}: {_in_words(chosen)}", flush=True)
    facts = {"model": name, "head": head, "embeddings": embeddings, "chosen": chosen, "width": known.width}
    return {"head": {**facts, **({"similarity": _similarity(shown, facet.classes)} if checkpoint else {})}}


def _similarity(shown: Sequence[pd.DataFrame], classes: Sequence[str]) -> list[list[float]]:
    """Return the cosine of the images of each class (rows) with the text of each class, the mean over the folds.

    Args:
        shown: of each fold, mean cosine by label.
    """
    means = pd.concat(shown).groupby(level=0).mean().reindex(list(classes)).fillna(0.0)
    return [[round(float(value), 4) for value in row] for row in means.to_numpy()]


def _in_words(chosen: Mapping[str, Any]) -> str:
    by_value: dict[str, list[str]] = defaultdict(list)
    for fold, value in chosen.items():
        by_value[f"{value:g}" if isinstance(value, int | float) else str(value)].append(fold)
    return "; ".join(f"{value} in fold {', '.join(of)}" for value, of in by_value.items())
