"""Images cached larger than networks take them: what training, validation and prediction see of them."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from conftest import Tiny
from goldfold import tasks
from goldfold.base.errors import ConfigError
from goldfold.cache.building import Frame
from goldfold.cache.decoded import DecodedImages, Reading
from goldfold.cache.images import CachedImages, build
from goldfold.cache.shrunk import Shrunk, at_size
from goldfold.config import parse, slices
from goldfold.images.refit import Refit
from goldfold.planning.plan import plan_of
from goldfold.samples.transforms import Augment
from goldfold.stages import cache
from goldfold.targets.masks import write_mask

pytestmark = pytest.mark.usefixtures("in_tmp")

NET: Any = {"name": "a", "network": "small_resnet", "image_size_px": 16}
BASE = {"name": "t", "data": {"source": "csv", "train": "t.csv", "images": "i"}}


def rectangle(shape: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    """1 within ``box`` (x1, y1, x2, y2), else 0."""
    made = np.zeros(shape, np.uint8)
    made[box[1] : box[3], box[0] : box[2]] = 1
    return made


BOX = (20, 12, 61, 40)


@pytest.fixture
def table(in_tmp: Path) -> pd.DataFrame:
    """A wide and a high image, of odd sides, with a bright rectangle that is the mask and the box too; one is cut."""
    rows = []
    for id, shape, roi in (("wide", (75, 101), ""), ("high", (133, 77), ""), ("cut", (99, 150), "5 3 88 70")):
        mask = rectangle(shape, BOX)
        cv2.imwrite(f"{id}.png", cv2.GaussianBlur(mask * 200, (3, 3), 0))
        write_mask(f"{id}_mask.png", mask)
        text = f'[["thing",{BOX[0]},{BOX[1]},{BOX[2]},{BOX[3]}]]'
        rows.append({
            "id": id, "path": f"{id}.png", "sha256": id, "mask": f"{id}_mask.png", "mask_depth": "8", "boxes": text,
            "height": str(shape[0]), "width": str(shape[1]), "roi": roi,
        })  # fmt: skip
    return pd.DataFrame(rows)


def cached(table: pd.DataFrame, size: tuple[int, int], mode: str) -> CachedImages:
    folder = Path(f"{size[0]}x{size[1]}-{mode}")
    build(table, folder, size, 3, mode)
    return CachedImages([folder])


@pytest.mark.parametrize(
    ("mode", "larger", "smaller"),
    [
        ("squash", (64, 80), (32, 30)),
        ("squash", (50, 50), (50, 32)),
        ("pad", (77, 77), (32, 32)),
        ("crop", (77, 77), (32, 32)),
        ("crop", (60, 90), (40, 60)),
    ],
)
def test_what_validation_sees_is_as_if_it_had_been_cached_at_the_networks_size(
    mode: str, larger: tuple[int, int], smaller: tuple[int, int], table: pd.DataFrame
) -> None:
    shrunk = at_size(cached(table, larger, mode), smaller, mode, table)
    direct = cached(table, smaller, mode)
    assert isinstance(shrunk, Shrunk)
    assert (shrunk.frame, shrunk.case_batch(["wide", "cut"])[0].shape) == (smaller, (2, 1, *smaller, 3))
    for id in table["id"]:
        apart = np.abs(shrunk.views(id)[0].astype(int) - direct[id])
        assert (apart.mean(), apart.max()) < (3, 80), id  # an edge between 0 and 200 that is a pixel off is 200 apart
        assert (shrunk.mask(id) != direct.mask(id)).mean() < 0.04  # its edge
        assert shrunk.roi(id) == direct.roi(id)
    for task in ({"name": "detection"}, {"name": "segmentation", "mask_values": "nonzero", "ignore_value": None}):
        target = tasks.target(task, ["thing"])
        ours, theirs = (list(target.targets(table, images, mode)) for images in (shrunk, direct))
        for one, other in zip(ours, theirs, strict=True):
            if "bboxes" in one:
                np.testing.assert_array_equal(one["bboxes"], other["bboxes"])
            else:
                assert ((one["mask"] == 255) == (other["mask"] == 255)).all(), "the same pixels hold no image"


@pytest.mark.parametrize("columns", [["id", "height", "width"], ["id"]])
def test_a_bundle_sees_a_file_as_the_run_saw_it(columns: list[str], table: pd.DataFrame) -> None:
    whole = table[table["roi"] == ""].drop(columns="roi")
    images = DecodedImages(whole[["id", "path"]], Reading(3), [Frame((77, 77), "pad")], Path())
    ours = at_size(images.at(Frame((77, 77), "pad")), (32, 32), "pad", images.table[columns])
    theirs = at_size(cached(whole, (77, 77), "pad"), (32, 32), "pad", whole[columns])
    ids = list(whole["id"])
    (seen, _), (wanted, _) = ours.case_batch(ids), theirs.case_batch(ids)
    assert (seen == wanted).all()
    assert seen.max() > 150


def test_images_of_the_networks_own_size_are_read_as_they_are(table: pd.DataFrame) -> None:
    images = cached(table, (16, 16), "squash")
    assert at_size(images, [16, 16], "squash", table) is images


def test_a_border_that_the_larger_frame_cut_off_is_not_black() -> None:
    refit = Refit.of((50, 333), (77, 77), (30, 30), "crop", None)
    assert (refit.image(np.full((77, 77, 3), 200, np.uint8)) == 200).all()


def test_masks_of_32_bits_keep_their_values() -> None:
    mask = np.full((8, 8), 2**32 - 1, np.uint32)
    made = Refit.of((8, 8), (8, 8), (4, 4), "squash", None).mask(mask)
    assert (made.dtype, made.shape, set(made.ravel())) == (np.uint32, (4, 4), {2**32 - 1})


def test_a_crop_of_a_larger_image_has_detail_that_one_of_a_small_image_has_lost() -> None:
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, (np.arange(128) // 4) % 2 == 0] = 255  # 8 pixels a pair: at 32 pixels 2, at 16 one
    seen = {}
    for side in (128, 16):
        image = cv2.resize(stripes, (side, side), interpolation=cv2.INTER_AREA)
        crop = [{"RandomCrop": {"height": side // 4, "width": side // 4}}, {"Resize": {"height": side, "width": side}}]
        augment = Augment(crop, "both", (side, side), 3, shown=(16, 16))
        seen[side] = augment({"image": image}, 0)["image"]
    assert {side: image.shape for side, image in seen.items()} == {128: (16, 16, 3), 16: (16, 16, 3)}
    assert (seen[16].std(), seen[128].std() > 60) == (0, True)


@pytest.mark.parametrize("preset", ["none", "light", "medium", "heavy"])
def test_masks_and_boxes_of_training_follow_the_image_to_the_networks_size(preset: str) -> None:
    params = {"bbox_params": {"format": "pascal_voc", "label_fields": ["labels"], "clip": True}}
    augment = Augment(preset, "both", (60, 60), 3, params, shown=(30, 30))
    mask = rectangle((60, 60), (10, 20, 40, 50))
    fields = {
        "image": np.repeat(mask[..., None] * 200, 3, 2),
        "mask": mask,
        "bboxes": [[10, 20, 40, 50]],
        "labels": [1],
    }
    for seed in range(5):
        made = augment(dict(fields), seed)
        assert (made["image"].shape, made["mask"].shape) == ((30, 30, 3), (30, 30))
        if preset == "heavy":  # which erases
            continue
        y, x = np.nonzero(made["mask"])
        box = [x.min(), y.min(), x.max() + 1, y.max() + 1]
        np.testing.assert_allclose(np.asarray(made["bboxes"])[0], box, atol=1.5)
        assert ((made["image"][..., 0] > 100) != (made["mask"] == 1)).mean() < 0.1
    if preset == "none":
        assert {round(float(side)) for side in np.ptp(np.reshape(made["bboxes"][0], (2, 2)), axis=0)} == {15}


def test_a_member_is_trained_on_the_larger_images_and_predicts_as_from_its_own_size(tiny: Tiny, in_tmp: Path) -> None:
    for split in ("train", "test"):
        cache.run(str(tiny.folds / f"shards/{split}-0.csv"), f"c/larger/{split}-0", [40, 40], 3, "squash")
    model = {**tiny.model({"augment": "medium"}), "cache_size": [40, 40]}
    facts = tiny.train(Path("trained"), model=model, caches=["c/larger/train-0"])
    assert (facts["n_train"], facts["n_val"]) == (20, 20)
    logits = {}
    for name, caches in (("larger", ["c/larger/train-0", "c/larger/test-0"]), ("own", tiny.caches("train", "test"))):
        tiny.predict(Path(name), Path("trained/model.safetensors"), "test", model=model, caches=caches)
        logits[name] = np.concatenate([np.load(f"{name}/{part}.npz")["logits"] for part in ("oof", "test")])
    assert logits["own"].shape == (32, 2)
    apart = np.abs(logits["larger"] - logits["own"]).mean() / logits["own"].std()
    assert 0 < apart < 0.2, "pixels that were resampled twice differ a little"


# --- the config


def config(size: Any = None, models: Any = None, **more: Any) -> Any:
    return parse({**BASE, **({"cache": {"image_size_px": size}} if size else {}), "models": models or [NET], **more})


def test_models_of_two_sizes_share_one_cache_and_one_may_have_its_own() -> None:
    models = [
        NET,
        {**NET, "name": "b", "image_size_px": [24, 20]},
        {**NET, "name": "c", "cache_image_size_px": [20, 16]},
    ]
    plan = plan_of(config(32, models))
    assert plan.specs == {"a": "32x32-squash", "b": "32x32-squash", "c": "20x16-squash"}
    assert {job.spec for job in plan.jobs("cache")} == {"32x32-squash", "20x16-squash"}


def test_a_size_that_is_not_set_or_the_networks_own_is_in_no_recipe() -> None:
    unset, own, larger = config(), config(16), config(32)
    for of in (slices.learning, slices.network):
        assert of(own, "a") == of(unset, "a")
        assert of(larger, "a") == {**of(unset, "a"), "cache_size": [32, 32]}
    assert unset.model_dump()["cache"] == {"max_gb": 50.0}
    assert "cache_image_size_px" not in unset.model_dump()["models"][0]


@pytest.mark.parametrize(
    ("size", "model", "said"),
    [
        (
            8,
            {},
            "cache.image_size_px = 8x8: smaller than image_size_px of models[0] (a), 16x16; cache images of that size or more, "
            "or set cache_image_size_px for that model",
        ),
        (
            32,
            {"cache_image_size_px": [32, 15]},
            "models[0] (a).cache_image_size_px = 32x15: smaller than its image_size_px, 16x16; cache images of that size or more",
        ),
        (
            [32, 24],
            {"resize": "pad"},
            "cache.image_size_px = 32x24: with resize: pad it must have the shape of image_size_px of models[0] (a), 16x16",
        ),
        (9000, {}, "cache.image_size_px = 9000x9000: must not be more than 8192"),
        (True, {}, "cache.image_size_px = True"),
    ],
)
def test_a_wrong_size_is_named(size: Any, model: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(size, [{**NET, **model}])
    assert said in str(caught.value)
