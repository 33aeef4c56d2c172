"""Submissions of several classes in a cell, and of labels with confidences."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from goldfold.base.errors import DataError
from whole_task import whole

IDS = ["t0", "t1"]
VALUES = np.array([[0.5, 0.2, 0.3], [0.1, 0.8, 0.1]])


def filled(
    sample: str | None,
    metric: Any = "accuracy",
    format: str = "auto",
    classes: str = "abc",
    name: str = "classification",
) -> str:
    """The submission of two images; a sample is given as text."""
    names, table = classes.split() if " " in classes else list(classes), None
    if sample is not None:
        Path("s.csv").write_text(sample)
        table = pd.read_csv("s.csv", dtype=str)
    task = whole({"name": name}, names)
    settings = {"format": format, "id_column": "id", "label_column": "label"}
    form = task.form(table, "s.csv", settings, metric)
    values = VALUES[:, : len(names)]
    arrays = {"ids": np.array(IDS), "classes": np.array(names), "probabilities": values}
    found: str = task.submission(arrays, form).to_csv(index=False)
    return found


MAP3 = {"map_at_k": {"k": 3}}


@pytest.mark.usefixtures("in_tmp")
def test_of_two_columns_that_could_be_labels_the_name_decides() -> None:
    assert filled("id,score,label\nt0,0,1\nt1,0,1\n", "gap", classes="012") == "id,score,label\nt0,0.5,0\nt1,0.8,1\n"
    assert filled("id,score,y\nt0,0.5,1\nt1,0,1\n", "gap", classes="012") == "id,score,y\nt0,0.5,0\nt1,0.8,1\n"
    with pytest.raises(
        DataError, match=r"'score' and 'y' could both be the column of classes. Set submission.label_column"
    ):
        filled("id,score,y\nt0,0,1\nt1,0,1\n", "gap", classes="012")


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize(
    ("sample", "metric", "format", "expected"),
    [
        ("id,y\nt0,a b\nt1,c b\n", "map_at_k", "auto", "id,y\nt0,a c\nt1,b a\n"),
        ("id,y\nt0,a b\nt1,c\n", "accuracy", "auto", "id,y\nt0,a c\nt1,b a\n"),
        ("id,y\nt0,\nt1,\n", MAP3, "auto", "id,y\nt0,a c b\nt1,b a c\n"),
        ("id,y\nt0,a\nt1,a\n", MAP3, "auto", "id,y\nt0,a\nt1,b\n"),
        ("id,y\nt0,a\nt1,a\n", MAP3, "best", "id,y\nt0,a c b\nt1,b a c\n"),
        (None, {"map_at_k": {"k": 2}}, "best", "id,label\nt0,a c\nt1,b a\n"),
        (None, "accuracy", "best", "id,label\nt0,a c b\nt1,b a c\n"),
        ("id,y\nt0,a 0.1\nt1,c 1\n", "accuracy", "auto", "id,y\nt0,a 0.5\nt1,b 0.8\n"),
        ("id,y\nt0,\nt1,\n", "gap", "auto", "id,y\nt0,a 0.5\nt1,b 0.8\n"),
        ("id,y\nt0,\nt1,\n", "accuracy", "auto", "id,y\nt0,a\nt1,b\n"),
        (None, "gap", "confidence", "id,label\nt0,a 0.5\nt1,b 0.8\n"),
        ("id,y,p\nt0,a,0.1\nt1,b,\n", "gap", "auto", "id,y,p\nt0,a,0.5\nt1,b,0.8\n"),
        ("id,p,y\nt0,0,a\nt1,0,a\n", "gap", "auto", "id,p,y\nt0,0.5,a\nt1,0.8,b\n"),
    ],
)
def test_a_cell_has_what_the_sample_shows_or_the_format_says(
    sample: str | None, metric: Any, format: str, expected: str
) -> None:
    assert filled(sample, metric, format) == expected


@pytest.mark.usefixtures("in_tmp")
def test_the_metric_decides_where_a_sample_can_be_read_in_two_ways() -> None:
    sample = "id,y\nt0,0 1\nt1,2 0\n"
    assert filled(sample, "map_at_k", classes="012") == "id,y\nt0,0 2\nt1,1 0\n"
    assert filled(sample, "gap", classes="012") == "id,y\nt0,0 0.5\nt1,1 0.8\n"
    assert filled(sample, "accuracy", "best", classes="012") == "id,y\nt0,0 2\nt1,1 0\n"
    with pytest.raises(
        DataError, match=r"s\.csv: '0 1' in column 'y' may be classes, or a class and its confidence\. Set subm"
    ):
        filled(sample, "accuracy", classes="012")


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize(
    ("sample", "format", "text"),
    [
        (
            "id,y\nt0,a x\nt1,a b\n",
            "auto",
            r"s\.csv: 'a x' is not a class, nor several, as 'x' is none, nor a class and its conf",
        ),
        ("id,y\nt0,a 0.5\nt1,a\n", "auto", r"s\.csv: 'a 0\.5' is not a class, nor several, as '0\.5' is none"),
        (
            "id,y\nt0,a 0.5\nt1,a\n",
            "best",
            r"format is best, but 'a 0\.5' in column 'y' is not classes separated by spaces",
        ),
        (
            "id,y\nt0,a b\nt1,a\n",
            "confidence",
            r"format is confidence, but 'a b' in column 'y' is not a class and a number",
        ),
        (
            "id,a,b,c\nt0,0,0,0\nt1,0,0,0\n",
            "confidence",
            r"which needs one column, or one of classes and one of numbers besides",
        ),
        ("id,y,p\nt0,a,x\nt1,a,0\n", "auto", r"s\.csv: column 'y' is not a class"),
    ],
)
def test_a_sample_that_is_not_understood_is_refused(sample: str, format: str, text: str) -> None:
    with pytest.raises(DataError, match=text):
        filled(sample, "gap", format)


def test_classes_with_spaces_cannot_be_several_in_a_cell() -> None:
    task = whole({"name": "classification"}, ["red fox", "cat"])
    settings = {"format": "best", "id_column": "id", "label_column": "label"}
    with pytest.raises(DataError, match=r"class 'red fox' contains a space, which separates the classes.* Rename it"):
        task.form(None, "", settings, "map_at_k")
    sample = pd.DataFrame({"id": IDS, "y": ["red fox 0.5", "cat 1"]})
    assert task.form(sample, "s.csv", {**settings, "format": "auto"}, "accuracy").confidence == "y"


@pytest.mark.usefixtures("in_tmp")
def test_one_probability_of_two_classes_stays_one() -> None:
    """Whatever the metric, and where classes are named 0 and 1, in which case labels are written."""
    assert filled("id,y\nt0,0.5\nt1,0.5\n", "gap", classes="ab") == "id,y\nt0,0.2\nt1,0.8\n"
    assert filled("id,y\nt0,0\nt1,1\n", "map_at_k", classes="01").splitlines()[0] == "id,y"


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize(
    ("sample", "metric", "format", "expected"),
    [
        ("id,y\nt0,a\nt1,c b\n", {"map_at_k": {"k": 2}}, "auto", "id,y\nt0,a c\nt1,b a\n"),
        ("id,y\nt0,\nt1,\n", "map_at_k", "auto", "id,y\nt0,a c b\nt1,b a c\n"),
        ("id,y\nt0,a 0.1 b 0.2\nt1,c 1\n", {"gap": {"k": 2}}, "auto", "id,y\nt0,a 0.5 c 0.3\nt1,b 0.8 a 0.1\n"),
        ("id,y\nt0,a b\nt1,c\n", "gap", "auto", "id,y\nt0,a\nt1,b\n"),
        ("id,y\nt0,a b\nt1,c\n", "f1_macro", "auto", "id,y\nt0,a\nt1,b\n"),
        (None, "gap", "confidence", "id,label\nt0,a 0.5 c 0.3 b 0.2\nt1,b 0.8 a 0.1 c 0.1\n"),
        (None, "map", "best", "id,label\nt0,a c b\nt1,b a c\n"),
    ],
)
def test_several_labels_are_ranked_where_the_metric_ranks_them(
    sample: str | None, metric: Any, format: str, expected: str
) -> None:
    assert filled(sample, metric, format, name="multilabel") == expected


@pytest.mark.usefixtures("in_tmp")
def test_a_sample_of_pairs_with_another_name_is_refused() -> None:
    with pytest.raises(DataError, match=r"s\.csv: 'x' is not a class"):
        filled("id,y\nt0,x 0.1\nt1,a 0.5\n", "gap", name="multilabel")
    with pytest.raises(
        DataError, match=r"format is best, which needs one column that is not a class|one column that is not"
    ):
        filled("id,a,b,c\nt0,0,0,0\nt1,0,0,0\n", "map_at_k", "best", name="multilabel")
