"""A data source that is a function of the user's own."""

import json
import os
import re
import sys
from argparse import Namespace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from goldfold import sources
from goldfold.base.errors import ConfigError, DataError
from goldfold.commands.check import check
from goldfold.commands.check import run as run_check
from goldfold.config import dependencies, parse, slices
from goldfold.lineage import contents, provenance, source
from goldfold.planning.plan import Job
from test_catalog import clear

MODELS = [{"name": "a", "network": "small_resnet", "image_size_px": 8}]
DATA = {"source": "my_source:read", "brings": "label", "files": ["raw"]}
BASE = {"name": "x", "models": MODELS}


@pytest.fixture
def mine(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a module of its own name for each test, since Python keeps those that it has imported."""
    monkeypatch.syspath_prepend(str(in_tmp))
    monkeypatch.delitem(sys.modules, "my_source", raising=False)
    clear()
    Path("raw").mkdir()
    return in_tmp


def returning(text: str) -> None:
    """Write the module; ``TRAIN`` and ``TEST`` in it are sound tables."""
    Path("my_source.py").write_text(
        "import pandas as pd\nTRAIN = pd.DataFrame({'id': ['a', 'b'], 'path': ['raw/a.png', 'raw/b.png'], 'label': ['x', 'y']})\n"
        f"TEST = pd.DataFrame({{'id': ['c'], 'path': ['raw/c.png']}})\n\ndef read(n=1):\n    {text}\n"
    )


def read(**changes: Any) -> dict[str, pd.DataFrame]:
    return sources.read(**{**DATA, **changes})


def test_the_source_of_the_docs_is_checked_whole(mine: Path, repo: Path, write_picture: Any) -> None:
    page = (repo / "docs/extending.md").read_text().partition("# A data source of your own")[2]
    python, settings = re.findall(r"```(?:python|yaml)\n(.*?)```", page, re.DOTALL)[:2]
    Path("pets.py").write_text(python)
    generator = np.random.default_rng(0)
    for name in [*(f"images/{n:02d}" for n in range(24)), "test/0", "test/1"]:
        write_picture(Path(f"raw/{name}.png"), generator.integers(0, 255, (12, 12, 3)).astype(np.uint8))
    rows = [{"file": f"{n:02d}.png", "breed": "pug" if n % 2 else "cat", "owner": f"o{n // 4}"} for n in range(24)]
    Path("raw/pets.json").write_text(json.dumps(rows))
    Path("x.yaml").write_text(yaml.safe_dump({**BASE, **yaml.safe_load(settings)}))
    found = check("x.yaml")
    assert found.error is None
    assert found.images == {"train": 24, "test": 2}
    assert (list(found.classes), found.groups["number"]) == (["cat", "pug"], 6)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return None", "returned nothing (None); return a mapping of tables: {'train': DataFrame, ...}"),
        ("return [TRAIN]", "returned an object of type list; return a mapping of tables"),
        ("return {'train': [1], 'test': TEST}", "table 'train' is an object of type list; return a pandas.DataFrame"),
        ("return {'train': TRAIN}", "returned no table 'test', but 'train'"),
        ("return {'train': TRAIN, 'test': TEST, 'more': TEST}", "returned a table 'more' that data.tables does not name"),
        ("return {'train': TRAIN.rename(columns={'label': 'lable'}), 'test': TEST}", "no column 'label'; nearest is 'lable'"),
        ("return {'train': TRAIN.assign(group='g'), 'test': TEST}", "a column 'group'; its columns: id, path, label and meta_"),
        ("return {'train': TRAIN.assign(width=3), 'test': TEST}", "table 'train' has a column 'width'; its columns: "),
        ("return {'train': TRAIN, 'test': TEST[:0]}", "table 'test' has no rows"),
        ("return {'train': TRAIN.assign(id='a'), 'test': TEST}", "table 'train': 1 duplicate ids, first 'a'"),
        ("return {'train': TRAIN.assign(id=[1, 2]), 'test': TEST}", "table 'train': id is 1 (int), not text; use str(...)"),
        ("return {'train': TRAIN.assign(label=1.5), 'test': TEST}", "label of id 'a' is 1.5 (float), not text"),
        ("return {'train': TRAIN.assign(path=None), 'test': TEST}", "table 'train': path is empty for id 'a'; fill it"),
        ("return {'train': TRAIN.assign(label='x\\ry'), 'test': TEST}", "train: label 'x\\ry' has a carriage return in it."),
        ("return {'train': TRAIN, 'test': TEST.assign(path='c.png')}", "c.png (id 'c') is neither in data.files nor in"),
        ("return {}[7]", "the function failed with KeyError: 7 ("),
        ("raise SystemExit(3)", "the function failed with SystemExit: 3 ("),
    ],
)  # fmt: skip
def test_what_a_function_must_not_return_is_said_with_its_name(body: str, said: str, mine: Path) -> None:
    returning(body)
    with pytest.raises(DataError) as caught:
        read(tables=["test"])
    assert str(caught.value).startswith("data.source = 'my_source:read': ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("brings", "cells", "made"),
    [
        ("label", "['x', None]", ["x", None]),
        ("labels", "[['x', 'y z'], []]", ['["x","y z"]', "[]"]),
        ("labels", "['[\"x\"]', float('nan')]", ['["x"]', None]),
        ("value", "[1, float('nan')]", ["1.0", None]),
        ("mask", "['raw/m.png', '']", ["raw/m.png", None]),
        ("boxes", "[[['x', 0, 1, 2.5, 3]], []]", ['[["x",0,1,2.5,3]]', "[]"]),
    ],
)
def test_each_target_becomes_text(brings: str, cells: str, made: list[Any], mine: Path) -> None:
    returning(
        f"return {{'train': TRAIN[['id', 'path']].assign({brings}=pd.Series({cells}).to_numpy(), meta_age=[n, 2])}}"
    )
    train = read(brings=brings, params={"n": 7})["train"]
    assert list(train.columns) == ["id", "path", brings, "meta_age"]
    assert (train[brings].tolist(), train["meta_age"].tolist()) == (made, ["7", "2"])


def test_a_target_that_is_none_is_refused(mine: Path) -> None:
    returning("return {'train': TRAIN[['id', 'path']].assign(boxes=[[['x', 1]], []])}")
    with pytest.raises(DataError, match=r"'my_source:read': boxes: .* is not a list of boxes. Write"):
        read(brings="boxes")


def test_an_image_that_is_not_there_is_said_with_the_name(mine: Path, write_picture: Any) -> None:
    returning("return {'train': TRAIN}")
    write_picture(Path("raw/a.png"), np.zeros((8, 8, 3), np.uint8))
    Path("x.yaml").write_text(yaml.safe_dump({**BASE, "data": DATA}))
    said = "data.source = 'my_source:read': train: 1 of 2 images cannot be used, first 'b' (raw/b.png: file is missing"
    assert str(check("x.yaml").error).startswith(said)


def test_a_link_out_of_the_files_is_refused(mine: Path, write_picture: Any) -> None:
    returning("return {'train': TRAIN}")
    write_picture(Path("elsewhere/a.png"), np.zeros((8, 8, 3), np.uint8))
    os.symlink("../elsewhere/a.png", "raw/a.png")
    with pytest.raises(DataError, match=r"'my_source:read': raw/a\.png leads to "):
        read()
    assert len(read(outside_links="follow")["train"]) == 2


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            {"params": {"m": 1}},
            "data.source = 'my_source:read': my_source:read does not take 'm'; its parameters: n",
        ),
        (
            {"source": "my_source:needs"},
            "data.source = 'my_source:needs': my_source:needs needs 'n'; add it to data.params",
        ),
        ({"source": "my_source:red"}, "module 'my_source' (my_source.py) has no 'red'; nearest is 'read'"),
        ({"source": "nowhere:read"}, "there is no module 'nowhere'; looked for in "),
        ({"source": "my_source:"}, "placed_boxes, package.module:function"),
        ({"source": "cvs"}, "data.source = 'cvs': nearest is 'csv'; allowed: 'folder', "),
        ({"brings": "lable"}, "data.brings = 'lable': nearest is 'label'; allowed: 'label', 'labels', "),
        ({"brings": "value"}, "data.source = 'my_source:read': brings value, but task 'classification' needs label"),
        ({"files": ["row"]}, "data.files: 'row': no such file or folder; correct it, or remove it"),
        (
            {"files": ["."]},
            "data.files: '.' contains the results too, which change; name the files that the function reads",
        ),
        (
            {"writes": "raw/made"},
            "data.writes = 'raw/made': is inside data.files, or contains them; write to a separate folder",
        ),
        (
            {"files": [], "params": {"n": "my_source.py"}},
            "data.params.n = 'my_source.py': a file that data.files does not cover",
        ),
        ({"tables": ["answers"]}, "data.tables: answers need test images; add test, or remove answers"),
        (
            {"columns": ["fold"]},
            "data.columns: [fold] is set but folds.splitter is 'stratified': use predefined, or remove",
        ),
        ({"columns": ["group"]}, "there are groups (data.columns: [group]) but folds.splitter is 'stratified'"),
        ({"mask_values": "nonzero"}, "data.mask_values: only for brings: mask; remove it"),
        ({"train": "x"}, "data.train: unknown key; "),
    ],
)
def test_a_wrong_section_is_refused_without_importing_the_module(data: dict[str, Any], said: str, mine: Path) -> None:
    returning("return {}")
    with Path("my_source.py").open("a") as file:
        file.write("\ndef needs(n): ...\n\nraise SystemExit('imported')\n")
    with pytest.raises(ConfigError) as caught:
        parse({**BASE, "data": {**DATA, **data}})
    assert said in str(caught.value)
    assert str(caught.value).startswith("config: 1 problem\n")


def test_the_files_that_it_reads_must_be_said(mine: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.files: missing; it is required"):
        parse({**BASE, "data": {"source": "my_source:read", "brings": "label"}})


def test_the_section_says_which_tables_there_are(mine: Path) -> None:
    returning("return {}")
    keys = {"tables": ["test", "answers", "unlabeled"], "columns": ["group"], "classes": ["y", "x"]}
    made = parse({**BASE, "data": {**DATA, **keys}, "folds": {"splitter": "group"}})
    assert (made.splits, made.tables) == (["train", "test", "unlabeled"], ["train", "test", "unlabeled", "answers"])
    assert (made.data.has_groups, slices.manifest(made)["classes"]) == (True, ["y", "x"])
    assert made.data.target_settings == {}
    assert slices.given(made) == {}
    parted = {"data": {**DATA, "columns": ["fold"]}, "folds": {"splitter": "predefined"}}
    assert slices.given(parse({**BASE, **parted})) == {"fold": "data.columns: [fold]"}
    masks = parse({**BASE, "task": "segmentation", "models": [{**MODELS[0], "network": "unet", "backbone": "resnet18"}],
                   "data": {**DATA, "brings": "mask", "mask_values": "nonzero"}})  # fmt: skip
    assert masks.data.target_settings["mask_values"] == "nonzero"


def test_a_folder_that_is_written_is_marked_so_that_its_loss_is_noticed(mine: Path) -> None:
    returning("TRAIN['path'] = ['out/a.png', 'out/b.png']; return {'train': TRAIN}")
    assert read(files=[], writes="out")["train"]["path"].tolist() == ["out/a.png", "out/b.png"]
    generated = parse({**BASE, "data": {**DATA, "files": [], "writes": "out"}}).data.generated
    assert [str(path) for path in Path("out").iterdir()] == generated == ["out/made_by_goldfold"]
    assert parse({**BASE, "data": DATA}).data.generated == []


def manifest_recipe(**data: Any) -> Any:
    for known in (
        provenance.source_digest, provenance._code, source.code_digest, source._imports, source._outline, contents.memory
    ):  # fmt: skip
        known.cache_clear()
    return dependencies.recipe(parse({**BASE, "data": {**DATA, **data}}), Job("manifest"))


def test_code_files_and_parameters_make_the_manifest_again_and_nothing_else_does(mine: Path) -> None:
    returning("import helper; return helper.tables(TRAIN)")
    Path("helper.py").write_text("def tables(train): return {'train': train}\n")
    Path("raw/labels.txt").write_text("a x\n")
    first = manifest_recipe()
    Path("my_source.py").write_text(Path("my_source.py").read_text() + "# a comment\n")
    Path("other.txt").write_text("not of the source")
    assert manifest_recipe() == first
    Path("raw/labels.txt").write_text("a y\n")
    of_file = manifest_recipe()
    Path("helper.py").write_text("def tables(train): return {'train': train[::-1]}\n")
    of_helper = manifest_recipe()
    returning("import helper; return helper.tables(TRAIN[:1])")
    of_module, of_params = manifest_recipe(), manifest_recipe(params={"n": 2})
    recipes = [first, of_file, of_helper, of_module, of_params]
    changed = [[key for key in one if one[key] != other[key]] for one, other in pairwise(recipes)]
    assert changed == [["data"], ["code"], ["code"], ["settings"]]


def test_check_finds_a_module_where_it_is_started(
    mine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    returning("raise RuntimeError('it was found')")
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(mine))])
    Path("x.yaml").write_text(yaml.safe_dump({**BASE, "data": DATA}))
    clear()
    assert run_check(Namespace(config=Path("x.yaml"), json=False, no_networks=False), []) == 1
    assert "the function failed with RuntimeError: it was found" in capsys.readouterr().out
