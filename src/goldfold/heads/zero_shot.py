"""Zero-shot head: classes are texts, compared with images in the space of a CLIP model (Radford et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError, nearest, shown
from goldfold.heads.protocol import Array, Predict

if TYPE_CHECKING:
    from goldfold.heads.protocol import Texts

TEMPLATES = ("a photo of a {}.",)


@dataclass(frozen=True)
class ZeroShot:
    """Logits are the cosines of images and classes, times a scale."""

    classes: NDArray[np.float64]
    """(classes, d), of length 1."""
    scale: float
    takes_raw = True

    def choose(self, features: Array, target: NDArray[Any], held: Array, truth: NDArray[Any]) -> float:
        """Return the scale, which no label has an influence on."""
        return self.scale

    def fit(self, features: Array, target: NDArray[Any], chosen: Any, seeds: Sequence[int]) -> Iterator[Predict]:
        """Yield the same function for each seed; no label is used."""
        yield from repeat(self, len(seeds))

    def __call__(self, features: Array) -> NDArray[np.float64]:
        """Return logits (n, classes) of embeddings (n, d)."""
        return self.scale * cosines(features, self.classes)


def cosines(features: Array, classes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cosines (n, classes) of embeddings (n, d) with those of classes (classes, d), of length 1."""
    wide = features.astype(np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(np.divide(wide, length, out=np.zeros_like(wide), where=length > 0) @ classes.T)


def zero_shot(
    target: str,
    n_outputs: int,
    texts: Texts,
    templates: Sequence[str] = TEMPLATES,
    prompts: Mapping[str, str | Sequence[str]] | None = None,
    scale: float | None = None,
) -> ZeroShot:
    """Cosines with the texts of the classes, times a scale: a head that has seen no label.

    Args:
        texts: names of the classes, and the text tower of the network's checkpoint; given by goldfold.
        templates: texts with ``{}`` for the name of a class, in which ``_`` is read as a blank; their embeddings are averaged.
        prompts: texts of some classes by name, in place of the templates.
        scale: factor of the cosines; by default that of the checkpoint.

    Raises:
        ConfigError: a template without ``{}``, no templates, a prompt of no class, or a scale that is not above 0.
    """
    refuse_scale(scale)
    prompted = every_prompt(texts.names, templates, prompts or {})
    classes, own = texts.classes(prompted)
    return ZeroShot(classes, own if scale is None else float(scale))


def refuse_scale(scale: float | None) -> None:
    """Raise ConfigError if a scale is not above 0."""
    if scale is not None and not scale > 0:
        raise ConfigError(f"zero_shot: scale = {scale}: must be above 0")


def every_prompt(
    names: Sequence[str], templates: Sequence[str], prompts: Mapping[str, str | Sequence[str]]
) -> list[list[str]]:
    """Return the texts of each class.

    Raises:
        ConfigError: a template without ``{}``, no templates, a prompt of no class, or one that is no text.

    >>> every_prompt(["hot_dog", "cat"], ["a {}.", "the {}."], {"cat": "my cat"})
    [['a hot dog.', 'the hot dog.'], ['my cat']]
    """
    listed = [templates] if isinstance(templates, str) else [*templates]
    if not listed or (wrong := [text for text in listed if "{}" not in str(text)]):
        said = f"{wrong[0]!r} lacks {{}}, the place of the class" if listed else "there is none"
        raise ConfigError(f"zero_shot: templates: {said}; write for instance a photo of a {{}}.")
    if unknown := [name for name in prompts if name not in names]:
        raise ConfigError(
            f"zero_shot: prompts: {unknown[0]!r} is no class; {nearest(str(unknown[0]), names)}classes: "
            f"{', '.join(names[:10])}"
        )
    own = {name: [texts] if isinstance(texts, str) else texts for name, texts in prompts.items()}
    for name, texts in own.items():
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
            raise ConfigError(
                f"zero_shot: prompts: {name!r} has {shown(prompts[name])}; write one text, or a list of texts, in quotes"
            )
    return [[*own.get(name, [])] or [text.replace("{}", name.replace("_", " ")) for text in listed] for name in names]
