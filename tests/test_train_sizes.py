"""Image sizes of training by epoch."""

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import Tiny
from goldfold import tasks
from goldfold.base.errors import ConfigError
from goldfold.cache.images import CachedImages
from goldfold.commands import preflight
from goldfold.config import parse, slices
from goldfold.models import build
from goldfold.samples.dataset import Loader, TrainingSet
from goldfold.training.changes import augment_of
from goldfold.training.samples import loader
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
        ([[0, {"multi_scale": [16]}]], "write [first epoch, size] pairs"),
        ({"multi_scale": [16, [16, 16]]}, "or {multi_scale: [...]} with at least two different sizes"),
        ({"multi_scale": [16, 48, 64]}, "64 is larger than the cached images, 32x32; set cache_image_size_px"),
        ([[0, 32], [5, [32, 32]]], "has no effect, since image_size_px is 32x32 too; remove it"),
        ([[0, 64]], "64 is larger than the cached images, 32x32; set cache_image_size_px"),
    ],
)
def test_wrong_sizes_are_refused(sizes: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of(sizes)
    assert said in str(caught.value)


def test_sizes_must_have_the_shape_of_the_model() -> None:
    with pytest.raises(ConfigError, match=r"16 is square, but image_size_px is 32x48; write \[height, width\]"):
        config_of([[0, 16]], [32, 48])
    with pytest.raises(ConfigError, match=r"16x16 must have the shape of image_size_px, 32x48, with resize: pad"):
        config_of([[0, [16, 16]]], [32, 48], resize="pad")
    assert config_of([[0, [16, 24]]], [32, 48], resize="pad").models[0].train.sizes == [[0, [16, 24]]]
    assert config_of([[0, 48]], cache_image_size_px=64).models[0].train.sizes == [[0, 48]]


@pytest.mark.parametrize("network", ["fcos", "retinanet", "faster_rcnn"])
def test_the_loss_of_a_detector_does_not_depend_on_the_sizes_that_it_saw_before(network: str) -> None:
    """A resumed run sees other sizes first."""

    def losses(*sides: int) -> list[float]:
        torch.manual_seed(0)
        built = build(network, n_classes=2, in_channels=3, image_size=(64, 64), backbone="test_resnet", width=16)
        images = torch.rand(2, 3, 64, 64)
        target = {"boxes": torch.tensor([[4.0, 4, 30, 30], [8, 20, 60, 50]]), "labels": torch.tensor([0, 1])}
        found: dict[str, torch.Tensor] = {}
        for side in sides:
            torch.manual_seed(1)
            found = built.train()(images[..., :side, :side], [{**target, "boxes": target["boxes"] * side / 64}] * 2)
        return [part.item() for part in found.values()]

    assert losses(40, 64) == losses(64)


def test_problems_in_rounds_are_named_by_round_and_those_of_the_model_once() -> None:
    def problems(rounds: list[dict[str, Any]], **train: Any) -> list[str]:
        models = [
            {"name": name, "backbone": "resnet18", "image_size_px": size} for name, size in (("a", 32), ("b", 64))
        ]
        data = {"source": "folder", "train": "raw"}
        with pytest.raises(ConfigError) as caught:
            parse({"name": "t", "data": data, "models": models, "train": train, "rounds": rounds})
        return str(caught.value).splitlines()[1:]

    assert problems([{}, {"train": {"sizes": [[0, 48]]}}, {"train": {"sizes": [[0, 16], [30, 24]]}}]) == [
        "  rounds[1].train.sizes: 48 is larger than the cached images, 32x32; set cache_image_size_px to the largest size (as "
        "settings of a)",
        "  rounds[2].train.sizes: the size from epoch 30 on is never used, since epochs is 30; epochs count from 0",
    ]
    late = "the size from epoch 30 on is never used, since epochs is 30; epochs count from 0"
    assert problems([{}, {}], sizes=[[0, 16], [30, 24]]) == [
        f"  models[{index}] ({name}).train.sizes: {late}" for index, name in enumerate("ab")
    ]


def loaded(tiny: Tiny, workers: int = 0, process: int = 0, processes: int = 1, **train: Any) -> Loader:
    spec = spec_of(tiny, **train)
    images, accelerator = CachedImages(tiny.caches()), SimpleNamespace(process_index=process, num_processes=processes)
    table = pd.read_csv(tiny.fold_file(), dtype=str, keep_default_na=False).assign(weight=1.0)
    target, learn = tasks.target(tiny.task, tiny.classes), tasks.learn(tiny.task, tiny.classes)
    return loader(spec, target, learn, table, images, workers, accelerator)  # type: ignore[arg-type]


def shapes_of(batches: Iterable[Any]) -> list[tuple[int, ...]]:
    return [tuple(batch.inputs.images.shape[-2:]) for batch in batches]


@pytest.mark.parametrize("kind", ["tiny", "tiny_masks"])
def test_each_batch_draws_a_size_whatever_the_workers_and_processes(kind: str, request: pytest.FixtureRequest) -> None:
    tiny: Tiny = request.getfixturevalue(kind)
    height, width = CachedImages(tiny.caches()).frame
    small, large = [height // 2, width // 2], [height, width]
    mix = {"mix": ["mixup"]} if kind == "tiny" else {"mix": ["copy_paste"]}
    train: dict[str, Any] = {"batch_size": 2, "sizes": [[0, {"multi_scale": [small, large]}], [3, large]], **mix}
    alone, workers = loaded(tiny, **train), loaded(tiny, 2, **train)
    found = [shapes_of(alone.epoch(epoch)) for epoch in range(4)]
    assert {size for of_epoch in found[:3] for size in of_epoch} == {tuple(small), tuple(large)}
    assert found[0] != found[1], "drawn for each epoch"
    assert {*found[3]} == {tuple(large)}
    for one, other in zip(alone.epoch(1), workers.epoch(1), strict=True):
        assert torch.equal(one.inputs.images, other.inputs.images)
        assert kind == "tiny" or one.targets.shape[-2:] == one.inputs.images.shape[-2:]
    assert shapes_of(alone.epoch(1, 2)) == found[1][2:], "a resumed run"
    shares = [shapes_of(loaded(tiny, 0, rank, 2, **train).epoch(1)) for rank in range(2)]
    assert shares[0] == shares[1] == found[1][: len(shares[0])]
    assert shapes_of(alone.of_each_size()) == [tuple(small), tuple(large)]


def test_the_form_without_epochs_is_the_same_recipe() -> None:
    short, long = ({"multi_scale": [16, 32]}, [[0, {"multi_scale": [16, 32]}]])
    recipes = [slices.learning(config_of(sizes), "m")["train"]["sizes"] for sizes in (short, long)]
    assert recipes == [long, long]


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
    with pytest.raises(ConfigError, match=r"train\.sizes: 32x32"):
        check({"multi_scale": [32, 64]}, **vit)


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
