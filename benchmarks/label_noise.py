"""How well wrong labels are found, and what cleaning changes, on a set whose labels were flipped on purpose.

python benchmarks/digit_subsets.py data/digits_flipped --flipped 0.1
snakemake --cores 2 --configfile examples/digits_flipped/config.yaml
python benchmarks/label_noise.py results/digits_flipped data/digits_flipped

Prints Markdown tables: precision and recall of the candidates among the out-of-fold predictions of each round, by rule; of
the rows that cleaning rounds dropped or relabelled; and the accuracy of each round on the labels as given, on the true
labels of the same out-of-fold rows, and on the test answers. Members are averaged with equal weights.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from goldfold.audit import mislabelled  # noqa: E402
from goldfold.base.files import read_json  # noqa: E402
from goldfold.predictions.arrays import load  # noqa: E402
from goldfold.tables import read_table  # noqa: E402
from goldfold.tasks.logits import softmax  # noqa: E402


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of a finished run")
    parser.add_argument("data", type=Path, help="folder of the set, with flipped.csv")
    asked = parser.parse_args()
    classes, train = read_json(asked.results / "folds/classes.json"), read_table(asked.results / "folds/train.csv")
    flipped = read_table(asked.data / "flipped.csv").set_index("id")["label"]
    truth = train.set_index("id")["label"].to_frame("given")
    truth["true"] = flipped.reindex(truth.index).fillna(truth["given"])
    answers = read_table(asked.data / "test_answers.csv").set_index("id")["label"]
    rounds = sorted({int(path.name[5:]) for path in asked.results.glob("predict/*/round*")})
    print("| round | rule | candidates | precision | recall |\n|---|---|---|---|---|")
    for number in rounds:
        for line in found(predicted(asked.results, number, "oof", classes), truth, {*flipped.index}, classes):
            print(f"| {number} | {line}")
    for number in rounds:
        print_cleaned(asked.results, number, flipped)
    print("\n| round | as given | true labels | test answers |\n|---|---|---|---|")
    for number in rounds:
        oof, test = (predicted(asked.results, number, part, classes).idxmax(axis=1) for part in ("oof", "test"))
        of = truth.loc[oof.index]
        scores = [(oof == of["given"]).mean(), (oof == of["true"]).mean(), (test == answers.loc[test.index]).mean()]
        print(f"| {number} | {' | '.join(f'{score:.4f}' for score in scores)} |")


def predicted(results: Path, number: int, part: str, classes: list[str]) -> pd.DataFrame:
    """Mean probabilities of a round by id, over models and seeds, and for test images over folds."""
    tables = []
    for path in sorted(results.glob(f"predict/*/round{number}/fold*/seed*/{part}.npz")):
        arrays = load(path)
        tables.append(pd.DataFrame(softmax(arrays["logits"].astype(np.float64)), index=arrays["ids"], columns=classes))
    return pd.concat(tables).groupby(level=0).mean()


def found(values: pd.DataFrame, truth: pd.DataFrame, wrong: set[str], classes: list[str]) -> list[str]:
    """Lines of the table of candidates: by each rule, and where the prediction differs from the label."""
    labels = np.array([classes.index(label) for label in truth.loc[values.index, "given"]])
    probabilities, ids = values.to_numpy(), values.index.to_numpy(str)
    rows: dict[str, NDArray[np.int64]] = {
        rule: mislabelled.find(probabilities, labels, rule).rows for rule in mislabelled.RULES
    }
    rows["prediction differs"] = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    estimated = len(labels) - np.trace(mislabelled.joint(probabilities, labels))
    lines = [f"{rule} | {line(set(ids[of]), wrong & set(ids))}" for rule, of in rows.items()]
    return [*lines, f"estimated number of wrong labels: {estimated:.1f}, in fact {len(wrong & set(ids))} | | | |"]


def print_cleaned(results: Path, number: int, flipped: "pd.Series[str]") -> None:
    """Print precision and recall of the rows that a cleaning round changed, by fold, and the share relabelled rightly."""
    for path in sorted(results.glob(f"clean/round{number}/fold*.csv")):
        table, fold = read_table(path), read_table(results / f"folds/{path.stem}.csv")
        changed = table[table["action"] != "keep"]
        wrong = set(fold["id"][fold["split"] == "train"]) & set(flipped.index)
        right = (changed["suggested"] == flipped.reindex(changed["id"]).to_numpy()).mean()
        print(f"| {number} | cleaned, {path.stem} | {line(set(changed['id']), wrong)} suggested rightly {right:.3f} |")


def line(found: set[str], wrong: set[str]) -> str:
    """Number of candidates, precision and recall.

    >>> line({"a", "b"}, {"a", "c", "d", "e"})
    '2 | 0.500 | 0.250 |'
    """
    hits = len(found & wrong)
    return f"{len(found)} | {hits / max(1, len(found)):.3f} | {hits / max(1, len(wrong)):.3f} |"


if __name__ == "__main__":
    main()
