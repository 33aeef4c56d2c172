"""Fusion of boxes with fitted settings: IoU threshold, score floor, rule of confidence and weights of the members."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import product
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError, shown
from goldfold.components import Written, name_of, parse
from goldfold.ensembling.boxes import CONF_TYPES
from goldfold.ensembling.members import of_members
from goldfold.ensembling.steps import WHOLE, Members, Metric, Scores, signed

if TYPE_CHECKING:
    import pandas as pd

Values = float | Sequence[float]
"""Values that are tried, or one that is given."""
WBF = "wbf"
"""Method with rules of confidence, and that of the task by default."""
IOU_THRESHOLDS = (0.55, 0.45, 0.65, 0.75)
MOST_IMAGES = 500
"""Most images that settings are fitted on: matching boxes with the truth takes 2 to 4 ms per image and setting."""
MOST_PAIRS, MOST_WEIGHTS = 24, 6
"""Most pairs of thresholds, and most weights of a member, that are tried."""
SWEEPS = 2
"""Most passes over the members' weights."""
MOST_KEPT = 4 * MOST_IMAGES
"""Images whose fused boxes are kept: those of the fits of one round, with and without each fold."""
LEAST_GAIN = 1e-9
DIGITS = 6
"""Decimals of a fitted weight."""


class Boxes(Scores, Protocol):
    """Task facet that also merges predictions of parts of the images."""

    @property
    def picked(self) -> Callable[[Sequence[tuple[Any, Sequence[str]]]], Any]:
        """Pairs of predictions and ids of some of their images -> one prediction for all these images."""


@dataclass(frozen=True)
class Setting:
    """Settings of a fusion."""

    iou_threshold: float
    skip_threshold: float
    weights: tuple[float, ...]
    """One per member, relative to each other."""
    conf_type: str | None = None
    """Rule by which `wbf` scores a cluster; None for other methods, and where `method` gives it."""

    @property
    def others(self) -> dict[str, Any]:
        """The settings besides the weights, by name."""
        rule = {} if self.conf_type is None else {"conf_type": self.conf_type}
        return {"iou_threshold": self.iou_threshold, "skip_threshold": self.skip_threshold, **rule}

    @property
    def shares(self) -> list[float]:
        """The weights, which sum to one."""
        return [weight / sum(self.weights) for weight in self.weights]


class FittedFusion:
    """Fusion of boxes with the IoU threshold, score floor, rule of confidence and weights that score best out of fold.

    All pairs of the two thresholds are tried with equal weights, then the rules, then the weights of one member after the other,
    and pairs and rules again if a weight has changed. Of settings with the same score, the first stays.
    """

    is_by_image = True

    def __init__(
        self,
        task: Boxes,
        workers: int,
        method: Written | None = None,
        iou_threshold: Values = IOU_THRESHOLDS,
        skip_threshold: Values = (0.0, 0.05),
        weights: Sequence[float] = (1.0, 0.0, 2.0),
        conf_type: str | Sequence[str] | None = None,
        metric: Written | None = None,
    ) -> None:
        """Set up for a task.

        Args:
            method: method of fusion; default: that of the task.
            iou_threshold: IoU from which boxes are one object, above 0 and below 1; values to try. `soft_nms` has none.
            skip_threshold: score below which boxes are left out before fusion, from 0 to below 1; values to try.
            weights: values to try for each member, relative to the others, which begin at 1; ``[1]``: equal weights.
            conf_type: rules to try, of `goldfold.ensembling.boxes.CONF_TYPES`; default: all, of `wbf` without a rule of its own.
            metric: metric that the settings are fitted for; default: that of the config.

        Raises:
            ConfigError: a value is out of range, or there are too many.
        """
        self.task, self.workers, self.metric, self.method = task, workers, metric, method
        self.ious = _values("iou_threshold", iou_threshold, "above 0 and below 1", lambda value: 0 < value < 1)
        if method is not None and name_of(method) == "soft_nms":
            if iou_threshold != IOU_THRESHOLDS:
                raise ConfigError(
                    "ensemble: fitted_fusion: iou_threshold: soft_nms of ensemble-boxes has none; remove it"
                )
            self.ious = self.ious[:1]
        self.floors = _values("skip_threshold", skip_threshold, "from 0 to below 1", lambda value: 0 <= value < 1)
        self.rules = _rules(method, conf_type)
        self.shares = _values("weights", weights, "numbers from 0 to 100", lambda value: 0 <= value <= 100)
        if len(self.ious) * len(self.floors) > MOST_PAIRS:
            pairs = f"{len(self.ious)} x {len(self.floors)} pairs of iou_threshold and skip_threshold"
            raise ConfigError(f"ensemble: fitted_fusion: {pairs}: at most {MOST_PAIRS} are tried; give fewer values")
        if len(self.shares) > MOST_WEIGHTS:
            raise ConfigError(
                f"ensemble: fitted_fusion: weights: {len(self.shares)} values: at most {MOST_WEIGHTS} are tried; give fewer"
            )
        self.fused: dict[Setting, Any] = {}

    def fit(self, members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric) -> Any:
        """Return ``weights`` by member name, which sum to one, and the other settings by their names."""
        chosen = self.task.metric(self.metric) if self.metric else metric
        truth = _some(truth)
        search = _Search(self, *_named(self.task, members, truth), chosen)
        best = search.run(len(members))
        weights = {name: round(share, DIGITS) for name, share in zip(members, best.shares, strict=True)}
        return {"weights": weights, **best.others}

    def apply(self, members: Members, fitted: Any) -> Members:
        """Fuse the members with weight above 0."""
        settings = {name: value for name, value in fitted.items() if name != "weights"}
        weights = [fitted["weights"][name] for name in members]
        return {WHOLE: self.fuse([*members.values()], weights, settings)}

    def fuse(self, members: Sequence[Any], weights: Sequence[float], settings: dict[str, Any]) -> Any:
        """Fuse by the method of this step."""
        given = dict(settings)
        rule, method = given.pop("conf_type", None), self.method
        if rule is not None:
            method = {WBF: {**parse(method or WBF)[1], "conf_type": rule}}
        return of_members(
            self.task, members, weights, {**({"method": method} if method else {}), **given}, self.workers
        )


def _rules(method: Written | None, given: str | Sequence[str] | None) -> list[str | None]:
    """Rules of confidence to try; None alone for a method without them or with one of its own.

    Raises:
        ConfigError: the method has none, or one is given twice or unknown.
    """
    fixed = parse(method)[1].get("conf_type") if method else None
    has_rules = method is None or name_of(method) == WBF
    if given is None:
        return [*CONF_TYPES] if has_rules and fixed is None else [None]
    if not has_rules or fixed is not None:
        why = "method has one already" if has_rules else f"{name_of(method or WBF)} has no rules of confidence"
        raise ConfigError(f"ensemble: fitted_fusion: conf_type: {why}; remove it")
    rules = [given] if isinstance(given, str) else list(given) if isinstance(given, list | tuple) else []
    if not rules or not all(rule in CONF_TYPES for rule in rules):
        raise ConfigError(
            f"ensemble: fitted_fusion: conf_type = {shown(given)}: must be of {', '.join(CONF_TYPES)}, or a list of such"
        )
    return [*dict.fromkeys(rules)]


def _values(name: str, given: Any, allowed: str, fits: Any) -> list[float]:
    """Values to try, each once.

    Raises:
        ConfigError: there are none, one is not allowed, or all weights are 0.
    """
    values = [given] if isinstance(given, int | float) else list(given) if isinstance(given, list | tuple) else []
    are_numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if not values or not are_numbers or not all(map(fits, values)) or (name == "weights" and not any(values)):
        more = ", not all 0" if name == "weights" else ""
        raise ConfigError(
            f"ensemble: fitted_fusion: {name} = {shown(given)}: must be {allowed}{more}, or a list of such"
        )
    return [float(value) for value in dict.fromkeys(values)]


def _some(truth: "pd.DataFrame") -> "pd.DataFrame":
    """Return at most `MOST_IMAGES` rows, those whose ids have the smallest digests: without a fold nearly the same ones."""
    if len(truth) <= MOST_IMAGES:
        return truth
    order = sorted(range(len(truth)), key=lambda row: blake2b(str(truth["id"].iloc[row]).encode()).digest())
    return truth.iloc[sorted(order[:MOST_IMAGES])].reset_index(drop=True)


def _named(task: Boxes, members: Members, truth: "pd.DataFrame") -> tuple[list[Any], "pd.DataFrame"]:
    """Return predictions of the images of ``truth``, and ``truth``, both with ids that also tell the predicted boxes apart.

    So boxes that were fused in another fit are known again, whatever the round or the fold.
    """
    parts = [task.picked([(one, truth["id"].tolist())]) for one in members.values()]
    by_id = {id: _digest(task.picked([(part, [id])]) for part in parts) for id in parts[0]["ids"].tolist()}
    names = np.array([*by_id.values()])
    return [{**part, "ids": names} for part in parts], truth.assign(id=truth["id"].map(by_id))


def _digest(parts: Iterable[Any]) -> str:
    """Digest of the predictions of one image."""
    digest = blake2b(digest_size=16)
    for part in parts:
        for name in sorted(part):
            digest.update(part[name].tobytes())
    return digest.hexdigest()


@dataclass
class _Search:
    """Search of the best setting by the score of some images."""

    step: FittedFusion
    members: Sequence[Any]
    truth: "pd.DataFrame"
    """The same images as those of ``members``."""
    metric: Metric
    scores: dict[Setting, float] = field(default_factory=dict)

    def run(self, n: int) -> Setting:
        """Return the best setting of ``n`` members."""
        if n == 1:  # a single member is not fused
            return Setting(self.step.ious[0], self.step.floors[0], (1.0,), self.step.rules[0])
        best = equal = self._with_rules(self._with_thresholds((1.0,) * n))
        for _ in range(SWEEPS):
            if (found := self._with_weights(best)) == best:
                break
            best = found
        return best if best.weights == equal.weights else self._with_rules(self._with_thresholds(best.weights, best))

    def _with_thresholds(self, weights: tuple[float, ...], best: Setting | None = None) -> Setting:
        rule = best.conf_type if best else self.step.rules[0]
        tried = [Setting(*pair, weights, rule) for pair in product(self.step.ious, self.step.floors)]
        return self._best([*([best] if best else []), *tried])

    def _with_rules(self, best: Setting) -> Setting:
        return self._best([best, *(replace(best, conf_type=rule) for rule in self.step.rules)])

    def _with_weights(self, best: Setting) -> Setting:
        for place in range(len(best.weights)):
            tried = [(*best.weights[:place], value, *best.weights[place + 1 :]) for value in self.step.shares]
            best = self._best([best, *(replace(best, weights=weights) for weights in tried if any(weights))])
        return best

    def _best(self, settings: Sequence[Setting]) -> Setting:
        best = settings[0]
        for setting in settings[1:]:
            if self._score(setting) > self._score(best) + LEAST_GAIN:
                best = setting
        return best

    def _score(self, setting: Setting) -> float:
        if setting not in self.scores:
            evidence = self.step.task.evidence(self._fused(setting), self.truth)
            self.scores[setting] = signed(self.metric.value(evidence, np.arange(len(self.truth))), self.metric)
        return self.scores[setting]

    def _fused(self, setting: Setting) -> Any:
        """Fused boxes of all images; those of images that an earlier fit has fused are taken from there."""
        wanted, kept = self.members[0]["ids"].tolist(), self.step.fused.get(setting)
        known = set() if kept is None else set(kept["ids"].tolist())
        parts = [] if kept is None or len(known) > MOST_KEPT else [(kept, kept["ids"].tolist())]
        if missing := [name for name in wanted if not parts or name not in known]:
            members = [self.step.task.picked([(member, missing)]) for member in self.members]
            parts.append((self.step.fuse(members, setting.shares, setting.others), missing))
        self.step.fused[setting] = made = self.step.task.picked(parts) if len(parts) > 1 else parts[0][0]
        return made
