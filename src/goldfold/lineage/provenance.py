"""Origin of results: digests of the code that a job reaches, git state, versions and hardware."""

import hashlib
import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from goldfold.catalog import FACETS, STUDENT
from goldfold.lineage import source
from goldfold.lineage.source import PACKAGE, code_digest, own_files

ROOT = PACKAGE.parents[1]
SCRIPTS = ROOT / "workflow" / "scripts"
VERSIONS_OF = (
    "goldfold", "torch", "torchvision", "timm", "segmentation-models-pytorch", "accelerate", "albumentations",
    "ensemble-boxes", "faster-coco-eval", "numpy", "pandas", "scikit-learn", "opencv-python-headless", "snakemake",
    "tifffile", "pydicom", "ultralytics",
)  # fmt: skip

SHAPING = tuple(name for name in VERSIONS_OF if name not in ("goldfold", "snakemake"))
"""Libraries whose version may change results."""
PAGE_SUFFIXES = frozenset({".css", ".html"})
"""Suffixes of files next to the code that shape the report."""
FRAME = (
    "goldfold.lineage", "goldfold.base.status", "goldfold.base.gpu_slots", "goldfold.base.run_lock",
    "goldfold.base.processes", "goldfold.images.looking", "goldfold.catalog", "goldfold.signatures", "goldfold.tasks.facts",
)  # fmt: skip
"""Job scaffolding, left out of code digests."""
PAGES, SUBMISSION = ("goldfold.drawing", "goldfold.report"), ("goldfold.submission",)


def _left_out(stage: str, places: tuple[str, ...]) -> tuple[str, ...]:
    """Modules and packages that no job of a stage runs, although its code refers to them, as user-defined tasks do.

    Validation uses a single view, so training never fuses detections of several views; only that of a student fuses.
    """
    drawn = () if stage == "report" else PAGES
    submitted = () if stage in ("manifest", "submit") else SUBMISSION
    is_unused = stage == "derive" or (stage.startswith("train") and STUDENT not in places)
    unused = ("goldfold.ensembling",) if is_unused else ()
    return (*FRAME, *drawn, *submitted, *unused, *_counted_in_training(stage))


def _counted_in_training(stage: str) -> tuple[str, ...]:
    """Packages whose code the report runs to draw augmented samples: their changes count in training, which it reads."""
    return ("goldfold.training",) if stage == "report" else ()


@cache
def source_digest(stage: str, *places: str) -> str:
    """Digest of the code that a stage's job reaches, by definition, regardless of files.

    Args:
        places: components that the config uses, as ``module:name``; for a task its package, of which only the facets that
            the stage uses are included.
    """
    reached, own, pages = _code(stage, places)
    parts = [source.digest(reached), *own.values(), *(code_digest(page) for page in pages)]
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]


@cache
def code_table(stage: str, *places: str) -> dict[str, str]:
    """Digest of the code that a stage's job reaches in each file of goldfold, sorted by path in the repository.

    Components are named as text, so only the code of ``places`` is included. User-defined modules, and user modules that
    they import, come last under their dotted names. Comments, docstrings and white space are ignored, so tidying a file
    retrains nothing; a changed statement does.
    """
    reached, own, pages = _code(stage, places)
    files = source.by_file(reached) | {page: code_digest(page) for page in pages}
    return {str(file.relative_to(ROOT)): files[file][:16] for file in sorted(files)} | own


@cache
def _code(stage: str, places: tuple[str, ...]) -> tuple[dict[source.Unit, str], dict[str, str], list[Path]]:
    """Reached definitions of goldfold, digests of user-defined modules, and pages next to the code."""
    roots, own = [source.whole(SCRIPTS / f"{stage}.py")], dict[str, Path]()
    for place in places:
        module, _, name = place.partition(":")
        if not module.startswith("goldfold."):
            own |= own_files(module)
        elif name:
            roots += source.targets(place)
        else:
            roots += [unit for facet in _facets(stage) for unit in source.targets(f"{module}.{facet}")]
    reached = source.reach([*roots, *map(source.whole, own.values())], _left_out(stage, places))
    reached = {unit: digest for unit, digest in reached.items() if unit[0] not in own.values()}
    folders = {file.parent for file, _ in reached}
    pages = {page for folder in folders for page in folder.iterdir() if page.suffix in PAGE_SUFFIXES}
    return reached, {name: code_digest(file)[:16] for name, file in own.items()}, sorted(pages)


@cache
def _facets(stage: str) -> list[str]:
    """Facets of a task that a stage's own code uses, as ``module:name`` within the task's package."""
    reached = source.reach([source.whole(SCRIPTS / f"{stage}.py")], (*FRAME, *_counted_in_training(stage)))
    asked = {name for file, name in reached if file == PACKAGE / "tasks/__init__.py"}
    found = {place for name, place in FACETS.items() if name in asked}
    return sorted({*found, "spec:Spec"}) if found else []


def code_of(recipe: dict[str, Any]) -> dict[str, str]:
    """The code table behind the digest in a job's recipe."""
    return code_table(*recipe["code"]["of"])


def export_source_path(root: str | Path) -> None:
    """Let jobs, also in conda environments, import this checkout and modules in the working directory.

    This process imports from the working directory too, to check user-defined tasks and networks before any job runs.
    """
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    paths = [str(Path(root) / "src"), os.getcwd(), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)


def git_state() -> dict[str, Any]:
    """Commit, and whether the working tree differs from it; None for both outside a git checkout."""

    def ask(*words: str) -> str | None:
        try:
            answer = subprocess.run(["git", *words], capture_output=True, text=True, timeout=10, cwd=PACKAGE)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return answer.stdout.strip() if answer.returncode == 0 else None

    changes = ask("status", "--porcelain", "--untracked-files=no")
    return {"commit": ask("rev-parse", "HEAD"), "dirty": None if changes is None else bool(changes)}


def versions(names: tuple[str, ...] = VERSIONS_OF) -> dict[str, str | None]:
    """Versions of Python and of libraries; None for a library that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def hardware() -> dict[str, Any]:
    """Processor and, if torch is loaded and finds one, GPU."""
    torch = sys.modules.get("torch")
    gpu = torch.cuda.get_device_name() if torch is not None and torch.cuda.is_available() else None
    model = next((line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")), None)
    return {"system": platform.platform(), "processor": model, "cores": os.cpu_count(), "gpu": gpu}


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
