"""What the documentation names must exist."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from goldfold.catalog import SOURCES
from goldfold.config import load, read
from goldfold.config.root import Config
from goldfold.config.schema import reference, schema

ROOT = Path(__file__).parents[1]
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split("|")]
    for line in (ROOT / "docs/features.md").read_text().splitlines()
    if re.match(r"\| [A-Z]\d+ ", line)
]
SKELETON = {
    "name": "x",
    "data": {"source": "csv", "train": "a", "images": "b"},
    "models": [{"name": "a", "backbone": "resnet18", "image_size_px": 32}],
}


HOW_MANY = {"P": 9, "R": 7, "D": 9, "T": 28, "S": 19, "G": 10, "O": 9, "V": 11}
"""Rows of the project's plan, by letter: P1 to P9, ..."""


def test_features_page_has_every_row_of_the_plan_once_and_in_order() -> None:
    planned = [f"{letter}{number}" for letter, n in HOW_MANY.items() for number in range(1, n + 1)]
    assert [row[0].split()[0] for row in ROWS] == planned
    assert len(planned) == 102


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].split()[0])
def test_a_feature_is_done_in_part_with_what_is_missing_or_missing(row: list[str]) -> None:
    assert len(row) == 4
    assert re.fullmatch(r"[A-Z]\d+( \((missing|in part: .{3,}|for .{3,}|thresholds: .{3,})\))?", row[0]), row[0]
    assert row[1]
    if row[0].endswith("(missing)"):
        assert row[2:] == ["-", "-"], "what is not there has neither config nor test"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].split()[0])
def test_every_config_snippet_is_valid(row: list[str]) -> None:
    for snippet in re.findall(r"`([^`]+)`", row[2]):
        parsed = yaml.safe_load(snippet) if ":" in snippet else None
        if not isinstance(parsed, dict):
            assert snippet in Config.model_fields or snippet == "dvc.yaml" or snippet.startswith("snakemake ")
            continue
        Config.model_validate({**SKELETON, **_completed(parsed)})


def _completed(parsed: dict[str, object]) -> dict[str, object]:
    """The snippet with what the skeleton's sections must have."""
    data = parsed.get("data")
    if isinstance(data, dict) and data.get("source", "csv") == "csv":
        return {**parsed, "data": {"source": "csv", "train": "a", "images": "b", **data}}
    return parsed


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].split()[0])
def test_every_test_named_exists(row: list[str]) -> None:
    named = re.findall(r"`(test_\w+\.py)(?:::(\w+))?`", row[3])
    assert named or row[0] == "P2" or row[0].endswith("(missing)")
    for file, function in named:
        tree = ast.parse((ROOT / "tests" / file).read_text())
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert any(name.startswith("test_") for name in functions)
        assert not function or function in functions


def test_every_source_has_its_layout_with_a_valid_config() -> None:
    page = (ROOT / "docs/data.md").read_text()
    blocks = dict(re.findall(r"^## (\w+)$.*?^```yaml$\n(.*?)^```$", page, re.DOTALL | re.MULTILINE))
    assert set(blocks) == set(SOURCES)
    for source, text in blocks.items():
        written = yaml.safe_load(text)
        assert written["data"]["source"] == source
        Config.model_validate({**SKELETON, **written})


def test_schema_and_reference_are_renewed() -> None:
    assert (ROOT / "workflow/schemas/config.schema.json").read_text() == schema(), "run make schema"
    assert (ROOT / "docs/config.md").read_text() == reference(), "run make schema"


def test_reference_prints_a_described_key_once() -> None:
    sections = reference().split("\n## Components")[0]
    rows = [line for line in sections.splitlines() if re.match(r"\| `\w+` \|", line)]
    described = [row for row in rows if "`task_params`" not in row and not row.endswith("|  |")]
    assert len(described) > 150
    assert [row for row, n in Counter(described).items() if n > 1] == []


def test_examples_and_default_are_valid_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configs = [ROOT / "config.yaml", *sorted((ROOT / "examples").glob("*/config.yaml"))]
    assert len(configs) >= 4
    monkeypatch.chdir(tmp_path)  # where the data that an example asks its user to fetch can lie
    Path("examples").symlink_to(ROOT / "examples")  # a config may name another
    for path in configs:
        data = read(path)["data"]
        for named in (data[key] for key in ("test_answers", "groups") if key in data):
            Path(named).mkdir(parents=True, exist_ok=True)
        assert load(path).name


def test_no_absolute_path_or_registry_address_in_any_file() -> None:
    files = [path for path in ROOT.rglob("*") if path.is_file() and not _is_generated(path)]
    assert len(files) > 100
    forbidden = ["/" + "work/main", "/" + "root/", "pypi" + ".org", "file" + "://" + "/opt"]
    for path in files:
        text = path.read_text(encoding="utf-8", errors="ignore")
        assert not [word for word in forbidden if word in text], path


def _is_generated(path: Path) -> bool:
    generated = {".git", ".venv", "results", ".snakemake", ".goldfold", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
    generated |= {".hypothesis", "__pycache__", "build", "data", ".dvc", ".import_linter_cache"}
    return any(part in generated or part.endswith(".egg-info") for part in path.relative_to(ROOT).parts)


def test_conda_environment_pins_what_the_lock_pins() -> None:
    pinned = (ROOT / "requirements.lock").read_text().split()
    listed = yaml.safe_load((ROOT / "envs/goldfold.yaml").read_text())["dependencies"][-1]["pip"]
    assert len(pinned) > 100
    assert listed == pinned
