"""Read the predictions of external members before any job runs."""

from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.base.words import count
from goldfold.config.dependencies import SETTINGS
from goldfold.planning.jobs import Job

if TYPE_CHECKING:
    from goldfold.config import Config


def check_external(config: "Config", folder: Path) -> list[str]:
    """Read the files of external members as their jobs do; return doubts about them.

    Args:
        folder: has ``folds`` of a run of the stages manifest and folds, and is written to.

    Raises:
        DataError: a file has no predictions of the images of the run, or they are of other folds.
    """
    from goldfold.stages import external

    lists: dict[str, str] = {
        split: str(folder / f"folds/{split}.csv") for split in ("train", "test") if split in config.splits
    }
    doubts = []
    for one in config.externals:
        out = folder / "external" / one.name
        out.mkdir(parents=True)
        facts = external.run(
            folder=str(out),
            lists=lists,
            classes=str(folder / "folds/classes.json"),
            class_ids=str(folder / "folds/class_ids.json"),
            **SETTINGS["external"](config, Job("external", external=one.name)),
        )
        if unknown := facts.get("oof", {}).get("unknown"):
            n = count(len(unknown), "class", "classes")
            doubts.append(
                f"external member {one.name!r} does not know {n}, first {unknown[0]!r}: there it takes the mean of the others"
            )
    return doubts
