import ast
import functools
import io
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from goldfold import cli, session
from goldfold.base import log, run_lock, status
from goldfold.base.errors import DataError, GoldfoldError, nearest, unknown
from goldfold.base.files import atomic, read_json, write_if_changed, write_json, write_text
from goldfold.base.fingerprint import sha256_of
from goldfold.catalog import TASKS
from goldfold.config import Config, chosen, dependencies, parse
from goldfold.lineage import contents, definitions, provenance, records, source
from goldfold.lineage.contents import fingerprint
from goldfold.lineage.job import job
from goldfold.lineage.provenance import source_digest
from goldfold.planning.jobs import WORK
from goldfold.planning.plan import Job
from goldfold.session import Session

pytestmark = pytest.mark.usefixtures("in_tmp")

# --- files


def test_a_block_that_raises_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic(path) as temporary:
        temporary.write_text(f"half {1 / 0}" if temporary.write_text("half") else "")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_a_block_that_ends_replaces_the_file_and_makes_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new/deep/a.txt"
    for text in ("first", "second"):
        with atomic(path) as temporary:
            temporary.write_text(text)
            assert temporary.suffix == ".txt"
            assert temporary.parent == path.parent
        assert path.read_text() == text
    assert len(list(path.parent.iterdir())) == 1


def test_written_files_have_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("")
    write_text(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_reader_never_sees_a_part_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_text(path, "a" * 10)
    with atomic(path) as temporary:
        temporary.write_text("b" * 5)
        assert path.read_text() == "a" * 10


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    assert write_if_changed(path, "ü,1\n")
    before = path.stat()
    assert not write_if_changed(path, "ü,1\n")
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert write_if_changed(path, "ü,1\r\n")
    assert path.read_bytes() == "ü,1\r\n".encode()


def test_json_has_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"ü": [1, None, float("nan")], "x": {"y": float("inf")}})
    assert "NaN" not in (tmp_path / "a.json").read_text()
    assert read_json(tmp_path / "a.json") == {"ü": [1, None, None], "x": {"y": None}}


# --- names


def test_nearest_is_a_hint_or_nothing() -> None:
    assert nearest("lrr", ["lr", "loss"]) == "nearest is 'lr'; "
    assert nearest("zzz", ["lr", "loss"]) == ""
    assert str(unknown("thing", "bta", ["beta", "alpha"])) == (
        "unknown thing 'bta': nearest is 'beta'; allowed: alpha, beta"
    )


# --- fingerprints


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read."""
    read: list[str] = []
    monkeypatch.setattr(contents, "sha256_of", lambda path: read.append(os.fspath(path)) or sha256_of(path))
    return read


def make_raw() -> None:
    for name in ("raw/a.png", "raw/sub/b.png", "labels.csv"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)


def test_a_second_look_reads_nothing(counted: list[str]) -> None:
    make_raw()
    first = fingerprint(["raw", "labels.csv"])
    assert sorted(counted) == ["labels.csv", "raw/a.png", "raw/sub/b.png"]
    counted.clear()
    assert fingerprint(["raw", "labels.csv"]) == first
    assert counted == []


def test_a_touched_file_is_read_again_and_changes_nothing(counted: list[str]) -> None:
    make_raw()
    first = fingerprint(["raw"])
    counted.clear()
    os.utime("raw/a.png", ns=(1, 1))
    assert fingerprint(["raw"]) == first
    assert counted == ["raw/a.png"]


@pytest.mark.parametrize(
    "change",
    [
        lambda: Path("raw/a.png").write_text("other bytes"),
        lambda: Path("raw/a.png").rename("raw/c.png"),
        lambda: Path("raw/sub/b.png").rename("raw/b.png"),
        lambda: Path("raw/new.png").write_text("x"),
        lambda: Path("raw/a.png").unlink(),
        lambda: shutil.rmtree("raw"),
    ],
    ids=["content", "name", "folder", "new", "gone", "all gone"],
)
def test_content_and_names_change_the_fingerprint(change: Any) -> None:
    make_raw()
    first = fingerprint(["raw"])
    change()
    assert fingerprint(["raw"]) != first


def test_content_of_the_same_length_changes_the_fingerprint() -> None:
    make_raw()
    first = fingerprint(["raw"])
    Path("raw/a.png").write_text("RAW/A.PNG")
    os.utime("raw/a.png", ns=(5, 5))
    assert fingerprint(["raw"]) != first


def test_a_spoilt_or_missing_memory_costs_a_look_and_nothing_else(counted: list[str]) -> None:
    make_raw()
    first = fingerprint(["raw"])
    counted.clear()
    contents.MEMORY.write_text("{spoilt")
    contents.memory.cache_clear()
    assert fingerprint(["raw"]) == first
    assert len(counted) == 2
    shutil.rmtree(".goldfold")
    contents.memory.cache_clear()
    assert fingerprint(["raw"]) == first


def test_digests_are_those_of_sha256sum() -> None:
    Path("a").write_text("abc")
    assert sha256_of("a") == ABC
    assert contents.Memory().digests(["a"]) == {"a": sha256_of("a")}


# --- code digests


def stamps(folder: str | Path) -> Iterator[tuple[str, int, int]]:
    """Path, mtime and size of all modules below a folder."""
    for entry in os.scandir(folder):
        if entry.is_dir():
            yield from stamps(entry.path)
        elif entry.name.endswith(".py"):
            found = entry.stat()
            yield entry.path, found.st_mtime_ns, found.st_size


outlined = functools.cache(definitions.outline)
"""The same text is read once for all tests: reading is most of what they cost."""


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repo: Path) -> Any:
    """A copy of the code; gives (stage, task, network -> digest), computed anew where a file has changed."""
    shutil.copytree(repo / "src/goldfold", tmp_path / "src/goldfold", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(repo / "workflow/scripts", tmp_path / "workflow/scripts")
    place(monkeypatch, tmp_path)
    monkeypatch.setattr(definitions, "outline", outlined)
    caches = [
        value for module in (provenance, source) for value in vars(module).values() if hasattr(value, "cache_clear")
    ]
    assert len(caches) >= 10

    seen: list[Any] = [None]

    def digest(stage: str, task: str = "classification", network: str = "small_resnet") -> str:
        files = [*stamps(tmp_path)]
        if seen[0] != files:
            seen[0] = files
            for cached in caches:
                cached.cache_clear()
        return source_digest(stage, *asked_with(stage, task, network))

    yield digest
    for cached in caches:
        cached.cache_clear()


def place(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Where provenance looks for the code."""
    monkeypatch.setattr(provenance, "ROOT", root)
    monkeypatch.setattr(provenance, "PACKAGE", root / "src/goldfold")
    monkeypatch.setattr(source, "PACKAGE", root / "src/goldfold")
    monkeypatch.setattr(provenance, "SCRIPTS", root / "workflow/scripts")


DATA_OF = {
    "classification": "digits",
    "multilabel": "digits_labels",
    "regression": "digits_ink",
    "segmentation": "scenes_masks",
    "detection": "scenes_boxes",
    "points": "scenes_boxes",
}
NETWORK_OF = {
    "classification": "small_resnet",
    "multilabel": "timm",
    "regression": "timm",
    "segmentation": "unet",
    "detection": "fcos",
    "points": "fpn",
}


@functools.cache
def config_of(task: str, network: str) -> Config:
    """The least config of a task."""
    backbone = {} if network == "small_resnet" else {"backbone": "resnet18"}
    groups = {"folds": {"splitter": "stratified_group"}} if DATA_OF[task].startswith("scenes") else {}
    model = {"name": "a", "network": network, "image_size_px": 64, **backbone}
    return parse({"name": "x", "task": task, "data": {"source": DATA_OF[task]}, "models": [model], **groups})


def asked_with(stage: str, task: str, network: str) -> list[str]:
    """Places of the components that a stage runs, the user's own added."""
    known = task if task in DATA_OF else "classification"
    config = config_of(known, network if network in NETWORK_OF.values() else NETWORK_OF[known])
    own = [name for name in (task, network) if ":" in name]
    return chosen.places(config, stage, "a") + own


STAGES = [
    "demo", "manifest", "folds", "cache", "train", "predict", "teach", "clean", "pseudo_label", "ensemble", "submit", "report",
]  # fmt: skip
OTHERS = ["derive", "external", "embed", "heads", "generate", "crop", "match"]


RUN = "\nassert True\n"
"""A statement that runs wherever its file is imported."""


def edit(file: str, text: str = RUN) -> None:
    """Add a statement at the end of a module of the copy."""
    path = Path("src/goldfold") / file
    path.write_text(path.read_text() + text)


def test_every_stage_has_a_digest_of_its_own(sources: Any, repo: Path) -> None:
    stages = [*STAGES, *OTHERS, "train_ultralytics"]
    assert sorted(path.stem for path in (repo / "workflow/scripts").glob("*.py")) == sorted(stages)
    digests = {stage: sources(stage) for stage in stages}
    assert len(set(digests.values())) == len(stages) == 20
    assert digests == {stage: sources(stage) for stage in stages}


def test_comments_and_layout_do_not_count(sources: Any) -> None:
    before = {stage: sources(stage) for stage in STAGES}
    files = list(Path("src/goldfold").rglob("*.py"))
    assert len(files) > 45
    for file in files:
        file.write_text("# a comment\n\n" + ast.unparse(ast.parse(file.read_text())) + "\n\n# another\n")
    assert {stage: sources(stage) for stage in STAGES} == before


def test_touched_files_change_no_digest(sources: Any) -> None:
    before = {stage: sources(stage) for stage in STAGES}
    for file in Path().rglob("*.py"):
        file.touch()
    assert {stage: sources(stage) for stage in STAGES} == before


# module -> stages whose digest an edit must change; all others must keep theirs
BEFORE: dict[tuple[str, ...], str] = {}
"""Digests of the code as it stands, for the tests of this file: they are the same wherever the copy is."""


def unedited(sources: Any, runs: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """Digests of runs (stage, task, network) in a copy that nothing has changed yet."""
    for run in runs:
        if run not in BEFORE:
            BEFORE[run] = sources(*run)
    return BEFORE


EDITS: dict[str, set[str]] = {
    "engine/loop.py": {"train"},
    "models/small_resnet.py": {"train", "predict"},
    "losses/classification.py": {"train"},
    "optim/schedules.py": {"train"},
    "samples/transforms.py": {"train"},
    "splits/stratified.py": {"folds"},
    "cache/images.py": {"folds", "train", "predict"},
    "cache/building.py": {"folds", "cache", "train", "predict"},
    "sources/table.py": {"manifest"},
    "sources/reading.py": {"manifest", "folds", "submit"},
    "audit/integrity.py": {"manifest"},
    "inference/views.py": {"train", "predict"},
    "inference/predictor.py": {"train", "predict"},
    "models/arguments.py": {"train", "predict"},
    "models/batch_norm.py": {"predict"},
    "ensembling/average.py": {"clean", "pseudo_label", "ensemble"},
    "stages/submit.py": {"submit"},
    "stages/ensemble.py": {"ensemble"},
    "stages/train.py": {"train"},
    "stages/clean.py": {"clean"},
    "audit/mislabelled.py": {"clean"},
    "splits/inner.py": {"folds"},
    "stages/demo.py": {"demo"},
    "demo/digits.py": {"demo"},
    "training/distilling.py": set(),  # no model has a teacher
    "training/fixmatch.py": set(),  # nor unlabelled images
}


def predicting(stages: set[str]) -> set[str]:
    """Stages with the stage teach, which predicts by the code of the stage predict."""
    return stages | {"teach"} if "predict" in stages else stages


@pytest.mark.parametrize("file", EDITS)
def test_an_edit_changes_the_digest_of_exactly_the_stages_that_run_the_code(sources: Any, file: str) -> None:
    before = unedited(sources, [(stage,) for stage in STAGES])
    edit(file)
    changed = {stage for stage in STAGES if sources(stage) != before[(stage,)]}
    assert changed - {"report"} == predicting(EDITS[file])


OF_EVERY_TASK = [stage for stage in STAGES if stage != "clean"]
"""Stages that each task has; labels are cleaned in classification alone."""
ALL_BUT_CACHE = {"manifest", "folds", "train", "predict", "pseudo_label", "ensemble", "submit"}
SCORING = {"manifest", "train", "ensemble", "submit"}
# what belongs to one task alone -> stages whose digest an edit must change, of runs of that task alone
OF_ONE_TASK = {
    "classification": {
        "tasks/classification/spec.py": ALL_BUT_CACHE,
        "tasks/classification/learn.py": {"train"},
        "tasks/classification/infer.py": {"train", "predict"},
        "tasks/classification/submit.py": {"manifest", "submit"},
        "tasks/classification/show.py": set(),
        "metrics/classification.py": SCORING,
        "losses/classification.py": {"train"},
        "models/small_resnet.py": {"train", "predict"},
    },
    "multilabel": {
        "metrics/multilabel.py": SCORING,
        "losses/multilabel.py": {"train"},
        "submission/label_sets.py": {"manifest", "submit"},
    },
    "regression": {
        "metrics/regression.py": {"train", "ensemble"},
        "losses/regression.py": {"train"},
        "ensembling/values.py": {"pseudo_label", "ensemble"},
        "targets/bins.py": ALL_BUT_CACHE,
    },
    "segmentation": {
        "tasks/segmentation/maps.py": {"manifest", "train", "predict", "pseudo_label", "ensemble", "submit"},
        "metrics/segmentation.py": {"train", "ensemble"},  # the manifest asks which classes are decided, no more
        "losses/segmentation.py": {"train"},
        "models/smp_models.py": {"train", "predict"},
        "ensembling/maps.py": {"manifest", "pseudo_label", "ensemble", "submit"},
        "ensembling/regions.py": {
            "manifest",
            "pseudo_label",
            "ensemble",
            "submit",
        },  # masks are cleaned when they are read
        "predictions/maps.py": {"manifest", "train", "pseudo_label", "ensemble", "submit"},
    },
    "detection": {
        "tasks/detection/output.py": {"pseudo_label", "ensemble"},
        "metrics/detection.py": {"train", "ensemble"},
        "models/detectors.py": {"train", "predict"},
        "ensembling/boxes.py": {"predict", "pseudo_label", "ensemble"},  # views of one image are fused in predict
    },
    "points": {
        "tasks/points/output.py": {"pseudo_label", "ensemble"},
        "metrics/matched_points.py": {"train", "ensemble"},
        "losses/heat_maps.py": {"train"},
        "inference/peaks.py": {"train", "predict"},
        "models/heat_maps.py": {"train", "predict"},
        "ensembling/points.py": {"pseudo_label", "ensemble"},  # views of one image are averaged as maps
    },
}


@pytest.mark.parametrize(("task", "file"), [(task, file) for task, files in OF_ONE_TASK.items() for file in files])
def test_an_edit_of_what_one_task_has_alone_changes_the_digests_of_the_stages_that_run_it(
    sources: Any, task: str, file: str
) -> None:
    before = unedited(sources, [(stage, task, NETWORK_OF[task]) for stage in OF_EVERY_TASK])
    edit(file)
    changed = {
        stage
        for stage in OF_EVERY_TASK
        if sources(stage, task, NETWORK_OF[task]) != before[stage, task, NETWORK_OF[task]]
    }
    assert changed - {"report"} == predicting(OF_ONE_TASK[task][file])


@pytest.mark.parametrize("task", OF_ONE_TASK)
def test_edits_of_what_one_task_has_alone_change_no_digest_of_another(sources: Any, task: str) -> None:
    assert set(OF_ONE_TASK) == set(TASKS) - {"ordinal"} == set(NETWORK_OF), "which stands on classification"
    runs = [(stage, *of) for of in NETWORK_OF.items() for stage in OF_EVERY_TASK]
    assert len(runs) == 66
    before = unedited(sources, runs)
    for file in OF_ONE_TASK[task]:
        edit(file)
    with_its_networks = {"points"} if task == "segmentation" else set()
    changed = {of for stage, of, network in runs if sources(stage, of, network) != before[stage, of, network]}
    assert changed == {task, *with_its_networks}


def put_in(file: str, old: str, new: str) -> None:
    """Replace some text of a module of the copy, which is there once."""
    path = Path("src/goldfold") / file
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_a_hook_or_update_rule_that_nobody_chose_reruns_nothing(sources: Any) -> None:
    before = sources("train")
    Path("src/goldfold/engine/hooks/swa.py").write_text(
        "from goldfold.engine.hooks import Hook\nclass Swa(Hook): ...\n"
    )
    edit("engine/updates.py", "\ndef sam(network, gradient, step, rho=0.05): ...\n")
    edit("engine/hooks/ema.py", "\nclass Slower(Ema): ...\n")
    put_in("engine/hooks/clip.py", "positive(norm=norm)", "positive(norm=norm + 0)")
    assert sources("train") == before
    put_in("engine/updates.py", "    step()\n", "    step(), None\n")
    assert sources("train") != before, "the rule that the config chose"


def test_what_nobody_uses_may_be_added_to_any_file(sources: Any) -> None:
    before = {run: sources(run[1], run[0], NETWORK_OF[run[0]]) for run in product(NETWORK_OF, OF_EVERY_TASK)}
    files = list(Path("src/goldfold").rglob("*.py"))
    assert len(files) > 200
    for file in files:
        file.write_text(f"{file.read_text()}\n\ndef added(x):\n    return x + OFFSET\n\n\nOFFSET: int = 1\n")
    assert {run: sources(run[1], run[0], NETWORK_OF[run[0]]) for run in before} == before


def test_new_entries_of_the_catalog_that_no_config_names_count_for_no_job(sources: Any) -> None:
    before = {run: sources(run[1], run[0], NETWORK_OF[run[0]]) for run in product(NETWORK_OF, OF_EVERY_TASK)}
    path = Path("src/goldfold/catalog.py")
    text, n = re.subn(
        r"(?<!\}) \{\n(?=    (?:    )?\")", ' {\n"added": "goldfold.losses.added:added",\n', path.read_text()
    )
    assert n > 25
    path.write_text(text)
    assert {run: sources(run[1], run[0], NETWORK_OF[run[0]]) for run in before} == before


def test_an_edit_of_a_function_reaches_the_stages_that_use_it_and_no_others(sources: Any) -> None:
    before = {stage: sources(stage) for stage in STAGES}
    put_in("ensembling/average.py", "+= rankdata(values[:, c]) * weight", "+= weight * rankdata(values[:, c])")
    assert {stage: sources(stage) for stage in STAGES} == before, "the config names another way to fuse"
    put_in("losses/classification.py", "-(target * functional", "-1 * (target * functional")
    assert {stage for stage in STAGES if sources(stage) != before[stage]} == {"train"}


def test_docstrings_do_not_count(sources: Any) -> None:
    before = {stage: sources(stage) for stage in STAGES}
    for file in ("engine/loop.py", "ensembling/average.py"):
        path = Path("src/goldfold") / file
        path.write_text(path.read_text().replace('."""', '. In other words."""'))
    assert {stage: sources(stage) for stage in STAGES} == before


def test_a_function_may_move_to_another_file(sources: Any) -> None:
    before = {stage: sources(stage) for stage in STAGES}
    text = Path("src/goldfold/ensembling/voters.py").read_text()
    Path("src/goldfold/ensembling/shares.py").write_text(text)
    Path("src/goldfold/ensembling/voters.py").unlink()
    for file in Path("src/goldfold").rglob("*.py"):
        file.write_text(file.read_text().replace("goldfold.ensembling.voters", "goldfold.ensembling.shares"))
    assert {stage: sources(stage) for stage in STAGES} == before


def test_a_name_that_is_imported_from_elsewhere_counts(sources: Any) -> None:
    before = sources("ensemble")
    put_in("metrics/classification.py", "from sklearn.metrics import f1_score", "from elsewhere import f1_score")
    assert sources("ensemble") != before


def test_an_edit_of_a_network_changes_no_digest_of_runs_with_another(sources: Any) -> None:
    networks = {"timm": "models/timm_models.py", "small_resnet": "models/small_resnet.py"}
    before = {name: sources("train", "classification", name) for name in networks}
    edit(networks["small_resnet"])
    assert {name: sources("train", "classification", name) == before[name] for name in networks} == {
        "timm": True, "small_resnet": False,
    }  # fmt: skip


def test_the_code_of_goldfold_that_an_own_task_or_network_reaches_counts_wherever_it_lies(
    sources: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("here", "there"):
        Path(folder).mkdir()
        Path(folder, "own_task.py").write_text("def fuse():\n    from goldfold.ensembling import maps\n")
        Path(folder, "own_net.py").write_text("from goldfold.models.pyramid import Pyramid\n")
    asked = {"pseudo_label": ("own_task:Task", ""), "train": ("classification", "own_net:build")}
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(tmp_path / "there"))
        there = {stage: sources(stage, *names) for stage, names in asked.items()}
    monkeypatch.syspath_prepend(str(tmp_path / "here"))
    before = {stage: sources(stage, *names) for stage, names in asked.items()}
    assert before == there
    for file, reached in (
        ("ensembling/maps.py", "pseudo_label"),
        ("models/pyramid.py", "train"),
        ("ensembling/boxes.py", ""),
    ):
        edit(file)
        after = {stage: sources(stage, *names) for stage, names in asked.items()}
        assert {stage for stage in asked if after[stage] != before[stage]} == {reached} - {""}, file
        before = after


def test_what_is_imported_for_types_alone_does_not_count(sources: Any) -> None:
    before = sources("folds")
    edit("tasks/classification/target.py", "\nif TYPE_CHECKING:\n    from goldfold.optim import schedules\n")
    edit("optim/schedules.py")
    assert sources("folds") == before


def test_each_rule_asks_for_the_recipe_of_its_own_stage(repo: Path) -> None:
    asked = {}
    for path in sorted((repo / "workflow/rules").glob("*.smk")):
        text = path.read_text().replace("{params.script}", "train")
        words, script = (
            re.findall(r'\brecipe=recipe\("(\w+)"\),\n', text),
            re.findall(r'"\.\./scripts/(\w+)\.py"', text),
        )
        asked |= dict(zip(script, [word for word in words if word not in WORK], strict=True))
    assert asked == {stage: stage for stage in [*STAGES, *OTHERS]}


@pytest.mark.parametrize("stage", STAGES)
def test_the_recipe_of_a_stage_holds_the_digest_of_its_own_code(stage: str) -> None:
    found = dependencies.code(config_of("classification", "small_resnet"), Job(stage, *["a"] * (stage in MEMBERS)))
    of = asked_with(stage, "classification", "small_resnet")
    assert found["of"] == [stage, *of]
    assert found["digest"] == source_digest(stage, *of)
    assert ("cache" in found) == (stage in MEMBERS), "cached images are part of what a network learns from"


MEMBERS = ("train", "predict", "teach")


def test_an_edit_of_the_frame_around_the_work_changes_no_digest(sources: Any) -> None:
    before = {stage: sources(stage) for stage in STAGES}
    package = Path("src/goldfold")
    places = [package / name.removeprefix("goldfold.").replace(".", "/") for name in provenance.FRAME]
    files = [
        file for place in places for file in (place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")])
    ]
    assert len(files) == 19
    for file in files:
        edit(str(file.relative_to(package)))
    assert {stage: sources(stage) for stage in STAGES} == before


def test_an_edit_of_the_errors_that_all_import_changes_every_digest(sources: Any) -> None:
    before = {stage: sources(stage) for stage in STAGES}
    edit("base/errors.py")
    assert [stage for stage in STAGES if sources(stage) == before[stage]] == []


def test_jobs_get_the_outlines_that_the_start_of_the_run_has_made(
    sources: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, done = sources("folds"), list[str]()
    monkeypatch.setattr(run_lock, "take", lambda results: Path(".goldfold").mkdir(exist_ok=True))
    monkeypatch.setattr(session, "handle_apart", lambda number: None)
    monkeypatch.setattr(Session, "_preflight", lambda self: done.append(str(source.MEMORY.exists())) or sys.exit())
    with pytest.raises(SystemExit):
        Session(config_of("classification", "small_resnet"), logging.getLogger(), is_main=True).begin()
    assert done == ["True"]
    monkeypatch.setattr(definitions, "outline", None)
    for value in (*vars(provenance).values(), *vars(source).values()):
        getattr(value, "cache_clear", lambda: None)()
    assert source_digest("folds", *asked_with("folds", "classification", "small_resnet")) == before


def test_the_place_of_the_checkout_does_not_count(sources: Any, tmp_path: Path, monkeypatch: Any) -> None:
    before = {stage: sources(stage) for stage in STAGES}
    Path("moved").mkdir()
    for name in ("src", "workflow"):
        shutil.move(name, f"moved/{name}")
    place(monkeypatch, tmp_path / "moved")
    assert {stage: sources(stage) for stage in STAGES} == before


def test_swapping_the_code_of_two_modules_changes_the_digest(sources: Any) -> None:
    before = sources("train")
    first, second = Path("src/goldfold/losses/classification.py"), Path("src/goldfold/optim/schedules.py")
    one, other = first.read_text(), second.read_text()
    first.write_text(other)
    second.write_text(one)
    assert sources("train") != before


def test_versions_and_hardware_name_what_shapes_a_result() -> None:
    versions = provenance.versions()
    assert {"python", "torch", "timm", "numpy", "goldfold"} <= set(versions)
    assert versions["torch"]
    assert {"system", "processor", "cores", "gpu"} == set(provenance.hardware())


def test_git_state_is_null_outside_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.git_state() == {"commit": None, "dirty": None}


# --- status


def test_a_running_job_is_listed_for_as_long_as_it_runs() -> None:
    results = Path("results/digits")
    with status.running(results, "train model=a fold=0"):
        progress = status.Progress(40, "steps")
        progress.advance(10, note="accuracy 0.9")
        status._write()
        (entry,) = status.listing(Path("results"))
        assert entry["experiment"] == "digits"
        assert entry["job"] == "train model=a fold=0"
        assert (entry["done"], entry["total"], entry["note"]) == (10, 40, "accuracy 0.9")
        assert entry["pid"] == os.getpid()
        progress.close()
    assert status.listing(Path("results")) == []
    assert list(results.rglob("*.json")) == []


def test_a_job_that_fails_is_listed_no_longer() -> None:
    with pytest.raises(RuntimeError), status.running(Path("results/digits"), "train"):
        raise RuntimeError
    assert status.listing(Path("results")) == []


def put(pid: int, host: str, **more: Any) -> Path:
    path = Path("results/digits/.status") / f"{host}-{pid}.json"
    entry = {"job": "train", "host": host, "pid": pid, "started": time.time() - 30, "done": 5, "total": 10, "note": ""}
    write_json(path, entry | more)
    return path


def test_dead_processes_of_this_host_are_forgotten_and_those_of_other_hosts_are_not() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead, elsewhere = put(process.pid, socket.gethostname()), put(process.pid, "other-node")
    assert [entry["host"] for entry in status.listing(Path("results"))] == ["other-node"]
    assert not dead.exists()
    assert elsewhere.exists()


def test_half_written_entries_are_passed_over() -> None:
    put(os.getpid(), socket.gethostname())
    Path("results/digits/.status/x.json").write_text('{"job": ')
    assert len(status.listing(Path("results"))) == 1


def test_a_job_is_described_in_one_line_with_bar_share_and_time_left() -> None:
    put(os.getpid(), socket.gethostname(), note="accuracy 0.9000")
    (entry,) = status.listing(Path("results"))
    assert status.describe(entry) == (
        "digits  train  [##########..........]  50%  0:30 run, 0:30 left  accuracy 0.9000"
    )
    assert "starting" in status.describe({**entry, "done": 0})
    assert "1:02:05 run" in status.describe({**entry, "started": time.time() - 3725})


def test_the_status_command_prints_lines_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status"]) == 0
    assert capsys.readouterr().out == "no jobs are running below results/\n"
    put(os.getpid(), socket.gethostname())
    assert cli.main(["status", "--results", "results"]) == 0
    assert capsys.readouterr().out.startswith("digits  train  [##########..........]  50%")
    assert cli.main(["status", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["experiment"], entry["done"]) == ("digits", 5)


def test_the_command_without_a_word_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([])
    assert caught.value.code == 2
    assert "status" in capsys.readouterr().err


def test_progress_tells_a_log_how_long_it_will_take(capsys: pytest.CaptureFixture[str]) -> None:
    progress = status.Progress(4, "steps", seconds_between_lines=0.0)
    progress.start -= 10
    progress.advance(1, note="x")
    line = capsys.readouterr().out.strip()
    assert line == "1/4 steps, 0:30 left x"
    progress.close()


def test_progress_of_a_run_that_goes_on_counts_its_own_steps_for_the_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with status.running(Path("results/digits"), "train"):
        progress = status.Progress(100, "steps", seconds_between_lines=0.0)
        progress.go_on_from(80)
        progress.start -= 10
        progress.advance(5)
        assert capsys.readouterr().out.strip() == "85/100 steps, 0:30 left"
        (entry,) = status.listing(Path("results"))
        line = status.describe({**entry, "started": entry["started"] - 10, "done": 85, "before": 80, "total": 100})
        assert "85%  0:10 run, 0:30 left" in line
        progress.close()


# --- the frame of a job

JOB = """
import sys
from pathlib import Path
from types import SimpleNamespace
from goldfold.base.errors import DataError
from goldfold.base.files import write_json
from goldfold.lineage.job import job
class Files(list):
    def __init__(self, **named):
        flat = [value if isinstance(value, list) else [value] for value in named.values()]
        super().__init__(sum(flat, []))
        self.__dict__.update(named)
        self.get = named.get
recipe = {"settings": {"seed": 3}, "data": {}, "code": {"of": ["folds", "classification", ""], "digest": "x"}}
write_json(".goldfold/recipes/results/t/train/a/run.json", recipe)
Path("results/t/train/a").mkdir(parents=True, exist_ok=True)
Path("fold0.csv").write_text("abc")
snakemake = SimpleNamespace(
    log=["results/t/logs/train/a.log"], rule="train", wildcards={"model": "a", "fold": "0"}, params={},
    input=Files(recipe=".goldfold/recipes/results/t/train/a/run.json", fold="fold0.csv",
        checked=["results/t/external/other/run.json"]),
    output=Files(model="results/t/train/a/model", record="results/t/train/a/run.json"),
)
with job(snakemake) as made:
    from goldfold.base import status
    print("JOBS", [entry["job"] for entry in status.listing(Path("results"))])
    Path(snakemake.output.model).write_text("abc")
    WHAT
"""
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""printf abc | sha256sum"""


def run_job(what: str) -> tuple[subprocess.CompletedProcess[str], str]:
    done = subprocess.run([sys.executable, "-c", JOB.replace("WHAT", what)], capture_output=True, text=True, timeout=60)
    return done, Path("results/t/logs/train/a.log").read_text()


def test_what_a_job_prints_goes_to_its_log_and_it_is_listed() -> None:
    done, log = run_job("print('working')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert log.splitlines() == ["JOBS ['train model=a fold=0']", "working"]


def test_a_job_leaves_a_record_of_all_that_it_was_made_from() -> None:
    done, log = run_job("made.facts = {'n_train': made.settings['seed'], 'files': ['fold0.csv']}")
    assert done.returncode == 0, log
    record = records.read("results/t/train/a/run.json")
    assert record is not None
    assert (record["rule"], record["wildcards"]) == ("train", {"model": "a", "fold": "0"})
    asked, code = read_json(".goldfold/recipes/results/t/train/a/run.json"), source_digest("folds", "classification")
    assert record["recipe"] == {**asked, "code": {**asked["code"], "digest": code}}, "the code that really ran"
    assert record["inputs"] == record["files"] == {"fold0.csv": ABC}, "the recipe itself is no file to compare"
    assert record["outputs"] == {"results/t/train/a/model": ABC}
    assert record["logs"] == ["results/t/logs/train/a.log", "results/t/benchmarks/train/a.tsv"]
    assert record["n_train"] == 3
    assert record["code"] == provenance.code_table("folds", "classification")
    assert {"workflow/scripts/folds.py", "src/goldfold/splits/stratified.py"} <= set(record["code"])
    assert {"git", "versions", "hardware", "digest"} <= set(record)
    assert 0 <= record["seconds"] == pytest.approx(record["finished"] - record["started"], abs=0.01)


def test_an_error_the_user_can_act_on_ends_a_job_with_its_text_alone() -> None:
    done, log = run_job("raise DataError('x.csv: no rows. Fill it.')")
    assert done.returncode == 1
    assert log.splitlines()[1:] == ["goldfold: x.csv: no rows. Fill it."]


def test_any_other_error_ends_a_job_with_one_traceback_in_the_log() -> None:
    done, log = run_job("1 / 0")
    assert done.returncode == 1
    assert log.count("Traceback") == 1
    assert "ZeroDivisionError" in log
    assert list(Path("results").rglob("*.json")) == []


@pytest.fixture
def full_log(in_tmp: Path) -> None:
    """A log that takes nothing."""
    Path("results/t/logs/train").mkdir(parents=True)
    Path("results/t/logs/train/a.log").symlink_to("/dev/full")


def run_job_with_a_full_log(what: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", JOB.replace("WHAT", what)], capture_output=True, text=True, timeout=60)


@pytest.mark.usefixtures("full_log")
def test_a_log_that_cannot_be_written_costs_its_text_and_not_the_job() -> None:
    done = run_job_with_a_full_log(
        "print('working', flush=True); progress = status.Progress(2, 'steps', -1.0); progress.advance(); progress.close()"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert records.read("results/t/train/a/run.json") is not None


def test_an_error_reaches_the_terminal_where_snakemake_shows_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(status, "terminal", shown)
    log.tell(DataError("oof.csv: no row of image '7'"), tmp_path, "external external=other")
    assert not shown.getvalue(), "it is in the log, which Snakemake shows"
    monkeypatch.setenv(log.VARIABLE, "1")
    log.tell(DataError("oof.csv: no row of image '7'"), tmp_path, "external external=other")
    assert shown.getvalue() == "external external=other failed:\ngoldfold: oof.csv: no row of image '7'\n"


@pytest.mark.usefixtures("full_log")
def test_an_error_that_the_log_cannot_take_reaches_the_terminal() -> None:
    done = run_job_with_a_full_log("print('x' * 100_000); raise DataError('x.csv: no rows. Fill it.')")
    assert (done.returncode, done.stderr) == (1, "goldfold: x.csv: no rows. Fill it.\n")
    done = run_job_with_a_full_log("1 / 0")
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


@pytest.fixture
def small_disk(in_tmp: Path) -> Iterator[Path]:
    """Results on a disk of a megabyte."""
    folder = in_tmp / "results"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


FILL = "stream = open('results/ballast', 'wb', buffering=0); any(stream.write(bytes(4096)) is None for _ in range(999))"


@pytest.mark.parametrize("what", [f"""
    try:
        {FILL}
    except OSError:
        pass
    status._write()
    print('x' * 10_000, flush=True)""", f"""
    {FILL}"""], ids=["the record", "what a stage writes"])  # fmt: skip
def test_a_disk_that_fills_up_while_a_job_runs_is_told_on_the_terminal_in_words(what: str, small_disk: Path) -> None:
    done = run_job_with_a_full_log(f"print('x' * 3900){what}")
    assert done.returncode == 1
    said = done.stderr or Path("results/t/logs/train/a.log").read_text()
    assert re.search(
        r"goldfold: cannot write into results/t/train/a: No space left on device \(0\.0 MB are free there\)\. "
        r"Make room there and run again: results of finished jobs are kept\.\n$",
        said,
    )
    assert "Traceback" not in said
    assert list(small_disk.rglob("*.json")) == []


@pytest.mark.usefixtures("small_disk")
def test_where_there_is_no_room_for_a_log_all_is_told_on_the_terminal() -> None:
    Path("results/t/train/a").mkdir(parents=True)
    for number in range(300):
        try:
            Path(f"results/{number}").write_bytes(bytes(4096))
        except OSError:
            break
    assert number > 200
    done = run_job_with_a_full_log("")
    assert done.returncode == 1
    assert "goldfold: cannot write into" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_job_frame_is_a_plain_context_manager_and_its_errors_one_family() -> None:
    assert callable(job)
    assert {kind.__name__ for kind in GoldfoldError.__subclasses__()} == {"ConfigError", "DataError", "TrainingError"}


def test_the_digest_of_an_own_module_follows_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    digests = []
    for number, code in enumerate(["WIDTH = 1", "WIDTH = 1  # a comment", "WIDTH = 2"]):
        (tmp_path / f"mine/net{number}.py").write_text(code)
        of = ("train", "classification", f"mine.net{number}:build")
        digests.append((provenance.code_table(*of)[f"mine.net{number}"], source_digest(*of)))
    assert digests[0] == digests[1]
    assert digests[0][0] != digests[2][0]
    assert digests[0][1] != digests[2][1]
    assert "mine.nowhere" not in provenance.code_table("train", "classification", "mine.nowhere:build")


HELPED = {
    "mynet.py": "import mylayers\nfrom pack.sub import blocks\n",
    "mylayers.py": "import mynet\nimport json\n\ndef late():\n    from pack import fresh\n",
    "pack/__init__.py": "",
    "pack/fresh.py": "import numpy\n",
    "pack/sub/__init__.py": "from .deep import DEPTH\n",
    "pack/sub/blocks.py": "from .. import up\nfrom ..wide import WIDTH as WIDE\nfrom goldfold.models.pyramid import Pyramid\n",
    "pack/sub/deep.py": "DEPTH = 1\n",
    "pack/up.py": "UP = 1\n",
    "pack/wide.py": "WIDTH = 1\n",
    "broken.py": "print 'of another Python'\n",
}
"""A network's module and all that it reaches, directly or not, in a circle too."""
UNRELATED = {
    "alone.py": "ONE = 1\n",
    "pack/alone.py": "ONE = 1\n",
    "typing_only.py": "ONE = 1\n",
    ".venv/lib/python3.11/site-packages/installed.py": "ONE = 1\n",
}
OF_MYNET = ("train", "classification", "mynet:build")


def write_own(files: dict[str, str], folder: Path) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_helpers_of_an_own_network_count_and_what_it_does_not_reach_does_not(
    sources: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_own(HELPED | UNRELATED, tmp_path)
    more = "try:\n    import broken, installed\nexcept ImportError: pass\nif TYPE_CHECKING:\n    import typing_only\n"
    edit_own(tmp_path / "mynet.py", more)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path / ".venv/lib/python3.11/site-packages"))
    before = sources(*OF_MYNET)
    own = [name for name in provenance.code_table(*OF_MYNET) if "/" not in name]
    assert own == ["mynet", "broken", "mylayers", "pack", "pack.fresh", "pack.sub", "pack.sub.blocks", "pack.sub.deep",
                   "pack.up", "pack.wide"]  # fmt: skip
    for name in HELPED | UNRELATED:
        edit_own(tmp_path / name, "# a comment\n" if name != "broken.py" else "")
        assert sources(*OF_MYNET) == before, name
        edit_own(tmp_path / name, "ADDED = 1\n")
        assert (sources(*OF_MYNET) != before) == (name in HELPED), name
        before = sources(*OF_MYNET)
    assert "src/goldfold/models/pyramid.py" in provenance.code_table(*OF_MYNET)


def edit_own(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_helpers_beside_an_own_module_that_lies_elsewhere_count(
    sources: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    write_own({"mynet.py": "import mylayers, beyond\n", "mylayers.py": "import json\n"}, elsewhere)
    write_own({"beyond.py": "ONE = 1\n"}, tmp_path / "third")
    here.mkdir()
    monkeypatch.chdir(here)
    for folder in (tmp_path / "third", elsewhere):
        monkeypatch.syspath_prepend(str(folder))
    before = sources(*OF_MYNET)
    assert [name for name in provenance.code_table(*OF_MYNET) if "/" not in name] == ["mynet", "mylayers"]
    edit_own(elsewhere / "mylayers.py", "ADDED = 1\n")
    assert sources(*OF_MYNET) != before


def test_a_network_in_a_package_brings_its_neighbours_by_relative_import(
    sources: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_own({"mine/__init__.py": "", "mine/net.py": "from .layers import x\nfrom ....too import many\n"}, tmp_path)
    write_own({"mine/layers.py": "x = 1\n"}, tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    of = ("train", "classification", "mine.net:build")
    before = sources(*of)
    edit_own(tmp_path / "mine/layers.py", "x = 2\n")
    assert sources(*of) != before
