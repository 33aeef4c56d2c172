import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from conftest import FORM, REPO, Tiny
from goldfold.runtime.provenance import UNREACHED

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
LIGHT = ["goldfold", "goldfold.cli"] + [
    name for name in MODULES if name.startswith(("goldfold.config", "goldfold.runtime"))
]


def loaded_after(code: str, cwd: Path, *words: str) -> list[str]:
    """Names of the modules in memory after ``code`` ran in a process of its own."""
    text = f"{code}\nimport sys, json\nprint('MODULES ' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", text, *words],
        capture_output=True,
        text=True,
        timeout=120,
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

RUN = {
    "manifest": "from goldfold.stages import manifest\nmanifest.run(**settings['manifest'])",
    "train": "from goldfold.stages import train\ntrain.run(**settings['train'])",
    "predict": "from goldfold.stages import predict\npredict.run(**settings['predict'])",
    "pseudo_label": "from goldfold.stages import pseudo_label\npseudo_label.run(**settings['pseudo_label'])",
    "ensemble": "from goldfold.stages import ensemble\nensemble.run(**settings['ensemble'])",
    "submit": "from goldfold.stages import submit\nsubmit.run(**settings['submit'])",
}


@pytest.fixture(scope="module")
def settings(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each stage is run with; predictions of the other fold are made here."""
    from conftest import PLACE, RUNTIME
    from goldfold.stages import ensemble, predict

    root = tmp_path_factory.mktemp("stages")
    model = tiny.model({"epochs": 1, "warmup_epochs": 0, "ema_decay": 0.9, "mixup_alpha": 0.2})
    classes = str(tiny.folds / "classes.json")
    made: dict[str, dict[str, Any]] = {}
    made["manifest"] = {
        "folder": str(root / "manifest"),
        "source": {"source": "csv", "train": str(tiny.root / "raw/train.csv"), "images": str(tiny.root / "raw/train")},
        "task": "classification",
        "on_bad_image": "fail",
        "on_missing_image": "fail",
        "on_missing_label": "fail",
        "sample": None,
        "workers": 1,
    }
    made["manifest"]["source"] |= {"test": str(tiny.root / "raw/test.csv"), "test_images": str(tiny.root / "raw/test")}
    sample = pd.read_csv(tiny.root / "raw/test.csv").assign(label="cat")
    sample.to_csv(root / "sample.csv", index=False)
    made["manifest"] |= {"metric": "accuracy", "classes": None, "submission": FORM}
    made["manifest"]["sample"] = str(root / "sample.csv")
    for fold in (1, 0):
        place = {**PLACE, "fold": fold}
        made["train"] = {
            "folder": str(root / f"train{fold}"),
            "fold_file": tiny.fold_file(fold),
            "classes": classes,
            "caches": tiny.caches(),
            "pseudo": None,
            "task": "classification",
            "metric": "f1_macro",
            "model": model,
            "channels": 3,
            "place": place,
            "pseudo_weight": 1.0,
            "runtime": RUNTIME,
        }
        tiny.train(root / f"train{fold}", fold_file=tiny.fold_file(fold), model=model, place=place)
        made["predict"] = {
            "folder": str(root / f"predict/net/round0/fold{fold}/seed0"),
            "weights": str(root / f"train{fold}/model.safetensors"),
            "fold_file": tiny.fold_file(fold),
            "classes": classes,
            "caches": tiny.caches("train", "test"),
            "lists": {"test": str(tiny.folds / "test.csv")},
            "task": "classification",
            "model": {name: model[name] for name in ("network", "backbone", "params", "size")},
            "channels": 3,
            "tta": ["identity", "zoom_in"],
            "place": place,
            "runtime": RUNTIME,
        }
        predict.run(**made["predict"])
    made["pseudo_label"] = {
        "predictions": {"test": [str(root / "predict/net/round0/fold0/seed0/test.npz")]},
        "classes": classes,
        "out": str(root / "pseudo.csv"),
        "task": "classification",
        "threshold": 0.5,
        "fold": 0,
    }
    made["ensemble"] = {
        "predictions": str(root / "predict"),
        "train": str(tiny.folds / "train.csv"),
        "classes": classes,
        "folder": str(root / "ensemble"),
        "leaderboard": str(root / "leaderboard.csv"),
        "metrics": str(root / "metrics.json"),
        "task": "classification",
        "metric": "f1_macro",
        "models": ["net"],
        "seeds": [0],
        "n_folds": 2,
        "rounds": 1,
        "has_test": True,
        "method": "rank",
        "weights": {},
    }
    ensemble.run(**made["ensemble"])
    made["submit"] = {
        "predictions": str(root / "ensemble/test.npz"),
        "test": str(tiny.folds / "test.csv"),
        "classes": classes,
        "out": str(root / "submission.csv"),
        "task": "classification",
        "metric": "f1_macro",
        "sample": None,
        "format": "auto",
        "id_column": "id",
        "label_column": "label",
    }
    return made


def test_every_stage_whose_digest_leaves_packages_out_is_held_to_it() -> None:
    assert set(RUN) | {"report"} == set(UNREACHED)
    for packages in UNREACHED.values():
        for name in packages:
            assert name in MODULES, name


@pytest.mark.parametrize("stage", RUN)
def test_a_stage_loads_nothing_of_the_packages_that_its_digest_leaves_out(
    stage: str, settings: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    code = f"import json\nsettings = json.load(open('settings.json'))\n{RUN[stage]}"
    everything = loaded_after(code, tmp_path)
    loaded = [name for name in everything if name.split(".")[0] == "goldfold"]
    assert f"goldfold.stages.{stage}" in loaded
    assert len(loaded) > 8
    wrong = [name for name in loaded for left in UNREACHED[stage] if name == left or name.startswith(f"{left}.")]
    assert wrong == []
    assert ("torch" in everything) == (stage in ("train", "predict")), "a stage without a network loads no torch"
    assert "matplotlib" not in everything
