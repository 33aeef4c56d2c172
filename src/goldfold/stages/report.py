"""Stage report: results of all stages -> one HTML page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold import components
from goldfold.base.files import atomic, write_text
from goldfold.drawing.blocks import Section
from goldfold.images.viewing import shown_as
from goldfold.planning.full import full_of
from goldfold.predictions import resampled
from goldfold.report import (
    ablation,
    augmentation,
    cleaned,
    comparison,
    copies,
    crops,
    data,
    doubts,
    ensemble,
    generated,
    groups,
    headline,
    heads,
    holdout,
    label_issues,
    ledger,
    notes,
    page,
    pairs,
    quarantine,
    runinfo,
    scores,
    sets,
    training,
    verdict,
    view_weights,
)  # fmt: skip
from goldfold.report import shift as differences
from goldfold.report.copies import Cluster
from goldfold.report.results import Results, read

ABLATION = "ablation.csv"


def run(
    results: str,
    out: str,
    title: str | None,
    gallery: int,
    name: str,
    task: dict[str, Any],
    metric: components.Written,
    settings: dict[str, Any],
    shift: bool = True,
    shift_images: int = 1500,
    workers: int = 1,
    full_data: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the page, its figures as PNG files in ``figures`` beside it, and the learning curves as ``curves.csv``.

    With an ablation, its table is written as ``ablation.csv``, with several members their differences as ``pairs.csv``; for
    tasks with classes per image, the labels that may be wrong as ``label_issues.csv``; for networks that
    weight the images of a case, their weights as ``view_weights.csv``.

    Returns:
        ``files``: paths of the figures and of these tables.

    Args:
        results: folder of the finished run.
        gallery: number of pictures in each gallery of errors.
        settings: the whole config.
        shift: whether to compare training images with the others, at most ``shift_images`` of each.
        workers: number of processes that read images.
        full_data: models that are trained on all rows, see `goldfold.planning.full.FullData`.
    """
    found = read(Path(results), task, metric, settings, full_of(full_data))
    same = copies.find(found)
    shifts = differences.find(found, same, shift_images, workers) if shift else {}
    drawn = resampled.read(found.root / "ensemble")
    weighted = view_weights.table(found)
    issues, compared, folds = label_issues.find(found), comparison.find(found, drawn), scores.fold_scores(found)
    apart = pairs.find(found, drawn)
    with shown_as(settings["data"]["channels"], settings["data"]["scale_16bit"]):
        best = [scores.leaderboard(found, folds, compared), pairs.section(found, apart)]
        sections = [
            *filter(None, best),
            *_sections(found, same, shifts, gallery, gains := ablation.table(found), issues, weighted),
        ]
    subtitle = f"{name} · {task['name']} · {found.metric}"
    head = headline.headline(found, verdict.sentence(found, folds, compared))
    html = page.render(title or name, subtitle, head, notes.collect(found, same, shifts, compared), sections)
    written = _write_figures(Path(out).parent / "figures", sections)
    write_text(Path(out).parent / "curves.csv", training.table(found).to_csv(index=False))
    written += _write_table(Path(out).parent / pairs.FILE, pairs.table(apart))
    written += _write_table(Path(out).parent / ABLATION, gains)
    written += _write_table(Path(out).parent / label_issues.FILE, None if issues is None else issues.table)
    written += _write_table(Path(out).parent / view_weights.FILE, weighted)
    write_text(out, html)
    print(f"{out}: {len(sections)} sections, {len(html) / 1e6:.1f} MB", flush=True)
    return {"files": written}


def _sections(
    found: Results, same: list[Cluster], shifts: differences.Shifts, gallery: int, gains: pd.DataFrame | None,
    issues: label_issues.Issues | None, weighted: pd.DataFrame | None,
) -> list[Section]:  # fmt: skip
    every = [
        ablation.section(found, gains),
        scores.pseudo_labels(found),
        cleaned.section(found, gallery),
        generated.section(found, gallery),
        training.curves(found),
        *found.show.pages(found.oof, found.truth, gallery),
        view_weights.section(found, weighted, gallery),
        label_issues.section(found, issues, gallery),
        holdout.section(found),
        ledger.section(found),
        groups.section(found),
        sets.section(found),
        ensemble.section(found),
        heads.section(found),
        data.section(found, same, doubts.collect(found, same)),
        augmentation.section(found),
        crops.section(found),
        quarantine.section(found),
        copies.section(found, same),
        differences.section(found, shifts),
        runinfo.section(found),
    ]
    return [section for section in every if section is not None]


def _write_table(path: Path, table: pd.DataFrame | None) -> list[str]:
    """Write a table beside the page; remove that of an earlier report without one."""
    if table is None:
        path.unlink(missing_ok=True)
        return []
    write_text(path, table.to_csv(index=False))
    return [str(path)]


def _write_figures(folder: Path, sections: list[Section]) -> list[str]:
    """Write each figure as a PNG file; remove files of an earlier report that are no longer drawn."""
    written: dict[Path, None] = {}
    for figure in page.figures(sections):
        written[path := folder / f"{figure.name}.png"] = None
        with atomic(path) as temporary:
            temporary.write_bytes(figure.png)
    for path in folder.glob("*.png"):
        if path not in written:
            path.unlink()
    return [str(path) for path in written]
