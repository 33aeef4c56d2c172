"""The command that lists networks."""

import json
import subprocess
import sys

import pytest

from goldfold import cli
from goldfold.catalog import NETWORKS
from goldfold.commands.models import MOST_MEASURED, OF_OTHERS, _notes, matching


def test_names_parameters_and_sizes_are_listed_for_every_kind_of_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "--filter", "net", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["networks"]}
    assert len(rows) > 300
    assert rows["densenet7x7"]["purpose"] == "labels, numbers"
    assert (rows["unet"]["purpose"], rows["unet"]["backbone"]) == ("masks", "resnet18")
    assert rows["retinanet"]["purpose"] == "boxes"
    assert (rows["efficientnet_b0"]["purpose"], rows["efficientnet_b0"]["height"]) == ("backbone", 224)
    assert {row["parameters"] for row in rows.values()} == {None}, "so many are not built"


def test_a_few_are_counted_and_a_pipe_gets_plain_text() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "goldfold.cli", "models", "--filter", "inception_fsd"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    head, row = done.stdout.splitlines()
    assert head.split() == ["name", "for", "input", "parameters"]
    assert row.split() == ["inception_fsd", "labels,", "numbers", "32x32", "3,538,442"]
    assert "\x1b" not in done.stdout
    assert done.stderr == "parameters: with 3 channels and 10 classes\n"


def test_a_tag_and_capitals_find_the_backbone() -> None:
    assert matching("EfficientNet_b0.ra_in1k") == matching("efficientnet_b0")
    assert matching("Swin_tiny")


def test_a_search_for_clip_names_the_network_that_only_its_checkpoint_describes() -> None:
    (_, note) = _notes("clip", [], {})
    assert "network: clip, the image tower" in note
    assert len([*_notes("swin", [], {})]) == 1


def test_speed_is_measured_only_where_asked_for_and_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "--filter", "test_res*t"]) == 0
    assert "images/s" not in capsys.readouterr().out
    assert cli.main(["models", "--filter", "test_res*t", "--measure"]) == 0
    said = capsys.readouterr()
    head, row = said.out.splitlines()
    assert head.split()[-1] == "images/s"
    assert float(row.split()[-1]) > 0
    assert "batches of 8 images, float32, random weights" in said.err
    assert "threads" in said.err


def test_every_network_of_the_catalog_has_a_size_and_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    from goldfold.models import speed

    own = [(name, kind) for kind, entries in NETWORKS.items() for name in entries if name not in OF_OTHERS]
    assert len(own) == 25
    for name, kind in own:
        backbone = speed.backbone_of(NETWORKS[kind][name], name)
        assert (speed.n_parameters(name, backbone, speed.size_of(name, kind)) or 0) > 1e5, name


def test_a_name_that_no_network_has_gets_the_nearest_three(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "--filter", "swin_tinny_patch4_window7_224"]) == 2
    said = capsys.readouterr().err
    assert "goldfold: --filter 'swin_tinny_patch4_window7_224': no network has such a name; nearest are " in said
    assert said.count("'swin") == 4
    assert cli.main(["models", "--measure"]) == 2
    assert f"networks match ''; at most {MOST_MEASURED} are measured at a time" in capsys.readouterr().err
    assert ("swin_tiny_patch4_window7_224", "backbone") in matching("swin*window7")
