"""Facets of a task used by ensemble steps, as one object."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from goldfold import tasks
from goldfold.predictions.arrays import picked

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.heads.of_cases import EmbeddedCases
    from goldfold.metadata.of_cases import OfCases
    from goldfold.predictions.arrays import Arrays


@runtime_checkable
class Cleans(Protocol):
    """Optional members of the facet `Decide`: settings by which masks are cleaned, fitted by the step `components`."""

    def cleanable(self, predictions: "Arrays", truth: "pd.DataFrame", settings: Sequence[tuple[int, int, bool]]) -> Any:
        """Pair predictions with the truth, for each of the settings, see `goldfold.ensembling.mask_settings.Paired`."""

    def clean(self, predictions: "Arrays", settings: Sequence[tuple[int, int, bool]]) -> "Arrays":
        """Return the predictions with settings per class attached: smallest, holes and largest."""


@runtime_checkable
class Spaces(Protocol):
    """Optional members of the facet `Decide`: points that keep a distance, fitted by the step `spacing`."""

    def space(self, predictions: "Arrays", least_px: float) -> "Arrays":
        """Return the predictions without points that are nearer than this to a better one of their class."""


@runtime_checkable
class Separates(Protocol):
    """Optional members of the facet `Decide`: settings by which objects are separated, fitted by the step `instances`."""

    def separable(
        self, predictions: "Arrays", truth: "pd.DataFrame", settings: Sequence[tuple[float, float, int]]
    ) -> Any:
        """Pair predictions with the truth, for each of the settings, see `goldfold.ensembling.mask_settings.Paired`."""

    def separate(self, predictions: "Arrays", settings: Sequence[tuple[float, float, int]]) -> "Arrays":
        """Return the predictions with settings per class attached: distance, neck and smallest."""


class ForSteps:
    """Fusion, scores and, if the task has them, decisions, cleaning and instances of masks, see `goldfold.ensembling.steps`."""

    def __init__(
        self,
        spec: tasks.Spec,
        classes: Sequence[str],
        metadata: "OfCases | None" = None,
        embeddings: "EmbeddedCases | None" = None,
    ) -> None:
        """``metadata``, ``embeddings``: those of all cases, where a step takes them."""
        self.metadata, self.embeddings, self.picked = metadata, embeddings, picked
        facts, score, decide = tasks.facts(spec["name"]), tasks.score(spec, classes), tasks.decide(spec, classes)
        self.target = facts.target
        self.fusions, self.postprocessing, self.ensemble_keys = facts.fusions, facts.postprocessing, facts.ensemble_keys
        self.fuse, self.evidence, self.metric = tasks.output(spec, classes).fuse, score.evidence, score.metric
        if decide is not None:
            self.decided_classes, self.decidable, self.decide = decide.decided_classes, decide.decidable, decide.decide
        if isinstance(decide, Cleans):
            self.cleanable, self.clean = decide.cleanable, decide.clean
        if isinstance(decide, Spaces):
            self.space = decide.space
        if isinstance(decide, Separates):
            self.separable, self.separate = decide.separable, decide.separate
