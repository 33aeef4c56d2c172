"""Choices that a training makes on its validation fold: their list is complete, and such networks teach no pseudo labels."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from conftest import Tiny
from goldfold.base.errors import ConfigError
from goldfold.catalog import HOOKS, SCHEDULES
from goldfold.components import Written
from goldfold.config import parse, slices
from goldfold.config.fold_choices import END, EPOCH, INGREDIENTS, INSTEAD, RATE, choices_of
from goldfold.planning.grid import grid_of
from goldfold.report import choices
from test_rounds import B0, B3, BASE
from test_soups import files, make

BEST: dict[str, Any] = {"train": {"checkpoint": "best"}}
EARLY: dict[str, Any] = {"train": {"early_stopping": {"patience": 1}}}
PLATEAU: dict[str, Any] = {"train": {"schedule": {"plateau": {"patience": 0}}}}
PARAMS: dict[str, Any] = {
    "clip": {"norm": 1.0}, "clip_value": {"value": 0.1}, "early_stopping": {"patience": 1}, "ema": {"decay": 0.9},
    "max_hours": {"hours": 1}, "multistep": {"milestones": [0.5]}, "plateau": {"patience": 0, "threshold": 0.5},
}  # fmt: skip
"""Parameters of hooks and schedules that need some to act, or to be built."""


# --- the list is complete


def written(name: str) -> Written:
    return {name: PARAMS[name]} if name in PARAMS else name


def of_each_component() -> list[dict[str, Any]]:
    """Training settings with each hook, each schedule and each checkpoint."""
    hooks = [{"hooks": [written(name)]} for name in HOOKS]
    return [
        *hooks,
        *({"schedule": written(name)} for name in SCHEDULES),
        {"checkpoint": "best"},
        {"checkpoint": "last"},
    ]


def with_swapped(path: str, out: Path) -> str:
    """The list of a fold, with the labels of its validation images swapped."""
    rows = pd.read_csv(path, dtype=str)
    is_val, names = rows["split"] == "val", sorted(set(rows["label"]))
    rows.loc[is_val, "label"] = rows.loc[is_val, "label"].map(dict(zip(names, names[::-1], strict=True)))
    rows.to_csv(out, index=False)
    return str(out)


@pytest.mark.parametrize("train", of_each_component(), ids=str)
def test_weights_depend_on_validation_labels_exactly_where_the_list_says_so(
    tiny: Tiny, tmp_path: Path, train: dict[str, Any]
) -> None:
    model = tiny.model({"epochs": 6, "warmup_epochs": 0, "augment": "none", **train})
    lists = {"true": tiny.fold_file(), "swapped": with_swapped(tiny.fold_file(), tmp_path / "swapped.csv")}
    for name, path in lists.items():
        tiny.train(tmp_path / name, model=model, fold_file=path, metric="log_loss", reported=["accuracy"])
    same = len({(tmp_path / name / "model.safetensors").read_bytes() for name in lists}) == 1
    assert same is not bool(choices_of({"train": {"checkpoint": "last", **train}}))


@pytest.mark.parametrize("select", ["uniform", "greedy"])
def test_a_soup_depends_on_validation_labels_exactly_where_the_list_says_so(
    tiny: Tiny, tmp_path: Path, select: str
) -> None:
    for name, lr in (("a", 0.01), ("none", 1e-12)):
        tiny.train(tmp_path / name, model=tiny.model({"epochs": 6, "warmup_epochs": 0, "lr": lr}))
    scored: dict[str, Any] = {"metric": "log_loss", "reported": ["accuracy"]}
    lists = {"true": tiny.fold_file(), "swapped": with_swapped(tiny.fold_file(), tmp_path / "swapped.csv")}
    for name, path in lists.items():
        make(tiny, tmp_path / f"of_{name}", files(tmp_path, "a", "none"), fold_file=path, select=select, **scored)
    same = len({(tmp_path / f"of_{name}/model.safetensors").read_bytes() for name in lists}) == 1
    assert same is not bool(choices_of({"soup": {"of": ["a", "none"], "select": select}}))


# --- teachers


def rounds(first: dict[str, Any], second: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"rounds": [first, {"teacher": {}, **second}], **changes}


GREEDY = [B0, B3, {"name": "mix", "soup": {"of": ["b0", "b3"], "select": "greedy"}}]
STUDENT = [{**B0, **BEST}, {**B3, "train": {"distill": {"teacher": "b0"}}}]
TAUGHT = {"teacher": {"models": ["b3"]}}
REFUSED: list[tuple[dict[str, Any], str]] = [
    (rounds(BEST, {}), r"rounds\[1\]\.teacher: b0 of round 0 has checkpoint: best, which chooses by labels of the images that "
     r"each fold validates, so pseudo labels would carry them into training\. For b0 of round 0 use checkpoint: last, or name "
     r"other teachers in teacher\.models"),
    (rounds(EARLY, {}), "b3 of round 0 has early_stopping, .* use a fixed number of epochs, or max_hours"),
    (rounds({"train": {"hooks": [{"early_stopping": {"patience": 1}}]}}, {}), "b0 of round 0 has early_stopping"),
    (rounds({"train": {"early_stopping": {}}}, {}), "b0 of round 0 has early_stopping"),
    (rounds(PLATEAU, {}), "b0 of round 0 has schedule: plateau, .* use a schedule that watches no score"),
    (rounds({}, {}, models=GREEDY), "mix of round 0 has select: greedy, .* use select: uniform"),
    ({"rounds": [BEST, {"start": "previous", "train": {"checkpoint": "last"}}, {"teacher": {}}]},
     r"rounds\[2\]\.teacher: b0 of round 1, which comes from b0 of round 0 has checkpoint: best"),
    (rounds({}, TAUGHT, models=STUDENT), "b3 of round 0, which comes from b0 of round 0 has checkpoint: best"),
    ({"models": [{**B0, **BEST}, B3], "pseudo_labels": {"rounds": 1}},
     r"pseudo_labels: b0 of round 0 has checkpoint: best.* Use checkpoint: last, or write rounds: \[\{\}, \{teacher: \{\}, "
     r"train: \.\.\.\}\] with it in the last round alone"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), REFUSED)
def test_a_teacher_that_chose_on_its_fold_is_refused_before_any_job(changes: dict[str, Any], said: str) -> None:
    changes = {**changes, "train": {**BASE["train"], "epochs": 9}}
    with pytest.raises(ConfigError, match=said):
        parse({**BASE, **changes})
    assert {choice for _, one in REFUSED for choice in INSTEAD if choice in one} == {EPOCH, END, RATE, INGREDIENTS}


@pytest.mark.parametrize(
    "changes",
    [
        rounds({}, BEST),
        rounds(
            BEST, {"teacher": {"models": ["b3"]}}, rounds=[{**BEST, "models": ["b0"]}, {"models": ["b3"]}, {**TAUGHT}]
        ),
        {"models": [B0, B3], **BEST},
        {"rounds": [BEST, {"start": "previous"}]},
        {"models": STUDENT},
        {"rounds": [{}, {**BEST, "clean": {}, "teacher": {"round": 0}}]},
        rounds({}, {}, ablate={"chosen": BEST}),
    ],
)
def test_networks_that_teach_no_pseudo_labels_may_choose(changes: dict[str, Any]) -> None:
    parse({**BASE, **changes})


def test_the_report_warns_of_rates_that_followed_the_fold() -> None:
    settings = slices.report(
        parse({**BASE, "train": {**BASE["train"], "epochs": 9}, "models": [{**B0, **PLATEAU}, B3]})
    )["settings"]
    results: Any = SimpleNamespace(settings=settings, grid=grid_of(settings), row="image")
    (note,) = choices.notes(results)
    assert (
        "With schedule: plateau, b0 lowered the learning rate when the validation score stopped improving and is"
        in note.text
    )
    assert [choices.is_chosen(results, run) for run in results.grid.final_runs() if run.fold == 0] == [True, False]
