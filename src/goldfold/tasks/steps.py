"""Facets of a task used by ensemble steps, as one object."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from goldfold import tasks
from goldfold.predictions.arrays import picked
from goldfold.tasks.protocol import Cleans

if TYPE_CHECKING:
    from goldfold.heads.of_cases import EmbeddedCases
    from goldfold.metadata.of_cases import OfCases


class ForSteps:
    """Fusion, scores and, if the task has them, decisions and cleaning of masks, see `goldfold.ensembling.steps`."""

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
