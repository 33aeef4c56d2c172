"""Config of training: training settings and models."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_serializer, model_validator

from goldfold.components import name_of, parse
from goldfold.config.augmentation import Augmentation
from goldfold.config.auxiliary import Auxiliary
from goldfold.config.base import UNSET, ImageSize, Name, Number, Section, height_and_width
from goldfold.config.distillation import Written as Distill
from goldfold.config.fixmatch import FixMatch
from goldfold.config.freezing import Freeze, train_problems
from goldfold.config.frozen import Written as Frozen
from goldfold.config.frozen import refuse_keys
from goldfold.config.generated import Generated
from goldfold.config.head import Head, Statistic
from goldfold.config.hooks import Params, every_hook, problems
from goldfold.config.optimisation import LrScale, clipping_problem, sam_problem, schedule_problem
from goldfold.config.plain import json_value
from goldfold.config.retrieval import Embedding, Neighbours
from goldfold.config.soups import Snapshot, snapshot_problems
from goldfold.config.soups import Written as Soup
from goldfold.config.train_sizes import Sizes
from goldfold.config.written import (
    Aggregation,
    ClassWeights,
    Hook,
    Loss,
    Mix,
    Network,
    Optimizer,
    Sampler,
    Schedule,
    Update,
    Written,
)
from goldfold.planning import origins


class Train(Section):
    """Training settings; the top-level block applies to every model, a model's own block overrides it."""

    epochs: int = Field(30, ge=1)
    batch_size: int = Field(64, ge=2)
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
    schedule: Schedule = "cosine"
    """Learning rate schedule: `cosine`, `{cosine: {min_lr: 1e-6, cycles: 3}}`, `{plateau: {monitor: val_loss}}`, ..."""
    warmup_epochs: Number = Field(1.0, ge=0)
    """Epochs of linear warm-up from lr/100, or from the share `warmup_start` of the schedule (`one_cycle` and `cyclic` have
    their own)."""
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
    label_smoothing: Number = Field(0.0, ge=0, lt=1)
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
        ):
            yield from [problem] * bool(problem)


SWITCH, BRANCH = "metadata: true or false", "metadata: branch"
"""Names of what `metadata` of a model may be."""


class MetadataBranch(Section):
    """Branch of a network for metadata columns: numbers and embedded levels go through two layers, whose output is joined with
    the features of the images before the head."""

    width: int = Field(64, ge=1, le=4096)
    """Units of each layer."""
    dropout: Number = Field(0.1, ge=0, lt=1)
    """After each layer."""


MEAN = "mean"
"""Value of `views` that needs no layers."""
ALONE = {
    "soup": "a soup is not trained, and has the network of its first ingredient",
    "neighbours": "a member that predicts by neighbours is not trained, and has the network of neighbours.of",
}
"""Keys that make a model from trained ones; it has no others."""
MADE_KEYS = {"name", *origins.KEYS}
"""Keys of a model from which `goldfold.planning.origins` knows how it is made."""
OF_WEIGHTS = ("pretrained", "partly_pretrained")
OF_TRAINING = (*OF_WEIGHTS, "train", "gpus")
"""Keys of a model that concern its training alone."""


class Model(Section):
    """One model of the ensemble."""

    name: Name
    soup: Soup = UNSET
    """Makes the model a soup, the mean of the weights of trained models with the same network, one per fold: `[a, b]`, or
    `{of: [a, b], select: greedy}`. It has no other keys."""
    frozen: Frozen = UNSET
    """Makes the model a head on a frozen backbone: `{head: logistic}`. It has no keys of training."""
    neighbours: Neighbours | None = UNSET
    """Makes the model a member that predicts by the nearest training images in the embedding of a trained model: `{of: a, k:
    10}`. It has no other keys."""
    snapshot: Snapshot | None = UNSET
    """Set by goldfold for the members that `train.snapshots` adds; not for configs."""
    network: Network = "timm"
    """One of the task's networks, or your own as `package.module:function`; `{unet: {decoder_channels: [64, 32, 16, 8,
    4]}}` is short for `params`."""
    backbone: str | None = None
    """Name of a timm model, for networks that take one."""
    params: Annotated[dict[str, Any], AfterValidator(json_value)] = {}
    """Further arguments of the network."""
    pretrained: bool | str = False
    """`true` loads from timm's hub, a path loads a local .safetensors or .pth file, in which only the head may be missing;
    first convolution and position embeddings are adapted to channels and size."""
    partly_pretrained: bool = False
    """Whether parts other than the head that the file lacks may start from scratch."""
    image_size_px: ImageSize | None = None
    """Input size: one number (square) or [height, width]; by default the backbone's own size in timm."""
    cache_image_size_px: ImageSize | None = UNSET
    """Size at which the model's images are cached, instead of `cache.image_size_px`."""
    resize: Literal["squash", "pad", "crop"] = "squash"
    """squash: resize to the size, ignoring the aspect ratio; pad: whole image with black borders; crop: centre crop."""
    interpolation: Literal["area", "bilinear", "bicubic", "lanczos", "own"] = Field(
        "area", exclude_if=lambda value: value == "area"
    )
    """How pixels are computed: `area` averages areas where images get smaller and is bicubic where they get larger; `bilinear`,
    `bicubic`, `lanczos` with filters as wide as the reduction; `own` is that of the backbone in timm."""
    metadata: Annotated[
        Annotated[bool, Tag(SWITCH)] | Annotated[MetadataBranch, Tag(BRANCH)],
        Discriminator(lambda value: BRANCH if isinstance(value, dict | MetadataBranch) else SWITCH),
    ] = Field(False, exclude_if=lambda value: value is False)
    """Whether the network takes the columns of `data.metadata` besides the images: `true`, `false`, or `{width: 64, dropout:
    0.1}` for the branch that takes them."""
    head: Head | None = UNSET
    """Own pooling and hidden layers before the last one: `{pooling: gem, hidden: [256], dropout: 0.3}`."""
    mean: Statistic | None = UNSET
    """Mean of the pixels, of 0..1, by which images are normalised: a number or one per channel; by default the backbone's."""
    std: Statistic | None = UNSET
    """Standard deviation of the pixels, as `mean`."""
    views: Aggregation = Field(MEAN, exclude_if=lambda value: value == MEAN)
    """How the images of a case (views, frames) become one output: `mean` of the outputs, `attention`, `concat` of fixed views,
    `lstm` or `transformer` over frames in order, `{lstm: {hidden: 256}}`, or your own as `package.module:function`."""
    max_images: Annotated[int, Field(ge=1)] | None = UNSET
    """Most images of a case that the network gets: evenly spaced ones in validation and prediction; in training one drawn from
    each of as many equal parts of the case. By default all."""
    embedding: Embedding | None = UNSET
    """Head that embeds images on the unit sphere, for `arcface` and `neighbours`: `{width: 512, scale: 30, centres: 3}`."""
    dropout: Number = Field(0.0, ge=0, lt=1)
    """Dropout before the head, `drop_rate` of timm; 0 keeps the default of the network."""
    drop_path: Number = Field(0.0, ge=0, lt=1)
    train: Train = Train()
    """Overrides of the top-level `train`."""
    gpus: int = Field(1, ge=1)
    """GPUs that train one member; each takes `batch_size` images per step, so two double the batch."""

    @model_validator(mode="before")
    @classmethod
    def _params_of_network(cls, values: Any) -> Any:
        """``network: {name: {parameter: value}}`` is short for ``params``."""
        network = values.get("network") if isinstance(values, dict) else None
        if isinstance(network, dict) and len(network) == 1 and isinstance(inner := next(iter(network.values())), dict):
            if values.get("params"):
                raise ValueError("network has parameters, and params is set too; write them in one place")
            return {**values, "network": next(iter(network)), "params": inner}
        return values

    @model_validator(mode="before")
    @classmethod
    def _made_alone(cls, values: Any) -> Any:
        """Refuse other keys of a soup or of neighbours, and keys of training of a head, before their values are checked."""
        refuse_keys(values)
        for key, what in ALONE.items():
            is_made = isinstance(values, dict) and values.get(key) is not None
            if more := sorted(str(other) for other in values if other not in ("name", key)) if is_made else []:
                them = "it" if len(more) == 1 else "them"
                raise ValueError(f"{', '.join(more)}: {what}; remove {them}")
        return values

    @model_serializer(mode="wrap")
    def _written(self, handler: Any) -> dict[str, Any]:
        """Keys of the model; of one that is not trained only those that describe its network, of a head also its weights."""
        written: dict[str, Any] = handler(self)
        without = OF_TRAINING if self.is_made else ()
        return {
            key: value for key, value in written.items() if key not in without or (self.frozen and key in OF_WEIGHTS)
        }

    @model_validator(mode="after")
    def _shrinks_alone(self) -> "Model":
        if self.gpus > 1 and self.train.on_oom == "shrink":
            raise ValueError(
                f"train.on_oom: shrink works with gpus: 1 only, not {self.gpus}; set fail, and a smaller batch_size"
            )
        return self

    @model_validator(mode="after")
    def _part_of_a_file(self) -> "Model":
        if self.partly_pretrained and not isinstance(self.pretrained, str):
            raise ValueError(
                "partly_pretrained says how a local file is used; set pretrained to its path, or remove it"
            )
        return self

    @property
    def is_made(self) -> bool:
        """Return whether the model is not trained: a soup, a snapshot, neighbours, or a head on a frozen backbone."""
        return any(one is not None for one in (self.soup, self.snapshot, self.neighbours, self.frozen))

    @property
    def branch(self) -> MetadataBranch | None:
        """The branch of metadata, where the network takes these."""
        if isinstance(self.metadata, MetadataBranch):
            return self.metadata
        return MetadataBranch() if self.metadata else None

    @property
    def resizing(self) -> str:
        """How images are resized: `resize`, with the interpolation after it unless it is `area`."""
        if self.interpolation == "own":
            raise ValueError(f"the interpolation of {self.name} is not filled in yet; see goldfold.config.sizes")
        return self.resize if self.interpolation == "area" else f"{self.resize}-{self.interpolation}"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        if self.image_size_px is None:
            raise ValueError(f"the input size of {self.name} is not filled in yet; see goldfold.config.sizes")
        return height_and_width(self.image_size_px)
