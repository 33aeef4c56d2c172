"""Config of models."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_serializer, model_validator

from goldfold.base.native import native
from goldfold.config.base import UNSET, ImageSize, Name, Number, Section, height_and_width
from goldfold.config.frozen import Written as Frozen
from goldfold.config.frozen import refuse_keys
from goldfold.config.head import Head, Statistic
from goldfold.config.learning import Train
from goldfold.config.plain import json_value
from goldfold.config.retrieval import Embedding, Neighbours
from goldfold.config.soups import Snapshot
from goldfold.config.soups import Written as Soup
from goldfold.config.windows import Written as Windows
from goldfold.config.written import (
    Aggregation,
    Network,
)
from goldfold.planning import origins

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
    """Name of the model in files, report and bundles."""
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
    windows: Windows = UNSET
    """Makes `image_size_px` the size of windows of large images, which are trained on and predicted at the images' own size:
    `true`, or `{scale: 0.5, overlap: 0.5, positive_crop: 0.5, per_image: 4}`."""
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
    """Rate of stochastic depth, `drop_path_rate` of timm: a residual branch is left out with a probability that grows from 0 to
    this with depth."""
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
        """How images are resized: `resize`, with the interpolation after it unless it is `area`; with windows by their scale."""
        if self.windows is not None:
            return native(self.windows.scale)
        if self.interpolation == "own":
            raise ValueError(f"the interpolation of {self.name} is not filled in yet; see goldfold.config.sizes")
        return self.resize if self.interpolation == "area" else f"{self.resize}-{self.interpolation}"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        if self.image_size_px is None:
            raise ValueError(f"the input size of {self.name} is not filled in yet; see goldfold.config.sizes")
        return height_and_width(self.image_size_px)
