"""Fold networks, networks of all labelled rows, or both: accuracy on the test images of one finished run with `full_data`.

python benchmarks/digit_subsets.py data/digits_300 --labelled 300
snakemake --cores 2 --configfile examples/digits_300/full_data.yaml
python benchmarks/full_data.py results/digits_300_full data/digits_300

Prints a Markdown table: per seed and for all seeds together, the accuracy of a single fold network (mean over the folds), of
the mean over the fold networks, of the network of all rows, and of the mean over both.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from goldfold import tasks  # noqa: E402
from goldfold.base.files import read_json  # noqa: E402
from goldfold.predictions.arrays import load  # noqa: E402
from goldfold.tables import read_table  # noqa: E402


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of a finished run of labels with full_data and test_answers")
    parser.add_argument("data", type=Path, help="folder with test_answers.csv")
    asked = parser.parse_args()
    classes = read_json(asked.results / "folds/classes.json")
    answers = read_table(asked.data / "test_answers.csv").set_index("id")["label"]
    of_folds, of_all = (probabilities(asked.results / stage, classes) for stage in ("predict", "full_predict"))
    seeds = sorted({seed for _, seed in of_all})
    rows = [[f"seed {seed}", *accuracies(of_folds, of_all, [seed], classes, answers)] for seed in seeds]
    rows.append([f"all {len(seeds)} seeds", *accuracies(of_folds, of_all, seeds, classes, answers)])
    columns = ["", "one fold network", "fold networks", "all rows", "both"]
    print(f"{len(answers)} test images\n")
    print("\n".join([f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]))
    for name, *values in rows:
        print(f"| {' | '.join([name, *(f'{value:.4f}' for value in values)])} |")


def probabilities(folder: Path, classes: list[str]) -> dict[tuple[str, int], pd.DataFrame]:
    """Probabilities of the test images by each network, by fold (or ``full``) and seed."""
    output = tasks.output({"name": "classification"}, classes)
    found = {}
    for path in sorted(folder.rglob("test.npz")):
        arrays = output.fuse([load(path)], [1.0], 1)
        place = path.parent.parent.name, int(path.parent.name.removeprefix("seed"))
        found[place] = pd.DataFrame(arrays["probabilities"], index=arrays["ids"].tolist(), columns=classes)
    return found


def accuracies(
    of_folds: dict[tuple[str, int], pd.DataFrame],
    of_all: dict[tuple[str, int], pd.DataFrame],
    seeds: list[int],
    classes: list[str],
    answers: pd.Series,
) -> list[float]:
    """Accuracy of single fold networks, of all of some seeds, of the networks of all rows, and of both."""

    def right(tables: list[pd.DataFrame]) -> float:
        mean: NDArray[np.float64] = np.mean([table.loc[answers.index].to_numpy() for table in tables], axis=0)
        return float((np.array(classes)[mean.argmax(axis=1)] == answers.to_numpy()).mean())

    folds = [table for (_, seed), table in of_folds.items() if seed in seeds]
    whole = [table for (_, seed), table in of_all.items() if seed in seeds]
    alone = float(np.mean([right([table]) for table in folds]))
    return [alone, right(folds), right(whole), right([*folds, *whole])]


if __name__ == "__main__":
    main()
