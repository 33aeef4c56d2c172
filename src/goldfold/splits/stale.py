"""Lists of the folds stage that an earlier run wrote, and this one does not."""

from collections.abc import Sequence
from pathlib import Path

from goldfold.planning.outputs import HOLDOUT, group_list, metadata_list
from goldfold.planning.runs import WHOLE


def keep_only(folder: Path, written: Sequence[Path]) -> None:
    """Remove lists of an earlier run from a folder."""
    for path in {*folder.glob("*.csv")} - {*written}:
        path.unlink()


def remove_stale(
    folder: Path, n_folds: int, splits: list[str], has_metadata: bool, has_groups: bool, has_full: bool
) -> None:
    """Remove lists of an earlier run with more folds, other splits, metadata or groups, or of all rows, which would be taken
    for those of this one."""
    for path in folder.glob("fold*.csv"):
        number = path.stem.removeprefix("fold").removesuffix("-metadata").removesuffix("-groups")
        if number.isdigit() and int(number) >= n_folds:
            path.unlink()
    for name in {"test", "unlabeled", "answers"} - set(splits):
        (folder / f"{name}.csv").unlink(missing_ok=True)
    for name in ("test", HOLDOUT):
        if not has_metadata or name not in splits:
            (folder / metadata_list(name)).unlink(missing_ok=True)
    gone = [metadata_list("fold*")] * (not has_metadata) + ["fold*-groups.csv"] * (not has_groups)
    gone += [metadata_list("full")] * (not has_metadata) + [group_list(WHOLE)] * (not has_groups)
    gone += ["full*.csv"] * (not has_full)
    for path in [path for pattern in gone for path in folder.glob(pattern)]:
        path.unlink()
