"""`goldfold check`: config and data, before anything is trained."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from goldfold import cli
from goldfold.audit.doubts.classes import about_external
from goldfold.audit.doubts.copies import about_copies
from goldfold.commands.check import check

CONFIG = {
    "name": "mine",
    "data": {"source": "csv", "train": "train.csv", "images": "images", "on_missing_label": "quarantine"},
    "folds": {"n_folds": 2},
    "models": [{"name": "a", "network": "small_resnet", "image_size_px": 8}],
}


def write(n: int = 24, **changes: Any) -> None:
    """A set of two classes, and a config for it."""
    Path("images").mkdir()
    generator = np.random.default_rng(0)
    for index in range(n):
        cv2.imwrite(f"images/{index:02d}.png", generator.integers(0, 255, (12, 16, 3), np.uint8))
    labels = ["cat" if index % 2 else "dog" for index in range(n)]
    pd.DataFrame({"id": [f"{index:02d}" for index in range(n)], "label": labels}).to_csv("train.csv", index=False)
    Path("config.yaml").write_text(yaml.safe_dump({**CONFIG, **changes}))


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = cli.main(["check", "--no-networks", *words])
    said = capsys.readouterr()
    assert said.err == ""
    return status, said.out


@pytest.mark.usefixtures("in_tmp")
def test_data_that_can_be_run_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    write()
    status, said = run(capsys)
    assert status == 0
    for line in ("config.yaml: can be run", "images: 24 train", "folds: 2, of 12 images each", "  cat: 12 (6, 6 by fold)",
                 "every class has its even share of each fold", "left out: 0 images", "doubts: none"):  # fmt: skip
        assert line in said.splitlines()
    assert not Path("results").exists()
    status, said = run(capsys, "--json")
    told = json.loads(said)
    assert (status, told["ok"], told["images"], told["classes"]["dog"]) == (
        0,
        True,
        {"train": 24},
        {"0": 6.0, "1": 6.0},
    )


@pytest.mark.usefixtures("in_tmp")
def test_what_is_left_out_and_doubtful_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    write()
    Path("images/00.png").write_bytes(Path("images/00.png").read_bytes()[:100])
    Image.new("RGB", (5, 3)).save("images/01.png", format="JPEG")
    cv2.imwrite("images/02.png", np.full((4, 4), 4000, np.uint16))
    status, said = run(capsys)
    assert status == 0
    assert "  train 00 (images/00.png): file is truncated" in said
    Path("images/more").mkdir()
    Path("images/more/phone.HEIC").write_bytes(b"x")
    status, said = run(capsys)
    for doubt in (
        "1 picture is of a format that goldfold does not read, first images/more/phone.HEIC: convert it",
        "1 of 24 images of train is left out (4%); see the reasons",
        "1 file is not what its suffix says, first images/01.png: JPEG",
        "1 of 23 images has more than 8 bits per channel, first images/02.png, with values up to 4,000: each is "
        "stretched on its own (data.scale_16bit: percentile); if brightness separates classes, set data.scale_16bit: "
        "[0, 4095]",
        "images differ in the number of channels: 1 with 1, 22 with 3",
    ):
        assert f"  {doubt}" in said


@pytest.mark.usefixtures("in_tmp")
def test_rare_classes_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    write(70)
    table = pd.read_csv("train.csv", dtype=str).assign(label=["cat"] * 67 + ["dog"] * 3)
    table.to_csv("train.csv", index=False)
    said = run(capsys)[1]
    assert "  1 class has fewer than 10 examples, the smallest 'dog' with 3" in said
    assert "furthest from its even share: class 'dog' in fold 0, -33.3%" in said.splitlines()
    assert "  it validates 1 image of it; 1.5 would be even" in said.splitlines()
    assert "  class 'cat' is 22 times as frequent as 'dog': a metric that weights classes equally (f1_macro)" in said


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"folds": {"n_folds": 13}}, "class 'cat' has 12 images, fewer than folds.n_folds: 13"),
        ({"data": {**CONFIG["data"], "images": "pictures"}}, "data.images: pictures is not a folder"),  # type: ignore[dict-item]
        ({"name": 3}, "name = 3: Input should be a valid string"),
    ],
)
def test_what_cannot_be_run_is_told_with_status_1(
    changes: dict[str, Any], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(**changes)
    status, said = run(capsys)
    assert status == 1
    assert said.startswith("config.yaml: cannot be run\n")
    assert text in said
    status, said = run(capsys, "--json")
    assert (status, json.loads(said)["ok"]) == (1, False)


@pytest.mark.usefixtures("in_tmp")
def test_networks_are_tried_as_at_the_start_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    model = {"name": "a", "backbone": "deit_tiny_patch16_224", "image_size_px": [50, 64]}
    write(models=[{**CONFIG["models"][0], "name": "b"}, model])
    assert run(capsys)[0] == 0, "networks are left out"
    assert cli.main(["check"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "config.yaml: cannot be run"
    assert said[1].startswith("models (a): image_size_px")
    assert len(said) == 2


def test_a_class_that_external_rows_lack_is_doubted() -> None:
    rows = pd.DataFrame({"label": ["cat", "dog", "owl", "cat"], "train_only": ["", "", "", "1"]})
    (said,) = about_external(rows)
    assert "2 classes are not among the external rows, first 'dog'" in said
    assert list(about_external(rows[rows["label"] == "cat"])) == []


@pytest.mark.usefixtures("in_tmp")
def test_of_what_a_trial_prints_its_own_lines_alone_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    note = "goldfold: models (a): note: 2 of 4 parameters get no gradient"

    def ends(status: int, *lines: str) -> Any:
        done = subprocess.CompletedProcess([], status, stderr="\n".join(lines))
        monkeypatch.setattr("goldfold.trials.run", lambda *_, **__: done)
        return check("config.yaml", with_networks=True)

    write()
    assert check("config.yaml").doubts == []
    assert ends(0, "50%|#####|", note).doubts == ["models (a): 2 of 4 parameters get no gradient"]
    assert ends(1, note, "50%|#####|", "goldfold: models (b): no").error == "models (b): no"
    assert "status -9, as for lack of memory: 50%" in str(ends(-9, "50%|#####|").error)


@pytest.mark.usefixtures("in_tmp")
def test_a_metadata_column_that_test_lacks_is_an_error() -> None:
    write()
    pd.read_csv("train.csv", dtype=str).assign(site=["x", "y"] * 12).to_csv("train.csv", index=False)
    pd.DataFrame({"id": ["00"]}).to_csv("test.csv", index=False)
    data: Any = {**CONFIG["data"], "test": "test.csv", "metadata": {"categorical": ["site"]}, "duplicates": "ignore"}
    values = {**CONFIG, "data": data, "models": [{**CONFIG["models"][0], "metadata": True}]}
    Path("config.yaml").write_text(yaml.safe_dump(values))
    assert "there is no column 'site', which models with metadata: true take" in str(check("config.yaml").error)


@pytest.mark.usefixtures("in_tmp")
def test_a_class_may_be_called_as_a_column_of_our_tables(capsys: pytest.CaptureFixture[str]) -> None:
    write()
    table = pd.read_csv("train.csv", dtype=str)
    table.replace({"cat": "fold", "dog": "split"}).to_csv("train.csv", index=False)
    status, said = run(capsys)
    assert (status, "  fold: 12 (6, 6 by fold)" in said, "  split: 12 (6, 6 by fold)" in said) == (0, True, True)
    table.replace({"cat": "(all)"}).to_csv("train.csv", index=False)
    status, said = run(capsys)
    assert (status, "train: label '(all)' is a name that goldfold uses in its own tables" in said) == (1, True)


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_config_in_another_encoding_is_told(encoding: str) -> None:
    Path("config.yaml").write_bytes("name: café\n".encode(encoding))
    said = check("config.yaml").error
    assert said is not None
    assert said.startswith("config.yaml: not UTF-8 (")
    assert said.endswith("save it as UTF-8")


@pytest.mark.usefixtures("in_tmp")
def test_a_config_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("mine.yaml").error == "mine.yaml: No such file or directory"
    assert run(capsys, "--config", "mine.yaml")[0] == 1


@pytest.mark.usefixtures("in_tmp")
def test_copies_are_told_within_and_across_the_splits(capsys: pytest.CaptureFixture[str]) -> None:
    extra = {**CONFIG["data"], "test": "test.csv", "unlabeled": "more"}  # type: ignore[dict-item]
    write(data=extra)
    generator = np.random.default_rng(5)
    picture = cv2.resize(generator.integers(0, 255, (6, 6, 3), np.uint8), (64, 48), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite("images/00.png", picture)
    cv2.imwrite("images/01.jpg", cv2.resize(picture, (48, 36)))
    Path("images/01.png").unlink()
    cv2.imwrite("images/t.png", picture)
    Path("more").mkdir()
    cv2.imwrite("more/u.png", cv2.resize(picture, (128, 96), interpolation=cv2.INTER_LINEAR))
    cv2.imwrite("more/v.png", generator.integers(0, 255, (48, 64, 3), np.uint8))
    Path("test.csv").write_text("id\nt\n")
    said = run(capsys)[1]
    for doubt in (
        "1 group of training images that are copies of each other, first '00' and '01' (nearly the same picture): each",
        "1 group of copies across train+test, first '00' and 't' (nearly the same picture): the score on such test images",
        "1 group of copies across train+unlabeled, first '00' and 'u' (nearly the same picture): the unlabeled images are left",
        "1 group of copies with more than one label, first: '00' is 'dog', '01' is 'cat'",
    ):
        assert f"  {doubt}" in said
    assert "  unlabeled u (more/u.png): looks like training image 00" in said
    told = json.loads(run(capsys, "--json")[1])
    assert sorted(row["id"] for row in told["copies"]) == ["00", "01", "t", "u"]


def test_a_reader_that_has_enough_ends_a_command_in_silence() -> None:
    into, out = os.pipe()
    os.close(into)
    command = [sys.executable, "-m", "goldfold.cli", "status", "--results", "nothing"]
    done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(out)
    assert (done.returncode, done.stderr) == (1, "")


def test_copies_that_are_left_out_for_their_labels_are_not_said_to_be_kept() -> None:
    rows: list[dict[str, Any]] = [
        {"cluster": number, "split": split, "id": id, "label": label, "kind": "exact", "n_labels": n_labels}
        for number, split, id, label, n_labels in (
            (0, "train", "a", "dog", 2), (0, "train", "b", "cat", 2), (0, "test", "t", "", 2),
            (1, "train", "c", "dog", 1), (1, "train", "d", "dog", 1),
            (2, "train", "e", "dog", 1), (2, "train", "f", "dog", 1), (2, "test", "u", "", 1),
        )
    ]  # fmt: skip

    def said(across: str, two_labels: str) -> list[str]:
        return [
            doubt.split(" (")[0].split(";")[0]
            for doubt in about_copies(rows, {"within": "group", "across": across, "two_labels": two_labels})
        ]

    within, across = "of training images that are copies of each other, first", "of copies across train+test, first"
    two = "1 group of copies with more than one label, first: 'a' is 'dog', 'b' is 'cat'"
    assert said("report", "keep") == [f"3 groups {within} 'a' and 'b'", f"2 groups {across} 'a' and 't'", two]
    assert said("report", "quarantine") == [f"2 groups {within} 'c' and 'd'", f"1 group {across} 'e' and 'u'", two]
    assert said("drop_train", "keep") == [f"1 group {within} 'c' and 'd'", f"2 groups {across} 'a' and 't'", two]


@pytest.mark.usefixtures("in_tmp")
def test_parameters_after_prediction_are_tried(capsys: pytest.CaptureFixture[str]) -> None:
    write(metric={"map_at_k": {"k": 0}})
    assert run(capsys) == (
        1, "config.yaml: cannot be run\nmetric = {'map_at_k': {'k': 0}}: map_at_k: k = 0: must be at least 1\n"
    )  # fmt: skip


@pytest.mark.usefixtures("in_tmp")
def test_a_coverage_that_the_images_cannot_reach_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    write(ensemble=["average", {"prediction_sets": {"coverage": 0.95}}])
    status, said = run(capsys)
    assert status == 1
    assert (
        "ensemble: prediction_sets: a coverage of 0.95 is fitted on at least 19 cases, but there are 12 cases to fit on. "
        "Lower the coverage, or remove the step." in said
    )


@pytest.mark.usefixtures("in_tmp")
def test_predictions_of_external_members_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    write(external=[{"name": "other", "oof": "other.csv", "fold": None}])
    table = pd.DataFrame({"id": [f"{index:02d}" for index in range(24)], "cat": 0.25, "dog": 0.75})
    table.to_csv("other.csv", index=False)
    assert run(capsys)[0] == 0
    write_config = {**CONFIG, "external": [{"name": "other", "oof": "other.csv", "fold": "fold"}]}
    Path("config.yaml").write_text(yaml.safe_dump(write_config))
    table.assign(fold=[0, 0, 1, 1] * 6).to_csv("other.csv", index=False)
    said = run(capsys)[1]
    assert "Train that tool on the folds of this run (results/mine/folds/train.csv lists them)" in said
    assert "`snakemake --until folds`, with this config, writes that list." in said
    Path("config.yaml").write_text(
        yaml.safe_dump({**write_config, "external": [{**write_config["external"][0], "fold": None}]})
    )
    table.replace({"id": {"03": "3.png"}}).to_csv("other.csv", index=False)
    status, said = run(capsys)
    assert status == 1
    assert "other.csv (external member other)" in said
    assert "'03'" in said
