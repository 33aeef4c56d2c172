"""Use the competition's sample submission."""

from typing import Any

from goldfold import tasks
from goldfold.base.errors import DataError
from goldfold.base.numbers import number_of
from goldfold.commands.init.choices import Values, metric
from goldfold.commands.init.found import Layout, Setting
from goldfold.commands.init.tables import Table
from goldfold.commands.init.walk import Tree, base
from goldfold.commands.init.words import NEGATIVES
from goldfold.config.pixel_values import numbers_of
from goldfold.images.files import without_suffix
from goldfold.sources.reading import read_csv, without_index
from goldfold.tasks.optional import refuse_doubts


def submission(tree: Tree, layout: Layout, tables: list[Table]) -> Values:
    """Section ``submission`` of the config: the sample file, if it fits the test images and the classes."""
    sample = next((table for table in tables if table.is_sample), None)
    if sample is None:
        return {}
    path = tree.path(sample.name)
    layout.facts["sample submission"] = (
        f"{path}: columns {', '.join(sample.columns[:6])}{', ...' if len(sample.columns) > 6 else ''}"
    )
    ids = {row[0] for row in sample.rows}
    names = [base(name) for name in layout.test]
    if not layout.test or ids not in ({without_suffix(name) for name in names}, set(names), _relative(layout)):
        layout.doubt(
            f"{path} looks like a sample submission, but its ids are not those of the test images; it is not used."
        )
        return {}
    layout.n_probabilities = _n_probabilities(layout, sample)
    try:
        _form(tree, layout, sample)
    except DataError as error:
        layout.n_probabilities = 0
        layout.doubt(f"the sample submission cannot be filled, and is not used: {error}")
        return {}
    return {"sample": Setting(path, "its columns and row order are used")}


def _relative(layout: Layout) -> set[str]:
    """Ids of the test images, as the folder source defines them."""
    from goldfold.commands.init.walk import common

    folder = common(layout.test)
    return {without_suffix(name.removeprefix(f"{folder}/")) for name in layout.test}


def _n_probabilities(layout: Layout, sample: Table) -> int:
    """Number of columns after the ids if they hold fractions from 0 to 1; 0 if they hold labels, or only 0 and 1."""
    values = {value for row in sample.rows for value in row[1:]}
    found = [number_of(value) for value in values]
    numbers = [number for number in found if number is not None]
    if len(numbers) < len(found):
        return 0
    are_shares = all(0 <= number <= 1 for number in numbers) and any(0 < number < 1 for number in numbers)
    return len(sample.columns) - 1 if are_shares and not values <= set(layout.classes) else 0


def _form(tree: Tree, layout: Layout, sample: Table) -> None:
    """Raise where the first job would; set which of two classes is the positive one if that matters."""
    path = str(tree.root / sample.name)
    settings: dict[str, Any] = {
        key: numbers_of(layout.data[key].value) for key in ("mask_values", "ignore_value") if key in layout.data
    }
    classes = sorted(layout.classes)
    form_settings = {"format": "auto", "id_column": "id", "label_column": "label"}
    submit = tasks.submit({**settings, "name": layout.task}, classes)
    score = str(metric(layout).value)
    form = submit.form(without_index(read_csv(path, "submission.sample")), path, form_settings, score)
    try:
        refuse_doubts(submit, None, score, form)
    except DataError:
        ordered = sorted(classes, key=lambda name: name.lower() not in NEGATIVES)
        layout.data["classes"] = Setting(
            ordered, "negative, positive: the sample asks for the probability of the second"
        )
        layout.doubt(
            f"the sample submission asks for one probability; it is taken for that of {ordered[1]!r}: see data.classes."
        )
        refuse_doubts(submit, ordered, score, form)
