"""Boxes of objects drawn into an image still enclose them after augmentation."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from goldfold import tasks
from goldfold.base.errors import ConfigError
from goldfold.config import parse, slices
from goldfold.samples.transforms import Augment
from goldfold.training.changes import augment_of
from goldfold.training.spec import Spec, read

SIZE = (64, 96)
OBJECTS = np.array([[10, 8, 30, 20], [50, 30, 60, 55], [70, 4, 94, 16]], np.float32)
"""Each is bright in a channel of its own."""
LOOSE: dict[str, list[Any]] = {
    "affine": [{"Affine": {"rotate": [-20, 20], "shear": [-10, 10], "translate_percent": [-0.1, 0.1], "p": 1.0}}],
    "perspective": [{"Perspective": {"scale": [0.05, 0.15], "p": 1.0}}],
    "grid": [{"GridDistortion": {"p": 1.0}}],
    "elastic": [{"elastic": {"p": 1.0}}],
}
EXACT: dict[str, list[Any]] = {
    "shift and scale": [
        {"shift_scale_rotate": {"shift": 0.1, "scale": 0.3, "rotate": 20, "border": "reflect", "p": 1.0}}
    ],
    "crop": [{"RandomResizedCrop": {"scale": [0.3, 1.0], "p": 1.0}}],
    "turns": [{"D4": {"p": 1.0}}, "Resize"],
    "safe crop": [{"BBoxSafeRandomCrop": {"p": 1.0}}, "Resize"],
    "longest side": [{"LongestMaxSize": {"max_size": 48}}, {"PadIfNeeded": {"min_height": 64, "min_width": 96}}],
    "shortest side": [{"SmallestMaxSize": {"max_size": 80}}, {"RandomCrop": {}}],
    "light": ["light"],
}
"""Axes of the image stay axes, so a box is as tight as before."""


def picture() -> NDArray[np.uint8]:
    image = np.full((*SIZE, 3), 20, np.uint8)
    for channel, (x1, y1, x2, y2) in enumerate(OBJECTS.astype(int)):
        image[y1:y2, x1:x2, channel] = 250
    return image


def extents(image: NDArray[np.uint8]) -> dict[int, list[int]]:
    """x1, y1, x2, y2 of the pixels of each object that are seen."""
    found = {}
    for channel in range(3):
        others = np.delete(image, channel, axis=2).max(axis=2)
        ys, xs = np.nonzero((image[..., channel] > 135) & (others < 135))
        if len(ys):
            found[channel] = [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1]
    return found


def spec_of(augment: Any, flips: str = "none", **train: Any) -> Spec:
    model = {"name": "m", "network": "fcos", "backbone": "resnet18", "image_size_px": [*SIZE]}
    data = {"source": "coco", "train": "a.json", "images": "raw"}
    settings = {"augment": augment, "flips": flips, **train}
    config = parse({"name": "t", "task": "detection", "data": data, "models": [model], "train": settings})
    return read(slices.learning(config, "m"), "squash", 3, {"round": 0, "fold": 0, "seed": 0})


def augment_for(augment: Any, flips: str = "none", **train: Any) -> Any:
    return augment_of(spec_of(augment, flips, **train), tasks.learn({"name": "detection"}, ["a", "b", "c"]), SIZE)


def drawn(augment: Augment, n: int = 30) -> Iterator[tuple[NDArray[np.uint8], dict[int, NDArray[np.float64]]]]:
    """Augmented images, and their boxes by object."""
    for seed in range(n):
        made = augment({"image": picture(), "bboxes": OBJECTS, "labels": np.arange(3)}, seed)
        boxes = np.asarray(made["bboxes"], float).reshape(-1, 4)
        yield made["image"], dict(zip(np.asarray(made["labels"]).astype(int).tolist(), boxes, strict=True))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("flips", ["none", "both"])
@pytest.mark.parametrize("name", [*LOOSE, *EXACT])
def test_a_box_still_encloses_its_object(name: str, flips: str) -> None:
    n_seen = 0
    for image, boxes in drawn(augment_for({**LOOSE, **EXACT}[name], flips, min_visible=0.0)):
        for number, (x1, y1, x2, y2) in extents(image).items():
            if number not in boxes:
                assert min(x2 - x1, y2 - y1) <= 2, "only a sliver may lose its box"
                continue
            box, n_seen = boxes[number], n_seen + 1
            beyond = np.array([box[0] - x1, box[1] - y1, x2 - box[2], y2 - box[3]])
            assert beyond.max() <= 1.2, "a pixel of rounding"
            assert name in LOOSE or beyond.min() >= -1.2
            assert (box >= 0).all()
            assert (box[2:] <= [image.shape[1], image.shape[0]]).all()
    assert n_seen >= 45


def test_boxes_have_the_size_of_their_batch() -> None:
    """Multi-scale training."""
    sizes = [[32, 48], [48, 72], [64, 96]]
    augment = augment_for("none", sizes={"multi_scale": sizes})
    seen = set()
    for batch in range(12):
        one = augment.at(0, batch)
        ((image, boxes),) = drawn(one, 1)
        seen.add(image.shape[:2])
        scale = image.shape[0] / SIZE[0]
        assert np.stack([boxes[number] for number in range(3)]) == pytest.approx(OBJECTS * scale, abs=0.01)
        for number, extent in extents(image).items():
            assert np.abs(boxes[number] - extent).max() <= 1
    assert sorted(seen) == [(32, 48), (48, 72), (64, 96)]


# --- the share that must be left


@pytest.mark.parametrize(("least", "kept"), [(None, [0, 1]), (0.25, [0, 1]), (0.0, [0, 1, 2]), (0.75, [0])])
def test_boxes_of_which_too_little_is_left_are_dropped(least: float | None, kept: list[int]) -> None:
    """A crop at row 4 and column 14 on the left leaves 0.8, 0.5 and 0.125 of the boxes."""
    boxes = np.array([[10, 10, 30, 30], [0, 40, 28, 50], [0, 10, 16, 30]], np.float32)
    more = {} if least is None else {"min_visible": least}
    augment = augment_for([{"Crop": {"x_min": 14, "y_min": 4, "x_max": 96, "y_max": 64}}], **more)
    made = augment({"image": picture(), "bboxes": boxes, "labels": np.arange(3)}, 0)
    assert np.asarray(made["labels"]).astype(int).tolist() == kept
    assert np.asarray(made["bboxes"])[0] == pytest.approx([0, 6, 16, 26])


def test_boxes_that_are_wholly_seen_stay_where_all_of_them_must_be() -> None:
    ((_, boxes),) = drawn(augment_for("none", min_visible=1), 1)
    assert [*boxes] == [0, 1, 2]


def test_the_default_share_is_in_no_recipe() -> None:
    assert "min_visible" not in spec_of("none").model["train"]
    assert "min_visible" not in spec_of("none", min_visible=0.25).model["train"]
    assert spec_of("none", min_visible=0.5).model["train"]["min_visible"] == 0.5
    data, model = {"source": "folder", "train": "raw"}, {"name": "m", "backbone": "resnet18", "image_size_px": 32}
    with pytest.raises(
        ConfigError, match=r"train\.min_visible = 0\.5: is a share of a box, and this task has no boxes"
    ):
        parse({"name": "t", "data": data, "models": [model], "train": {"min_visible": 0.5}})
