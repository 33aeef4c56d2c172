"""Make a small or a noisy set of the embedded digits: fewer labelled images, or labels flipped on purpose.

python benchmarks/digit_subsets.py data/digits_300 --labelled 300
python benchmarks/digit_subsets.py data/digits_few --labelled 250 --unlabelled
python benchmarks/digit_subsets.py data/digits_turned --labelled 100 --external turned
python benchmarks/digit_subsets.py data/digits_flipped --flipped 0.1

Writes the files of the demo data with another ``train.csv``; ``flipped.csv`` lists the flipped labels (id, label, given).
Labelled images are drawn in equal numbers per class; with ``--unlabelled`` the other training images are moved to the folder
``unlabeled``. With ``--external`` they become labelled images of another kind, turned by 25 degrees (``inverted``: and of
inverted brightness), in ``external.csv`` and the folder ``external``. All draws are by a fixed seed.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from goldfold.demo import digits  # noqa: E402


def main() -> None:
    """Write the set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--labelled", type=int, help="number of labelled images; all by default")
    parser.add_argument("--unlabelled", action="store_true", help="keep the other images, without a label")
    parser.add_argument(
        "--external", choices=["turned", "inverted"], help="change the other images, and keep their labels"
    )
    parser.add_argument("--flipped", type=float, default=0.0, help="share of labels that become another class")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if asked.external and asked.unlabelled:
        parser.error("--external and --unlabelled both take the other images; name one")
    if asked.folder.exists():
        parser.error(f"{asked.folder} exists; name a new folder, or remove it")
    digits.write(asked.folder)
    table = pd.read_csv(asked.folder / "train.csv")
    every = table
    draw = np.random.default_rng(asked.seed)
    if asked.labelled is not None:
        table = few(table, asked.labelled, draw)
    if asked.unlabelled:
        move_others(asked.folder, set(table["id"]))
    if asked.external:
        write_external(asked.folder, every[~every["id"].isin(table["id"])], asked.external == "inverted")
    table, changed = flipped(table, asked.flipped, draw)
    table.to_csv(asked.folder / "train.csv", index=False, lineterminator="\n")
    if len(changed):
        changed.to_csv(asked.folder / "flipped.csv", index=False, lineterminator="\n")
    print(f"{asked.folder}: {len(table)} labelled images, {len(changed)} of them with another label")


def few(table: pd.DataFrame, n: int, draw: np.random.Generator) -> pd.DataFrame:
    """Equal numbers of rows per class, ``n`` in all; the order of the table stays."""
    classes = sorted(table["label"].unique())
    if n % len(classes) or n < len(classes):
        raise SystemExit(f"--labelled {n}: must be a multiple of the {len(classes)} classes")
    kept = [draw.choice(np.flatnonzero(table["label"] == one), n // len(classes), replace=False) for one in classes]
    return table.iloc[np.sort(np.concatenate(kept))].reset_index(drop=True)


def move_others(root: Path, labelled: set[str]) -> None:
    """Move the training images without a label to the folder ``unlabeled``."""
    (root / "unlabeled").mkdir()
    test = set(pd.read_csv(root / "test.csv")["id"])
    for path in sorted((root / "images").glob("*.png")):
        if path.stem not in labelled | test:
            path.replace(root / "unlabeled" / path.name)


def write_external(root: Path, table: pd.DataFrame, is_inverted: bool) -> None:
    """Write images of another kind from those of ``table``: turned by 25 degrees, and inverted if so wanted."""
    (root / "external").mkdir()
    for id in table["id"]:
        image = cv2.imread(str(root / f"images/{id}.png"), cv2.IMREAD_GRAYSCALE)
        height, width = image.shape
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 25, 1)
        turned = cv2.warpAffine(
            255 - image if is_inverted else image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE
        )
        cv2.imwrite(str(root / f"external/{id}.png"), turned)
    table.to_csv(root / "external.csv", index=False, lineterminator="\n")


def flipped(table: pd.DataFrame, share: float, draw: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table with a share of its labels replaced by another class drawn at random, and these rows."""
    rows = np.sort(draw.choice(len(table), round(share * len(table)), replace=False))
    classes = np.array(sorted(table["label"].unique()))
    true = table["label"].to_numpy().copy()
    place = np.searchsorted(classes, true[rows])
    given = true.copy()
    given[rows] = classes[(place + draw.integers(1, len(classes), len(rows))) % len(classes)]
    found = pd.DataFrame({"id": table["id"].to_numpy()[rows], "label": true[rows], "given": given[rows]})
    return table.assign(label=given), found


if __name__ == "__main__":
    main()
