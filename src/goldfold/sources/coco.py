"""Boxes in COCO's JSON, and folders of images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold.base.errors import DataError, shown
from goldfold.base.words import count, noun
from goldfold.images.files import pool_of
from goldfold.sources.coco_files import KEYS, Entry, File, categories_of, listed, load, load_all, size_of, sizes
from goldfold.sources.coco_ids import Ambiguous, Ids, as_text
from goldfold.sources.groups import with_groups
from goldfold.targets.box_forms import TOP_LEFT, refuse_other_form, to_corners
from goldfold.targets.boxes import to_text


def read(
    train: str | Sequence[str],
    images: str | Sequence[str] | None = None,
    test: str | None = None,
    test_images: str | None = None,
    test_answers: str | None = None,
    unlabeled: str | None = None,
    groups: str | None = None,
) -> dict[str, pd.DataFrame]:
    """Tables of COCO files; ids are file names without suffix, ``boxes`` is text as `goldfold.targets.boxes` writes it.

    ``coco_id`` is the file's own id of the image. The table ``categories`` (name, id) has the ids of the classes, ``sizes``
    (path, width, height) the sizes of images given in the files. An image without annotations has the boxes ``[]``; with
    only crowds, they are missing. With several folders, ids of images begin with the folder.

    Args:
        train: COCO files with images, annotations and categories; several are pooled.
        images: folder that file names are relative to, or one per file; by default the folder of each file.
        test: COCO file of which only the images are read; without it all images below ``test_images`` are the test set.
        test_images: folder of the test images; by default ``images`` if it is one folder, otherwise that of ``test``.
        test_answers: COCO file of the test images; they become the split ``answers`` (id, boxes).
        groups: CSV with the columns id and group.

    Raises:
        DataError: a file is not a COCO file, or contradicts itself or another.
    """
    files = load_all(train, images, "data.train")
    labelled, categories, said, notes = _joined(files)
    tables = {"train": with_groups(labelled, groups), "categories": categories}
    if test is not None:
        file = load(test, _folder_of(test, images, test_images), "data.test", KEYS[:1])
        tables["test"] = listed(file)
        said += sizes(file, tables["test"])
        _refuse_both(tables["train"], tables["test"], files, test)
    elif test_images is not None:
        tables["test"] = pd.DataFrame(pool_of(test_images, "data.test_images"), columns=["id", "path"])
    if test_answers is not None:
        truth = load(test_answers, _folder_of(test_answers, images, test_images), "data.test_answers")
        answers, _, true_sizes, _ = _joined([truth])
        tables["answers"] = answers_of(tables.get("test"), answers, test_answers)
        said += true_sizes
    if unlabeled is not None:
        tables["unlabeled"] = pd.DataFrame(pool_of(unlabeled, "data.unlabeled"), columns=["id", "path"])
    if said:
        tables["sizes"] = pd.DataFrame(said, columns=["path", "width", "height"]).drop_duplicates()
    return tables | ({"notes": pd.DataFrame({"note": notes})} if notes else {})


def _folder_of(file: str, images: str | Sequence[str] | None, test_images: str | None) -> str:
    """Folder that names in a file of test images are relative to."""
    return test_images or (images if isinstance(images, str) else str(Path(file).parent))


def answers_of(test: pd.DataFrame | None, answers: pd.DataFrame, path: str) -> pd.DataFrame:
    """id and boxes of the test images, in the order of the test table.

    Raises:
        DataError: there are no test images, or the answers are for other images.
    """
    if test is None:
        raise DataError("data.test_answers is set, but there are no test images: set data.test, or remove it.")
    for what, odd in (
        ("images in it are not among the test images", set(answers["id"]) - set(test["id"])),
        ("test images are missing in it", set(test["id"]) - set(answers["id"])),
    ):
        if odd:
            raise DataError(
                f"data.test_answers: {path}: {len(odd)} {what}, first {min(odd)!r}. Both must name the same."
            )
    return test[["id"]].merge(answers[["id", "boxes"]], on="id", how="left", validate="many_to_one")


def _refuse_both(train: pd.DataFrame, test: pd.DataFrame, files: Sequence[File], path: str) -> None:
    """Refuse images that are both in the training and in the test set."""
    both = sorted(set(train["path"]) & set(test["path"]))
    if both:
        names = ", ".join(file.path for file in files)
        raise DataError(
            f"data.test: {len(both)} images of {path} are in {names} too, first {both[0]}. Keep each in one set."
        )


def _joined(
    files: Sequence[File],
) -> tuple[pd.DataFrame, pd.DataFrame, list[tuple[str, int, int]], list[str]]:
    """Images of all files with their boxes; name and id of the categories; sizes; notes on the categories."""
    kept = categories_of(files)
    tables = [_boxed(file, own) for file, own in zip(files, kept, strict=True)]
    table = pd.concat(tables, ignore_index=True)
    if len(twice := table["path"][table["path"].duplicated()]):
        raise DataError(
            f"data.train: {count(twice.nunique(), 'image')} in two of {', '.join(file.path for file in files)}, first "
            f"{twice.iloc[0]}. Keep each in one."
        )
    numbers, notes = _numbered(files, kept)
    said = [size for file, own in zip(files, tables, strict=True) for size in sizes(file, own)]
    return (
        table,
        pd.DataFrame({"name": list(numbers), "id": pd.Series(list(numbers.values()), dtype=object)}),
        said,
        notes,
    )


def _numbered(files: Sequence[File], kept: Sequence[Sequence[Entry]]) -> tuple[dict[str, Any], list[str]]:
    """Id of each category by name, and notes on those that differ or are left out."""
    numbers, notes = dict[str, Any](), list[str]()
    for file, own in zip(files, kept, strict=True):
        if dropped := [entry for entry in file.lists["categories"] if not any(entry is other for other in own)]:
            are = noun(len(dropped), "is the supercategory", "are supercategories")
            notes.append(
                f"{file.path}: {count(len(dropped), 'category', 'categories')} without a box, first "
                f"{dropped[0].get('name')!r} (id {dropped[0].get('id')}), {are} of others: not a class"
            )
        for entry in own:
            name, number = as_text(entry["name"]) or "", _number(entry["id"])
            if numbers.setdefault(name, number) != number:
                notes.append(
                    f"{file.path}: category {name!r} has the id {number}, and {numbers[name]} in {files[0].path}: joined by "
                    f"name, and submission.json has {numbers[name]}"
                )
    return numbers, notes


def _number(id: Any) -> Any:
    """An id as written in submissions: whole numbers without a decimal point."""
    return int(id) if isinstance(id, float) else id


def _boxed(file: File, categories: Sequence[Entry]) -> pd.DataFrame:
    """id, path, coco_id and boxes of the images."""
    path, table = file.path, listed(file)
    images, kinds = (Ids(entry["id"] for entry in entries) for entries in (file.lists["images"], categories))
    names = {as_text(entry["id"]): as_text(entry["name"]) for entry in categories}
    size = {as_text(entry["id"]): size_of(entry) for entry in file.lists["images"]}
    rows: dict[str | None, list[tuple[str, list[float]]]] = {number: [] for number in size}
    crowds: list[str | None] = []
    for number, entry in enumerate(file.lists["annotations"]):
        where = f"{path}: annotation {entry.get('id', f'number {number + 1}')}"
        if entry.get("iscrowd"):
            crowds.append(as_text(entry.get("image_id")))
            continue
        image = _known(entry, "image_id", images, "images", where)
        label = names[_known(entry, "category_id", kinds, "categories", where)]
        rows[image].append((str(label), _numbers(entry, where)))
    flat = [(box, size[image]) for image, own in rows.items() for _, box in own]
    refuse_other_form([box for box, _ in flat], [of for _, of in flat], TOP_LEFT, path)
    alone = {image for image in crowds if rows.get(image) == []}
    if crowds:
        print(
            f"{path}: {len(crowds)} crowd annotations (iscrowd) are left out; {len(alone)} images have no others",
            flush=True,
        )
    texts = [
        None if image in alone else to_text([name for name, _ in own], to_corners([box for _, box in own], TOP_LEFT))
        for image, own in rows.items()
    ]
    return table.assign(boxes=texts)


def _numbers(entry: Entry, where: str) -> list[float]:
    """x, y, width and height; the manifest stage checks the values."""
    box = entry.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(number, int | float) for number in box):
        raise DataError(f"{where} has the bbox {shown(box)}. Write four numbers, [x, y, width, height].")
    return box


def _known(entry: Entry, field: str, known: Ids, among: str, where: str) -> str:
    value = entry.get(field)
    try:
        found = known.find(value)
    except Ambiguous as error:
        raise DataError(
            f"{where} has the {field} {shown(value)}, which {error} in {among!r}. Write it as there."
        ) from error
    if found is None:
        raise DataError(f"{where} has the {field} {shown(value)}, which is not in {among!r}. Correct or remove it.")
    return found
