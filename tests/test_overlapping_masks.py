"""Masks of classes that may overlap: sources, sets of classes as bits, and that each class is treated as if it were alone."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from conftest import save_picture
from goldfold.base.errors import ConfigError, DataError
from goldfold.config import parse, slices
from goldfold.predictions.arrays import OneByOne
from goldfold.samples.mixing.maps import objects
from goldfold.samples.transforms import Augment
from goldfold.sources import read
from goldfold.sources.sized import with_sizes
from goldfold.submission.form import Form
from goldfold.targets.mask_bits import Bits, layers, planes
from goldfold.targets.mask_coding import Coding
from goldfold.targets.masks import decode_mask
from goldfold.targets.objects import read as true_objects
from goldfold.tasks import examine
from test_config import BASE, OF_TASK
from whole_task import whole

NAMES = ["organ", "lesion"]
ORGAN = np.array([[1, 1, 1], [1, 1, 0]], np.uint8)
LESION = np.array([[0, 1, 0], [0, 1, 1]], np.uint8)
BOTH = ORGAN + 2 * LESION
OWN = {**BASE, "task": "segmentation", **OF_TASK["segmentation"]}
SPEC = {"name": "segmentation", "mask_values": "bits"}

pytestmark = pytest.mark.usefixtures("in_tmp")


def files(**masks: np.ndarray) -> None:
    """Two images of 2 x 3 pixels, and files of classes of the first, or of ``<class>__<id>``."""
    for id in "ab":
        save_picture(Path(f"raw/{id}.png"), np.full((2, 3, 3), 90, np.uint8))
    for name, mask in masks.items():
        of, _, id = name.partition("__")
        save_picture(Path(f"masks/{of}/{id or 'a'}.png"), mask * np.uint8(255))


def examined(tables: dict[str, pd.DataFrame], mask_values: str, ignore_value: int | None = None) -> Any:
    table = with_sizes(tables["train"].assign(height="2", width="3"))
    return examine("segmentation")(
        table, NAMES, "data.train", False, 1, mask_values=mask_values, ignore_value=ignore_value
    )


def of_files(**more: Any) -> dict[str, pd.DataFrame]:
    return read("masks", train="raw", masks="masks/{class}", classes=NAMES, **more)


# --- sources


def test_files_run_lengths_and_bits_give_the_same_sets() -> None:
    files(organ=ORGAN, lesion=LESION, organ__b=ORGAN * 0, lesion__b=LESION)
    Path("t.csv").write_text("id,class,rle\na,organ,1 5\na,lesion,3 2 6 1\nb,lesion,3 2 6 1\nb,organ,\n")
    save_picture(Path("bits/a.png"), BOTH)
    save_picture(Path("bits/b.png"), LESION * 2)
    runs = read("rle", train="t.csv", images="raw", class_column="class", classes=NAMES, overlap=True)
    for tables in (of_files(overlap=True), runs, read("masks", train="raw", masks="bits")):
        found = examined(tables, "bits")
        assert found.flaws == found.missing == ["", ""]
        assert [decode_mask(path).tolist() for path in found.table["mask"]] == [BOTH.tolist(), (2 * LESION).tolist()]
        counted = whole(SPEC, NAMES).content(found.table)
        assert counted.to_dict("list") == {"organ": [5, 0], "lesion": [3, 3]}


def test_classes_that_share_pixels_although_they_may_not_are_a_flaw_that_names_the_way() -> None:
    files(organ=ORGAN, lesion=LESION, organ__b=ORGAN, lesion__b=1 - ORGAN)
    found = examined(of_files(), "index")
    assert found.flaws[1] == "", "classes that share no pixel are numbered"
    assert decode_mask(found.table["mask"][1]).tolist() == (2 - ORGAN).tolist()
    assert "2 pixels are in both masks/organ/a.png and masks/lesion/a.png" in found.flaws[0]
    assert "data.overlap: true" in found.flaws[0]


def test_a_class_without_a_file_is_a_flaw_or_absent_and_an_image_without_any_has_no_mask() -> None:
    files(organ=ORGAN, lesion__a=LESION)
    Path("masks/lesion/a.png").rename("masks/lesion/other.png")
    with pytest.raises(DataError, match=r"1 masks have no image below raw, first masks/lesion/other\.png"):
        of_files(overlap=True)
    Path("masks/lesion/other.png").unlink()
    with pytest.raises(DataError, match="no images below masks/lesion"):
        of_files(overlap=True)
    save_picture(Path("raw/c.png"), np.full((2, 3, 3), 90, np.uint8))
    save_picture(Path("masks/lesion/c.png"), LESION)
    strict, lax = of_files(overlap=True), of_files(overlap=True, absent_class="empty")
    assert examined(strict, "bits").flaws[0].endswith("there is no file of class 'lesion' (see data.absent_class)")
    found = examined(lax, "bits")
    assert found.flaws == ["", "", ""]
    assert found.missing == ["", "image has no mask", ""]
    assert decode_mask(found.table["mask"][0]).tolist() == ORGAN.tolist()


def test_files_of_other_sizes_and_files_that_are_no_images_are_flaws() -> None:
    files(organ=ORGAN, lesion=np.ones((3, 3), np.uint8), organ__b=ORGAN[:1], lesion__b=LESION[:1])
    found = examined(of_files(overlap=True), "bits")
    assert "masks/lesion/a.png has another size than the files before it" in found.flaws[0]
    assert found.flaws[1] == "its mask has 3 x 1 pixels, the image 3 x 2"
    Path("masks/organ/b.png").write_bytes(b"")
    assert "masks/organ/b.png file is empty" in examined(of_files(overlap=True), "bits").flaws[1]


def test_an_ignored_pixel_of_one_file_is_ignored_for_all_classes() -> None:
    files(organ=ORGAN, lesion=LESION)
    save_picture(Path("masks/lesion/a.png"), np.array([[128, 255, 0], [0, 128, 255]], np.uint8))
    data = {"source": "masks", "train": "raw", "masks": "masks/{class}", "classes": NAMES, "overlap": True}
    config = parse({**OWN, "data": {**data, "ignore_value": 128}})
    assert slices.task(config)["ignore_value"] == 4
    found = examined(of_files(overlap=True, ignore_value=128), "bits", 4)
    assert found.flaws[0] == ""
    coding = Bits(NAMES, 4)
    sets = coding.channels(decode_mask(found.table["mask"][0]))
    assert sets.tolist() == [[255, 3, 1], [1, 255, 2]]
    assert whole({**SPEC, "ignore_value": 4}, NAMES).content(found.table.head(1)).to_numpy().tolist() == [[3, 2]]


def test_values_of_bits_that_name_no_class_are_flaws() -> None:
    files()
    save_picture(Path("bits/a.png"), np.array([[0, 1, 2], [3, 4, 9]], np.uint8))
    save_picture(Path("bits/b.png"), np.array([[0, 1, 2], [3, 255, 0]], np.uint8))
    found = examined(read("masks", train="raw", masks="bits"), "bits", 255)
    assert "has the values 4, 9, no class" in found.flaws[0]
    assert found.flaws[1] == ""


def test_run_lengths_of_classes_that_overlap_are_still_checked() -> None:
    files()
    Path("t.csv").write_text("id,class,rle\na,organ,1 9\nb,organ,1 2\nb,lesion,2 2\n")
    runs = {"train": "t.csv", "images": "raw", "class_column": "class", "classes": NAMES}
    found = examined(read("rle", **runs, overlap=True), "bits")
    assert "'1 9', reaches beyond the 2 x 3 pixels of the image" in found.flaws[0]
    assert found.flaws[1] == ""
    assert "1 pixels are of two classes" in examined(read("rle", **runs), "index").flaws[1]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"masks": "m", "overlap": True}, "overlap needs one file per class"),
        ({"masks": "m", "absent_class": "empty"}, "absent_class needs one file per class"),
        ({"masks": "m/{class}", "classes": None}, "stands for the names of the classes: set classes"),
        ({"masks": "m/{class}", "mask_values": "nonzero"}, "every value but 0 is the class; remove mask_values"),
        ({"masks": "m", "mask_values": "bits", "classes": None}, "bits needs the names of the classes"),
        ({"masks": "m", "mask_values": "bits", "classes": ["a"]}, "bits is for several classes"),
        ({"masks": "m", "mask_values": "bits", "ignore_value": 3}, "ignore_value = 3 is a sum of the bits"),
        ({"masks": "m/{class}", "overlap": True, "classes": ["a"]}, "overlap is for several classes; remove it"),
        ({"masks": "m/{class}", "overlap": True, "classes": [f"c{n}" for n in range(32)]}, "at most 31 are possible"),
    ],
)
def test_settings_of_overlapping_classes_that_do_not_fit_are_refused(data: dict[str, Any], said: str) -> None:
    written = {"source": "masks", "train": "raw", "classes": NAMES, **data}
    with pytest.raises(ConfigError, match=said):
        parse({**OWN, "data": {key: value for key, value in written.items() if value is not None}})


def test_recipes_without_overlap_have_no_trace_of_it() -> None:
    data = {"source": "masks", "train": "raw", "masks": "m"}
    recipe = str(slices.manifest(parse({**OWN, "data": data})))
    assert not any(key in recipe for key in ("overlap", "absent_class"))
    assert "'ignore_value'" in recipe, "as a setting of the task alone"
    assert recipe.count("'classes'") == 1


def test_networks_that_give_a_pixel_one_class_are_refused() -> None:
    data = {"source": "masks", "train": "raw", "masks": "m", "classes": NAMES}
    settings = {**OWN, "data": {**data, "mask_values": "bits"}}
    mask2former = [{**settings["models"][0], "network": "mask2former", "params": {}}]
    with pytest.raises(ConfigError, match="mask2former gives each pixel one class"):
        parse({**settings, "models": mask2former})
    parse({**settings, "data": {**data, "mask_values": "index"}, "models": mask2former})
    with pytest.raises(ConfigError, match="network 'mask2former' has a loss of its own"):
        parse({**settings, "data": data, "models": mask2former, "train": {"class_weights": "inverse_frequency"}})


def test_a_file_of_a_class_may_number_its_objects() -> None:
    numbered = np.array([[1, 1, 0, 2], [0, 0, 0, 2]], np.uint8)
    for id, name, mask in (("a", "organ", numbered), ("a", "lesion", np.where(numbered == 2, 7, 0).astype(np.uint8))):
        save_picture(Path(f"raw/{id}.png"), np.full((2, 4, 3), 90, np.uint8))
        save_picture(Path(f"masks/{name}/{id}.png"), mask)
    (path,) = of_files(overlap=True)["train"]["mask"]
    sets, (organs, lesions) = true_objects(path, Bits(NAMES, None), "given")
    assert sets.tolist() == [[1, 1, 0, 3], [0, 0, 0, 3]]
    assert organs.labels.tolist() == numbered.tolist()
    assert lesions.labels.tolist() == (numbered == 2).astype(int).tolist()
    save_picture(Path("masks/lesion/a.png"), np.array([[0, 0, 5, 0], [6, 0, 0, 0]], np.uint8))
    (path,) = of_files()["train"]["mask"]
    channels, (both,) = true_objects(path, Coding(NAMES, "index", None), "given")
    assert channels.tolist() == [[1, 1, 2, 1], [2, 0, 0, 1]]
    assert both.labels.tolist() == [[1, 1, 3, 2], [4, 0, 0, 2]]
    assert both.channels.tolist() == [1, 1, 2, 2]


def test_smeared_files_of_classes_are_flaws() -> None:
    files(organ=ORGAN)
    picture = cv2.GaussianBlur((np.arange(6).reshape(2, 3) * 50).astype(np.uint8), (3, 3), 0)
    Path("masks/lesion").mkdir()
    cv2.imwrite("masks/lesion/a.jpg", picture)
    assert "masks/lesion/a.jpg is a JPEG with" in examined(of_files(overlap=True), "bits").flaws[0]


# --- sets


@pytest.mark.parametrize("n", [2, 7, 8, 15, 16, 31])
@settings(max_examples=10)
@given(data=st.data())
def test_sets_survive_all_their_forms(n: int, data: Any) -> None:
    made = data.draw(arrays(bool, (n, 4, 5)))
    unknown = data.draw(arrays(bool, (4, 5)))
    coding = Bits([f"class {place}" for place in range(n)], None)
    sets = np.where(unknown, coding.ignore, coding.of(made)).astype(coding.dtype)
    found = layers(planes(sets), n)
    assert (found[:, unknown] == 255).all()
    assert np.array_equal(found[:, ~unknown], made[:, ~unknown])
    assert np.array_equal(coding.from_text(coding.to_text(sets), 4, 5), sets)
    assert np.array_equal(coding.channels(coding.of(made)), coding.of(made))
    values, numbers = np.unique(coding.of(made), return_counts=True)
    counted = coding.pixels([dict(zip(values.tolist(), numbers.tolist(), strict=True))])
    assert counted == [made.sum(axis=(1, 2)).tolist()]


@pytest.mark.parametrize("n", [3, 9, 17])
def test_augmentation_moves_sets_as_it_moves_each_class(n: int) -> None:
    generator = np.random.default_rng(0)
    made = generator.random((n, 33, 33)) < 0.3
    coding = Bits([str(place) for place in range(n)], None)
    image = generator.integers(0, 255, (33, 33, 3), dtype=np.uint8)
    augment = Augment("heavy", "both", (33, 33), 3)
    for seed in range(6):
        moved = augment({"image": image, "mask": planes(coding.of(made))}, seed)["mask"]
        assert moved.shape[:2] == (33, 33)
        for layer, own in zip(layers(moved, n), made, strict=True):
            assert np.array_equal(augment({"image": image, "mask": own.astype(np.uint8)}, seed)["mask"], layer)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
@pytest.mark.parametrize("n", [1, 7, 8, 9, 15, 16, 31])
def test_ignored_values_are_ignored_in_masks_of_any_type(n: int, dtype: type[np.unsignedinteger[Any]]) -> None:
    coding = Bits([str(number) for number in range(n)], int(np.iinfo(dtype).max))
    found = coding.channels(np.array([[np.iinfo(dtype).max, 1, 0]], dtype))
    assert found.dtype == coding.dtype
    assert found.tolist() == [[coding.ignore, 1, 0]]


def test_objects_that_copy_paste_takes_are_regions_of_any_class() -> None:
    made = np.zeros((2, 5, 9), bool)
    made[0, 1:4, 1:4], made[1, 2:5, 2:4], made[1, 0, 8] = True, True, True
    numbers, n = objects(planes(Bits(NAMES, None).of(made)))
    assert n == 2
    assert np.array_equal(numbers > 0, made.any(axis=0))


# --- each class is treated as if it were alone


class Alone:
    """Predictions of three images for two classes, and the same for a task of each class alone."""

    def __init__(self, folder: Path) -> None:
        generator = np.random.default_rng(1)
        self.ids, sizes = ["x", "y", "z"], [(24, 30), (20, 20), (31, 17)]
        maps = [generator.random((2, 12, 15)) ** 2 for _ in self.ids]
        self.maps = [
            np.round(cv2.GaussianBlur(one.transpose(1, 2, 0), (3, 3), 0) * 255).astype(np.uint8).transpose(2, 0, 1)
            for one in maps
        ]
        true = [cv2.blur(generator.random((*size, 2)), (5, 5)) > 0.5 for size in sizes]
        unknown = [generator.random(size) < 0.1 for size in sizes]
        self.both = whole({**SPEC, "ignore_value": 4}, NAMES)
        self.single = [whole({"name": "segmentation", "ignore_value": 9}, [name]) for name in NAMES]
        for place, id in enumerate(self.ids):
            stored = np.where(unknown[place], 4, true[place] @ np.array([1, 2])).astype(np.uint8)
            save_picture(folder / f"both/{id}.png", stored)
            for number in range(2):
                save_picture(
                    folder / f"{number}/{id}.png",
                    np.where(unknown[place], 9, true[place][..., number]).astype(np.uint8),
                )
        self.truth = pd.DataFrame({"id": self.ids, "mask": [str(folder / f"both/{id}.png") for id in self.ids]})
        self.truths = [self.truth.assign(mask=[str(folder / f"{n}/{id}.png") for id in self.ids]) for n in range(2)]
        self.sizes = np.array(sizes, np.int32)

    def predictions(self, of: slice, names: list[str], maps: Any = None) -> OneByOne:
        entries = {"ids": np.array(self.ids), "classes": np.array(names), "sizes": self.sizes}
        chosen = self.maps if maps is None else maps
        return OneByOne(entries, "maps", 3, lambda row: chosen[row][of])

    def pairs(self, maps: Any = None) -> tuple[OneByOne, list[OneByOne]]:
        alone = [self.predictions(slice(n, n + 1), [name], maps) for n, name in enumerate(NAMES)]
        return self.predictions(slice(None), NAMES, maps), alone


@pytest.fixture
def alone(tmp_path: Path) -> Alone:
    return Alone(tmp_path)


def test_scores_levels_components_and_instances_of_a_class_are_those_of_the_class_alone(alone: Alone) -> None:
    both, single = alone.pairs()
    tried, found = [(0, 0, False), (4, 3, False), (0, 0, True)], alone.both.evidence(both, alone.truth)
    levels, cleaned = alone.both.decidable(both, alone.truth), alone.both.cleanable(both, alone.truth, tried)
    parts = alone.both.separable(both, alone.truth, [(1.0, 0.7, 0), (3.0, 1.0, 5)])
    boundaries = alone.both.metric("boundary_iou")
    values = []
    for n, (task, own, truth) in enumerate(zip(alone.single, single, alone.truths, strict=True)):
        expected = task.evidence(own, truth)
        for name in ("both", "predicted", "true"):
            assert getattr(found, name)[:, n].tolist() == getattr(expected, name)[:, 0].tolist(), name
        for name in ("hits", "misses", "true"):
            assert np.array_equal(getattr(levels, name)[:, n], getattr(task.decidable(own, truth), name)[:, 0]), name
        assert np.array_equal(cleaned.both[:, n], task.cleanable(own, truth, tried).both[:, 0])
        assert np.array_equal(
            parts.numbers[:, n], task.separable(own, truth, [(1.0, 0.7, 0), (3.0, 1.0, 5)]).numbers[:, 0]
        )
        values.append(task.metric("boundary_iou").value(expected, np.arange(3)))
    assert boundaries.value(found, np.arange(3)) == pytest.approx(np.mean(values), abs=0.2), (
        "a mean over the classes in each image"
    )
    assert (found.both.sum(axis=0) > 0).all()


@pytest.mark.parametrize("method", ["probability", "geometric", "logit", "vote", {"power": {"exponent": 2}}])
def test_members_are_fused_for_each_class_alone(alone: Alone, method: Any) -> None:
    other = [255 - one[:, ::-1] for one in alone.maps]
    (both, single), (second, singles) = alone.pairs(), alone.pairs(other)
    fused = alone.both.fuse([both, second], [1.0, 2.0], method=method)
    for n, task in enumerate(alone.single):
        expected = task.fuse([single[n], singles[n]], [1.0, 2.0], method=method)
        for row in range(3):
            assert np.array_equal(fused[f"maps/{row}"][n], expected[f"maps/{row}"][0])


def test_decisions_and_cleaning_by_class_reach_masks_tables_and_submissions(alone: Alone, tmp_path: Path) -> None:
    both, single = alone.pairs()
    decided = alone.both.clean(alone.both.decide(both, [0.3, 0.5]), [(5, 0, False), (0, 4, True)])
    expected = [
        task.clean(task.decide(own, [level]), [setting])
        for task, own, level, setting in zip(
            alone.single, single, (0.3, 0.5), [(5, 0, False), (0, 4, True)], strict=True
        )
    ]
    masks = list(alone.both.masks(decided, alone.ids))
    of_each = [list(task.masks(own, alone.ids)) for task, own in zip(alone.single, expected, strict=True)]
    for row in range(3):
        assert np.array_equal(masks[row], of_each[0][row] + 2 * of_each[1][row])
    assert any((mask == 3).any() for mask in masks)
    table = alone.both.table(decided)
    assert table["pixels_lesion"].tolist() == [int(one.sum()) for one in of_each[1]]
    form = Form(["id", "class", "rle"], n_keys=2)
    rows = alone.both.submission(decided, form).set_index(["id", "class"])["rle"]
    for name, task, own in zip(NAMES, alone.single, expected, strict=True):
        wanted = task.submission(own, Form(["id", "rle"], n_keys=1)).set_index("id")["rle"]
        assert rows.xs(name, level="class").to_dict() == wanted.to_dict(), "pixels may repeat between classes"
    separated = alone.both.separate(decided, [(0.0, 1.0, 0)] * 2)
    alone.both.write_extras(separated, pd.DataFrame({"id": alone.ids}), str(tmp_path / "out"), {})
    stored = cv2.imread(str(tmp_path / "out/masks/lesion/y.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(stored, of_each[1][1] * 255)
    assert (tmp_path / "out/instances/organ/x.png").exists()
    repeated = alone.both.submission(separated, Form(["id", "class", "rle"], n_keys=2, repeats=True))
    assert set(repeated["class"]) == set(NAMES)


def test_maps_of_other_tools_need_not_sum_to_one(alone: Alone) -> None:
    from goldfold import tasks

    full = {"ids": np.array(alone.ids), "classes": np.array(NAMES), "sizes": alone.sizes}
    full |= {f"maps/{row}": np.full((2, 4, 4), 255, np.uint8) for row in range(3)}
    images = pd.DataFrame({"id": alone.ids, "height": alone.sizes[:, 0], "width": alone.sizes[:, 1]})
    facet = tasks.external(SPEC, NAMES)
    assert facet is not None
    assert facet.from_arrays(full, images, "m.npz")["maps/0"].max() == 255
    other = tasks.external({"name": "segmentation"}, NAMES)
    assert other is not None
    with pytest.raises(DataError, match="a pixel whose classes sum to 510"):
        other.from_arrays(full, images, "m.npz")["maps/0"]


def test_a_network_has_one_output_per_class_decided_by_its_sigmoid() -> None:
    import torch

    from goldfold.cases import Inputs
    from goldfold.inference import views

    task = whole(SPEC, NAMES)
    network = lambda inputs: torch.full((1, 2, 4, 4), 2.0)  # noqa: E731
    made = task.predict(network, Inputs.of(torch.zeros(1, 3, 4, 4, dtype=torch.uint8)), views.build(["identity"]))
    assert set(made["maps"].ravel().tolist()) == {round(255 / (1 + np.exp(-2)))}
