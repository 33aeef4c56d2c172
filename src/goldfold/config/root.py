"""The whole config."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, PrivateAttr, Tag, model_validator

from goldfold.components import name_of, parse
from goldfold.config.ablation import Switches
from goldfold.config.base import UNSET, Name, Number, Section, Unique, exponent, height_and_width
from goldfold.config.data import Data, Folds, Submission
from goldfold.config.ensemble_forms import is_average, no_name
from goldfold.config.external import External
from goldfold.config.frozen import embeddings, stacked
from goldfold.config.full_data import Written as OnAllRows
from goldfold.config.full_data import on_all_rows
from goldfold.config.holdout import Holdout
from goldfold.config.learning import Train
from goldfold.config.models import MADE_KEYS, Model
from goldfold.config.plain import json_value
from goldfold.config.pseudo_labels import PseudoLabels
from goldfold.config.rounds import Round, Rounds, settled, trained_model
from goldfold.config.runtime import Cache, Report, Runtime
from goldfold.config.views import View
from goldfold.config.written import Method, Metric, Step, Written
from goldfold.ensembling.steps import fusions
from goldfold.ensembling.with_metadata import metadata_of
from goldfold.planning import origins
from goldfold.planning.full import FullData
from goldfold.planning.grid import Grid, rounds_of
from goldfold.planning.lessons import Lessons, lessons_of
from goldfold.planning.origins import Origin, origins_of
from goldfold.tasks import facts


class Ensemble(Section):
    """Combination of the members' predictions: an average with given weights. Or a list of steps, of which the first
    combines the members' predictions and the others change the result: `[{average: {method: rank}}, {thresholds: {metric:
    f1_macro}}]`; these keys are then those of `average`, which comes first if the list has no other first step. Fitted steps
    (`fitted_average`, `thresholds`) are fitted on out-of-fold predictions; the reported score is cross-fitted: each image is
    scored by steps fitted without it."""

    method: Method | None = None
    """Method of combining members: one of the task's methods; by default its first. The folds of a member, and the views of an
    image, are always averaged (boxes: by WBF). Pseudo labels of a fold are made by combining its models in the same way.
    `geometric` of class probabilities is the mean of the networks' logits before softmax; `logit` is the mean of log odds,
    each class against all others (identical for two classes, and for multilabel tasks)."""
    weights: dict[str, Number] = {}
    """Weight of a model by name; 1 if not listed. A model with weight 0 is trained and scored, but is not part of the
    ensemble or of pseudo labels."""
    iou_threshold: Number = Field(0.55, gt=0, lt=1)
    """Boxes of members, and of the folds of a member, with a larger IoU are one object (views of an image: 0.55)."""
    skip_threshold: Number = Field(0.0, ge=0, lt=1)
    """Boxes with a lower score are dropped before fusion."""


class Averaging(Section):
    """The step `average`: an average with given weights."""

    average: Annotated[Ensemble, BeforeValidator(lambda value: {} if value is None else value)]


KEYS, STEPS, AVERAGE, OTHER = "ensemble: keys", "ensemble: steps", "step: average", "step: other"
"""Tags of the forms of `ensemble` and of its steps."""
OneStep = Annotated[
    Annotated[Averaging, Tag(AVERAGE)] | Annotated[Step, Tag(OTHER)],
    Discriminator(lambda value: AVERAGE if is_average(value) else OTHER),
]
Steps = Annotated[list[OneStep], Field(min_length=1)]


class Config(Section):
    """Everything that a run depends on besides data and code."""

    name: Name
    """Name of the experiment; results are written to results/<name>/."""
    task: str = "classification"
    """`classification`, `ordinal`, `multilabel`, `regression`, `segmentation`, `detection`, `points`, or your own as
    `package.module:Class`."""
    task_params: dict[str, Annotated[Any, BeforeValidator(exponent), AfterValidator(json_value)]] = {}
    """Settings of the task."""
    metric: Metric | None = None
    """Primary metric: one of the task's metrics; by default the first."""
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1), Unique] = [0]
    """Every model is trained once per fold with each of these seeds."""
    data: Data
    folds: Folds = Folds()
    holdout: Holdout | None = UNSET
    """Sealed holdout: `{share: 0.1}`, `{file: holdout.csv}` or `{file: train.csv, column: split, value: holdout}`."""
    cache: Cache = Cache()
    train: Train = Train()
    models: Annotated[list[Model], Field(min_length=1)]
    pseudo_labels: PseudoLabels = PseudoLabels()
    rounds: Rounds = None
    """Rounds of training, each with its own models, settings, initial weights and teacher: `[{}, {models: [b5], start:
    previous, teacher: {threshold: 0.9}}]`; `pseudo_labels` is the short form of a list in which each trains all models."""
    ablate: Annotated[Switches, Field(exclude_if=lambda switches: not switches)] = {}
    """Ablation: settings of a model by the name of a switch, such as `{mixup: {train: {mixup_alpha: 0.2}}, larger:
    {image_size_px: 96}}`. Each model is also trained with one switch at a time, in the same folds and with the same seeds;
    the report compares the scores. Variants are not part of the ensemble."""
    external: Annotated[list[External], Field(exclude_if=lambda members: not members)] = []
    """Predictions of other tools as further members of the ensemble. They teach no pseudo labels and are not in bundles."""
    full_data: OnAllRows = False
    """Train the models again on all labelled images, and predict the test images with these networks: `true`, or `{seeds: [0,
    1], test: join}`. Everything else is decided by the folds: epochs, weights of the ensemble, thresholds, scores."""
    tta: Annotated[list[View], Field(min_length=1), Unique] = ["identity"]
    """Views of each image whose predictions are averaged; each counts the same, also those of an entry that gives several:
    `[identity, five_crop, {scales: {factors: [0.8, 1.25]}}, {random: {augment: light, n: 8}}]`."""
    batch_norm: Literal["trained", "adapted"] = "trained"
    """Statistics of batch normalisation in prediction: those of training, or those of the predicted images, separately for
    each part (validation fold, test, unlabeled), for test images with other lighting or scanners. No labels are used."""
    ensemble: Annotated[
        Annotated[Ensemble, BeforeValidator(no_name), Tag(KEYS)] | Annotated[Steps, Tag(STEPS)],
        Discriminator(lambda value: STEPS if isinstance(value, list) else KEYS),
    ] = Ensemble()
    """A section, or a list of steps, each written as `name` or `{name: {parameter: value}}`."""
    submission: Submission = Submission()
    report: Report = Report()
    runtime: Runtime = Runtime()
    quick: bool = False
    """Quick run: the whole workflow on at most 64 images per split, for one epoch, one seed and two folds, into
    `results/<name>-quick/`, to check that a config works before a long run: `snakemake ... --config quick=true`. Its scores
    are meaningless; a sample submission is not filled."""
    strict_versions: bool = False
    """Make results of other versions of torch, timm and other libraries again; by default they are only reported."""

    _detector: "Config | None" = PrivateAttr(None)

    @model_validator(mode="before")
    @classmethod
    def _share_train(cls, values: Any) -> Any:
        """Fill each model's `train` from the shared block, so that a model sets only what differs."""
        if not isinstance(values, dict) or not isinstance(values.get("models"), list):
            return values
        shared = values.get("train") or {}
        models = [
            {**model, "train": {**shared, **(model.get("train") or {})}}
            if isinstance(model, dict)
            and isinstance(shared, dict)
            and isinstance(model.get("train") or {}, dict)
            and not any(model.get(key) for key in origins.KEYS)
            else model
            for model in values["models"]
        ]
        return {**values, "models": models}

    @model_validator(mode="before")
    @classmethod
    def _tiles_are_not_split(cls, values: Any) -> Any:
        """Default to a splitter that keeps groups together if the source has groups by itself."""
        data, folds = (values.get(key) for key in ("data", "folds")) if isinstance(values, dict) else (None, None)
        is_grouped = isinstance(data, dict) and data.get("source") == "tiles" and data.get("group_level") != 0
        if is_grouped and (folds is None or (isinstance(folds, dict) and "splitter" not in folds)):
            return {**values, "folds": {**(folds or {}), "splitter": "stratified_group"}}
        return values

    @property
    def detector(self) -> "Config | None":
        """Config of the detector by whose boxes images are cropped, see `goldfold.config.detector`; None without one."""
        return self._detector

    @property
    def results(self) -> str:
        """Folder of this experiment's results."""
        return f"results/{self.name}"

    def cached_size(self, model: Model) -> tuple[int, int]:
        """Height and width, in pixels, of a model's images in the cache, or of its windows."""
        own = self.cache.image_size_px if model.cache_image_size_px is None else model.cache_image_size_px
        return model.size if own is None or model.windows is not None else height_and_width(own)

    @cached_property
    def every_round(self) -> list[Round]:
        """Rounds of training with all defaults filled in, see `goldfold.config.rounds.settled`."""
        return settled(self)

    @cached_property
    def grid(self) -> Grid:
        """Models x rounds x folds x seeds; models sorted by name, since their order in the config has no meaning."""
        names, rounds = sorted(model.name for model in self.models), [one.model_dump() for one in self.every_round]
        numbered = rounds_of(rounds, self.lessons, self.origins)
        return Grid(tuple(names), numbered, self.folds.n_folds, tuple(self.seeds), self.origins)

    @property
    def externals(self) -> list[External]:
        """Members of other tools; none in a quick run, whose folds are others."""
        return [] if self.quick else self.external

    @property
    def on_all_rows(self) -> FullData:
        """Models that are trained on all labelled rows besides, see `goldfold.planning.full`."""
        return on_all_rows(self)

    @property
    def origins(self) -> dict[str, Origin]:
        """Models that are not trained, see `goldfold.planning.origins`."""
        return origins_of(model.model_dump(include=MADE_KEYS) for model in self.models)

    @property
    def embeddings(self) -> dict[str, str]:
        """Name of the embeddings of each head on a frozen backbone, see `goldfold.config.frozen`."""
        return embeddings(self)

    @property
    def lessons(self) -> Lessons:
        """Students and their teachers, see `goldfold.planning.lessons`."""
        models = [model.model_dump(include={"name": True, "train": {"distill"}}) for model in self.models]
        rounds = [one.model_dump(include={"models", "train"}) for one in self.every_round]
        return lessons_of(models, rounds, self.weighted, self.origins)

    @cached_property
    def _trained(self) -> dict[tuple[str, int], Model]:
        rounds = list(enumerate(self.every_round))
        return {(model.name, number): trained_model(model, one) for model in self.models for number, one in rounds}

    def model(self, name: str, number: int = 0) -> Model:
        """A model with its training settings in a round."""
        return self._trained[name, number]

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy without cached properties, which are computed again."""
        copied = super().model_copy(update=update, deep=deep)
        for name in ("every_round", "grid", "_trained"):
            copied.__dict__.pop(name, None)
        return copied

    @property
    def splits(self) -> list[str]:
        """Splits that have images."""
        others = {"test": self.data.has_test, "unlabeled": self.data.has_unlabeled, "holdout": self.holdout is not None}
        return ["train", *(name for name, is_there in others.items() if is_there)]

    @property
    def tables(self) -> list[str]:
        """Tables that the manifest stage writes."""
        return [
            *(name for name in self.splits if name != "holdout"),
            *["answers"] * (self.data.has_answers and self.data.has_test),
        ]

    @property
    def cache_files(self) -> tuple[str, ...]:
        """Files of a cache shard."""
        return ("images.npy", "ids.csv", *facts(self.task).cache_files)

    @property
    def submission_files(self) -> tuple[str, ...]:
        """Files of the submission besides its table; a name ending in ``/`` is a folder."""
        task, names = facts(self.task), {name_of(step) for step in self.postprocessing}
        chosen = [file for key, file in task.chosen_files.items() if self.task_params.get(key)]
        return (*task.submission_files, *chosen, *(file for name, file in task.step_files.items() if name in names))

    @property
    def written_steps(self) -> list[Written]:
        """Steps of the ensemble as written; the short form is one average."""
        if isinstance(self.ensemble, Ensemble):
            return ["average"]
        return ["average" if isinstance(step, Averaging) else step for step in self.ensemble]

    @property
    def _first_fuses(self) -> bool:
        """Return whether the first step combines the members' predictions; otherwise the average comes before it."""
        name = name_of(self.written_steps[0])
        return ":" in name or name in fusions(facts(self.task))

    @property
    def average(self) -> Ensemble:
        """Settings of the unfitted average of members, used in pseudo labels and in the step `average`."""
        found = self.ensemble if isinstance(self.ensemble, Ensemble) else Ensemble()
        if not isinstance(self.ensemble, Ensemble):
            found = next((step.average for step in self.ensemble if isinstance(step, Averaging)), found)
        of_ours = self.fusion is not None and ":" not in name_of(self.fusion)
        method = found.method or (parse(self.fusion)[1].get("method") if self.fusion and of_ours else None)
        return found.model_copy(update={"method": method or next(iter(facts(self.task).methods))})

    @property
    def fusion(self) -> Written | None:
        """The first step, if it is not an average with given weights; otherwise None."""
        first = self.written_steps[0]
        return first if self._first_fuses and name_of(first) != "average" else None

    @property
    def postprocessing(self) -> list[Written]:
        """Steps after the first."""
        return self.written_steps[1:] if self._first_fuses else self.written_steps

    @property
    def stacks_metadata(self) -> bool:
        """Whether a step of the ensemble takes metadata columns."""
        return any(map(metadata_of, self.written_steps))

    @property
    def stacked_embeddings(self) -> dict[str, str]:
        """Name of the embeddings that steps of the ensemble take, by model; of models that share theirs the first."""
        return stacked(self)

    @property
    def weighted(self) -> list[str]:
        """Models with a positive weight, sorted by name: the teachers of a round that names none."""
        return sorted(model.name for model in self.models if self.average.weights.get(model.name, 1.0) > 0)
