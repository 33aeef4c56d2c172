"""Image sizes of training by epoch."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import Tiny
from goldfold import tasks
from goldfold.base.errors import ConfigError
from goldfold.cache.images import CachedImages
from goldfold.commands import preflight
from goldfold.config import parse, slices
from goldfold.samples.dataset import TrainingSet
from goldfold.training.changes import augment_of
from goldfold.training.spec import Spec, read

PLACE = {"round": 0, "fold": 0, "seed": 0}
SIZES = [[0, 16], [2, [16, 24]], [3, 32]]


def config_of(sizes: Any, size: Any = 32, task: str = "classification", **more: Any) -> Any:
    network = {"network": "fcos", "backbone": "resnet18"} if task == "detection" else {"backbone": "resnet18"}
    model = {"name": "m", **network, "image_size_px": size, **more}
    data = (
        {"source": "folder", "train": "raw"}
        if task != "detection"
        else {"source": "coco", "train": "a.json", "images": "raw"}
    )
    return parse({"name": "t", "task": task, "data": data, "models": [model], "train": {"epochs": 10, "sizes": sizes}})


def spec_of(tiny: Tiny, **train: Any) -> Spec:
    return read(tiny.model({"epochs": 5, **train}), "squash", 3, PLACE)


@pytest.mark.parametrize("kind", ["tiny", "tiny_masks"])
def test_samples_have_the_size_of_their_epoch(kind: str, request: pytest.FixtureRequest) -> None:
    tiny: Tiny = request.getfixturevalue(kind)
    images = CachedImages(tiny.caches())
    table = pd.read_csv(tiny.fold_file(), dtype=str, keep_default_na=False).iloc[:2]
    target = tasks.target(tiny.task, tiny.classes).targets(table, images, "squash")
    height, width = images.frame
    sizes = [[0, [height // 2, width // 2]], [2, [height, width]]]

    def samples(**train: Any) -> TrainingSet:
        spec = spec_of(tiny, augment="medium", **train)
        augment = augment_of(spec, tasks.learn(tiny.task, tiny.classes), images.frame)
        return TrainingSet(list(table["id"]), target, [1.0, 1.0], images, augment, spec.key)

    changing, again = samples(sizes=sizes), samples(sizes=sizes)
    for epoch, (high, wide) in enumerate([(height // 2, width // 2)] * 2 + [(height, width)] * 3):
        drawn = changing[(epoch, 1)]
        assert drawn["images"].shape == (1, high, wide, 3)
        assert kind == "tiny" or drawn["mask"].shape == (high, wide)
    for place in ((3, 0), (0, 0), (1, 1)):  # in any order
        assert (again[place]["images"] == changing[place]["images"]).all()
    assert spec_of(tiny).size == images.frame
    assert (samples()[(4, 1)]["images"] == changing[(4, 1)]["images"]).all(), "the last size is that of the model"


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        (32, "write [first epoch, size] pairs, such as [[0, 128], [10, 192]]"),
        ([[0, 32, 4]], "write [first epoch, size] pairs"),
        ([[0, 1.5]], "write [first epoch, size] pairs"),
        ([[1, 16]], "begins with epoch 1; the first pair must be of epoch 0"),
        ([[0, 16], [3, 24], [3, 32]], "epoch 3 follows epoch 3; list the epochs in order, each once"),
        ([[0, 16], [10, 32]], "the size from epoch 10 on is never used, since epochs is 10"),
        ([[0, 64]], "64 is larger than the cached images, 32x32; set cache_image_size_px"),
    ],
)
def test_wrong_sizes_are_refused(sizes: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of(sizes)
    assert said in str(caught.value)


def test_sizes_must_have_the_shape_of_the_model_and_are_not_for_detectors() -> None:
    with pytest.raises(ConfigError, match=r"16 is square, but image_size_px is 32x48; write \[height, width\]"):
        config_of([[0, 16]], [32, 48])
    with pytest.raises(ConfigError, match=r"16x16 must have the shape of image_size_px, 32x48, with resize: pad"):
        config_of([[0, [16, 16]]], [32, 48], resize="pad")
    with pytest.raises(ConfigError, match="detectors are trained at one size"):
        config_of([[0, 64]], 128, "detection")
    assert config_of([[0, [16, 24]]], [32, 48], resize="pad").models[0].train.sizes == [[0, [16, 24]]]
    assert config_of([[0, 48]], cache_image_size_px=64).models[0].train.sizes == [[0, 48]]


def test_a_recipe_without_sizes_does_not_name_them() -> None:
    assert "sizes" not in slices.learning(config_of(None), "m")["train"]
    assert slices.learning(config_of(SIZES[:1]), "m")["train"]["sizes"] == [[0, 16]]


def test_a_quick_run_has_no_later_epochs() -> None:
    model = {"name": "m", "backbone": "resnet18", "image_size_px": 32, "train": {"sizes": [[0, 16], [5, 32]]}}
    data = {"source": "folder", "train": "raw"}
    made = parse({"name": "t", "data": data, "models": [model], "train": {"sizes": [[0, 8], [3, 16]]}, "quick": True})
    assert made.models[0].train.sizes is None


def test_a_network_that_cannot_change_its_size_is_refused_with_what_can() -> None:
    vit = {"backbone": "vit_tiny_patch16_224"}

    def check(sizes: Any, **more: Any) -> None:
        preflight.check(slices.network_checks(config_of(sizes, 64, **more))[0])

    with pytest.raises(ConfigError) as caught:
        check([[0, 32]], **vit)
    assert str(caught.value).startswith("train.sizes: 32x32 (height x width): ")
    assert "params: {dynamic_img_size: true}" in str(caught.value)
    check([[0, 32]], **vit, params={"dynamic_img_size": True})
    with pytest.raises(ConfigError, match=r"40x40.* divisible by patch size"):
        check([[0, 40]], **vit, params={"dynamic_img_size": True})
    check([[0, 40]])


def test_a_model_is_trained_at_several_sizes_and_predicts_at_its_own(tiny: Tiny, tmp_path: Path) -> None:
    height, width = CachedImages(tiny.caches()).frame
    model = tiny.model({"epochs": 2, "sizes": [[0, [height // 2, width // 2]], [1, [height, width]]]})
    facts = tiny.train(tmp_path / "a", model=model)
    again = tiny.train(tmp_path / "b", model=model)
    one = tiny.train(tmp_path / "c", model=tiny.model({"epochs": 2}))
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in "abc"]
    assert weights[0] == weights[1] != weights[2]
    assert facts["final"] == again["final"]
    assert np.isfinite(one["final"]["train_loss"])
