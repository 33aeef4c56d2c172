"""Means of the weights of trained networks, and the choice of those that are averaged (Wortsman et al. 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

Ingredient = TypeVar("Ingredient")


class Mean:
    """Mean of the weights and buffers of networks with the same keys, accumulated in float64.

    Integer buffers, such as batch norm's counter of batches, are those of the first network.
    """

    def __init__(self) -> None:
        self.n = 0
        self._sums: dict[str, Tensor] = {}
        self._first: dict[str, Tensor] = {}

    def with_(self, weights: Mapping[str, Tensor]) -> Mean:
        """Return the mean with one more network; this one stays as it is."""
        new = Mean()
        new.n, new._first = self.n + 1, self._first or dict(weights)
        floating = {name: value.double() for name, value in weights.items() if value.is_floating_point()}
        new._sums = {name: value + self._sums[name] if self.n else value for name, value in floating.items()}
        return new

    @property
    def weights(self) -> dict[str, Tensor]:
        """Mean of each weight, in its own type; of a single network its weights as they are."""
        sums = {name: (total / self.n).to(self._first[name].dtype) for name, total in self._sums.items()}
        return {name: sums.get(name, value).contiguous() for name, value in self._first.items()}


def best_first(ingredients: Sequence[Ingredient], scores: Sequence[float], greater_is_better: bool) -> list[Ingredient]:
    """Sort ingredients by score, the best first; equal ones stay in order, undefined ones come last.

    >>> best_first(["a", "b", "c"], [0.5, float("nan"), 0.9], greater_is_better=True)
    ['c', 'a', 'b']
    """

    def place(number: int) -> tuple[bool, float]:
        score = scores[number]
        return (score != score, 0.0) if score != score else (False, -score if greater_is_better else score)

    return [ingredients[number] for number in sorted(range(len(ingredients)), key=place)]


def greedy(
    ordered: Sequence[Ingredient], score: Callable[[Sequence[Ingredient]], float], greater_is_better: bool
) -> list[Ingredient]:
    """Return the ingredients of a greedy soup (recipe 1 of the paper).

    Args:
        ordered: ingredients, the best first.
        score: ingredients -> score of their soup on the validation images.
    """
    kept, best = [ordered[0]], score([ordered[0]])
    for one in ordered[1:]:
        found = score([*kept, one])
        if found >= best if greater_is_better else found <= best:
            kept, best = [*kept, one], found
    return kept


def header_of(headers: Sequence[dict[str, str] | None]) -> dict[str, str] | None:
    """Return the header of the first file of weights; the others of the same fold have the same encoder of metadata.

    Raises:
        ValueError: the headers differ.
    """
    if any(header != headers[0] for header in headers[1:]):
        raise ValueError("the ingredients of a soup encode metadata in different ways")
    return headers[0]


def equal_shapes(first: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> str:
    """Return the first key whose shapes differ between the weights of two networks; empty if they fit.

    >>> equal_shapes({"a": torch.zeros(2)}, {"a": torch.zeros(3)})
    'a'
    """
    keys = [*first, *(key for key in other if key not in first)]
    return next((k for k in keys if k not in first or k not in other or first[k].shape != other[k].shape), "")
