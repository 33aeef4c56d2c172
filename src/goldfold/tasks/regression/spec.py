"""Specification of a regression task."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Spec:
    """Specification with bins of the target as ``classes``, such as ``1.5 to 2``.

    Folds are balanced and scores are reported by bin.
    """

    classes: list[str]

    @property
    def scale(self) -> tuple[float, float]:
        """Scale of the edges of the bins, for networks whose own is not fitted yet, see `goldfold.tasks.regression.scale`."""
        from goldfold.targets.bins import edges_of
        from goldfold.tasks.regression.scale import scale_of

        return scale_of(edges_of(self.classes))
