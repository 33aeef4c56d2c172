"""Config of training settings."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from goldfold.components import name_of, parse
from goldfold.config.augmentation import Augmentation
from goldfold.config.auxiliary import Auxiliary
from goldfold.config.base import UNSET, Number, Section
from goldfold.config.distillation import Written as Distill
from goldfold.config.fixmatch import FixMatch
from goldfold.config.freezing import Freeze, train_problems
from goldfold.config.generated import Generated
from goldfold.config.hooks import Params, every_hook, problems
from goldfold.config.optimisation import (
    LrScale,
    Warmup,
    clipping_problem,
    sam_problem,
    schedule_problem,
    warmup_problem,
)
from goldfold.config.soups import snapshot_problems
from goldfold.config.train_sizes import Sizes
from goldfold.config.written import (
    ClassWeights,
    Hook,
    Loss,
    LossWeights,
    Mix,
    Optimizer,
    Sampler,
    Schedule,
    Update,
    Written,
)


class Train(Section):
    """Training settings; the top-level block applies to every model, a model's own block overrides it."""

    epochs: int = Field(30, ge=1)
    """Passes over the training images of a fold."""
    batch_size: int = Field(64, ge=2)
    """Images, or cases, of a batch."""
    accumulate: int = Field(1, ge=1)
    """Batches per step: gradients equal those of one batch `accumulate` times as large."""
    optimizer: Optimizer = "adamw"
    """Any timm optimizer (`adamw`, `lamb`, `{sgd: {momentum: 0.8}}`, `{adamw: {betas: [0.9, 0.95]}}`, `lookahead_radam`,
    ...); norms, biases and what a timm network exempts (position embeddings) get no weight decay."""
    lr: Number = Field(1e-3, gt=0)
    """Peak learning rate."""
    layer_decay: Annotated[Number, Field(gt=0, le=1)] | None = UNSET
    """Layer-wise decay of the learning rate, for networks of timm: the last layer has the full rate, each earlier one this
    fraction of the next one's (0.65 to 0.9 for pretrained transformers)."""
    lr_scale: LrScale | None = UNSET
    """Factors of the learning rate: `{head: 10}`, `{backbone: 0.1}`."""
    freeze: Freeze = UNSET
    """Parts of the network that are not trained, whose batch norm keeps its statistics: `backbone` (trains the head alone),
    `{first: 2}` or `{all_but_last: 1}` stages of the backbone; or by epoch, `[[0, backbone], [2, {all_but_last: 1}], [4,
    none]]`."""
    weight_decay: Number = Field(0.05, ge=0)
    """Weight decay of the optimizer."""
    schedule: Schedule = "cosine"
    """Learning rate schedule: `cosine`, `{cosine: {min_lr: 1e-6, cycles: 3}}`, `{plateau: {monitor: val_loss}}`, ..."""
    warmup_epochs: Number = Field(1.0, ge=0)
    """Epochs of linear warm-up from lr/100, or from the share `warmup_start` of the schedule (`one_cycle` and `cyclic` have
    their own)."""
    warmup: Warmup | None = UNSET
    """Momentum and rate of biases during the warm-up: `{momentum: 0.8, bias_lr: 0.1}`."""
    clip_norm: Number | None = Field(None, gt=0)
    """Largest norm of the gradient; short for the hook `{clip: {norm: ...}}`."""
    update: Update = "plain"
    """Rule that turns the gradient into a step: `plain`, `{sam: {rho: 0.05}}`, or your own as `package.module:function`."""
    loss: Loss | None = None
    """One of the task's losses (`focal`, `{focal: {gamma: 3}}`), or a weighted sum: `{dice: 0.5, ce: 0.5}`,
    `{dice: 1, focal: {gamma: 3, weight: 0.5}}`; by default the task's default loss."""
    class_weights: ClassWeights | None = UNSET
    """Weights of the classes in the loss, scaled to sum to the number of classes: by name, `{cat: 2.5}` (1 for classes that it
    does not name); or from the training cases of each class in the fold: `inverse_frequency`, `{effective_number: {beta:
    0.999}}`, or your own as `package.module:function`."""
    loss_weights: LossWeights | None = UNSET
    """Factors of the parts of a detector's loss, by their names in `history.csv` without `train_loss_`: `{bbox_regression: 2}`
    for FCOS; 1 for those that it does not name."""
    label_smoothing: Number = Field(0.0, ge=0, lt=1)
    """Share of the target that is spread evenly over all classes."""
    distill: Distill = UNSET
    """Learn from a teacher of the same fold: `{teacher: big, weight: 0.7, temperature: 2}`, `{teacher: ensemble}`."""
    fixmatch: FixMatch | None = UNSET
    """Learn from unlabelled images by FixMatch: `{}`, `{mu: 3, strong: broad, sources: [unlabeled]}`."""
    generated: Generated | None = UNSET
    """Train on generated images besides: `{}`, `{generator: {mae: {mask: 0.7}}, per_image: 4, share: 0.5}`."""
    auxiliary: Auxiliary | None = UNSET
    """Learn metadata columns besides, which prediction does not read: `{columns: [age, site], weight: 0.3}`."""
    mixup_alpha: Number = Field(0.0, ge=0)
    """Short for `mix: [{mixup: {alpha: ...}}]`; 0 for none."""
    cutmix_alpha: Number = Field(0.0, ge=0)
    """Short for `mix: [{cutmix: {alpha: ...}}]`; 0 for none."""
    mix: list[Mix] = Field([], exclude_if=lambda value: not value)
    """Ways of mixing training samples with others: `[{mixup: {alpha: 0.2}}, cutmix, mosaic]`, `[copy_paste]`, or your own
    as `package.module:function`; a mixed sample uses one of them, each with equal probability."""
    mix_probability: Number = Field(1.0, ge=0, le=1)
    """Probability that a sample is mixed, if there is a way of mixing."""
    drop_view: Number = Field(0.0, ge=0, lt=1, exclude_if=lambda value: value == 0)
    """Probability that an image of a case is left out of a training sample, never all of them, so that the network also learns
    from cases that lack a view."""
    sampler: Sampler = Field("shuffled", exclude_if=lambda value: value == "shuffled")
    """Order of the training cases of an epoch: `shuffled`, `balanced`, `{weighted: {power: 0.5}}`, `{oversampled: {by:
    group}}`, or your own as `package.module:function`; `by` is `class`, `group` or a categorical metadata column."""
    ema_decay: Number | None = Field(None, gt=0, lt=1)
    """Average weights and buffers exponentially with this decay (warmed up), and validate the average; short for the hook
    `{ema: {decay: ...}}`."""
    swa: Params | None = UNSET
    """Stochastic weight averaging of the last epochs: `{start: 0.75, lr: 1e-4}`; short for the hook `{swa: {...}}`."""
    early_stopping: Params | None = UNSET
    """Stop when the validation score no longer improves: `{patience: 5, warmup: 3, min_delta: 0}`, in epochs; short for the
    hook `{early_stopping: {...}}`. The schedule is still planned for `epochs`. Biases the OOF score upwards."""
    max_hours: Number | None = UNSET
    """Hours after which the training ends with the current epoch; short for the hook `{max_hours: {hours: ...}}`. The result
    then depends on the speed of the machine."""
    snapshots: Annotated[int, Field(ge=2, le=100)] | None = UNSET
    """Number of cycles of the schedule, at the end of each of which the weights are saved (Huang et al. 2017): the last are
    those of the model, the others become members `<model>-snapshot1`, `<model>-snapshot2`, ..."""
    compile: bool = Field(False, exclude_if=lambda value: value is False)
    """Compile the network for training with torch.compile. If that fails, it is trained uncompiled, and the log and the
    report say why."""
    hooks: list[Hook] = []
    """Hooks called before and after steps, in this order: `[{ema: {decay: 0.99}}, my_module:MyHook]`."""
    augment: Augmentation = "light"
    """light: small shift, scale, rotation; medium: random resized crops and colour; heavy: more of both and erasing; medical:
    turns, distortion, exposure, vignette; broad: something of every kind. With boxes, presets do not rotate, shear or distort.
    Or a list of presets, albumentations transforms and your own functions: `[{Rotate: {limit: 30}}, {OneOf: {transforms:
    [Blur, MedianBlur], p: 0.2}}]`; or a YAML file with such a list: `my.yaml`."""
    flips: Literal["none", "horizontal", "both"] = "none"
    """Random flips in training: `horizontal` for photos, `both` (with quarter turns) for images without an up direction."""
    min_visible: Number = Field(0.25, ge=0, le=1, exclude_if=lambda value: value == 0.25)
    """Boxes of which a step of `augment` leaves a smaller share in the image are dropped, as are those narrower or lower than
    a pixel. Ways of mixing have a parameter of this name."""
    rows: Literal["all", "own", "external"] = Field("all", exclude_if=lambda value: value == "all")
    """Training rows of the fold that are used: `external`, those of `data.extra_train` and `data.train_only_column`, `own`, all
    others, or `all`. Validation rows stay the same."""
    sizes: Sizes = UNSET
    """Image sizes of training by epoch, `[[0, 128], [10, 192]]`: from epoch 10 on 192 pixels; or by batch, `{multi_scale: [96,
    128, 160]}`: each draws one of them; or both, `[[0, {multi_scale: [96, 128]}], [10, 160]]`. By default that of
    `image_size_px`, at which the model is always validated and predicts."""
    validate_every: int = Field(1, ge=1)
    """Epochs between two validations; `checkpoint: best` chooses among the validated epochs."""
    checkpoint: Literal["last", "best"] = "last"
    """Epoch whose weights are kept: `best` is chosen on the validation fold, which biases the OOF score upwards."""
    on_oom: Literal["fail", "shrink"] = "fail"
    """Policy for a batch that does not fit into GPU memory: `shrink` computes it in smaller parts, with the same gradient
    except for terms computed over a whole batch (batch norm, Dice)."""

    @property
    def every_hook(self) -> list[Written]:
        """Hooks in calling order, those with a short form first."""
        return every_hook(self)

    @property
    def every_mix(self) -> list[Written]:
        """Ways of mixing, those with a short form first."""
        mixup: list[Written] = [{"mixup": {"alpha": self.mixup_alpha}}] if self.mixup_alpha else []
        cutmix: list[Written] = [{"cutmix": {"alpha": self.cutmix_alpha}}] if self.cutmix_alpha else []
        return [*mixup, *cutmix, *self.mix]

    @property
    def sampled_by(self) -> str | None:
        """Column that the sampler draws by, or ``class``; None if it has no such parameter."""
        by = parse(self.sampler)[1].get("by")
        return None if by is None else str(by)

    @model_validator(mode="after")
    def _fits_together(self) -> "Train":
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        """Problems of settings with each other."""
        names = [name_of(one) for one in self.every_mix]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            short = f"; {twice[0]}_alpha is its short form" if f"{twice[0]}_alpha" in type(self).model_fields else ""
            yield f"mix: {twice[0]!r} is listed twice{short}. Keep one"
        if self.lr_scale is not None and self.lr_scale == type(self.lr_scale)():
            yield "lr_scale: all factors are 1, which has no effect; set backbone, norm or head, or remove it"
        yield from problems(self)
        yield from train_problems(self)
        yield from snapshot_problems(self, [name_of(hook) for hook in self.every_hook])
        for problem in (
            clipping_problem(self.every_hook),
            sam_problem(self.update, self.on_oom),
            schedule_problem(self.schedule, self.epochs, self.warmup_epochs, self.validate_every),
            warmup_problem(self.warmup, self.schedule, self.warmup_epochs),
        ):
            yield from [problem] * bool(problem)
