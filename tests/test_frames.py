"""Masks and boxes between image and network: views and back, targets in the frame, predictions out of it."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from conftest import Tiny, scene
from entries import AUGMENTATIONS
from goldfold.cache.images import CachedImages, build
from goldfold.cases import Inputs
from goldfold.catalog import TURNS
from goldfold.images.geometry import MODES, place
from goldfold.inference import views
from goldfold.samples.dataset import TrainingSet, sample
from goldfold.samples.transforms import Augment
from goldfold.targets.boxes import to_text
from goldfold.targets.mask_coding import IGNORE, Coding
from goldfold.targets.masks import resize_mask, write_mask
from goldfold.tasks.optional import compose_params
from test_dense_tasks import FRAME, table_of, task_of
from whole_task import whole

# --- views


class Pixelwise(nn.Module):
    """Logits of each pixel from its own colour alone."""

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(3, n_outputs, 1)

    def forward(self, inputs: Inputs) -> torch.Tensor:
        result: torch.Tensor = self.layer(inputs.single.float() / 64)
        return result


class BrightBoxes(nn.Module):
    """A detector of bright rectangles: their corners, brightness as score, whether they are very bright as label."""

    def forward(self, inputs: Inputs) -> list[dict[str, torch.Tensor]]:
        return [self.found(image.float().mean(dim=0)) for image in inputs.single]

    def found(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        bright = (image > 60).numpy().astype(np.uint8)
        n, parts, stats, _ = cv2.connectedComponentsWithStats(bright, connectivity=4)
        boxes = [[x, y, x + width, y + height] for x, y, width, height, _ in stats[1:].tolist()]
        levels = torch.tensor([image[torch.from_numpy(parts == part)].median().item() for part in range(1, n)])
        return {
            "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            "scores": levels / 255,
            "labels": (levels > 140).long(),
        }


def bright_scenes(size: tuple[int, int]) -> Inputs:
    """Three images with rectangles of distinct levels that do not touch, and one without any."""
    images = np.zeros((4, *size, 3), np.uint8)
    for number in range(3):
        images[number, 3 : 8 + number, 2:9] = 100 + 10 * number
        images[number, 12:15, 11 : 18 + number] = 200 + 10 * number
    return Inputs.of(torch.from_numpy(images).permute(0, 3, 1, 2))


@pytest.mark.parametrize("classes", ["a", "abc"])
@pytest.mark.parametrize("size", [(20, 20), (16, 24)])
def test_views_of_a_network_that_turns_with_its_image_agree_for_masks(classes: str, size: tuple[int, int]) -> None:
    task, model = task_of("segmentation", classes), Pixelwise(1 if classes == "a" else 4)
    generator = torch.Generator().manual_seed(1)
    images = Inputs.of(torch.randint(0, 256, (3, 3, *size), dtype=torch.uint8, generator=generator))
    plain = task.predict(model, images, views.build(["identity"]))["maps"]
    assert (plain.shape, plain.dtype) == ((3, len(classes), *size), np.uint8)
    assert len(np.unique(plain)) > 50, "the prediction depends on the pixel"
    assert len(TURNS) == 8
    for name in TURNS:
        assert np.array_equal(task.predict(model, images, views.build([name]))["maps"], plain), name
    together = task.predict(model, images, views.build(list(TURNS)))["maps"]
    difference = np.abs(together.astype(int) - plain)
    assert difference.max() <= 1, "eight equal numbers add up with rounding"
    assert (difference > 0).mean() < 0.01


@pytest.mark.parametrize("size", [(20, 20), (16, 24)])
def test_views_of_a_detector_that_turns_with_its_image_agree(size: tuple[int, int]) -> None:
    task, images = task_of("detection", "ab"), bright_scenes(size)
    plain = task.predict(BrightBoxes(), images, views.build(["identity"]))["found"]
    assert [len(boxes) for boxes, _, _ in plain] == [2, 2, 2, 0]
    assert len(TURNS) == 8
    for names in [
        *([name] for name in TURNS),
        list(TURNS),
        ["identity", "hflip"],
    ]:
        seen = task.predict(BrightBoxes(), images, views.build(names))["found"]
        for (boxes, scores, labels), (expected, levels, kinds) in zip(seen, plain, strict=True):
            order, wanted = np.argsort(scores, kind="stable"), np.argsort(levels, kind="stable")
            assert boxes[order] == pytest.approx(expected[wanted], abs=1e-3), names
            assert scores[order] == pytest.approx(levels[wanted], abs=1e-5), names
            assert (labels[order] == kinds[wanted]).all(), names


# --- pseudo labels


def test_pseudo_masks_come_back_as_targets_with_what_is_unsure_left_out(tmp_path: Path) -> None:
    task = task_of("segmentation", "ab")
    generator = np.random.default_rng(0)
    table, sizes = table_of(["x", "y", "z"], (24, 32)), [(24, 32), (25, 33), (26, 34)]
    shares = generator.dirichlet([0.15] * 3, (3, 24, 32))
    shares[2] = 1 / 3  # nothing in z is sure
    maps = np.round(shares[..., 1:] * 255).astype(np.uint8).transpose(0, 3, 1, 2)
    made = dict(task.pack(table, [{"maps": maps}], (24, 32), "squash"))
    pseudo = task.pseudo_labels(made, 0.6)
    assert list(pseudo["id"]) == ["x", "y"]
    pseudo.to_csv(tmp_path / "pseudo.csv", index=False)
    rows = pd.read_csv(tmp_path / "pseudo.csv", dtype=str, keep_default_na=False)
    images = blank_images(tmp_path / "cache", ["x", "y"], sizes[:2], (24, 32), "squash")
    target = task.targets(rows, images, "squash")[0]["mask"]
    values = np.concatenate([1 - maps[0].sum(axis=0, keepdims=True) / 255, maps[0] / 255])
    expected = np.where(values.max(axis=0) >= 0.6, values.argmax(axis=0), IGNORE)
    near = np.isclose(values.max(axis=0), 0.6, atol=1e-6)  # rounding may decide
    assert ((target == expected) | near).all()
    assert 0 < (target == IGNORE).mean() < 0.5
    sure = expected != IGNORE
    assert float(rows["sure"][0]) == pytest.approx(sure.mean(), abs=0.01)
    assert float(rows["confidence"][0]) == pytest.approx(values.max(axis=0)[sure].mean(), abs=1e-3)
    assert task.pseudo_labels(made, 0.0)["id"].tolist() == ["x", "y", "z"]
    assert task.pseudo_labels(made, 1.01).to_dict("list") == {name: [] for name in pseudo.columns}


def blank_images(
    folder: Path, ids: list[str], sizes: list[tuple[int, int]], frame: tuple[int, int], mode: str
) -> CachedImages:
    """Cached black images, without masks."""
    for id, size in zip(ids, sizes, strict=True):
        (folder / "raw").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"raw/{id}.png"), np.zeros((*size, 3), np.uint8))
    table = pd.DataFrame({"id": ids, "path": [str(folder / f"raw/{id}.png") for id in ids], "sha256": "s"})
    build(table, folder, frame, 3, mode)
    return CachedImages([folder])


@pytest.mark.parametrize("mode", MODES)
def test_pseudo_masks_are_framed_as_their_images_are(mode: str, tmp_path: Path) -> None:
    """A pseudo mask and a mask from the cache of the same pixels give the same target, whatever their frame."""
    task, mask = task_of("segmentation", "ab"), scene(0, ("dim", "lit")).mask
    write_mask(tmp_path / "x.png", mask)
    cv2.imwrite(str(tmp_path / "x.jpg"), np.zeros((*mask.shape, 3), np.uint8))
    table = pd.DataFrame({"id": ["x"], "path": str(tmp_path / "x.jpg"), "sha256": "s", "mask": str(tmp_path / "x.png")})
    build(table.assign(mask_depth="8"), tmp_path / "cache", (40, 40), 3, mode)
    images, sizes = CachedImages([tmp_path / "cache"]), {"width": str(mask.shape[1]), "height": str(mask.shape[0])}
    text = Coding(["a", "b"], "index", None).to_text(mask)
    labelled = task.targets(table.assign(**sizes, rle=""), images, mode)[0]["mask"]
    pseudo = task.targets(table.assign(**sizes, rle=text), images, mode)[0]["mask"]
    assert np.array_equal(labelled, pseudo)
    assert set(np.unique(labelled)) >= {0, 1}


def test_pseudo_boxes_come_back_as_targets(tmp_path: Path) -> None:
    task = task_of("detection", "ab")
    table = table_of(["x", "y", "z"], (24, 24))
    boxes = np.array([[2.0, 3, 10, 12], [12, 12, 20, 22], [1, 1, 4, 4]])
    found = [
        (boxes, np.array([0.9, 0.3, 0.8]), [1, 0, 0]),
        (boxes[:0], np.zeros(0), []),
        (boxes[:1], np.array([0.7]), [0]),
    ]
    made = dict(task.pack(table, [{"found": found}], FRAME, "squash"))
    pseudo = task.pseudo_labels(made, 0.75)
    assert pseudo["id"].tolist() == ["x"], "an image without a sure box is not taken for a negative"
    assert pseudo["confidence"].tolist() == pytest.approx([0.85])
    pseudo.to_csv(tmp_path / "pseudo.csv", index=False)
    rows = pd.read_csv(tmp_path / "pseudo.csv", dtype=str, keep_default_na=False)
    images = blank_images(tmp_path / "cache", ["x"], [(24, 24)], (48, 24), "squash")
    target = task.targets(rows, images, "squash")[0]
    assert target["labels"].tolist() == [1, 0]
    assert target["bboxes"] == pytest.approx(boxes[[0, 2]] * [1, 2, 1, 2], abs=0.03)
    assert list(task.pseudo_labels(made, 1.01)) == list(pseudo)
    assert len(task.pseudo_labels(made, 1.01)) == 0


# --- targets in the network's frame, and with the image under augmentation


def test_an_image_without_boxes_is_a_target_of_none(tmp_path: Path) -> None:
    task = task_of("detection", "ab")
    images = blank_images(tmp_path, ["x"], [(30, 40)], (20, 20), "squash")
    (target,) = task.targets(table_of(["x"]).assign(boxes="[]"), images, "squash")
    assert (target["bboxes"].shape, target["labels"].shape) == ((0, 4), (0,))
    batch = task.collate([sample(images, "x", target)])
    assert batch.targets[0]["boxes"].shape == (0, 4)
    assert batch.targets[0]["labels"].dtype == torch.int64


def test_boxes_that_a_crop_cuts_are_cut_and_those_it_does_not_show_are_left_out(tmp_path: Path) -> None:
    task = task_of("detection", "abc")
    images = blank_images(tmp_path, ["x"], [(20, 60)], (20, 20), "crop")  # shows x from 20 to 40
    text = to_text(["a", "b", "c"], np.array([[22.0, 2, 30, 9], [10, 5, 25, 15], [0, 0, 15, 15]]))
    table = pd.DataFrame({"id": ["x"], "width": "60", "height": "20", "boxes": text})
    (target,) = task.targets(table, images, "crop")
    assert target["labels"].tolist() == [0, 1]
    assert target["bboxes"].tolist() == [[2, 2, 10, 9], [0, 5, 5, 15]]


@pytest.mark.parametrize("flips", ["none", "horizontal", "both"])
@pytest.mark.parametrize("preset", AUGMENTATIONS)
def test_targets_move_with_the_image_whatever_the_augmentation(
    preset: str, flips: str, tiny_masks: Tiny, tiny_boxes: Tiny
) -> None:
    """A shape is brighter than all else, so that it can be found again in the augmented image."""
    for tiny, kind in ((tiny_masks, "mask"), (tiny_boxes, "bboxes")):
        task = whole(tiny.task, tiny.classes)
        table = pd.read_csv(tiny.fold_file(), dtype=str, keep_default_na=False)
        images = CachedImages(tiny.caches())
        augment = Augment(AUGMENTATIONS[preset], flips, images.frame, 3, compose_params(task.learn))
        samples = TrainingSet(
            list(table["id"]), task.targets(table, images, "squash"), [1.0] * len(table), images, augment, ("k",)
        )
        agreed = []
        for epoch in range(4):
            for row in range(len(table)):
                drawn = samples[(epoch, row)]
                assert drawn["images"].shape == (1, *images.frame, 3)
                bright = drawn["images"][0].max(axis=2) > 62
                if kind == "mask":
                    assert drawn["mask"].shape == images.frame
                    assert set(np.unique(drawn["mask"])) <= {0, 1, 2}
                    shown = drawn["mask"] > 0
                else:
                    boxes = np.asarray(drawn["bboxes"], dtype=float).reshape(-1, 4)
                    assert len(boxes) == len(drawn["labels"])
                    assert (boxes >= 0).all()
                    assert (boxes[:, 2:] <= images.frame[::-1]).all()
                    shown = np.zeros(images.frame, bool)
                    for x1, y1, x2, y2 in boxes.round().astype(int):
                        shown[y1:y2, x1:x2] = True
                agreed.append((bright == shown).mean())
        if preset in ("none", "light"):  # the others change colours, and cut boxes away
            assert min(agreed) > (0.97 if preset == "none" else 0.9 if kind == "mask" else 0.75)
            assert np.mean(agreed) > 0.95


# --- from the frame to the image


@st.composite
def placed(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[int, int], str, tuple[int, int, int, int]]:
    """Size of an image, frame, mode, and a rectangle in the image that spans some pixels of the frame."""
    size = draw(st.integers(16, 90)), draw(st.integers(16, 90))
    frame, mode = (draw(st.integers(16, 48)), draw(st.integers(16, 48))), draw(st.sampled_from(MODES))
    x1, y1 = draw(st.integers(0, size[1] // 2)), draw(st.integers(0, size[0] // 2))
    x2, y2 = draw(st.integers(x1 + size[1] // 4, size[1])), draw(st.integers(y1 + size[0] // 4, size[0]))
    return size, frame, mode, (x1, y1, x2, y2)


@given(placed())
def test_boxes_packed_out_of_the_frame_lie_where_they_were(
    made: tuple[tuple[int, int], tuple[int, int], str, tuple[int, int, int, int]],
) -> None:
    size, frame, mode, box = made
    task, placement = task_of("detection", "a"), place(size, frame, mode)
    table = pd.DataFrame({"id": ["x"], "height": [str(size[0])], "width": [str(size[1])]})
    inside = placement.to_frame(np.array([box]))
    found = dict(task.pack(table, [{"found": [(inside, np.ones(1), [0])]}], frame, mode))
    assert found["sizes"].tolist() == [list(size)]
    assert found["boxes"] == pytest.approx(np.array([box]), abs=1e-3)
    everything = np.array([[-50.0, -50, frame[1] + 50, frame[0] + 50]])
    cut = dict(task.pack(table, [{"found": [(everything, np.ones(1), [0])]}], frame, mode))["boxes"][0]
    assert (cut >= 0).all()
    assert (cut <= [size[1], size[0], size[1], size[0]]).all(), "a box never reaches outside its image"


@given(placed())
def test_masks_packed_out_of_the_frame_lie_where_they_were_to_a_pixel(
    made: tuple[tuple[int, int], tuple[int, int], str, tuple[int, int, int, int]],
) -> None:
    size, frame, mode, (x1, y1, x2, y2) = made
    task, placement = task_of("segmentation", "a"), place(size, frame, mode)
    mask = np.zeros(size, np.uint8)
    mask[y1:y2, x1:x2] = 1
    table = pd.DataFrame({"id": ["x"], "height": [str(size[0])], "width": [str(size[1])]})
    maps = resize_mask(mask, frame, mode)[None, None] * np.uint8(255)
    packed = dict(task.pack(table, [{"maps": maps}], frame, mode))
    assert packed["maps/0"].shape == (1, *placement.inner), "without the frame's padding"
    (back,) = task.masks(packed, ["x"])  # type: ignore[attr-defined]
    assert back.shape == size
    # a pixel of the image or of the frame, whichever is the larger, on each side of the rectangle's border
    reach_y, reach_x = (max(1, int(np.ceil(of / at))) for of, at in zip(size, placement.inner, strict=True))
    kernel = np.ones((2 * reach_y + 1, 2 * reach_x + 1), np.uint8)
    may_differ = cv2.dilate(mask, kernel) != cv2.erode(mask, kernel, borderType=cv2.BORDER_REPLICATE)
    shown = resize_mask(np.ones(size, np.uint8), frame, mode)
    shown = placement.out_of_frame(shown)
    shown = cv2.resize(shown, size[::-1], interpolation=cv2.INTER_NEAREST)
    shown = cv2.erode(shown, kernel, borderType=cv2.BORDER_REPLICATE) > 0
    assert not ((back != mask) & ~may_differ & shown).any()
    if mode != "crop":
        assert shown.all()


def test_one_view_of_a_detector_is_never_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a digest of training leaves out how boxes are fused."""
    for name in ("goldfold.ensembling", "goldfold.ensembling.boxes"):
        monkeypatch.setitem(sys.modules, name, None)
    task, images = task_of("detection"), Inputs.of(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    assert len(task.predict(BrightBoxes(), images, views.build(["identity"]))["found"]) == 1
    with pytest.raises(ModuleNotFoundError):
        task.predict(BrightBoxes(), images, views.build(["identity", "hflip"]))
