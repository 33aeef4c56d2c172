"""Common names of splits, images, masks, labels and groups."""

import re

BASES = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "tst"),
    "unlabeled": ("unlabeled", "unlabelled", "unsupervised", "nolabel", "unannotated"),
}
FORMS = (
    "{}",
    "{}images",
    "{}image",
    "{}imgs",
    "{}img",
    "images{}",
    "imgs{}",
    "img{}",
    "{}set",
    "{}data",
    "seg{}",
    "stage1{}",
)
SPLITS = {form.format(word): split for split, words in BASES.items() for word in words for form in FORMS}
IMAGES = frozenset({"images", "image", "imgs", "img", "jpegimages", "photos", "pictures", "jpgimages", "raw", "inputs"})
MASK = re.compile(
    r"(^|[^a-z])(masks?|labels?|lbls?|annotations?|gts?|ground[-_ ]?truths?|segs?|segmentations?|mattes?"
    r"|segmentation(?:class|object)(?:raw|aug|ext)?|targets?|trimaps?|manual\d?)($|[^a-z])"
)
MASK_END = re.compile(
    r"^(.+?)([-_. ]?(?:masks?|labels?|lbl|annotation|gt|ground[-_]?truth|seg|segmentation|matte|L))$", re.I
)
LABELS = (
    "label", "labels", "class", "classname", "target", "category", "categoryname", "species", "diagnosis", "dx", "breed",
    "grade", "level", "classid", "labelid", "categoryid", "type", "kind", "tag", "y",
)  # fmt: skip
TARGETS = frozenset(
    {
        "score",
        "value",
        "price",
        "rating",
        "count",
        "percentage",
        "percent",
        "amount",
        "popularity",
        "age",
        "boneage",
        "height",
    }
    | {"weight", "yield", "biomass", "temperature", "distance", "angle"}
)
"""Names of columns of numbers to predict."""
GROUPS = (
    "patient", "subject", "participant", "person", "sender", "user", "donor", "individual", "animal", "mouse", "specimen",
    "group", "study", "case", "slide", "lesion", "series", "session", "video", "sequence", "scene", "location", "camera",
    "author", "photographer", "farm", "field", "plot", "hospital", "site", "center", "centre",
)  # fmt: skip
FOLDS = frozenset({"fold", "folds", "kfold", "cvfold", "foldid", "cv"})
SPLIT_COLUMNS = frozenset({"split", "subset", "set", "partition", "dataset"})
NO_LABEL_COLUMNS = frozenset(
    {
        "sex",
        "gender",
        "age",
        "width",
        "height",
        "date",
        "year",
        "month",
        "time",
        "source",
        "weight",
        "size",
        "quality",
        "kids",
    }
)
"""Names of columns of metadata."""
BOX_COLUMNS = frozenset({"bbox", "xmin", "x1", "xcenter", "predictionstring", "boxes", "bboxes"})
NO_LABELS = frozenset(
    {"notsure", "unsure", "unknown", "skip", "skipped", "other", "others", "none", "na", "nan", "null", "undefined"}
    | {"unlabeled", "unlabelled", "misc", "unclear", "ignore", "todo", ""}
)
NEGATIVES = frozenset(
    {
        "0",
        "false",
        "no",
        "neg",
        "negative",
        "normal",
        "healthy",
        "benign",
        "absent",
        "clean",
        "good",
        "real",
        "background",
    }
)


def plain(name: str) -> str:
    """Reduce a name to letters and digits in lower case."""
    return re.sub(r"[\W_]+", "", name.lower())


def split_of(name: str) -> str:
    """``train``, ``val``, ``test`` or ``unlabeled`` if a folder or file is named like it, else empty."""
    return SPLITS.get(plain(name), "")


def split_of_path(name: str) -> str:
    """Split named by the innermost part of a path that names one."""
    return next((split for part in reversed(name.split("/")) if (split := split_of(part))), "")


def split_in(name: str) -> str:
    """Split named by a word of a file's name: ``instances_val2017.json`` -> ``val``."""
    words = re.findall(r"[a-z]+", name.lower())
    return next((split for word in reversed(words) for split, known in BASES.items() if word in known), "")


def is_sample(name: str) -> bool:
    """True if a file is named like a sample submission."""
    return any(word in plain(name) for word in ("sample", "submission"))


def is_masks(name: str) -> bool:
    """True if a folder is named like masks."""
    return MASK.search(name.lower()) is not None


def group_rank(column: str) -> int | None:
    """Rank of a column as group column, 0 the most certain; None if its name does not indicate groups."""
    name = re.sub(r"(id|ids|no|nr|num|number|name|uid|code)$", "", plain(column))
    return GROUPS.index(name) if name in GROUPS else None
