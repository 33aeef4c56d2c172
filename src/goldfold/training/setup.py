"""Set-up of a training: the job's arguments, and everything that is built from them before the first step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from goldfold import components, tasks
from goldfold.base.files import read_json
from goldfold.cache.tiled import opened
from goldfold.engine.device import accelerator as build_accelerator
from goldfold.images.depth import DEFAULT, Rule
from goldfold.metadata.columns import joined
from goldfold.metrics import Metric
from goldfold.planning.row_lists import ALL
from goldfold.tables import read_table
from goldfold.tasks.optional import fit
from goldfold.training.generated import with_generated
from goldfold.training.learner import loss_of, network_of, steps_per_epoch
from goldfold.training.lesson import Lesson, Teachers, besides, taught, with_unlabeled
from goldfold.training.samples import Cases, check_batches, counts_of, encoder_of, every_training_case, loader, rows_of
from goldfold.training.spec import Spec, read
from goldfold.training.validation import Validation

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch import nn

    from goldfold.cache.images import CachedImages
    from goldfold.engine.gradient import Loss
    from goldfold.engine.hooks import Hook
    from goldfold.samples.dataset import Loader
    from goldfold.tasks.protocol import Infer, Learn


FILES = (
    "fold_file",
    "classes",
    "caches",
    "pseudo",
    "metadata",
    "groups",
    "start",
    "lessons",
    "clean",
    "unlabeled",
    "histories",
    "generated",
)
"""Fields of `Job` that name files: a saved state depends on their content, not on their paths."""


@dataclass(frozen=True)
class Job:
    """Arguments of a training job: files, and settings of its recipe. Plain builtins, the same in each of its processes."""

    fold_file: str
    """CSV of id, split and target."""
    classes: str
    caches: list[str]
    """Folders of cached images of all splits that are used in training."""
    pseudo: str | None
    """CSV of id and target, each weighted by `pseudo_weight`; None in a round without a teacher."""
    task: dict[str, Any]
    metric: components.Written
    """Score of the validation images that selects the best epoch."""
    model: dict[str, Any]
    """Entry of the config's ``models``."""
    resize: str
    """How its images were put into the frame of the cache."""
    channels: int
    place: dict[str, int]
    """Round, fold and seed, which with the model's name determine all random draws."""
    pseudo_weight: float
    runtime: Mapping[str, Any]
    """Device, precision, torch_threads, loader_workers and save_minutes."""
    scale_16bit: Rule = DEFAULT
    """Rule that converts cached 16-bit images to 8 bits, see `goldfold.images.depth.to_8_bits`."""
    reported: Sequence[components.Written] = ()
    """Further metrics for the history."""
    metadata: Sequence[str] = ()
    """CSVs of id and metadata columns of all cases, those of the fold first, where the network takes metadata or learns it as
    auxiliary targets, or cases are sampled by it."""
    groups: Sequence[str] = ()
    """CSVs of id and group of the training cases, where they are sampled by group."""
    start: str | None = None
    """Weights of an earlier round, of the same fold and seed, to start from; None for the model's own start."""
    lessons: Sequence[str] = ()
    """Predictions of the training images by the teachers that the run learns from, if it does."""
    distilled: dict[str, Any] | None = None
    """``teachers``, and ``fusion`` if these are an ensemble, see `goldfold.training.lesson.Teachers`."""
    clean: str | None = None
    """CSV of training rows to drop or relabel, see `goldfold.stages.clean`; None to train on all as given."""
    unlabeled: Sequence[str] = ()
    """CSVs of the ids of unlabelled images, where the run learns from them; their other columns are not read."""
    histories: Sequence[str] = ()
    """Histories of the trainings on the folds that decide the number of epochs of a training on all rows, if they do."""
    generated: str | None = None
    """Folder of generated images, see `goldfold.stages.generate`; None without them."""
    code: str = ""
    """Digest of the code that the run depends on; a state saved by other code is not resumed."""


@dataclass(frozen=True)
class Setup:
    """Data, network and validation of a job, in one of its processes."""

    spec: Spec
    accelerator: Accelerator
    cases: Cases
    images: CachedImages
    learn: Learn
    infer: Infer
    network: nn.Module
    """With its initial weights."""
    loss: Loss
    """Of the training, with that of a teacher or of unlabelled images if there are any; `validation` has the model's own."""
    hooks: Mapping[str, Hook]
    """Hooks that the loss needs."""
    metrics: Sequence[Metric]
    """The score that the config watches first, then those of the history."""
    batches: Loader
    validation: Validation | None
    """None for a training on all rows, which validates none."""

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps of each epoch."""
        return steps_per_epoch(self.spec.train, len(self.batches))

    @property
    def n_cases(self) -> int:
        """Number of cases of each epoch."""
        return len(self.batches.sampler.order)


def set_up(job: Job) -> Setup:
    """Build everything that a training needs.

    Raises:
        GoldfoldError: the network cannot be built, or the data do not fit the settings.
    """
    spec, names = read(job.model, job.resize, job.channels, job.place), read_json(job.classes)
    accelerator = build_accelerator(job.runtime["device"], job.runtime["precision"], job.runtime["torch_threads"])
    folders = [*job.caches, *([job.generated] if job.generated else [])]
    cases, images = (
        _cases(job, spec),
        opened(folders, spec.size, spec.resize, job.scale_16bit, spec.model.get("max_images")),
    )
    target, learn = tasks.target(job.task, names), tasks.learn(job.task, names)
    infer, scores = tasks.infer(job.task, names), tasks.score(job.task, names)
    network = network_of(spec, infer, job.start, cases.encoder)
    fit(learn, cases.train[cases.train["split"] == "train"], network)
    loss = loss_of(spec, learn, counts_of(spec, target, learn, cases.train, images))
    teachers = Teachers(job.lessons, (job.distilled or {}).get("fusion"))
    lesson = taught(Lesson(target, learn, loss), spec, job.task, names, cases.train["id"], teachers)
    lesson = besides(lesson, spec, network, cases.train, job.metadata)
    lesson = with_unlabeled(lesson, spec, images, job.unlabeled)
    metrics = [scores.metric(one) for one in (job.metric, *job.reported)]
    workers, lists = job.runtime["loader_workers"], [*job.metadata, *job.groups]
    batches = loader(
        spec, lesson.target, lesson.learn, cases.train, images, workers, accelerator, cases.encoder, lists, lesson.more
    )
    check_batches(spec, network, len(batches.sampler.order))
    validation = (
        None
        if spec.is_on_all_rows
        else Validation(
            spec, target, learn, infer, scores, cases.held_out, images, metrics, loss, accelerator, cases.encoder
        )
    )
    made = lesson.loss, lesson.hooks
    return Setup(spec, accelerator, cases, images, learn, infer, network, *made, metrics, batches, validation)


def _cases(job: Job, spec: Spec) -> Cases:
    """Read the cases of a fold."""
    table = read_table(job.fold_file)
    train = rows_of(table, job.pseudo, job.pseudo_weight, job.clean)
    held_out = table[table["split"] == "val"].reset_index(drop=True)
    given = train if job.clean is None else rows_of(table, None, 1.0)  # cleaned rows too, so that rounds encode alike
    if spec.metadata is not None:
        if spec.train.rows != ALL:  # the same encoding in all rounds, whichever rows they use
            given = every_training_case(job.metadata[0], held_out["id"])
        train, held_out, given = (joined(rows, job.metadata, spec.metadata) for rows in (train, held_out, given))
    encoder = encoder_of(spec, given)
    if job.generated is not None and spec.train.generated is not None:
        train = with_generated(train, job.generated, spec.train.generated["weight"])
    return Cases(train, held_out, encoder)
