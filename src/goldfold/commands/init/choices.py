"""Choose initial settings for a layout, each with its reason."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from goldfold.base.words import count, noun
from goldfold.commands.init.found import WHOLE, Layout, Setting
from goldfold.commands.init.pictures import Pictures

N_FOLDS = 5
IMBALANCED, RARE = 10, 0.2
"""Ratio of the largest to the smallest class at or above which, or share of the rarer of two below which, accuracy is
uninformative."""
FEW_IMAGES, SMALL_BATCH = 5000, 1000
ONE_SHARD = 1000
FINE_PX = 4
"""Step of small input sizes, for which 8 would distort the shape."""
Values = dict[str, Any]
"""Sections of the config; leaves are `Setting`."""


@dataclass(frozen=True)
class Recipe:
    """Settings that train from scratch in reasonable time, measured in the examples."""

    side_px: int
    """Longest side of the input; for whole-image tasks the side of a square with its area."""
    step_px: int
    most_epochs: int
    megapixels: float
    """Megapixels of input that a fold's training processes in ``minutes`` on one CPU core."""
    minutes: float
    batch_size: int
    lr: float
    backbone: str


ON_CPU = {
    "classification": Recipe(96, 8, 50, 590, 16, 32, 2e-3, "resnet10t"),
    "multilabel": Recipe(96, 8, 50, 590, 16, 32, 2e-3, "resnet10t"),
    "regression": Recipe(96, 8, 50, 590, 16, 32, 2e-3, "resnet10t"),
    "segmentation": Recipe(256, 32, 60, 330, 12, 4, 1e-3, "regnetx_002"),
    "detection": Recipe(320, 32, 80, 610, 12, 8, 2e-3, "regnetx_002"),
}
ON_GPU = {
    "classification": Recipe(224, 8, 40, math.inf, 0, 64, 2e-3, "resnet34"),
    "multilabel": Recipe(224, 8, 40, math.inf, 0, 64, 2e-3, "resnet34"),
    "regression": Recipe(224, 8, 40, math.inf, 0, 64, 2e-3, "resnet34"),
    "segmentation": Recipe(512, 32, 60, math.inf, 0, 8, 1e-3, "resnet34"),
    "detection": Recipe(640, 32, 60, math.inf, 0, 8, 1e-3, "resnet34"),
}


def choose(layout: Layout, pictures: Pictures, name: str, n_gpus: int, submission: Values) -> Values:
    """Config sections with the settings found and the initial choices."""
    recipe = (ON_GPU if n_gpus else ON_CPU)[layout.task]
    size, why_size = _size(layout.task, pictures, recipe, n_gpus)
    n_folds, folds = _folds(layout)
    flips = _flips(layout)
    data: Values = {"source": Setting(layout.source, layout.title), **layout.data}
    if pictures.all_grey and "stack" not in data:
        data["channels"] = Setting(1, "every image looked at is grey")
    if len(layout.train) < ONE_SHARD:
        data["shards"] = Setting(1, "pieces of the cache: a small data set needs only one")
    values: Values = {
        "name": Setting(name, f"results go to results/{name}/"),
        "task": Setting(layout.task, _task(layout)),
        "metric": metric(layout),
        "data": data,
        "folds": folds,
        "train": _train(layout, recipe, size, n_folds, flips),
        "models": [_model(layout, recipe, size, why_size, pictures)],
        "tta": Setting(*_views(flips.value)),
    }
    return values | ({"submission": submission} if submission else {})


def metric(layout: Layout) -> Setting:
    """Default metric, unless a competition specifies another."""
    if layout.task == "segmentation":
        return Setting("dice", "over the pixels of the whole data set")
    if layout.task == "detection":
        return Setting("ap50", "boxes with an IoU of at least 0.5 are right; ap is COCO's stricter mean")
    if layout.task == "multilabel":
        return Setting("f1_macro", "of a yes or no per class, and each class counts the same; map needs no threshold")
    if layout.task == "regression":
        return Setting("rmse", "in units of the target; mae is less sensitive to outliers")
    if layout.n_probabilities == 1:
        return Setting("roc_auc", "the sample submission holds probabilities, and accuracy uses only labels")
    if layout.n_probabilities:
        return Setting("log_loss", "the sample submission holds a probability per class; accuracy uses only labels")
    counts = [n for n in layout.classes.values() if n]
    if len(counts) == 2 and min(counts) / sum(counts) < RARE:
        return Setting(
            "roc_auc",
            f"{min(counts) / sum(counts):.0%} are of the rarer class, so always predicting the other would be accurate",
        )
    if counts and max(counts) >= IMBALANCED * min(counts):
        return Setting("f1_macro", f"classes have {min(counts):,} to {max(counts):,} images, and each counts the same")
    even = f"{_span(counts)} images per class; f1_macro if rare classes matter as much" if counts else ""
    return Setting("accuracy", even or "share of correct labels")


def plain(values: Any) -> Any:
    """Strip the reasons from the values."""
    if isinstance(values, Setting):
        return values.value
    if isinstance(values, dict):
        return {key: plain(value) for key, value in values.items()}
    return [plain(value) for value in values] if isinstance(values, list) else values


def _task(layout: Layout) -> str:
    words = {
        "classification": "one label per image", "multilabel": "any number of labels per image",
        "regression": "one number per image", "segmentation": "one class per pixel",
    }  # fmt: skip
    return words.get(layout.task, "boxes around objects")


def _folds(layout: Layout) -> tuple[int, Values]:
    if layout.n_folds is not None:
        column = layout.data["fold_column"].value
        why = f"the values of column {column!r}"
        found = {"splitter": Setting("predefined", why), "n_folds": Setting(layout.n_folds, why)}
        return layout.n_folds, found | _rare(layout, layout.n_folds)
    counts = layout.images_of if layout.limits_folds else {}
    largest = max(counts.values(), default=0)
    limits = [(N_FOLDS, "each model trains on four fifths; 3 folds take little more than half the time")]
    limits += [(largest, f"no class has more than {count(largest, 'image')}")] if counts else []
    limits += (
        [(layout.n_groups, f"there {noun(layout.n_groups, 'is', 'are')} {count(layout.n_groups, 'group')}")]
        if layout.n_groups is not None
        else []
    )
    n, why = min(limits, key=lambda limit: limit[0])
    if layout.n_groups is not None:
        splitter = Setting("stratified_group", "no group is split over folds, and classes keep their shares")
    else:
        what = {
            "classification": "classes keep their shares", "multilabel": "images of each class are balanced",
            "regression": "small and large numbers are balanced", "segmentation": "pixels of each class are balanced",
        }  # fmt: skip
        splitter = Setting("stratified", what.get(layout.task, "objects of each class are balanced"))
    n = max(n, 2)
    return n, {"splitter": splitter, "n_folds": Setting(n, why)} | _rare(layout, n)


def _rare(layout: Layout, n_folds: int) -> Values:
    """Setting for classes that cannot be in every fold; check accepts ``spread`` whatever the groups."""
    rare = layout.rare(n_folds)
    why = (
        f"{count(len(rare), 'class', 'classes')} with too few images or groups for every fold: validated in some folds"
    )
    return {"rare_classes": Setting("spread", why)} if rare else {}


def _flips(layout: Layout) -> Setting:
    if layout.task != "segmentation" and _are_signs(list(layout.classes)):
        return Setting("none", "mirrored letters and digits change their meaning")
    return Setting(
        "horizontal", "photos; `both` if there is no up (aerial, microscopy), `none` if left and right differ"
    )


def _are_signs(classes: list[str]) -> bool:
    """True if classes are named by single digits or letters, as in data sets of handwriting."""
    return len(classes) >= 8 and all(len(name) == 1 and name.isalnum() for name in classes)


def _views(flips: str) -> tuple[list[str], str]:
    views = {"none": ["identity"], "horizontal": ["identity", "hflip"]}[flips]
    return views, "views whose predictions are averaged; [identity] takes half the time" if len(
        views
    ) > 1 else "the image itself"


def _size(task: str, pictures: Pictures, recipe: Recipe, n_gpus: int) -> tuple[list[int], str]:
    """Input height and width."""
    height, width = pictures.median if all(pictures.median) else (recipe.side_px, recipe.side_px)
    place = "" if n_gpus else "; there is no GPU here, and larger sizes take longer"
    if task in WHOLE:
        side, why = _side(min(height, width), recipe, place)
        ratio = math.sqrt(height / width) if _one_shape(pictures) else 1.0
        sides = [side * ratio, side / ratio]
    else:
        scale = min(1.0, recipe.side_px / max(height, width))
        why = f"images are mostly {width} x {height}" + (f", reduced by {1 / scale:.1f}{place}" if scale < 1 else "")
        square = math.sqrt(height * width)
        sides = [height * scale, width * scale] if _one_shape(pictures) else [square * scale] * 2
        why += "; multiples of 32"
    step = FINE_PX if task in WHOLE and max(sides) <= 96 else recipe.step_px
    return [max(step, int(x / step + 0.5) * step) for x in sides], why


def _side(short: int, recipe: Recipe, place: str) -> tuple[int, str]:
    if short <= 32:
        return 32, "the images are tiny"
    if short <= 112:
        return 64, "the images are small"
    return recipe.side_px, f"photos{place or ', at the usual size of networks'}"


def _ratios(pictures: Pictures) -> list[float]:
    return [picture.width / picture.height for picture in pictures.sound if picture.height]


def _one_shape(pictures: Pictures) -> bool:
    """True if most images have about the same aspect ratio."""
    ratios = _ratios(pictures)
    if not ratios:
        return False
    low, high = np.quantile(ratios, [0.1, 0.9])
    return bool(high / low < 1.25)


def _train(layout: Layout, recipe: Recipe, size: list[int], n_folds: int, flips: Setting) -> Values:
    n = max(1, round(len(layout.train) * (1 - 1 / n_folds)))
    epoch = n * size[0] * size[1] / 1e6
    epochs = int(min(max(recipe.megapixels / epoch, 10), recipe.most_epochs))
    minutes = epochs * epoch / recipe.megapixels * recipe.minutes if recipe.minutes else 0
    time = f"about {_clock(minutes)} per fold on one CPU core" if minutes else "more if the curves still rise"
    batch = recipe.batch_size * (2 if len(layout.train) >= FEW_IMAGES else 1)
    values: Values = {
        "epochs": Setting(epochs, time),
        "batch_size": Setting(max(2, min(batch, n // 8 * 2)), "images per step"),
        "lr": Setting(recipe.lr, "peak learning rate, for training from scratch; 3e-4 with pretrained weights"),
        "ema_decay": Setting(0.99, "the average of the weights is validated: more stable"),
    }
    if layout.task in WHOLE:
        values["schedule"] = Setting("one_cycle", "up and down once: the fastest from scratch")
        if layout.task == "classification":
            values["label_smoothing"] = Setting(0.1, "avoids overconfidence: labels may be wrong")
        strength = "medium" if flips.value != "none" and layout.task == "classification" else "light"
    else:
        values["warmup_epochs"] = Setting(2 if epochs > 12 else 1, "gentle first steps")
        values["clip_norm"] = Setting(1.0, "limits the effect of a single batch")
        strength = "medium" if layout.task == "segmentation" else "light"
        values["validate_every"] = Setting(max(1, epochs // 8), "epochs between validations")
    return values | {"augment": Setting(strength, "strength of augmentation in training"), "flips": flips}


def _span(counts: Sequence[int]) -> str:
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _clock(minutes: float) -> str:
    return f"{minutes / 60:.0f} hours" if minutes >= 120 else count(max(round(minutes), 1), "minute")


def _model(layout: Layout, recipe: Recipe, size: list[int], why_size: str, pictures: Pictures) -> Values:
    """Settings of a network that can be trained on this machine."""
    hub = "from scratch; true downloads published weights, much better if the hub can be reached"
    network = {"segmentation": "unet", "detection": "fcos"}.get(layout.task)
    model: Values = {"name": Setting(network or recipe.backbone, "a member of the ensemble; add others below")}
    if network:
        model["network"] = Setting(network, "docs/config.md lists the others")
    model["backbone"] = Setting(recipe.backbone, "any backbone of timm; a small one trains fastest")
    model["pretrained"] = Setting(False, hub)
    model["image_size_px"] = Setting(size if size[0] != size[1] else size[0], why_size)
    ratios = _ratios(pictures)
    if ratios and max(ratios) / min(ratios) >= 1.5 and layout.task not in WHOLE:
        model["resize"] = Setting("pad", "aspect ratios differ, and squashing would distort them")
    if layout.task == "segmentation" and recipe is ON_CPU["segmentation"]:
        params = {"encoder_depth": 4, "decoder_channels": [64, 48, 32, 16]}
        model["params"] = Setting(params, "a narrow decoder: a fraction of the computation")
    if layout.task == "detection":
        strides = [4, 8, 16] if layout.has_small_boxes else [8, 16, 32]
        why = "the boxes are small" if layout.has_small_boxes else "[4, 8, 16] for small objects"
        model["params"] = Setting({"strides": strides, "width": 64}, why)
    return model
