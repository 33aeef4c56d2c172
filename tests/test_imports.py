import json
import os
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

from conftest import REPO
from goldfold import tasks
from goldfold.catalog import TASKS
from goldfold.lineage import provenance, source

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
LIGHT = [
    "goldfold",
    "goldfold.cli",
    "goldfold.session",
] + [
    name
    for name in MODULES
    if name.startswith(("goldfold.config", "goldfold.base", "goldfold.lineage", "goldfold.planning"))
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
    assert len(LIGHT) > 50
    loaded = loaded_after("\n".join(f"import {name}" for name in LIGHT), tmp_path)
    assert set(LIGHT) <= set(loaded)
    assert [name for name in HEAVY if name in loaded] == []


def test_importing_all_of_goldfold_writes_nothing_and_changes_no_environment(tmp_path: Path) -> None:
    first = "import torch, timm, cv2, sklearn, accelerate, os  # cv2 and scikit-learn set variables of their own"
    code = [first, "before = dict(os.environ)", *(f"import {name}" for name in MODULES)]
    loaded = loaded_after("\n".join([*code, "assert dict(os.environ) == before"]), tmp_path)
    assert set(MODULES) <= set(loaded)
    assert list(tmp_path.iterdir()) == []


def test_no_module_imports_itself_through_others() -> None:
    """So each can be imported on its own, whatever was imported before: all together they can, as the test above shows."""
    graph = grimp.build_graph("goldfold", exclude_type_checking_imports=True, cache_dir=None)
    assert set(MODULES) <= graph.modules
    TopologicalSorter({name: run_before(name, graph) for name in graph.modules}).prepare()


def run_before(name: str, graph: grimp.ImportGraph) -> set[str]:
    """Modules that are run when one is imported: those it names, and the packages around them that are not around it."""
    named = graph.find_modules_directly_imported_by(name)
    packages = {".".join(parts[:n]) for parts in (other.split(".") for other in named) for n in range(2, len(parts))}
    return named | {package for package in packages if not f"{name}.".startswith(f"{package}.")}


def test_the_same_bytes_every_time_are_asked_for_without_the_compiler(tmp_path: Path) -> None:
    """A network that compiles itself is deterministic too, whether the compiler is loaded before or after."""
    asked = "import sys, torch\nfrom goldfold.engine.seeding import deterministic\ndeterministic(1)"
    code = [
        asked,
        "assert torch.are_deterministic_algorithms_enabled()",
        "assert torch.is_deterministic_algorithms_warn_only_enabled()",
        "assert 'torch._inductor' not in sys.modules",
        "import torch._inductor.config as compiler",
        "assert compiler.deterministic",
        "compiler.deterministic = False",
        "deterministic(1)",
        "assert compiler.deterministic",
    ]
    loaded_after("\n".join(code), tmp_path)


def test_the_report_loads_matplotlib_only_where_it_draws(tmp_path: Path) -> None:
    loaded = loaded_after("import goldfold.tasks, goldfold.stages.ensemble", tmp_path)
    assert "matplotlib" not in loaded
    assert "torch" not in loaded


# --- what a job reaches is what it depends on: nothing heavy that its stage has no use for

WITHOUT_NETWORKS = ("manifest", "folds", "pseudo_label", "ensemble", "submit")


def imported(stage: str, task: str) -> set[str]:
    """Libraries that the code imports which a stage's job reaches, with all metrics and methods of the task."""
    facts = tasks.facts(task)
    places = [TASKS[task], *facts.metrics.values(), *(facts.methods.values() if stage != "folds" else ())]
    reached, _, _ = provenance._code(stage, tuple(places))
    assert len(reached) > 30
    names = (name for file, part in reached for name in source._outline(file).definitions[part].imports)
    return {name.split(".")[0] for name in names} - {"goldfold"}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("stage", WITHOUT_NETWORKS)
def test_a_stage_without_a_network_reaches_neither_torch_nor_matplotlib(stage: str, task: str) -> None:
    assert "pandas" in imported(stage, task)
    assert (
        imported(stage, task) & {"torch", "torchvision", "timm", "albumentations", "accelerate", "matplotlib"} == set()
    )


@pytest.mark.parametrize("task", TASKS)
def test_the_report_reaches_no_torch(task: str) -> None:
    assert "matplotlib" in imported("report", task)
    assert imported("report", task) & {"torch", "torchvision", "timm", "albumentations", "accelerate"} == set()


@pytest.mark.parametrize("task", TASKS)
def test_training_and_predicting_reach_no_matplotlib_and_no_other_task(task: str) -> None:
    for stage in ("train", "predict"):
        assert "torch" in imported(stage, task)
        assert "matplotlib" not in imported(stage, task)
        reached, _, _ = provenance._code(stage, (TASKS[task],))
        of_tasks = {file.parent.name for file, part in reached if "tasks" in file.parts and part != "(on import)"}
        assert of_tasks - {"tasks"} == {task, *["classification"] * (task == "ordinal")}
