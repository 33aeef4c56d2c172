"""What a classifier gains from parts that a trained detector found: digits, one a photograph.

    python benchmarks/two_stage.py FOLDER [--n 480] [--side 160]

Writes the data and four configs below FOLDER and runs ``snakemake`` for each: a detector of digits; then one classifier
on whole images at 32 and at 96 pixels, on the detector's boxes at 32, and on the true boxes at 32. Folds and the test set
share no digit. Figures are out of fold.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from goldfold.demo import scenes  # noqa: E402

CORNERS = ["x1", "y1", "x2", "y2"]


def written(root: Path, n: int, side_px: int) -> pd.DataFrame:
    """Write scenes of one digit each; id, label, group and true box of those to learn from."""
    scenes.DIGITS = (1, 1)
    scenes.write(root, n, n // 4, side_px)
    content = json.loads((root / "train.json").read_text())
    ids = {entry["id"]: Path(entry["file_name"]).stem for entry in content["images"]}
    names = {entry["id"]: entry["name"] for entry in content["categories"]}
    rows = [(ids[own["image_id"]], f"d{names[own['category_id']]}", *own["bbox"]) for own in content["annotations"]]
    table = pd.DataFrame(rows, columns=["id", "label", *CORNERS])
    table["x2"] += table["x1"]
    table["y2"] += table["y1"]
    table = table.merge(pd.read_csv(root / "groups.csv", dtype=str), on="id")
    table.to_csv(root / "train.csv", index=False)
    for entry in (*content["annotations"], *content["categories"]):
        entry["category_id" if "image_id" in entry else "id"] = 1
    content["categories"] = [{"id": 1, "name": "digit"}]
    (root / "digits.json").write_text(json.dumps(content))
    return table


def configs(root: Path, side_px: int) -> dict[str, dict[str, Any]]:
    """The detector's config, and the classifiers'."""
    folds = {"splitter": "stratified_group", "n_folds": 2}
    learning = {"lr": 2e-3, "warmup_epochs": 2, "clip_norm": 1.0, "ema_decay": 0.99, "augment": "light"}
    detector = {
        "name": "two_stage_detector", "task": "detection", "metric": "ap50", "folds": folds,
        "data": {
            "source": "coco", "train": str(root / "digits.json"), "images": str(root / "images"),
            "groups": str(root / "groups.csv"), "shards": 1,
        },
        "train": {**learning, "epochs": 30, "batch_size": 16, "validate_every": 10},
        "models": [{
            "name": "fcos", "network": "fcos", "backbone": "regnetx_002", "image_size_px": side_px,
            "params": {"strides": [4, 8, 16], "width": 64},
        }],
        "ensemble": {"method": "wbf"},
    }  # fmt: skip
    boxes = {"method": "boxes", "boxes": "results/two_stage_detector/ensemble/oof.csv", "margin": 0.1}
    found = {"two_stage_detector": detector}
    for name, size_px, roi in (
        ("whole32", 32, {"method": "none"}), ("whole96", 96, {"method": "none"}), ("found32", 32, boxes),
        ("true32", 32, {"method": "column", "columns": CORNERS, "margin": 0.1}),
    ):  # fmt: skip
        found[f"two_stage_{name}"] = {
            "name": f"two_stage_{name}", "metric": "accuracy", "folds": folds,
            "data": {
                "source": "csv", "train": str(root / "train.csv"), "images": str(root / "images"),
                "group_column": "group", "shards": 1, "roi": roi,
            },
            "train": {**learning, "epochs": 40, "batch_size": 32},
            "models": [{"name": "resnet", "network": "small_resnet", "params": {"kernel_size_px": 3}, "image_size_px": size_px}],
        }  # fmt: skip
    return found


def overlap(truth: pd.DataFrame) -> None:
    """Print how well the best boxes fit, and how much of each digit the cut part holds."""
    found = pd.read_csv("results/two_stage_detector/ensemble/oof.csv", dtype={"id": str})
    best = found.sort_values("confidence").drop_duplicates("id", keep="last").set_index("id")
    held = truth[truth["id"].isin(best.index)].set_index("id")
    true, own = held[CORNERS].to_numpy(float), best.loc[held.index, CORNERS].to_numpy(float)
    shared = np.prod((np.minimum(true, own)[:, 2:] - np.maximum(true, own)[:, :2]).clip(0), axis=1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (true, own)]
    iou = shared / (areas[0] + areas[1] - shared)
    print(
        f"best boxes of {len(held)} of {len(truth)} images: IoU with the digit at least 0.5 in {np.mean(iou >= 0.5):.3f}"
    )


def main() -> None:
    """Run all, print the scores."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n", type=int, default=480)
    parser.add_argument("--side", type=int, default=160)
    given = parser.parse_args()
    truth = written(given.folder, given.n, given.side)
    for name, config in configs(given.folder, given.side).items():
        path = given.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        subprocess.run(
            ["snakemake", "--cores", "2", "--resources", "gpu=1", "--quiet", "all", "--configfile", path], check=True
        )
        metrics = json.loads(Path(f"results/{name}/metrics.json").read_text())
        print(name, json.dumps(metrics["oof"]), flush=True)
    overlap(truth)


if __name__ == "__main__":
    main()
