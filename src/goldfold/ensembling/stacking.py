"""Stacking (Wolpert 1992): a model of the members' out-of-fold predictions.

Its columns are the members' logits: log p of each class less the mean over the classes for one label per image, log p/(1 - p) of
each label for sets of labels; for numbers, the members' numbers. For sets of labels, each label is modelled separately by
the columns of all labels. Columns of the cases themselves, such as metadata, may follow.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from goldfold.base.errors import ConfigError
from goldfold.ensembling.columns import Array, Targets, values_of
from goldfold.ensembling.linear import Linear, two
from goldfold.ensembling.members import of_members
from goldfold.ensembling.steps import WHOLE, Members, Metric
from goldfold.ensembling.with_metadata import EMBEDDINGS, METADATA

if TYPE_CHECKING:
    import pandas as pd

TINY = 1e-6
"""Probabilities count as at least this far from 0 and 1, so that certain members have no infinite column."""
LEAST = 1e-12
BLOCK = 16_384
"""Images whose columns are in memory at a time when the model is applied."""


class CaseColumns(Protocol):
    """Columns of the cases themselves, looked up by id; `goldfold.metadata.of_cases.OfCases` has those of metadata,
    `goldfold.heads.of_cases.EmbeddedCases` those of embeddings."""

    def fit(self, ids: Sequence[str]) -> Any:
        """Return statistics of these cases as plain JSON."""

    def rows(self, ids: Sequence[str], fitted: Any) -> NDArray[np.float32]:
        """Return what is known of cases in a compact form (n, numbers)."""

    def columns(self, rows: NDArray[np.float32], fitted: Any, indicators: bool) -> Array:
        """Return columns (n, columns) of some of the rows, names as one indicator per level, or numbered."""


class Regressor(Protocol):
    """Model of one target by columns, with parameters as plain JSON."""

    indicators: bool
    """Whether a level of a categorical column gets a column of its own; otherwise levels are numbered."""

    def fit(
        self,
        columns: Array,
        target: NDArray[Any],
        is_number: bool,
        n_of_cases: int = 0,
        folds: NDArray[np.int64] | None = None,
    ) -> Any:
        """Return the parameters.

        Args:
            columns: (n, columns).
            target: (n,), numbers if ``is_number``, else class indices.
            n_of_cases: how many columns at the end are of the cases themselves, standardised numbers and indicators.
            folds: fold of each case, for choices by cross-validation.
        """

    def outputs(self, columns: Array, fitted: Any) -> Array:
        """Return (n, outputs): a number, the logit of the second of two classes, or one logit per class that was seen."""


class Stacking:
    """A model of the members' predictions, with ``fit`` and ``apply`` of a step."""

    is_by_image = True
    reads_once = True

    def __init__(self, task: Targets, model: Regressor, cases: Mapping[str, CaseColumns] | None = None) -> None:
        """``cases``: columns of the cases besides those of the members; their statistics are kept under these names."""
        self.task, self.model, self.cases = task, model, dict(cases or {})

    def fit(self, members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric) -> Any:
        """Return the ``members`` in the order of their columns, statistics of ``cases``, and a fitted model per target."""
        known = self.task.evidence(self._alone(next(iter(members.values()))), truth)
        columns = self._columns(
            (values_of(self.task.evidence(self._alone(member), truth)) for member in members.values()), len(members)
        )
        ids, n = truth["id"].tolist(), columns.shape[1]
        statistics = {name: one.fit(ids) for name, one in self.cases.items()}
        columns = self._with_cases(columns, self._rows(ids, statistics), statistics)
        one = partial(self._one, columns, n_of_cases=columns.shape[1] - n, folds=folds)
        if self.task.target == "value":
            models = [one(known.truth)]
        elif self.task.target == "labels":
            models = [one((known.truth[:, place] == 1).astype(int)) for place in range(known.truth.shape[1])]
        else:
            models = [one(known.labels)]
        return {"members": [*members], **statistics, "models": models}

    def _one(self, columns: Array, target: NDArray[Any], n_of_cases: int, folds: NDArray[np.int64]) -> dict[str, Any]:
        """Fit the model of one target: the classes that were seen, and parameters where there is something to learn.

        A class of one fold alone counts as not seen, since differences between folds are not learnt.
        """
        if self.task.target == "value":
            return {"fitted": self.model.fit(columns, target, True, n_of_cases, folds)}
        n_folds = {name: len({*folds[target == name].tolist()}) for name in np.unique(target).tolist()}
        fewest = min(2, len({*folds.tolist()}))
        seen = np.array([name for name, n in n_folds.items() if n >= fewest], dtype=target.dtype)
        if len(seen) < 2:
            return {"seen": seen.tolist(), "fitted": None}
        if not (rows := np.isin(target, seen)).all():  # without a copy of all columns where it can be
            columns, target, folds = columns[rows], target[rows], folds[rows]
        places = np.searchsorted(seen, target)
        return {"seen": seen.tolist(), "fitted": self.model.fit(columns, places, False, n_of_cases, folds)}

    def apply(self, members: Members, fitted: Any) -> Members:
        """Predict with the fitted models; the spread of numbers is that of the members' mean."""
        if [*members] != [*fitted["members"]]:
            members = {name: members[name] for name in fitted["members"]}
        mean = of_members(self.task, [*members.values()], [1.0] * len(members), {}, 1)
        name = "values" if self.task.target == "value" else "probabilities"
        places = _places_of([member["ids"] for member in members.values()], mean["ids"])
        rows = self._rows(mean["ids"].tolist() if self.cases else [], fitted)
        found = np.empty(mean[name].shape)
        for block in _blocks(len(mean["ids"])):
            several = [_of_rows(member, own[block]) for member, own in zip(members.values(), places, strict=True)]
            columns = self._columns((self._alone(member)[name] for member in several), len(several))
            columns = self._with_cases(columns, {of: known[block] for of, known in rows.items()}, fitted)
            found[block] = self._predicted(columns, mean[name][block], fitted)
        return {WHOLE: {**mean, name: found}}

    def _rows(self, ids: Sequence[str], statistics: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
        """Return what is known of the cases, by name."""
        return {name: one.rows(ids, statistics[name]) for name, one in self.cases.items()}

    def _with_cases(
        self, columns: Array, rows: Mapping[str, NDArray[np.float32]], statistics: Mapping[str, Any]
    ) -> Array:
        """Append the columns of the cases."""
        if not self.cases:
            return columns
        more = [
            self.cases[name].columns(known, statistics[name], self.model.indicators) for name, known in rows.items()
        ]
        return np.concatenate([columns, *more], axis=1)

    def _predicted(self, columns: Array, mean: Array, fitted: Mapping[str, Any]) -> Array:
        """Predict some images with the fitted models.

        Args:
            mean: the members' mean (n,) or (n, classes), which stands for outcomes that were never seen.
        """
        if self.task.target == "value":
            return self.model.outputs(columns, fitted["models"][0]["fitted"])[:, 0]
        if self.task.target == "label":
            return np.clip(self._probabilities(columns, mean, fitted["models"][0]), LEAST, None)
        outcomes = [np.stack([1 - one, one], axis=1) for one in mean.T]
        parts = [
            self._probabilities(columns, one, model) for one, model in zip(outcomes, fitted["models"], strict=True)
        ]
        return np.stack([part[:, 1] for part in parts], axis=1)

    def _probabilities(self, columns: Array, mean: Array, model: Mapping[str, Any]) -> Array:
        """Probabilities (n, outcomes); outcomes that were never seen keep those of the ``mean``, and the others share the rest.

        Where a single outcome was seen, nothing was fitted: the mean.
        """
        if model["fitted"] is None:
            return mean
        outputs, values = self.model.outputs(columns, model["fitted"]), np.array(mean, dtype=float)
        of_seen = two(outputs) if len(model["seen"]) == 2 else softmax(outputs, axis=1)
        unseen = np.setdiff1d(np.arange(mean.shape[1]), model["seen"])
        values[:, model["seen"]] = of_seen * (1 - mean[:, unseen].sum(axis=1, keepdims=True))
        return values

    def _alone(self, member: Any) -> Any:
        """Predictions of one member in the form of the ensemble's, ordered by id."""
        return self.task.fuse([member], [1.0])

    def _columns(self, values: Iterable[Array], n_members: int) -> Array:
        """Columns (n, columns) from the predictions of one member after the other, in one array, since there may be many."""
        found, n = np.empty((0, 0)), 0
        for place, one in enumerate(values):
            logits = self._logits(one)
            if not place:
                n = logits.shape[1]
                found = np.empty((len(logits), n * n_members))
            found[:, place * n : (place + 1) * n] = logits
        return found

    def _logits(self, values: Array) -> Array:
        if self.task.target == "value":
            return values[:, None]
        clipped = np.clip(values, TINY, 1 - TINY)
        if self.task.target == "labels":
            return np.asarray(np.log(clipped / (1 - clipped)))
        logs = np.log(clipped)
        return np.asarray(logs - logs.mean(axis=1, keepdims=True))


def _blocks(n: int) -> Iterator[slice]:
    """Slices of at most `BLOCK` of n images; one empty slice for none."""
    return (slice(start, start + BLOCK) for start in range(0, max(n, 1), BLOCK))


def _places_of(every: Sequence[NDArray[np.str_]], wanted: NDArray[np.str_]) -> list[NDArray[np.int64]]:
    """Rows of the wanted ids in each of several arrays of ids; members that share one share its rows."""
    found: list[tuple[NDArray[np.str_], NDArray[np.int64]]] = []
    for ids in every:
        known = next((rows for other, rows in found if other is ids), None)
        found.append((ids, _places(ids, wanted) if known is None else known))
    return [rows for _, rows in found]


def _places(ids: NDArray[np.str_], wanted: NDArray[np.str_]) -> NDArray[np.int64]:
    """Rows of the wanted ids; both have the same ids."""
    order = np.argsort(ids, kind="stable")
    return order[np.searchsorted(ids, wanted, sorter=order)]


def _of_rows(member: Mapping[str, Any], rows: NDArray[np.int64]) -> dict[str, Any]:
    """Predictions of some of the images."""
    return {name: array if name == "classes" or np.ndim(array) == 0 else array[rows] for name, array in member.items()}


def linear(
    task: Targets,
    workers: int,
    penalty: float | None = None,
    metadata: bool | Sequence[str] = False,
    embeddings: bool | Sequence[str] = False,
    components: int = 16,
) -> Stacking:
    """Stacking by a linear model: multinomial logistic regression, or ridge regression for numbers.

    Args:
        penalty: of the squared coefficients of standardised columns, beside the sum of the losses over cases; by default chosen
            by cross-validation over the folds that the stack is fitted on, 10 or more.
        metadata: metadata columns beside those of the members: all of ``data.metadata``, or these.
        embeddings: columns of embeddings: of all models with frozen backbones, or of these.
        components: most columns of each embedding, its principal components.
    """
    return Stacking(task, Linear(penalty), cases_of(task, metadata, embeddings, components))


def cases_of(
    task: Targets, metadata: bool | Sequence[str], embeddings: bool | Sequence[str], components: int
) -> dict[str, CaseColumns]:
    """Return the columns of the cases by name, which is that of the task's attribute and of the fitted statistics.

    The parameters are as in `linear`.

    Raises:
        ConfigError: no metadata, or no embeddings, were given with the task.
    """
    found = dict[str, CaseColumns]()
    if metadata:
        known = _given(task, METADATA)
        found[METADATA] = known if metadata is True else known.only(metadata)
    if embeddings:
        found[EMBEDDINGS] = _given(task, EMBEDDINGS).only(embeddings, components)
    return found


def _given(task: Targets, name: str) -> Any:
    """Return the columns of all cases that came with the task."""
    if (known := getattr(task, name, None)) is None:
        raise ConfigError(f"ensemble: stacking: {name}: no {name} of these cases are given")
    return known
