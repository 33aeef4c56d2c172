"""goldfold init on folders as people download them: which reading wins, what it explains, and what is nearly a layout."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import downloads
from conftest import write_scenes
from goldfold.base.errors import DataError
from goldfold.commands.init import colour_names, command, folders, labels, lists, nearest, reading, rehearsal
from goldfold.commands.init.found import Layout, Setting
from goldfold.commands.init.pictures import Picture, Pictures
from goldfold.commands.init.report import grouped
from goldfold.commands.init.table_files import tables_of
from goldfold.commands.init.tiles import by_affixes
from goldfold.commands.init.walk import Tree, walk
from goldfold.sources.records import Columns, read_records
from goldfold.splits.thinning import thinned

pytestmark = pytest.mark.usefixtures("in_tmp")


def init(folder: str = "raw") -> dict[str, Any]:
    """What the command says for machines, with the verdict of goldfold check on each reading that it had judged."""
    found: dict[str, Any] = json.loads(command.init(Path(folder), Path("mine.yaml"), None, True, True))
    return found


def touch(*names: str) -> Tree:
    """A folder ``raw`` of empty files; who only looks at names needs no pictures."""
    for name in names:
        path = Path("raw") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return walk("raw")


def write(name: str, text: str) -> Path:
    path = Path("raw") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def proposed(tree: Tree) -> list[reading.Reading]:
    return reading.propose(tree)[1]


# --- miniatures of four downloads, judged by goldfold check


def assert_accepted(found: dict[str, Any]) -> dict[str, Any]:
    best = found["readings"][0]
    assert (best["checked"], best["refusal"]) == (True, None)
    data: dict[str, Any] = found["values"]["data"]
    return data


def test_tiles_are_groups_and_their_masks_have_the_names_of_the_legend() -> None:
    downloads.tiles(Path("raw"))
    found = init()
    data = assert_accepted(found)
    assert (data["source"], data["train"], found["values"]["task"]) == ("tiles", "raw", "segmentation")
    assert {name: colour.upper() for name, colour in data["mask_values"].items()} == downloads.COLOURS
    assert (found["groups"], found["values"]["folds"]) == (4, {"splitter": "stratified_group", "n_folds": 4})
    assert (found["images"], found["unexplained"]) == ({"train": 12}, [])
    assert "folder" not in found["other_sources"]


def test_lists_without_a_header_and_names_of_classes() -> None:
    downloads.grocery(Path("raw"))
    found = init()
    data = assert_accepted(found)
    assert (data["source"], data["train"]) == ("csv", ["raw/train.txt", "raw/val.txt"])
    assert (data["columns"], data["label_column"]) == (["image", "label", "label_2"], "label")
    assert (data["class_names"], data["test"]) == ("raw/classes.csv", "raw/test.txt")
    assert (found["images"], found["classes"]["Granny-Smith"]) == ({"train": 24, "test": 6}, 4)
    assert {name.split("/")[0] for name in found["unexplained"]} == {"iconic"}
    assert [entry["source"] for entry in found["readings"][1:]][:1] == ["folder"]
    comments = Path("mine.yaml").read_text().split("\nname:")[0]
    for key in (
        "# explains: 34 of 40 files: 30 images",
        "# unexplained: 6 files: iconic/",
        "# runner-up: one folder per class, 3",
    ):
        assert key in comments


def test_all_parts_of_an_export_are_found() -> None:
    downloads.roboflow(Path("raw"))
    found = init()
    data = assert_accepted(found)
    assert data["train"] == [f"raw/{split}/_annotations.coco.json" for split in ("train", "valid")]
    assert (found["images"], found["unexplained"], found["other_sources"]) == ({"train": 8, "test": 2}, [], [])


def test_the_innermost_folders_are_the_classes_unless_told_otherwise() -> None:
    downloads.photos(Path("raw"))
    found = init()
    data = assert_accepted(found)
    assert data["class_level"] == "leaf"
    assert found["classes"] == dict.fromkeys(("Animals/Dogs/Husky", "Animals/Other", "Plants/Other", "Plants/Rose"), 4)
    assert "not the first ('Animals', 'Plants'): see data.class_level." in found["doubts"][0]["text"]
    assert found["unexplained"] == []


# --- the verdict


def test_a_refused_reading_never_wins_and_is_named_with_the_reason() -> None:
    write_scenes(Path())
    assert init()["source"] == "coco"
    content = json.loads(Path("raw/train.json").read_text())
    content["annotations"].append({"id": 1, "image_id": 5555, "category_id": 1, "bbox": [0, 0, 5, 5]})
    Path("raw/train.json").write_text(json.dumps(content))
    text = command.init(Path("raw"), Path("mine.yaml"), None, True, False)
    assert "(source: masks)" in text
    row = next(line for line in text.splitlines() if line.startswith("  runner-up"))
    assert "(source: coco, 12 images)" in row
    assert "check refuses it: " in row
    assert "5555" in row


def test_what_check_refuses_is_said_with_the_line_to_paste() -> None:
    downloads.tiles(Path("raw"), n_tiles=3)
    Image.fromarray(np.zeros((5, 7), np.uint8)).save("raw/Tile 1/masks/image_part_001.png")
    stops = [doubt["text"] for doubt in init()["doubts"] if doubt["stops"]]
    refused = next(
        text for text in stops if text.startswith("goldfold check refuses this config: train: 1 of 9 images")
    )
    assert refused.endswith("To solve it, paste below data: `on_bad_label: quarantine`.")


@pytest.mark.parametrize(
    ("refusal", "line"),
    [("Correct it, or set data.on_bad_label: quarantine.", "on_bad_label: quarantine"),
     ("Set data.class_level: 2 to pool them.", "class_level: 2"),
     ("data.train: s/x.jpg is not there. Restore it.", None), ("set data.test: s/x holds none.", None),
     ("data.test_answers is set: set data.test, or remove it.", None)],
)  # fmt: skip
def test_only_a_setting_that_an_error_proposes_is_a_line_to_paste(refusal: str, line: str | None) -> None:
    found = rehearsal.policy(refusal)
    assert (found and f"{found[0]}: {found[1]}") == line


def test_large_sets_are_checked_on_a_sample() -> None:
    def looked(n: int, side: int) -> Pictures:
        return Pictures([Picture("x", width=side, height=side)], n)

    assert rehearsal.n_rows(looked(1000, 300)) is None
    assert rehearsal.n_rows(looked(100_000, 300)) == 1500
    assert rehearsal.n_rows(looked(100_000, 4000)) == 40
    table = pd.DataFrame({"id": range(10)})
    assert thinned(table, 4)["id"].tolist() == [0, 2, 5, 7]
    assert thinned(table, 10)["id"].tolist() == list(range(10))


@pytest.mark.parametrize(("n_external", "kept"), [(1, 1), (30, 16), (500, 32), (990, 54), (998, 62), (1000, 64)])
def test_a_quick_look_has_own_and_external_rows(n_external: int, kept: int) -> None:
    table = pd.DataFrame({"id": range(1000), "train_only": [""] * (1000 - n_external) + ["1"] * n_external})
    found = thinned(table, 64)
    assert len(found) == 64
    assert found["id"].is_monotonic_increasing
    assert found["id"].is_unique
    assert (found["train_only"] == "1").sum() == kept


# --- what a reading explains


def test_files_have_roles_and_those_without_are_listed() -> None:
    tree = touch("a/1.jpg", "a/2.jpg", "b/1.jpg", "README.md", "notes.xyz", "loose.jpg", "train.txt")
    best = proposed(tree)[0]
    assert best.roles == {"README.md": "documentation", **dict.fromkeys(("a/1.jpg", "a/2.jpg", "b/1.jpg"), "image")}
    assert best.unexplained == ["loose.jpg", "notes.xyz", "train.txt"]
    assert best.share == pytest.approx(0.7 * 3 / 4)
    assert grouped([*best.unexplained, *(f"x/{n}.tif" for n in range(5))]) == ("x/ (5 .tif), ./ (3 files)")


def test_a_table_of_a_part_is_a_subset_and_the_rest_is_one_line() -> None:
    for number in range(12):
        downloads.save(Path(f"raw/img/{number:02d}.jpg"), downloads.picture(number))
    write("some.csv", "image,label\n" + "".join(f"{n:02d}.jpg,{'ab'[n % 2]}\n" for n in range(6)))
    found = init()
    assert_accepted(found)
    assert found["images"] == {"train": 6}
    rest = [doubt["text"] for doubt in found["doubts"] if "in no table" in doubt["text"]]
    assert rest == [
        "6 images below raw/img in no table, first 'img/06.jpg': left out. `unlabeled: raw/img` below data: has them "
        "pseudo-labelled."
    ]


# --- levels of class folders


@pytest.mark.parametrize(
    ("paths", "level", "group"),
    [
        ([f"{c}/p{n}" for c in ("ill", "well") for n in range(6)], 1, 2),
        ([f"{c}/{kind}/slide{c}{kind}{n}/40X" for c in "ab" for kind in "xy" for n in range(4)], 2, 3),
        (["ill/40X", "ill/100X", "well/40X", "well/100X"], 1, None),
        (["pets/cat", "pets/dog", "wild/fox"], "leaf", None),
        (["daisy/train", "daisy/test", "rose/train", "rose/test"], 1, None),
        (["ok/images", "bad/images"], 1, None),
        (["a", "a/deep", "b"], 1, None),
    ],
)
def test_levels_of_nested_class_folders(paths: list[str], level: int | str, group: int | None) -> None:
    tree = touch(*(f"{path}/{n}.jpg" for path in paths for n in range(2)))
    found = next(iter(folders.sniff(tree, [])))
    assert found.data["class_level"].value == level
    assert (found.data["group_level"].value if "group_level" in found.data else None) == group


def test_pieces_of_an_archive_are_no_classes() -> None:
    tree = touch("images_001/a.jpg", "images_001/b.jpg", "images_002/c.jpg")
    assert list(folders.sniff(tree, [])) == []


def test_tiles_are_no_classes() -> None:
    tree = touch(*(f"Site {n}/{part}/1.png" for n in range(3) for part in ("images", "masks")))
    assert list(folders.sniff(tree, [])) == []


def test_lists_beside_class_folders() -> None:
    names = [f"{label}/{n}" for label in "ab" for n in range(4)]
    write("meta/train.txt", "\n".join(names[:3] + names[4:7]) + "\n")
    write("meta/test.txt", names[3] + "\n")
    found = proposed(touch(*(f"images/{name}.jpg" for name in names)))[0].layout
    keys = ("source", "train", "train_list", "test_list")
    data = {"source": Setting(found.source, ""), **found.data}
    assert [data[key].value for key in keys] == ["folder", "raw/images", "raw/meta/train.txt", "raw/meta/test.txt"]
    assert (found.splits, found.classes) == ({"train": 6, "test": 1}, {"a": 3, "b": 3})
    assert any("1 image in no list is left out" in doubt.text for doubt in found.doubts)


# --- tables


@pytest.mark.parametrize(
    ("name", "text", "labels"),
    [
        ("l.txt", "a/0.jpg 3\na/1.jpg 4\n", ["3", "4"]),
        ("l.txt", "a/0.jpg, 3, 3\na/1.jpg, 4, 3\n", ["3", "4"]),
        ("l.csv", "a/0.jpg,x\na/1.jpg,y\n", ["x", "y"]),
        ("l.json", '{"a/0.jpg": "x", "a/1.jpg": "y"}', ["x", "y"]),
        ("l.json", '{"k0": {"path": "a/0.jpg", "label": "x"}, "k1": {"path": "a/1.jpg", "label": "y"}}', ["x", "y"]),
        ("l.jsonl", '{"file_name": "a/0.jpg", "label": "x"}\n{"file_name": "a/1.jpg", "label": "y"}\n', ["x", "y"]),
        ("l.json", '{"a/0.jpg": ["x"], "a/1.jpg": ["y", "z"]}', ["x", "y|z"]),
    ],
)
def test_tables_of_every_form(name: str, text: str, labels: list[str]) -> None:
    write(name, text)
    table = tables_of(touch("a/0.jpg", "a/1.jpg"))[0]
    assert table.match is not None
    assert sorted(table.match.images.values()) == ["a/0.jpg", "a/1.jpg"]
    assert table.values("label") == labels


@pytest.mark.parametrize(
    "content",
    [
        {"train": {"a/0.jpg": 0, "a/1.jpg": 1}, "test": {"a/2.jpg": 0}},
        {"Train": {"0": "x", "1": "y"}, "val": {"2": "x"}},
        {"train": ["a/0.jpg", "a/1.jpg"], "test": ["a/2.jpg"]},
    ],
)
def test_a_table_per_split_in_one_json_is_no_table(content: dict[str, Any]) -> None:
    write("l.json", json.dumps(content))
    tree = touch("a/0.jpg", "a/1.jpg", "a/2.jpg")
    assert tables_of(tree) == []
    assert any("one file with a table per split is not read" in str(miss) for miss in nearest.misses(tree, []))
    with pytest.raises(DataError, match=r"has a table per split .* Write each to its own file"):
        read_records("raw/l.json", "data.train", Columns())


def test_a_key_of_json_is_no_header_that_was_left_out() -> None:
    write("l.json", json.dumps({"a": {"0.jpg": "x", "1.jpg": "1"}, "b": {"0.jpg": "y", "1.jpg": "0"}}))
    assert all(table.has_header for table in tables_of(touch("a/0.jpg", "a/1.jpg")))


def test_the_file_that_names_the_classes_is_not_said_to_be_unused() -> None:
    write("train.csv", "path,label\n" + "".join(f"a/{n}.jpg,{n % 2}\n" for n in range(4)))
    write("classes.csv", "id,name\n0,cat\n1,dog\n")
    tree = touch(*(f"a/{n}.jpg" for n in range(4)))
    found = labels.sniff(tree, tables_of(tree))
    assert found is not None
    assert found.data["class_names"].value == "raw/classes.csv"
    assert not any("is not used" in doubt.text for doubt in found.doubts)


def test_boxes_and_outlines_are_no_tables() -> None:
    write("coco.json", json.dumps({"images": [], "annotations": [{"id": 1}], "categories": []}))
    write("0.json", json.dumps({"shapes": [], "imagePath": "0.jpg"}))
    assert tables_of(touch("0.jpg")) == []


# --- legends of colours


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.json", '{"classes": [{"title": "Road", "color": "#FF0000"}, {"title": "Tree", "color": "#00ff00"}]}'),
        ("labels.json", '{"Road": [255, 0, 0], "Tree": [0, 255, 0]}'),
        ("class_dict.csv", "name,r,g,b\nRoad,255,0,0\nTree,0,255,0\n"),
        ("label_colors.txt", "255 0 0\tRoad\n0 255 0\tTree\n"),
        ("colormap.csv", "id,name,colour\n1,Road,#ff0000\n2,Tree,#00FF00\n"),
    ],
)
def test_legends_of_colours(name: str, text: str) -> None:
    write(name, text)
    rule = {"class_1": "#00ff00", "class_2": "#ff0000"}
    layout = Layout(
        source="masks", task="segmentation", title="", data={"mask_values": Setting(rule, "")}, train=[], splits={},
        likelihood=1, classes={"class_1": 3, "class_2": 4},
    )  # fmt: skip
    colour_names.apply(walk("raw"), layout)
    assert layout.data["mask_values"].value == {"Tree": "#00ff00", "Road": "#ff0000"}
    assert (layout.classes, layout.roles) == ({"Tree": 3, "Road": 4}, {name: "list"})


def test_patterns_of_images_and_masks() -> None:
    assert by_affixes(["image_01", "image_02"], ["mask_01", "mask_02"]) == ("image_{id}", "mask_{id}")
    assert by_affixes(["7_sat", "9_sat"], ["7_map", "9_map"]) == ("{id}_sat", "{id}_map")
    assert by_affixes(["a1", "a2"], ["b8", "b9"]) is None


@pytest.mark.parametrize("folder", ["./images/", "./", ".\\images\\", "images//"])
def test_names_may_begin_with_the_folder_that_they_start_from(folder: str) -> None:
    write(
        "l.csv",
        "file,label\n" + "".join(f"{folder}{name}.png,{label}\n" for name, label in zip("abcd", "xyxy", strict=True)),
    )
    (table,) = tables_of(touch(*(f"images/{name}.png" for name in "abcd")))
    assert table.match is not None
    assert (table.match.folder, len(table.match.images)) == ("images" if folder == "./" else "", 4)


def test_lists_may_name_images_from_their_folder_with_a_dot() -> None:
    tree = touch(*(f"{label}/{n}.png" for label in ("cat", "dog") for n in range(3)), "train.txt")
    write("train.txt", "./cat/0.png\n.\\cat\\1.png\n./dog/2.png\n")
    (found,) = lists.name_lists(tree, "")
    assert found.images == ("cat/0.png", "cat/1.png", "dog/2.png")
    write("train.txt", "./0.png\n./1.png\n./2.png\n")
    assert next(lists.name_lists(tree, "")).images == ()


# --- what is nearly a layout


def pictures(*names: str) -> Tree:
    return touch(*(f"images/{name}" for name in names))


NEAR: list[tuple[str, Callable[[], object], str]] = [
    ("case", lambda: (pictures("a.png", "b.png"), write("l.csv", "file,label\na.PNG,x\nb.PNG,y\n")),
     "csv, because column 'file' of raw/l.csv looks like names of images, but only the case differs: 'a.PNG' against "
     "'images/a.png'"),
    ("folder", lambda: (pictures("a.png", "b.png"), write("l.csv", "file,label\n/kaggle/input/a.png,x\n/kaggle/input/b.png,y\n")),
     "but the folders differ: '/kaggle/input/a.png' against 'images/a.png'. Write paths relative to"),
    ("folder and case", lambda: (pictures("a.png", "b.png"), write("l.csv", "file,label\n/kaggle/A.PNG,x\n/kaggle/B.PNG,y\n")),
     "but the folders and the case differ: '/kaggle/A.PNG' against 'images/a.png'. Write paths relative to"),
    ("suffix", lambda: (pictures("a.png", "b.png"), write("l.csv", "file,label\na.jpg,x\nb.jpg,y\n")),
     "but the suffix differs: 'a.jpg' against 'images/a.png'"),
    ("zeros", lambda: (pictures("007.png", "008.png"), write("l.csv", "id,label\n7,x\n8,y\n")),
     "but leading zeros are lost: '7' against 'images/007.png'"),
    ("fractions", lambda: (pictures("7.png", "8.png"), write("l.csv", "id,label\n7.0,x\n8.0,y\n")),
     "but numbers were saved as fractions: '7.0' against 'images/7.png'"),
    ("affix", lambda: (pictures("s_101_l.png", "s_102_l.png"), write("l.csv", "id,label\n101,x\n102,y\n")),
     "but file names also have 's_' at the start and '_l' at the end: '101' against 's_101_l'"),
    ("others", lambda: (pictures("a.png", "b.png"), write("l.csv", "file,label\nq.png,x\nr.png,y\n")),
     "but no image has such a name: 'q.png' against 'images/a.png'"),
    ("column", lambda: (pictures("a.png", "b.png"), write("l.csv", "id,url\na,http://x\nb,http://x\n")),
     "csv, because column 'id' of raw/l.csv names 2 images, but no column holds labels (there are id, url)"),
    ("boxes", lambda: (pictures("a.png", "b.png"), write("l.csv", "id,xmin,ymin,xmax,ymax\na,1,1,2,2\nb,1,1,2,2\n")),
     "coco, because raw/l.csv has boxes of 2 images in its columns, but goldfold reads boxes as"),
    ("labelme", lambda: (pictures("a.png"), write("images/a.json", '{"shapes": [], "imagePath": "a.png"}')),
     "but 1 such file of LabelMe are not read. Convert them"),
    ("cvat", lambda: (pictures("a.png"), write("annotations.xml", "<annotations><image id='0'/></annotations>")),
     "voc, because raw/annotations.xml has CVAT's images in one file, but CVAT's XML is not read"),
    ("coco", lambda: (pictures("a.png"), write("c.json", '{"images": [{"id": 1, "file_name": "a.png"}], "annotations": [{}]}')),
     "coco, because raw/c.json has the lists images, annotations, but 'categories' is missing or empty"),
    ("torn", lambda: (pictures("a.png"), write("c.json", '{"images": [], "annotations": [')),
     "coco, because raw/c.json begins like COCO's JSON, but it is not valid JSON"),
    ("masks", lambda: touch("images/image_1.jpg", "images/image_2.jpg", "masks/mask_1.png", "masks/mask_2.png"),
     "masks, because raw/masks (2 images) is next to 'images', but no mask has an image's name, first 'mask_1' against "
     "'image_1': images are named 'image_{id}', masks 'mask_{id}'. Rename"),
    ("yolo", lambda: (pictures("a.png"), write("labels/q.txt", "0 0.5 0.5 0.1 0.1\n")),
     "yolo, because raw/labels has 1 text file with a class number and four shares, but no image has the name of one"),
    ("names", lambda: touch(*(f"train/{word}.{n}.jpg" for word in ("cat", "dog") for n in range(3))),
     "folder, because names of images begin with 2 words ('cat', 'dog'), but goldfold reads no classes from file names"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "text"), [case[1:] for case in NEAR], ids=[case[0] for case in NEAR])
def test_nearest_layout(make: Callable[[], object], text: str) -> None:
    make()
    with pytest.raises(DataError) as error:
        command.init(Path("raw"), Path("mine.yaml"), None, True, True)
    assert "nearest layout: " in str(error.value)
    assert text in str(error.value)
    assert "raw: no known layout. Found: " in str(error.value)


def test_files_that_are_read_are_no_near_misses() -> None:
    write("l.csv", "file,label\n" + "".join(f"{n}.png,{'xy'[n % 2]}\n" for n in range(4)))
    tree = pictures(*(f"{n}.png" for n in range(4)))
    best = proposed(tree)[0]
    assert nearest.misses(tree, tables_of(tree), best.unexplained) == []


# --- masks by contents


def test_a_tile_without_masks_is_left_out_and_all_others_are_read() -> None:
    downloads.tiles(Path("raw"), n_tiles=5)
    shutil.rmtree("raw/Tile 3/masks")
    found = init()
    data = assert_accepted(found)
    assert (data["source"], data["train"], data["on_missing_label"]) == ("tiles", "raw", "quarantine")
    assert (found["images"], found["unexplained"]) == ({"train": 15}, [])
    texts = [doubt["text"] for doubt in found["doubts"]]
    assert "1 tile without any mask: 'Tile 3'." in texts
    assert "3 images without a mask, first 'Tile 3/images/image_part_001.jpg': they are left out." in texts


def test_a_refusal_that_a_policy_mends_does_not_have_a_reading_of_few_files_win() -> None:
    downloads.tiles(Path("raw"))
    for tile in (2, 3):  # masks of another size
        Image.fromarray(np.zeros((5, 7), np.uint8)).save(f"raw/Tile {tile}/masks/image_part_001.png")
    found = init()
    assert (found["source"], found["unexplained"]) == ("tiles", [])
    assert "data.on_bad_label: quarantine" in found["readings"][0]["refusal"]
    stops = [doubt["text"] for doubt in found["doubts"] if doubt["stops"]]
    assert any(text.endswith("To solve it, paste below data: `on_bad_label: quarantine`.") for text in stops)


def masked(images: str, masks: str, start: int = 0) -> None:
    """Six photographs and their masks of three values, below ``raw``; ``{}`` stands for a number."""
    for number in range(start, start + 6):
        downloads.save(Path("raw") / images.format(number), downloads.picture(number))
        values = np.random.default_rng(number).integers(0, 3, (4, 4), np.uint8).repeat(4, 0).repeat(4, 1)
        downloads.save(Path("raw") / masks.format(number), values)


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("img/{}.jpg", "msk/{}.png"),
        ("frames/{}.jpg", "labels/{}.png"),
        ("a/{}.png", "b/{}.png"),
        ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
    ],
)
def test_folders_of_images_and_masks_are_known_by_their_contents(images: str, masks: str) -> None:
    masked(images, masks)
    masked(images, masks.replace("Class", "Object"))
    best = proposed(walk("raw"))
    assert [one.layout.source for one in best] == ["masks"]
    data = best[0].layout.data
    assert (data["train"].value, data["masks"].value) == (f"raw/{Path(images).parent}", f"raw/{Path(masks).parent}")


def test_tiles_are_known_by_their_contents() -> None:
    masked("Rural/images_png/{}.png", "Rural/masks_png/{}.png")
    masked("Urban/images_png/{}.png", "Urban/masks_png/{}.png", 10)
    best = proposed(walk("raw"))[0].layout
    parts = best.data["image_folder"].value, best.data["mask_folder"].value
    assert (best.source, best.data["train"].value, parts) == ("tiles", "raw", ("images_png", "masks_png"))


@pytest.mark.parametrize(
    ("images", "masks"),
    [("data/img_{}.jpg", "data/msk_{}.png"), ("{}.png", "label{}.png"), ("a/site/{}.jpg", "a/site/gt {}.png")],
)
def test_images_and_masks_in_one_folder_are_told_by_the_words_before_their_numbers(images: str, masks: str) -> None:
    masked(images, masks)
    (best,) = [one.layout for one in proposed(walk("raw"))]
    data = {key: setting.value for key, setting in best.data.items()}
    assert (best.source, data["image_folder"], data["mask_folder"], data["group_level"]) == ("tiles", ".", ".", 0)
    patterns = [Path(name.replace("{}", "{id}")).stem for name in (images, masks)]
    assert [data["image_pattern"], data["mask_pattern"]] == patterns
    assert len(best.train) == 6


def test_folders_of_images_and_masks_side_by_side_are_no_classes() -> None:
    for number, site in enumerate(("site A", "site B")):
        masked(f"{site}/img{{}}.jpg", f"{site}/msk{{}}.png", 10 * number)
    (best,) = [one.layout for one in proposed(walk("raw"))]
    assert (best.source, best.n_groups, len(best.train), "group_level" in best.data) == ("tiles", 2, 12, False)


@pytest.mark.parametrize(
    ("folders", "table", "sources"),
    [
        (("images", "images_128"), "train.csv", ["csv"]),
        (("photos", "edges"), "train.csv", ["csv"]),
        (("images", "images_128"), None, []),
        (("photos", "edges"), None, ["folder"]),
        (("cats", "dogs"), "cats/train.csv", ["folder"]),
    ],
)
def test_versions_of_the_images_that_a_table_names_are_no_classes(
    folders: tuple[str, str], table: str | None, sources: list[str]
) -> None:
    tree = touch(*(f"{folder}/{n}.jpg" for folder in folders for n in range(6)))
    if table is not None:
        write(table, "id,label\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(6)))
        tree = walk("raw")
    assert [one.layout.source for one in proposed(tree)][:1] == sources


def test_numbers_are_no_names_of_images_where_a_column_has_such() -> None:
    write("train.txt", "".join(f"/x/{n}.png, {n % 3}, {n % 2}\n" for n in range(8)))
    tree = touch(*(f"x/{n}.png" for n in range(8)))
    tables = tables_of(tree)
    assert [table.match for table in tables] == [None]
    (miss,) = nearest.misses(tree, tables)
    assert "the folders differ: '/x/1.png' against 'x/1.png'" in str(miss)


def test_a_table_of_which_few_images_are_here_is_told_so() -> None:
    write("train.csv", "file,label\n" + "".join(f"{n:02d}.jpg,{n % 2}\n" for n in range(10)))
    tree = touch("x/00.jpg", "x/03.jpg")
    (miss,) = nearest.misses(tree, tables_of(tree))
    assert "only 2 of 10 names checked have an image: '01.jpg'" in str(miss)


def test_annotations_of_whole_images_are_named() -> None:
    lists = {"images": [{"id": 1, "file_name": "1.jpg"}], "categories": [{"id": 1, "name": "a"}]}
    write("coco.json", json.dumps({**lists, "annotations": [{"id": 1, "image_id": 1, "category_id": 1}]}))
    (miss,) = nearest.misses(touch("1.jpg"), [])
    assert "its annotations have no bbox: labels of whole images" in str(miss)


@pytest.mark.parametrize(
    ("images", "masks", "patterns"),
    [
        ("leftImg8bit/{0}/{0}_leftImg.png", "gtFine/{0}/{0}_gtFine_labelIds.png", ("{id}_leftImg", "{id}_gtFine_labelIds")),
        ("photo/p_{}.png", "outline/o_{}.png", ("p_{id}", "o_{id}")),
        ("site{}/image.png", "site{}/mask.png", ("image", "mask")),
        ("train/case{}/scan.png", "train/case{}/truth.png", ("scan", "truth")),
    ],
)  # fmt: skip
def test_images_and_masks_apart_are_paired_by_patterns(images: str, masks: str, patterns: tuple[str, str]) -> None:
    masked(images, masks)
    best = proposed(walk("raw"))[0].layout
    assert (best.source, best.splits) == ("tiles", {"train": 6})
    assert (best.data["image_pattern"].value, best.data["mask_pattern"].value) == patterns


@pytest.mark.parametrize("names", [("with_mask", "without_mask"), ("matte", "glossy"), ("cat", "dog")])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_photographs_are_classes_whatever_their_folders_are_called(names: tuple[str, str], suffix: str) -> None:
    for place, name in enumerate(names):
        for number in range(4):
            downloads.save(Path(f"raw/data/{name}/{number}.{suffix}"), downloads.picture(10 * place + number))
    readings = proposed(walk("raw"))
    assert [one.layout.source for one in readings] == ["folder"]
    assert readings[0].layout.classes == dict.fromkeys(names, 4)
    assert not [doubt for doubt in readings[0].layout.doubts if doubt.stops]
