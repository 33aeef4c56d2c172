"""ensemble -> submission, in the order and with the columns of the competition's sample file."""

import pandas as pd

from goldfold import tasks
from goldfold.data.sources.table import read_csv
from goldfold.runtime.errors import DataError
from goldfold.runtime.files import read_json, write_text
from goldfold.tasks.protocol import load


def run(
    predictions: str, test: str, classes: str, out: str, task: str, metric: str,
    sample: str | None, format: str, id_column: str, label_column: str,
) -> None:  # fmt: skip
    """Write the submission for the images of ``test``.

    Args:
        predictions: the ensemble's test.npz.
        test: CSV with a column id; its order is that of the submission where there is no sample.
        sample: sample file whose columns and order are taken over.
        format: ``label``, ``probabilities`` or ``auto``.

    Raises:
        DataError: ids are missing, extra or duplicate, in the sample or in the predictions.
    """
    chosen_task = tasks.build(task, read_json(classes))
    wanted = list(pd.read_csv(test, dtype=str, keep_default_na=False)["id"])
    if sample is None:
        as_labels = chosen_task.wants_labels(metric) if format == "auto" else format == "label"
        columns = chosen_task.default_columns(id_column, label_column, as_labels)
    else:
        table = read_csv(sample, "submission.sample")
        chosen_task.check_sample(table, sample)
        refuse_other_ids(list(table.iloc[:, 0]), wanted, sample)
        columns, wanted = [str(column) for column in table.columns], list(table.iloc[:, 0])
        as_labels = chosen_task.sample_wants_labels(table, sample, format, metric)
    filled = chosen_task.submission(load(predictions), columns, as_labels)
    refuse_other_ids(list(filled.iloc[:, 0]), wanted, "ensemble")
    ordered = filled.set_index(columns[0]).loc[wanted].reset_index()
    write_text(out, ordered.to_csv(index=False))
    print(f"{len(ordered)} rows: {', '.join(columns)}", flush=True)


def refuse_other_ids(ids: list[str], wanted: list[str], where: str) -> None:
    """Raise DataError unless ``ids`` are exactly ``wanted``, in any order."""
    repeated = pd.Series(ids)[pd.Series(ids).duplicated()]
    for what, odd in (
        ("duplicate", list(repeated)),
        ("missing", sorted(set(wanted) - set(ids))),
        ("extra", sorted(set(ids) - set(wanted))),
    ):
        if odd:
            raise DataError(
                f"{where}: {len(odd)} {what} ids, first {odd[0]!r}; it must name exactly the {len(wanted)} test images."
            )
