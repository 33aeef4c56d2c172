import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from conftest import FORM, PLACE, POLICIES, REPO, RUNTIME, Tiny
from goldfold.catalog import TASKS
from goldfold.lineage.provenance import UNREACHED
from goldfold.stages import ensemble
from goldfold.tasks import find

HEAVY = [
    "torch",
    "timm",
    "torchvision",
    "pandas",
    "cv2",
    "sklearn",
    "scipy",
    "matplotlib",
    "albumentations",
    "accelerate",
]
MODULES = sorted(
    str(path.relative_to(REPO / "src").with_suffix("")).replace("/", ".").removesuffix(".__init__")
    for path in (REPO / "src/goldfold").rglob("*.py")
)
LIGHT = ["goldfold", "goldfold.cli", "goldfold.plan", "goldfold.session"] + [
    name for name in MODULES if name.startswith(("goldfold.config", "goldfold.runtime"))
]


def loaded_after(code: str, cwd: Path, *words: str) -> list[str]:
    """Names of the modules in memory after ``code`` ran in a process of its own."""
    text = f"{code}\nimport sys, json\nprint('MODULES ' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", text, *words],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.rsplit("MODULES ", 1)[1])


def test_what_the_snakefile_imports_loads_nothing_heavy(tmp_path: Path) -> None:
    assert len(LIGHT) > 15
    loaded = loaded_after("\n".join(f"import {name}" for name in LIGHT), tmp_path)
    assert set(LIGHT) <= set(loaded)
    assert [name for name in HEAVY if name in loaded] == []


def test_importing_all_of_goldfold_writes_nothing_and_changes_no_environment(tmp_path: Path) -> None:
    first = "import torch, timm, cv2, sklearn, accelerate, os  # cv2 and scikit-learn set variables of their own"
    code = [first, "before = dict(os.environ)", *(f"import {name}" for name in MODULES)]
    loaded = loaded_after("\n".join([*code, "assert dict(os.environ) == before"]), tmp_path)
    assert set(MODULES) <= set(loaded)
    assert list(tmp_path.iterdir()) == []


def test_every_module_can_be_imported_on_its_own(tmp_path: Path) -> None:
    """Each in a fork of a process that has the heavy libraries but nothing of goldfold in memory."""
    assert len(MODULES) > 45
    code = (
        "import importlib, os, sys, traceback\n"
        "import torch, timm, pandas, sklearn.model_selection, cv2, accelerate, albumentations, scipy.stats, pydantic, yaml\n"
        "import matplotlib.pyplot, jinja2, safetensors.torch, timm.data.mixup\n"
        "failed = []\n"
        "for name in sys.argv[1:]:\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        try:\n"
        "            importlib.import_module(name); os._exit(0)\n"
        "        except BaseException:\n"
        "            traceback.print_exc(); sys.stderr.flush(); os._exit(1)\n"
        "    failed += [name] if os.waitpid(pid, 0)[1] else []\n"
        "assert not failed, failed\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'goldfold']\n"
    )
    loaded_after(code, tmp_path, *MODULES)


def test_the_report_loads_matplotlib_only_where_it_draws(tmp_path: Path) -> None:
    loaded = loaded_after("import goldfold.tasks, goldfold.stages.ensemble", tmp_path)
    assert "matplotlib" not in loaded
    assert "torch" not in loaded


# --- the packages that a stage's digest leaves out are not loaded by its work

STAGES = ("manifest", "folds", "train", "predict", "pseudo_label", "ensemble", "submit")
SOURCE_KEYS = (
    "source",
    "train",
    "images",
    "masks",
    "test",
    "test_images",
    "label_separator",
    "empty_label",
    "target_column",
)


def fusing_of(name: str) -> dict[str, Any]:
    """How a task fuses, as the config hands it to the stage."""
    values = {"iou_threshold": 0.55, "skip_threshold": 0.0}
    task = find(name)
    return {"method": list(task.methods)[-1], **{key: values[key] for key in task.fuses_by}}


def settings_of(tiny: Tiny, root: Path) -> dict[str, dict[str, Any]]:
    """What each stage is run with on fold 0; predictions of the other fold are made here."""
    source = {key: tiny.data[key] for key in SOURCE_KEYS if key in tiny.data}
    learnt = {"ema_decay": 0.9, **({"mixup_alpha": 0.2} if tiny.task["name"] == "classification" else {})}
    model = tiny.model({"epochs": 1, "warmup_epochs": 0, **learnt})
    common = {"task": tiny.task, "classes": str(tiny.folds / "classes.json")}
    made: dict[str, dict[str, Any]] = {}
    sample = pd.read_csv(tiny.folds / "test.csv", dtype=str)[["id"]].assign(label=tiny.classes[0])
    if tiny.task["name"] == "segmentation":
        sample = sample.merge(pd.DataFrame({"class": tiny.classes}), how="cross")[["id", "class", "label"]]
    sample.to_csv(root / "sample.csv", index=False)
    made["manifest"] = {
        "folder": str(root / "manifest"),
        "source": source,
        "task": tiny.task,
        "policies": POLICIES,
        "sample": str(root / "sample.csv"),
        "metric": tiny.metric,
        "classes": tiny.data.get("classes"),
        "submission": FORM,
        "workers": 1,
    }
    made["folds"] = {
        "manifest": str(tiny.root / "manifest"), "folder": str(root / "folds"), "task": tiny.task,
        "splits": ["train", "test"], "splitter": "stratified", "n_folds": 2, "seed": 0, "shards": 1,
    }  # fmt: skip
    for fold in (1, 0):
        place, trained = {**PLACE, "fold": fold}, root / f"train{fold}"
        made["train"] = {
            "folder": str(trained), "fold_file": tiny.fold_file(fold), "caches": tiny.caches(), "pseudo": None,
            "metric": tiny.metric, "model": model, "resize": "squash", "channels": 3, "place": place,
            "pseudo_weight": 1.0, "runtime": RUNTIME, **common,
        }  # fmt: skip
        tiny.train(trained, fold_file=tiny.fold_file(fold), model=model, place=place)
        folder, weights = root / f"predict/net/round0/fold{fold}/seed0", trained / "model.safetensors"
        made["predict"] = tiny.predict(
            folder, weights, "test", model=model, fold_file=tiny.fold_file(fold), place=place
        )
    test_of_fold = str(root / "predict/net/round0/fold0/seed0/test.npz")
    made["pseudo_label"] = {
        "predictions": {"test": [test_of_fold]}, "out": str(root / "pseudo.csv"), "threshold": 0.5, "fold": 0,
        "weights": {}, "settings": fusing_of(tiny.task["name"]), "workers": 1, **common,
    }  # fmt: skip
    made["ensemble"] = {
        "predictions": str(root / "predict"), "train": str(tiny.folds / "train.csv"), "folder": str(root / "ensemble"),
        "leaderboard": str(root / "leaderboard.csv"), "metrics": str(root / "metrics.json"), "metric": tiny.metric,
        "models": ["net"], "seeds": [0], "n_folds": 2, "rounds": 1, "has_test": True, "weights": {},
        "settings": fusing_of(tiny.task["name"]), "workers": 1, **common,
    }  # fmt: skip
    ensemble.run(**made["ensemble"])
    made["submit"] = {
        "predictions": str(root / "ensemble/test.npz"), "test": str(tiny.folds / "test.csv"),
        "out": str(root / "submission.csv"), "metric": tiny.metric, "sample": None, "settings": FORM,
        "class_ids": str(tiny.folds / "class_ids.json"), **common,
    }  # fmt: skip
    return made


@pytest.fixture(scope="module")
def settings(
    tiny_of: dict[str, Tiny], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, dict[str, Any]]]:
    """What each stage is run with, by task."""
    return {name: settings_of(tiny, tmp_path_factory.mktemp(f"stages_{name}")) for name, tiny in tiny_of.items()}


def test_every_stage_whose_digest_leaves_packages_out_is_held_to_it() -> None:
    assert {*STAGES, "report"} == set(UNREACHED)
    for packages in UNREACHED.values():
        for name in packages:
            assert name in MODULES, name


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_loads_nothing_of_the_packages_that_its_digest_leaves_out(
    stage: str, task: str, settings: dict[str, dict[str, dict[str, Any]]], tmp_path: Path
) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(settings[task][stage]))
    code = f"import json\nsettings = json.load(open('settings.json'))\nfrom goldfold.stages import {stage}\n"
    everything = loaded_after(f"{code}{stage}.run(**settings)", tmp_path)
    loaded = [name for name in everything if name.split(".")[0] == "goldfold"]
    assert f"goldfold.stages.{stage}" in loaded
    assert len(loaded) > 8
    wrong = [name for name in loaded for left in UNREACHED[stage] if name == left or name.startswith(f"{left}.")]
    assert wrong == []
    assert [other for other in TASKS if f"goldfold.tasks.{other}" in loaded] == [task], "one task knows no other"
    own = {network.split(".")[-1] for network in loaded if network.startswith("goldfold.models.")}
    assert own <= {*NETWORK_MODULES[task], "wrapping", "batch_norm", "arguments"}, (
        "networks of other tasks are not loaded"
    )
    assert ("torch" in everything) == (stage in ("train", "predict")), "a stage without a network loads no torch"
    assert "matplotlib" not in everything


NETWORK_MODULES = {
    "classification": {"small_resnet"},
    "multilabel": {"small_resnet"},
    "regression": {"small_resnet"},
    "segmentation": {"smp_models", "timm_models"},
    "detection": {"detectors", "pyramid", "timm_models"},
}
