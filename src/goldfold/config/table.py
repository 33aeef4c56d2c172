"""Config of tables of images and targets."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from goldfold.base.errors import nearest
from goldfold.config.base import UNSET, Section, Unique
from goldfold.config.metadata import Metadata
from goldfold.config.sources import Stacked


class ClassNames(Section):
    """Table of class names for labels that are numbers or codes."""

    file: str
    """Table (CSV, JSON, YAML) of the classes."""
    id: str
    """Column with the numbers or codes, as written in the labels."""
    name: str
    """Column with the names."""


class Csv(Stacked):
    """A CSV table of ids and targets, and a folder of images: a label, several labels, or a number."""

    target: ClassVar[str] = "label"
    source: Literal["csv"]
    train: str | Annotated[list[str], Field(min_length=1), Unique]
    """CSV with one row per image, or several, which are pooled. Tables may be JSON too (`.json`, `.jsonl`): {path: label},
    {id: {path: ..., label: ...}}, or a list of records; the keys are the column `id_column`."""
    images: str
    """Folder that the image names are relative to."""
    test: str | None = None
    """CSV of the test ids (a sample submission is enough)."""
    test_images: str | None = None
    """Folder of the test images, if it is not `images`."""
    test_answers: str | None = None
    """CSV (id, label) of the test images' true labels, if known; used only for a score in the report."""
    unlabeled: str | None = None
    """Folder of images without labels, searched with all sub-folders; images of other splits are left out, so it may be
    `images` if the tables name a part of it."""
    columns: Annotated[list[str], Field(min_length=1), Unique] | None = None
    """Names of the columns of tables without a header (`a/1.jpg, 3, 0` on each line, separated by commas, tabs or blanks); a
    list of test images may have only the first of them."""
    split_column: str | None = None
    """Column of a single table of all splits that marks the rows of the test set (`test`) and of the training set (`train`,
    `val`, ..., which are pooled and split into folds)."""
    train_list: str | Annotated[list[str], Field(min_length=1), Unique] | None = None
    """Text files that name the training images of a single table of all splits, one per line; by default all that
    `test_list` does not name."""
    test_list: str | Annotated[list[str], Field(min_length=1), Unique] | None = None
    """Text files that name the test images of a single table of all splits."""
    id_column: str = "id"
    """Column with the id of each image, or case."""
    image_column: str | None = None
    """Column with file names; by default the id is the file name, with or without its suffix."""
    image_columns: Annotated[list[str], Field(min_length=2), Unique] | None = None
    """Columns with the names of several files that are stacked as the channels of one image, which they share evenly: by
    default three per file, so that two photographs make `channels: 6`."""
    case_column: str | None = None
    """Column with the id of a case of several images, if the table has one row per image. Folds, predictions and submissions
    are per case; all other columns must agree in all rows of a case."""
    view_column: str | None = None
    """Column with the name of each image's view (`front`, `back`) in its case; by default images are numbered in file order."""
    frame_column: str | None = UNSET
    """Column with the place of each image in its case, a sequence of frames: numbers or dates, or names in natural order
    (`img2.png` before `img10.png`). The number of frames may differ between cases."""
    view_columns: Annotated[list[str], Field(min_length=2), Unique] | None = None
    """Columns with the image names of a case, one per view, if the table has one row per case; an empty cell is a missing
    image."""
    label_column: str = "label"
    """Column with the class."""
    label_separator: Annotated[str, Field(min_length=1)] | None = None
    """Separator of several labels in one cell (`" "`, `"|"`), for `task: multilabel`; blanks around a label are ignored."""
    label_columns: Annotated[list[str], Field(min_length=1), Unique] | None = None
    """Columns of 0 and 1, one per class, for `task: multilabel`, instead of `label_column`."""
    label_values: dict[str, bool] | None = None
    """Meaning of the cells of `label_columns`, if they are not 0 and 1: `{"1": true, "-1": false}`. For a table in which -1
    is uncertain and an empty cell unmentioned: `{"1.0": true, "0.0": false, "-1.0": false, "": false}`."""
    empty_label: Literal["missing", "no_class"] | None = None
    """Meaning of an empty cell of labels, or of a row of zeros: `missing`, no label is known (see `on_missing_label`), or
    `no_class`, the image belongs to no class. By default an empty cell is missing, and a row of zeros means no class."""
    class_names: str | ClassNames | None = None
    """File with the names of classes that the tables give as numbers: CSV, JSON ({id: name}), YAML, or text with one name per
    line, starting at 0; `{file: classes.csv, id: "Class ID", name: "Class Name"}` names the columns to use."""
    target_column: str | None = None
    """Column with a number to predict, for `task: regression`, instead of `label_column`."""
    metadata: Metadata | None = None
    """Metadata columns, for models with `metadata: true`."""
    group_column: str | None = None
    """Column with the group of an image (patient, sender, ...); a group is never split over folds."""
    fold_column: str | None = None
    """Column with the fold number, for `folds.splitter: predefined`; -1 is trained on in every fold, never validated."""
    order_column: str | None = None
    """Column with a number or a date (2024-05-31), for `folds.splitter: ordered` and `ordered_blocks`."""
    train_only_column: str | None = None
    """Column that marks images that are trained on in every fold and never validated (1, true or yes; 0, false, no or
    empty): external data. They are left out of folds that validate the same group or the same file."""
    extra_train: str | None = None
    """A second CSV with the same columns whose images are all train-only; columns of group, fold and order are optional."""
    extra_images: str | None = None
    """Folder of the images of `extra_train`, if it is not `images`."""

    @model_validator(mode="before")
    @classmethod
    def _channels_of_columns(cls, values: Any) -> Any:
        """Set ``channels`` to three per column of images."""
        if isinstance(values, dict) and "channels" not in values and isinstance(values.get("image_columns"), list):
            return {**values, "channels": max(1, 3 * len(values["image_columns"]))}
        return values

    @property
    def reader_keys(self) -> frozenset[str]:
        """Keys shared by all sources that are passed to the reader of tables too."""
        return frozenset({"label_separator", "metadata"})

    @property
    def n_files(self) -> int:
        """Number of files per image: one per channel of the stack, or one per column."""
        return len(self.image_columns or self.stack or "1")

    @model_validator(mode="after")
    def _files_are_named_one_way(self) -> "Csv":
        for other in ("stack", "image_column", "unlabeled"):
            if self.image_columns is not None and getattr(self, other) is not None:
                raise ValueError(f"image_columns and {other} do not go together; remove one")
        return self

    @model_validator(mode="after")
    def _metadata_have_no_other_role(self) -> "Csv":
        """Refuse columns that identify an image or its fold, and the target: a network would read its answer from them."""
        names = {*self.metadata.numeric, *self.metadata.categorical} if self.metadata else set()
        target = "label_columns" if self.label_columns else "target_column" if self.target_column else "label_column"
        for key in (target, "id_column", "image_column", "image_columns", "case_column", "view_column", "frame_column",
                    "view_columns", "fold_column", "split_column", "train_only_column"):  # fmt: skip
            own = getattr(self, key)
            if both := sorted(names & set(own if isinstance(own, list) else [own])):
                raise ValueError(f"metadata: {both[0]!r} is also {key}; remove it from metadata")
        return self

    @property
    def has_metadata(self) -> bool:
        """Whether columns of metadata are named."""
        return self.metadata is not None and self.metadata.is_any

    @property
    def has_cases(self) -> bool:
        """Return whether a case may have several images."""
        return self.case_column is not None or self.view_columns is not None

    @model_validator(mode="after")
    def _cases_are_said_one_way(self) -> "Csv":
        if self.view_column is not None and self.case_column is None:
            raise ValueError("view_column names the images of a case: set case_column too, or remove it")
        if self.frame_column is not None and (self.case_column is None or self.view_column is not None):
            what = "which are in order" if self.case_column is None else "and view_column names them"
            way = "set case_column too" if self.case_column is None else "keep one of the two"
            raise ValueError(f"frame_column numbers the images of a case, {what}: {way}, or remove it")
        if self.case_column is not None and self.view_columns is not None:
            raise ValueError(
                "case_column is for a row per image, view_columns for a row per case; remove one of the two"
            )
        others = ("stack", "image_columns", "unlabeled", "train_list", "test_list")
        for other in (*others, *(("image_column",) if self.view_columns else ())):
            if self.has_cases and getattr(self, other) is not None:
                key = "case_column" if self.case_column else "view_columns"
                raise ValueError(f"{key} and {other} do not go together; remove one")
        return self

    @model_validator(mode="after")
    def _splits_are_said_once(self) -> "Csv":
        ways = [name for name in ("split_column", "test_list", "test") if getattr(self, name) is not None]
        if len(ways) > 1:
            raise ValueError(f"{' and '.join(ways)} each define the test set; keep one")
        if self.train_list is not None and self.test_list is None:
            raise ValueError("train_list needs test_list; name the table of the training images alone as train")
        if self.label_values is not None and (self.label_columns is None or not any(self.label_values.values())):
            raise ValueError(
                "label_values gives the meaning of the cells of label_columns, of which at least one must be true"
            )
        return self

    @property
    def has_test(self) -> bool:
        """Return whether test images have their own table, or are part of the single table."""
        return any(value is not None for value in (self.test, self.split_column, self.test_list))

    @property
    def target_kind(self) -> str:
        """Kind of target, given by the columns that are set."""
        if self.target_column is not None:
            return "value"
        return "labels" if self.label_columns or self.label_separator else "label"

    @property
    def target_settings(self) -> dict[str, Any]:
        """The separator, which submissions use too."""
        return {} if self.label_separator is None else {"label_separator": self.label_separator}

    @property
    def named_classes(self) -> list[str] | None:
        """Names of the classes in order: `classes`, or `label_columns`."""
        return self.classes if self.classes is not None or self.label_columns is None else list(self.label_columns)

    @property
    def listed_folders(self) -> list[str]:
        """Folders of which the tables may name only a part; none with `image_columns` or cases, whose files only tables match."""
        folders = [self.images, self.test_images if self.test else None, self.extra_images]
        return [] if self.image_columns or self.has_cases else [folder for folder in folders if folder is not None]

    def raw_paths(self) -> list[str]:
        """Files and folders that the manifest depends on, including the file of class names."""
        names = self.class_names
        return super().raw_paths() + self.owned(names.file if isinstance(names, ClassNames) else names)

    @model_validator(mode="after")
    def _columns_have_all(self) -> "Csv":
        wanted = [
            *([] if self.case_column and self.image_column else [self.id_column]),
            *(self.image_columns or []),
            *(self.view_columns or []),
            *(name for name in (self.case_column, self.view_column, self.frame_column) if name),
            *(self.label_columns or []),
            *([self.split_column] if self.split_column else []),
        ]
        wanted += [name for name in (self.image_column, self.target_column) if name]
        wanted += [self.label_column] if self.target_kind == "label" or self.label_separator else []
        for name in wanted if self.columns is not None else []:
            if name not in (self.columns or []):
                raise ValueError(
                    f"columns has no {name!r}: {nearest(name, self.columns or [])}it has: {', '.join(self.columns or [])}. Name "
                    f"the columns that hold the image and the label in id_column (or image_column) and label_column"
                )
        if self.class_names is not None and self.target_kind == "value":
            raise ValueError("class_names is for labels, and target_column has numbers; remove one")
        if self.class_names is not None and self.label_columns is not None:
            raise ValueError("class_names is for labels, and label_columns are names themselves; remove it")
        return self

    @model_validator(mode="after")
    def _one_target(self) -> "Csv":
        given = [
            key
            for key in ("label_column", "label_columns", "target_column")
            if key in self.model_fields_set and getattr(self, key) is not None
        ]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are given, but there is one target; keep one")
        if self.label_separator is not None and given not in ([], ["label_column"]):
            raise ValueError(f"label_separator separates the labels of label_column, not of {given[0]}; remove it")
        if self.empty_label is not None and self.target_kind != "labels":
            raise ValueError("empty_label needs several labels per image: set label_separator or label_columns")
        return self

    @model_validator(mode="after")
    def _classes_can_be_read(self) -> "Csv":
        mark, names = self.label_separator, self.classes or []
        if mark is not None and (any(letter.isalnum() for letter in mark) or (mark != mark.strip() and mark.strip())):
            raise ValueError(f"label_separator {mark!r} must be blanks, or characters without blanks around them")
        for name in names:
            if mark is not None and mark in name:
                raise ValueError(
                    f"classes: {name!r} contains label_separator {mark!r}, so it would be read as two labels; rename it, or use "
                    f"another separator"
                )
        if self.label_columns is not None and names and set(names) != set(self.label_columns):
            odd = sorted(set(names) ^ set(self.label_columns))[0]
            raise ValueError(f"classes and label_columns must name the same; {odd!r} is in one of them only")
        return self
