"""Stage submit: predictions of the ensemble -> submission in the form of the competition's sample file."""

from pathlib import Path
from typing import Any

import pandas as pd

from goldfold import components, tasks
from goldfold.base.errors import DataError
from goldfold.base.files import read_json
from goldfold.predictions.finite import load
from goldfold.sources.ids import other_ids, repeated_rows
from goldfold.sources.reading import read_csv, without_index
from goldfold.submission.form import Form
from goldfold.submission.formulas import formulas
from goldfold.tables import read_table, write_table
from goldfold.tasks.optional import write_extras

REMEDY = {"ensemble": "Its predictions are of another list of test images: run the workflow again."}
"""What to do about predictions that do not fit; otherwise it is the sample file that does not."""


def run(
    predictions: str,
    test: str,
    classes: str,
    class_ids: str,
    out: str,
    task: dict[str, Any],
    metric: components.Written,
    sample: str | None,
    settings: dict[str, Any],
) -> None:
    """Write the submission for the images of ``test``, and the task's other submission files beside it.

    Args:
        predictions: ``test.npz`` of the ensemble.
        class_ids: JSON of the number of each class in the files of the data source.
        test: CSV with a column id; without a sample, the submission has its order.
        sample: sample file that gives columns and order.
        settings: other keys of the config's ``submission``.

    Raises:
        DataError: ids are missing, extra or duplicate, in the sample or in the predictions, or a prediction is NaN or infinite.
    """
    chosen = tasks.submit(task, read_json(classes))
    images, found = read_table(test), load(predictions)
    form = chosen.form(
        without_index(read_csv(sample, "submission.sample")) if sample else None, sample or "", settings, metric
    )
    if form.keys is not None:
        refuse_other_ids(sorted({key[0] for key in form.keys}), list(images["id"]), str(sample))
    filled = chosen.submission(found, form)
    ordered = _ordered(filled, form, list(images["id"]), str(sample))
    write_table(out, ordered)
    write_extras(chosen, found, images, str(Path(out).parent), read_json(class_ids))
    print(f"{len(ordered)} rows: {', '.join(form.columns)}", flush=True)
    texts = ordered.select_dtypes(exclude="number")
    if odd := formulas(str(cell) for column in texts for cell in texts[column]):
        print(
            f"{len(odd)} cells start like a spreadsheet formula, first {odd[0][:60]!r}; they are kept unchanged",
            flush=True,
        )


def _ordered(filled: pd.DataFrame, form: Form, ids: list[str], sample: str) -> pd.DataFrame:
    """Order the rows as in the sample file, or without one as the test images."""
    keys = form.columns[: form.n_keys]
    if not form.repeats:
        _refuse_repeated(filled[keys], "ensemble")
    found = list(filled[keys[0]].drop_duplicates())
    if not (form.may_lack and {*found} <= {*ids}):
        refuse_other_ids(found, ids, "ensemble")
    if form.keys is None:
        order = filled[keys[0]].map({id: place for place, id in enumerate(ids)}).sort_values(kind="stable").index
        return filled.loc[order]
    wanted = pd.DataFrame(form.keys, columns=keys)
    if form.repeats:
        how: Any = "inner" if form.may_lack else "left"
        return wanted.drop_duplicates().merge(filled, on=keys, how=how, validate="one_to_many")[form.columns]
    _refuse_repeated(wanted, sample)
    return wanted.merge(filled, on=keys, how="left", validate="one_to_one")[form.columns]


def _refuse_repeated(keys: pd.DataFrame, where: str) -> None:
    """Raise DataError if two rows are of the same image (and class)."""
    repeated = keys[keys.duplicated()]
    if len(repeated):
        said = repeated_rows([str(part) for part in repeated.iloc[0]], len(repeated))
        raise DataError(f"{where}: {said} {REMEDY.get(where, 'Keep one of each.')}")


def refuse_other_ids(ids: list[str], wanted: list[str], where: str) -> None:
    """Raise DataError unless ``ids`` equal ``wanted`` in any order."""
    if said := other_ids({*ids}, {*wanted}):
        remedy = REMEDY.get(where, "Take the sample of these test images, or correct data.test.")
        raise DataError(f"{where}: {said}; it must name exactly the {len(wanted):,} test images. {remedy}")
