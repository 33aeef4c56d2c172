"""Doubts that `goldfold check` raises about the data of a run."""

from hashlib import sha256

from goldfold.audit.doubts.boxes import about_emptied, about_rare_boxes, about_repeated
from goldfold.audit.doubts.classes import about_classes
from goldfold.audit.doubts.copies import about_copies
from goldfold.audit.doubts.crops import about_crops
from goldfold.audit.doubts.files import about_files, about_left_out
from goldfold.audit.doubts.folds import about_groups
from goldfold.audit.doubts.submission import about_formulas
from goldfold.crop.counts import counts
from goldfold.images import cases
from goldfold.report.copies import Cluster
from goldfold.report.results import Results

MOST_FILES = 2000
"""Most files whose headers are read; the findings are cached, but the cache may be gone when a page is rebuilt."""


def collect(results: Results, clusters: list[Cluster]) -> list[str]:
    """All doubts, one sentence each."""
    n_images = {split: len(table) for split, table in results.tables.items()}
    lost = results.left_out.assign(part="image").to_dict("records")
    parts = results.quarantine.to_dict("records") if "part" in results.quarantine else []
    summary = results.fold_summary[results.fold_summary.index >= 0]
    data = results.settings["data"]
    policy = {"within": data["duplicates"], "across": data["duplicates_across"], "two_labels": data["on_two_labels"]}
    by_class = {
        str(name): {str(fold): float(n) for fold, n in summary[name].items()}
        for name in results.classes
        if name in summary
    }
    return [
        *about_left_out(lost, n_images),
        *about_emptied(parts, results.tables["train"]),
        *about_repeated(results.tables["train"]),
        *(about_files(paths, data["scale_16bit"], data["max_pixels"]) if (paths := paths_of(results)) else ()),
        *about_crops(counts(results.tables)),
        *about_copies(_rows(clusters), policy, n_images["train"]),
        *about_groups(results.test_groups),
        *about_classes(by_class),
        *about_rare_boxes(results.tables["train"], results.classes, len(summary)),
        *about_formulas(_submitted(results)),
    ]


def _submitted(results: Results) -> list[str]:
    """Names that the submission may hold: ids, and classes unless they are ranges of numbers."""
    if "test" not in results.tables:
        return []
    return [*results.tables["test"]["id"], *(results.classes if results.facts.kinds[0] == "class" else [])]


def paths_of(results: Results) -> list[str]:
    """Paths of the images; of many, a stable sample."""
    paths = list(cases.files({split: table for split, table in results.tables.items() if "path" in table}))
    if len(paths) > MOST_FILES:
        paths = sorted(paths, key=lambda path: sha256(path.encode()).digest())[:MOST_FILES]
    return paths


def _rows(clusters: list[Cluster]) -> list[dict[str, object]]:
    """Rows as returned by `goldfold.audit.duplicates.find`, of images in use."""
    return [
        {
            "cluster": number, "split": copy.split, "id": copy.id, "label": copy.label, "kind": copy.kind,
            "n_labels": len({other.label for other in cluster.copies} - {""}),
        }
        for number, cluster in enumerate(clusters)
        if sum(not copy.is_left_out for copy in cluster.copies) > 1
        for copy in cluster.copies
        if not copy.is_left_out
    ]  # fmt: skip
