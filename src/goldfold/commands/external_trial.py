"""Read the predictions of external members before any job runs."""

from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.base.errors import DataError
from goldfold.base.words import count
from goldfold.config.dependencies import SETTINGS
from goldfold.planning.jobs import Job

if TYPE_CHECKING:
    from goldfold.config import Config

SHOWN = 5


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
        try:
            facts = external.run(
                folder=str(out),
                lists=lists,
                classes=str(folder / "folds/classes.json"),
                class_ids=str(folder / "folds/class_ids.json"),
                **SETTINGS["external"](config, Job("external", external=one.name)),
            )
        except DataError as error:
            if str(folder) not in str(error):
                raise
            said = str(error).replace(str(folder), config.results)  # the folder is gone when the user reads this
            raise DataError(f"{said} `snakemake --until folds`, with this config, writes that list.") from error
        if unknown := facts.get("oof", {}).get("unknown"):
            n, others = count(len(unknown), "class", "classes"), facts["oof"].get("others", [])
            named = f" (columns of no class: {', '.join(map(repr, others[:SHOWN]))})" if others else ""
            doubts.append(
                f"external member {one.name!r} does not know {n}, first {unknown[0]!r}: there it takes the mean of the "
                f"others{named}"
            )
    return doubts
