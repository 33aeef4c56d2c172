"""What is done with copies before the folds."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from goldfold.audit import copies, duplicates, perceptual
from goldfold.base.errors import ConfigError, DataError
from goldfold.commands.check import check
from goldfold.config import slices
from goldfold.config.load import parse
from goldfold.splits.splitting import split
from goldfold.splits.together import COLUMN, joined
from goldfold.stages import folds, manifest

MODELS = [{"name": "a", "network": "small_resnet", "image_size_px": 8}]


def scene(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return cv2.resize(coarse, (48, 40), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def scenes(in_tmp: Path) -> None:
    """24 different pictures; 02 is 00 resized and 04 brighter, 06 is 00's bytes with another label; 08 is 10 mirrored."""
    Path("images").mkdir()
    pictures = {f"{number:02d}": scene(number) for number in range(24)}
    pictures |= {"02": cv2.resize(scene(0), (64, 54)), "04": cv2.convertScaleAbs(scene(0), alpha=1.1, beta=5)}
    pictures |= {"06": scene(0), "08": np.ascontiguousarray(scene(10)[:, ::-1])}
    for id, picture in pictures.items():
        cv2.imwrite(f"images/{id}.png", picture)
    labels = ["cat" if int(id) % 2 or id == "06" else "dog" for id in pictures]
    pd.DataFrame({"id": list(pictures), "label": labels}).to_csv("train.csv", index=False)


@pytest.fixture
def others(scenes: None) -> None:
    """Test images, one of which is training image 00; unlabeled ones, of which two are copies."""
    for name, picture in {"t0": cv2.resize(scene(0), (60, 50)), "t1": scene(101)}.items():
        cv2.imwrite(f"images/{name}.png", picture)
    Path("test.csv").write_text("id\nt0\nt1\n")
    Path("more").mkdir()
    pictures = {"u0": scene(3), "u1": cv2.resize(scene(5), (60, 50)), "u2": cv2.resize(scene(101), (60, 50))}
    for name, picture in {**pictures, "u3": scene(103), "u4": cv2.resize(scene(103), (60, 50))}.items():
        cv2.imwrite(f"more/{name}.png", picture)


def made(**data: Any) -> pd.DataFrame:
    """Training table after manifest and folds."""
    task = data.pop("task", "classification")
    source = {"source": "csv", "train": "train.csv", "images": "images", **data}
    config = parse({"name": "t", "task": task, "data": source, "folds": {"n_folds": 3}, "models": MODELS})
    manifest.run(folder="manifest", workers=1, **slices.manifest(config))
    folds.run(manifest="manifest", folder="folds", **slices.folds(config))
    return pd.read_csv("folds/train.csv", dtype=str, keep_default_na=False).set_index("id")


def left_out() -> dict[str, str]:
    table = pd.read_csv("manifest/quarantine.csv", dtype=str)
    return dict(zip(table["id"], table["reason"], strict=True))


@pytest.mark.usefixtures("scenes")
def test_copies_share_a_fold_and_all_others_stay_where_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    before = made(duplicates="ignore")
    assert COLUMN not in before
    after = made()
    copies = ["00", "02", "04", "06"]
    assert after.index[after[COLUMN] == "00"].tolist() == copies
    assert before.loc[copies, "fold"].nunique() > 1 == after.loc[copies, "fold"].nunique()
    rest = before.index.difference(copies)
    assert after.loc[rest, "fold"].equals(before.loc[rest, "fold"])
    assert "1 group of copies among 4 training images, kept in one fold" in capsys.readouterr().out
    found = duplicates.read("folds/duplicates.csv")
    assert found[["id", "kind", "n_labels", "path"]].to_numpy().tolist() == [
        [id, kind, 2, f"images/{id}.png"] for id, kind in zip(copies, ["exact", "near", "near", "exact"], strict=True)
    ]


@pytest.mark.usefixtures("scenes")
def test_folds_of_a_column_stay_and_copies_that_they_part_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    table = pd.read_csv("train.csv", dtype=str)
    table.assign(part=np.arange(len(table)) // 2 % 3).to_csv("train.csv", index=False)
    data = {"source": "csv", "train": "train.csv", "images": "images", "fold_column": "part"}
    values = {"name": "t", "data": data, "folds": {"n_folds": 3, "splitter": "predefined"}, "models": MODELS}
    config = parse(values)
    manifest.run(folder="manifest", workers=1, **slices.manifest(config))
    folds.run(manifest="manifest", folder="folds", **slices.folds(config))
    own = dict(zip(table["id"], np.arange(len(table)) // 2 % 3, strict=True))
    assert pd.read_csv("folds/train.csv", dtype={"id": str}).set_index("id")["fold"].to_dict() == own
    assert "1 group of copies over several folds: no fold is trained on copies" in capsys.readouterr().out
    Path("config.yaml").write_text(yaml.safe_dump(values))
    assert any("1 group of copies over several folds: a fold does" in doubt for doubt in check("config.yaml").doubts)


@pytest.mark.usefixtures("scenes")
def test_without_copies_no_setting_changes_a_byte_of_the_folds() -> None:
    table = pd.read_csv("train.csv", dtype=str)
    table[~table["id"].isin(["02", "04", "06"])].to_csv("train.csv", index=False)
    for id in ("02", "04", "06"):
        Path(f"images/{id}.png").unlink()
    seen = []
    for policy in ("ignore", "group", "drop", "fail"):
        made(duplicates=policy)
        seen.append({path.name: path.read_bytes() for path in Path("folds").rglob("*.csv")})
    assert len(seen[0]) == 11
    assert seen[0] == seen[1] == seen[2] == seen[3]


@pytest.mark.usefixtures("scenes")
@pytest.mark.parametrize(
    ("data", "gone"),
    [
        ({"duplicates": "drop"}, dict.fromkeys(("02", "04", "06"), "is a copy of training image 00")),
        ({"duplicates": "drop", "duplicates_distance": None}, {"06": "is a copy of training image 00"}),
        ({"duplicates": "drop", "duplicates_mirrored": True},
         {"02": "is a copy of training image 00", "10": "is a copy of training image 08"}),
        ({"on_two_labels": "quarantine"},
         dict.fromkeys(("00", "02", "04", "06"), "its copies have 2 labels, see cluster 0 of duplicates.csv")),
    ],
)  # fmt: skip
def test_copies_are_left_out_with_the_reason(data: dict[str, Any], gone: dict[str, str]) -> None:
    table = made(**data)
    reasons = left_out()
    assert {id: reasons.get(id) for id in gone} == gone
    assert not set(reasons) & set(table.index)
    assert len(table) + len(reasons) == 24
    assert COLUMN not in table


@pytest.mark.usefixtures("scenes")
def test_copies_with_another_number_are_told_and_one_number_may_be_written_in_two_ways() -> None:
    table = pd.read_csv("train.csv", dtype=str)
    numbers = {"00": "1", "02": "1.0", "04": "1e0", "06": "1.5"}
    table.assign(y=[numbers.get(id, id) for id in table["id"]]).to_csv("train.csv", index=False)
    data = {"target_column": "y", "task": "regression"}
    with pytest.raises(DataError, match=r"1 group of copies with more than one label: .*train '06' is '1\.5'"):
        made(**data, on_two_labels="fail")
    made(**data)
    found = duplicates.read("manifest/duplicates.csv").set_index("id")
    assert found.loc[list(numbers), "label"].tolist() == ["1", "1", "1", "1.5"]
    assert found.loc[list(numbers), "n_labels"].tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize("name", ["mask", "boxes"])
def test_masks_and_boxes_are_compared_where_images_have_the_same_bytes(name: str) -> None:
    first, other = {"mask": ("m0", "m1"), "boxes": ('[["a", 0, 0, 5, 5], ["b", 1, 2, 3, 4]]', '[["a", 0, 0, 5, 6]]')}[
        name
    ]
    turned = {"mask": "m0", "boxes": '[["b", 1, 2, 3, 4], ["a", 0, 0, 5, 5]]'}[name]  # the same in another order
    table = pd.DataFrame({
        "id": list("abcdef"), "path": list("abcdef"), "sha256": ["x", "x", "y", "y", "z", "w"],
        {"mask": "mask_sha256"}.get(name, name): [first, turned, first, other, other, None],
    })  # fmt: skip
    tables, found = copies.settle(
        {"train": table}, pd.DataFrame(), [], copies.Policy("ignore", two_labels="quarantine")
    )
    assert found.set_index("id")["label"].to_dict() == dict(
        zip("abcd", (f"{name} {number}" for number in (1, 1, 1, 2)), strict=True)
    )
    assert tables["train"]["id"].tolist() == ["a", "b", "e", "f"]


@pytest.mark.usefixtures("scenes")
def test_of_copies_the_one_that_is_validated_stays() -> None:
    """Whatever the ids; else external data would take images out of the score."""
    Path("more").mkdir()
    for name, number in (("+0", 1), ("+1", 3), ("+2", 200)):
        cv2.imwrite(f"more/{name}.png", scene(number))
    Path("more.csv").write_text("id,label\n+0,cat\n+1,cat\n+2,dog\n")
    assert "+0" < "01"
    table = made(duplicates="drop", extra_train="more.csv", extra_images="more")
    gone = left_out()
    assert {id: gone.get(id) for id in ("01", "+0", "+1", "03", "+2")} == {
        "01": None, "+0": "is a copy of training image 01", "+1": "is a copy of training image 03", "03": None, "+2": None,
    }  # fmt: skip
    assert (table.loc[["01", "03", "+2"], "fold"].astype(int) >= 0).tolist() == [True, True, False]


@pytest.mark.usefixtures("scenes")
@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"duplicates": "fail"}, r"1 group of copies among training images: train '00' is 'dog', train '02' is 'dog', "
         r"train '04' is 'dog', train '06' is 'cat'\. .* data.duplicates: group or drop"),
        ({"on_two_labels": "fail"}, r"1 group of copies with more than one label: train '00' is 'dog', .*quarantine or keep"),
    ],
)  # fmt: skip
def test_copies_end_the_run_where_they_must_not_be(data: dict[str, Any], text: str) -> None:
    with pytest.raises(DataError, match=text):
        made(**data)


@pytest.mark.usefixtures("others")
def test_pool_and_test_images_that_copy_others_are_told_and_kept_out() -> None:
    table = made(test="test.csv", unlabeled="more")
    assert left_out() == {
        "u0": "has the same bytes as training image 03",
        "u1": "looks like training image 05",
        "u2": "looks like test image t1",
    }
    assert pd.read_csv("folds/unlabeled.csv")["id"].tolist() == ["u3", "u4"], "which copy only each other"
    assert len(table) == 24
    made(test="test.csv", unlabeled="more", duplicates_across="drop_train")
    gone = {id: reason for id, reason in left_out().items() if not id.startswith("u")}
    assert gone == dict.fromkeys(("00", "02", "04", "06"), "is a copy of test image t0")
    with pytest.raises(
        DataError, match=r"1 group of copies in both training and test set: train '00' is 'dog', .*'t0'"
    ):
        made(test="test.csv", unlabeled="more", duplicates_across="fail")
    made(test="test.csv", unlabeled="more", duplicates="ignore")
    assert list(left_out()) == ["u0"]


@given(st.data())
def test_no_group_and_no_copies_are_ever_parted(data: st.DataObject) -> None:
    n, n_folds = data.draw(st.integers(30, 80)), data.draw(st.integers(2, 4))
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    numbers = generator.integers(0, n // 2, n)
    table = pd.DataFrame({"id": [f"{row:03d}" for row in generator.permutation(n)]})
    table[COLUMN] = [f"c{number}" if number < n // 10 else "" for number in numbers]
    splitter = data.draw(st.sampled_from(["stratified", "group", "stratified_group"]))
    if "group" in splitter:
        table["group"] = [f"g{number}" for number in generator.integers(0, n // 2, n)]
    labels = generator.permutation(np.arange(n) % 2)
    content = pd.DataFrame(np.eye(2, dtype=int)[labels], columns=["a", "b"])
    try:
        folds = split(table, content, splitter, n_folds, 0)
    except DataError:  # groups and copies together may be too few, or hold a whole class
        assert joined(table)["group"].nunique() < 5 * n_folds
        return
    copies = table[COLUMN] != ""
    assert (pd.Series(folds)[copies].groupby(table[COLUMN][copies]).nunique() == 1).all()
    if "group" in splitter:
        assert (pd.Series(folds).groupby(table["group"]).nunique() == 1).all()


def test_copies_join_groups_in_chains() -> None:
    table = pd.DataFrame({"id": list("abcdef"), "group": list("xxyyzw"), COLUMN: ["", "b", "b", "d", "d", ""]})
    assert joined(table)["group"].tolist() == ["x"] * 5 + ["w"]
    assert joined(table.drop(columns="group"))["group"].tolist() == ["a", "b", "b", "d", "d", "f"]


def test_what_an_image_looks_like_whatever_its_bits_and_channels() -> None:
    image = scene(1)
    own = perceptual.signature(image)
    assert perceptual.brief(image)[0] == own.hash
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint16)
    for other in (np.repeat(grey[..., None] * 12, 5, axis=2), grey[..., None] * 200):
        hash, text = perceptual.brief(other)
        assert (hash ^ own.hash).bit_count() <= 6
        small, wanted = (np.frombuffer(part, np.uint8) for part in (perceptual.unpacked(text), own.thumbnail))
        assert np.corrcoef(small, wanted)[0, 1] > 0.97
    assert perceptual.mirrored(own.hash, own.thumbnail) == own.mirrored


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"duplicates": "ignore", "duplicates_across": "fail"}, "data.duplicates_across = 'fail': near copies are not searched"),
        ({"duplicates_mirrored": True, "duplicates_distance": None}, "data.duplicates_mirrored: needs data.duplicates_dist"),
        ({"duplicates": "merge"}, "data.duplicates = 'merge': allowed: 'group', 'drop', 'fail' or 'ignore'"),
    ],
)  # fmt: skip
def test_settings_that_would_do_nothing_are_refused(data: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        parse({"name": "t", "data": {"source": "folder", "train": "a", **data}, "models": MODELS})
