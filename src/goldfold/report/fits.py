"""Fits of the ensemble's steps: on all folds, beside those without each fold, which the out-of-fold score is of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from goldfold import components
from goldfold.drawing.blocks import Block, Note, Table, Text
from goldfold.ensembling.linear import PENALTIES
from goldfold.ensembling.steps import has_weights, weights_of
from goldfold.ensembling.temperature import LEAST, MOST
from goldfold.ensembling.with_metadata import EMBEDDINGS
from goldfold.report.results import Results

WEIGHTS = "weights."
"""Beginning of the names of member weights, which have a table of their own."""
OF_MODEL = "models.fitted."
"""Beginning of the names of a stack's parameters, which is not shown."""
MOST_FOLDS = 5
"""Most folds with a column each; of more, the smallest and largest value are shown."""
LONGEST = 120
"""Characters of a fitted parameter that is printed."""


@dataclass(frozen=True)
class Scale:
    """Values that a parameter can take, and how far apart two fits of it may be."""

    least: float
    most: float
    factor: float
    """Ratio of the largest to the smallest fit from which on they disagree."""
    remedy: str
    """Advice, a format of the median fit."""

    def is_limit(self, value: float) -> bool:
        """Return whether the value is at an end of the scale, so that the best one may lie beyond it."""
        return value <= self.least * 1.01 or value >= self.most / 1.01


SCALES = {
    ("temperature", "temperature"): Scale(LEAST, MOST, 2.0, "leave the step out if probabilities do not count"),
    ("stacking", OF_MODEL + "penalty"): Scale(
        PENALTIES[0], PENALTIES[-1], 100.0, "set it, as in {{stacking: {{penalty: {:g}}}}}"
    ),
}
"""Scale of a parameter by the names of its step and its own."""


class Several(list[Any]):
    """Values of one parameter in several models of a step, one per label."""


@dataclass(frozen=True)
class Parameter:
    """A fitted parameter: its value on all folds, and without each of them."""

    step: components.Written
    name: str
    on_all: Any
    without: Mapping[int, Any]

    @property
    def scale(self) -> Scale | None:
        """Its scale; None if it has none, or is given in the config."""
        name = self.name.removeprefix(OF_MODEL)
        is_given = components.parse(self.step)[1].get(name) is not None
        return None if is_given else SCALES.get((components.name_of(self.step), self.name))

    @property
    def title(self) -> str:
        """Name as printed."""
        return self.name.removeprefix(OF_MODEL)

    @property
    def fits(self) -> list[Any]:
        """Values of all fits, that on all folds first."""
        return [self.on_all, *self.without.values()]

    @property
    def values(self) -> list[Any]:
        """Values of all fits and models."""
        return _flat(self.fits)

    def text(self, fits: Sequence[Any]) -> str:
        """Values of some fits as printed, with a mark at the ends of the scale."""
        values, scale = _flat(fits), self.scale
        said = span(values, ".5g") if values else "–"
        return f"{said} (limit)" if scale and any(map(scale.is_limit, values)) else said

    def doubt(self) -> str:
        """Say that fits are far apart, or at an end of the scale; empty if neither."""
        scale = self.scale
        if scale is None or not self.without:
            return ""
        models = np.array([_several(fit) for fit in self.fits if len(_several(fit)) == len(_several(self.on_all))])
        is_far = bool((models.max(axis=0) >= scale.factor * models.min(axis=0)).any())
        at_limit = sum(any(map(scale.is_limit, _several(fit))) for fit in self.fits)
        said = [
            *["differs much between the fits"] * is_far,
            *[f"is at a limit of its range ({scale.least:g} to {scale.most:g}) in {at_limit} of {len(self.fits)} fits"]
            * bool(at_limit),
        ]
        if not said:
            return ""
        values = f"{span(_flat([self.on_all]), '.5g')} on all folds, {span(_flat(self.fits[1:]), '.5g')} without one"
        step = components.name_of(self.step)
        what = f"the {self.title}" if self.title == step else f"the {self.title} of {step}"
        middle = float(np.quantile(models, 0.5, method="higher"))
        return f"{what} {' and '.join(said)} ({values}; {scale.remedy.format(middle)})"


def are_weighted(results: Results) -> bool:
    """Return whether members have weights: given ones, or fitted ones; a stack has none."""
    first = results.steps[0]["fitted"] if results.steps else None
    return first is None or has_weights(first)


def weights_without_fold(results: Results) -> list[dict[str, float]]:
    """Member weights that sum to one, fitted without each fold; empty if the weights are not fitted."""
    if not results.steps or not has_weights(results.steps[0]["fitted"]):
        return []
    found = [weights_of(one[0], [*results.ensemble["weights"]]) for one in results.without_fold.values()]
    return [{name: weight / sum(one.values()) for name, weight in one.items()} for one in found]


def coefficients(fitted: Any, width: int) -> dict[str, float]:
    """Mean absolute coefficient of each member's columns in a linear stack; empty for other steps, and if nothing was learned.

    Args:
        fitted: parameters of the step.
        width: number of columns of a member.
    """
    if not isinstance(fitted, Mapping) or "models" not in fitted:
        return {}
    models = [one["fitted"] for one in fitted["models"] if one["fitted"] is not None]
    if not models or any("coefficients" not in one for one in models):
        return {}
    sizes = np.abs(np.concatenate([np.array(one["coefficients"]) for one in models])).mean(axis=0)
    return {name: float(sizes[at * width :][:width].mean()) for at, name in enumerate(fitted["members"])}


def parameters(results: Results) -> list[Parameter]:
    """Parameters that can be read: numbers and words, and short lists of numbers; member weights have their own table."""
    found = []
    for place, one in enumerate(results.steps):
        without = {fold: dict(_leaves(fitted[place])) for fold, fitted in results.without_fold.items()}
        is_named = place == 0 and len(results.ensemble["weights"]) > 1 and has_weights(one["fitted"])
        for name, value in _leaves(one["fitted"]):
            if _is_readable(name, value) and not (is_named and name.startswith(WEIGHTS)):
                others = {int(fold): fits[name] for fold, fits in without.items() if name in fits}
                found.append(Parameter(one["step"], name, value, others))
    return found


def _leaves(fitted: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and value of each number, string or list in plain JSON; the values of several models as one list."""
    if isinstance(fitted, Mapping):
        for key, value in fitted.items():
            yield from _leaves(value, f"{where}.{key}" if where else str(key))
    elif isinstance(fitted, list) and fitted and all(isinstance(one, Mapping) for one in fitted):
        several = [dict(_leaves(one, where)) for one in fitted]
        for name in dict.fromkeys(name for one in several for name in one):
            values = [one[name] for one in several if name in one]
            yield name, values[0] if len(values) == 1 else Several(values)
    elif fitted is not None:
        yield where, fitted


def _is_readable(name: str, value: Any) -> bool:
    if name.startswith(OF_MODEL) and isinstance(value, list) and not isinstance(value, Several):
        return False  # intercepts
    if name.startswith(f"{EMBEDDINGS}."):
        return False  # components as text of base64
    numbers = isinstance(value, list) and all(isinstance(one, float) for one in value)
    is_short = isinstance(value, Several) or len(str(value)) <= LONGEST
    return isinstance(value, int | float | str) or (numbers and is_short)


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, Several) else [value]


def _flat(fits: Sequence[Any]) -> list[Any]:
    return [value for fit in fits for value in _several(fit)]


def span(values: Sequence[Any], digits: str = ".4g") -> str:
    """Smallest and largest of the numbers; a text if all are the same.

    >>> span([0.25, 0.5, 0.3]), span([1.0, 1.0]), span(["a", "b"])
    ('0.25 to 0.5', '1', 'differ')
    """
    if all(isinstance(value, Real) and not isinstance(value, bool) for value in values):
        low, high = (f"{end:{digits}}" for end in (min(values), max(values)))
        return low if low == high else f"{low} to {high}"
    texts = {_as_text(value, digits) for value in values}
    return texts.pop() if len(texts) == 1 else "differ"


def _as_text(value: Any, digits: str) -> str:
    if isinstance(value, list):
        return f"[{', '.join(format(one, digits) for one in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def blocks(results: Results) -> list[Block]:
    """Table of the parameters of each step, fitted on all folds and without each of them, and what is to be said of them."""
    about = (
        "Parameters fitted on out-of-fold predictions of all folds are used for test images and in bundles. For the "
        "out-of-fold score, each fold is scored with parameters fitted on the other folds (nested). All are in "
        "ensemble/fitted.json."
    )
    found = parameters(results)
    folds = sorted({fold for one in found for fold in one.without})
    each = folds if len(folds) <= MOST_FOLDS else []
    rows = [[components.label(one.step), one.title, one.text([one.on_all]), *_of_folds(one, each)] for one in found]
    columns = ["step", "parameter", "on all folds", *([f"without {fold}" for fold in each] or ["without a fold"])]
    table = Table(columns, rows, text_columns=["step", "parameter"])
    doubts = sentence(results)
    return [Text(about, heading="Fitted steps"), *([table] if rows else []), *([Text(doubts)] if doubts else [])]


def _of_folds(one: Parameter, folds: Sequence[int]) -> list[str]:
    return [one.text([one.without[fold]] if fold in one.without else []) for fold in folds] or [
        one.text([*one.without.values()])
    ]


def sentence(results: Results) -> str:
    """One sentence on parameters whose fits disagree, or are at a limit; empty if there are none."""
    said = "; ".join(filter(None, (one.doubt() for one in parameters(results))))
    return (
        f"{said[0].upper()}{said[1:]}: the data hardly determine it, and the score is of other values than those used for test "
        f"{results.row}s."
        if said
        else ""
    )


def notes(results: Results) -> Iterator[Note]:
    """Warn of such parameters."""
    if said := sentence(results):
        yield Note("warn", "The fits of the ensemble disagree, or are at a limit", said)
