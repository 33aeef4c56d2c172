"""Checks of models that the library ultralytics trains."""

from collections.abc import Iterator

from goldfold.components import name_of, parse
from goldfold.config.models import MEAN, Model
from goldfold.config.root import Config
from goldfold.models.ultralytics_names import MISSING, is_installed
from goldfold.training.of_ultralytics.optimizers import OPTIMIZERS

NETWORK = "ultralytics"
USED = frozenset(
    {
        "epochs", "batch_size", "accumulate", "optimizer", "lr", "weight_decay", "schedule", "warmup_epochs", "flips",
        "validate_every", "checkpoint", "rows",
    }
)  # fmt: skip
"""Training settings that its trainer gets."""
INSTEAD = {
    "mix": "params: mosaic, mixup, cutmix",
    "mixup_alpha": "params: {mixup: 0.1}",
    "cutmix_alpha": "params: {cutmix: 0.1}",
    "augment": "params: hsv_h, degrees, translate, scale, ...",
    "sizes": "params: {multi_scale: 0.5}",
    "loss_weights": "params: box, cls, dfl",
    "class_weights": "params: {cls_pw: 0.5}",
    "ema_decay": "it always averages the weights",
    "clip_norm": "it always clips the gradient to a norm of 10",
    "warmup": "params: warmup_momentum, warmup_bias_lr",
}
"""What its trainer has in place of a setting."""
NO_AUGMENT = ("light", "none")
"""Values of `train.augment` that ask for nothing: the default, and none."""


def ultralytics_problems(model: Model, config: Config) -> Iterator[str]:
    """Problems of a model of ultralytics with its data and the machine."""
    if name_of(model.network) != NETWORK:
        return
    if not is_installed():
        yield f"network = {NETWORK!r}: {MISSING}"
    if model.gpus > 1:
        yield f"gpus = {model.gpus}: {NETWORK} is trained on one GPU here; set gpus: 1 (folds and seeds still use all GPUs)"
    for key, none in (("dropout", 0), ("drop_path", 0), ("mean", None), ("std", None), ("views", MEAN), ("head", None)):
        if getattr(model, key) != none:
            yield f"{key}: network {NETWORK!r} has none; remove it"
    if model.windows is not None:
        yield f"windows: {NETWORK} is trained on whole images here; remove it, or use another network"
    if config.runtime.precision == "fp16":
        yield f"network = {NETWORK!r}: its trainer would download a model to try fp16; set runtime.precision: bf16 or fp32"
    if config.data.channels not in (1, 3):
        yield f"network = {NETWORK!r}: takes images of 1 or 3 channels, and data.channels is {config.data.channels}"
    for soup in (other.name for other in config.models if other.soup and model.name in other.soup.of):
        yield f"network = {NETWORK!r}: soups of it were not tried; remove {model.name!r} from {soup!r}"
    if config.batch_norm != "trained":
        yield f"network = {NETWORK!r}: batch_norm: {config.batch_norm} was not tried with it; set batch_norm: trained"


def ultralytics_training_problems(model: Model) -> Iterator[str]:
    """Problems of its training settings, also those of rounds: those that its trainer does not use are refused."""
    if name_of(model.network) != NETWORK:
        return
    settings = model.train
    default = type(settings)()
    for key in type(settings).model_fields:
        if key in USED or getattr(settings, key) == getattr(default, key):
            continue
        if key == "augment" and settings.augment in NO_AUGMENT:
            continue
        instead = f" ({INSTEAD[key]})" if key in INSTEAD else ""
        yield (
            f"train.{key}: {NETWORK} has its own trainer, which does not use it{instead}; remove it, or set its default in this "
            f"model's train"
        )
    name, params = parse(settings.optimizer)
    if name not in OPTIMIZERS or params:
        others = "; momentum is one of params" if params else "; params: {optimizer: auto} and MuSGD are others"
        yield f"train.optimizer: {NETWORK} has {', '.join(OPTIMIZERS)}, without parameters{others}"
    if settings.schedule != "cosine":
        yield "train.schedule: ultralytics has cosine, down to params: {lrf: 0.01} of lr, or linear with params: {cos_lr: false}"
