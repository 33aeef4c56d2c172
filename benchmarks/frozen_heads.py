"""Processor seconds of embeddings, and of heads over 5 folds x 5 seeds, on the 1,797 digits.

    python benchmarks/frozen_heads.py [--backbone resnet18] [--size 96] [--images 1797] [--heads logistic ridge mlp knn boosted]

The stages `embed` and `heads` are called in this process, with one thread, as their jobs call them. Processor seconds
(`time.process_time`) do not depend on what else the machine does. Imports are left out; the start of a job takes about as long
for a head as for a cache shard of embeddings. Embeddings are of all images in one view; heads are fitted to four fifths of
1,437 images, and predict all 1,797. The backbone has random weights, which take as long as others: the scores say nothing.
With `--images` fewer images are embedded, and the seconds are scaled to 1,797; the embeddings of the others are repeated with
noise, since only the time counts. `ridge` fits the digit as a number.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

N_FOLDS, SEEDS = 5, [0, 1, 2, 3, 4]
RUNTIME = {"device": "cpu", "precision": "fp32", "torch_threads": 1}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--images", type=int, default=1797)
    parser.add_argument("--heads", nargs="+", default=["logistic", "ridge", "mlp", "knn", "boosted"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds = embed(Path(folder), options.backbone, options.size, options.images)
        print(
            f"{options.backbone} at {options.size} px: {seconds:.1f} s for 1,797 images, {1797 / seconds:.1f} images/s"
        )
        for head in options.heads:
            found, scores = fit(Path(folder), head)
            print(f"{head}: {found:.2f} s, {found / seconds:.2%} of the embeddings; {scores}", flush=True)


def embed(folder: Path, backbone: str, size: int, n_images: int) -> float:
    """Write images, their cache and their embeddings; return processor seconds of the stage for all digits."""
    import cv2
    from sklearn.datasets import load_digits

    from goldfold.base.fingerprint import sha256_of
    from goldfold.cache.images import build
    from goldfold.predictions.arrays import load, save
    from goldfold.stages import embed as stage

    digits = load_digits()
    paths = [folder / f"{number:04d}.png" for number in range(n_images)]
    for path, image in zip(paths, digits.images, strict=False):
        cv2.imwrite(str(path), (image * 15).astype(np.uint8))
    table = pd.DataFrame({"id": [path.stem for path in paths], "path": map(str, paths)})
    build(table.assign(sha256=[sha256_of(path) for path in paths]), folder / "cache", (size, size), 1, "squash")
    model = {
        "network": "timm", "backbone": backbone, "params": {}, "pretrained": False, "partly_pretrained": False,
        "size": [size, size],
    }  # fmt: skip
    settings: dict[str, Any] = {
        "model": model, "resize": "squash", "channels": 1, "views": ["identity"], "batch_size": 64, "runtime": RUNTIME,
    }  # fmt: skip
    start = time.process_time()
    stage.run(path=str(folder / "e.npz"), cache=str(folder / "cache"), **settings)
    seconds = (time.process_time() - start) * len(digits.images) / n_images
    features = load(folder / "e.npz")["features"]
    noise = np.random.default_rng(0).normal(0, features.std(), (len(digits.images), features.shape[1]))
    noise[:n_images] = 0
    whole = features[np.arange(len(digits.images)) % n_images] + noise.astype(np.float32)
    save(folder / "e.npz", {"ids": np.array([f"{n:04d}" for n in range(len(whole))]), "features": whole}.items())
    return seconds


def fit(folder: Path, head: str) -> tuple[float, str]:
    """Write lists of folds, and fit a head to all of them; return processor seconds of the stage, and a score."""
    from sklearn.datasets import load_digits

    from goldfold import catalog
    from goldfold.base.files import write_json
    from goldfold.planning.origins import Origin
    from goldfold.predictions.arrays import load
    from goldfold.stages import heads as stage

    truth, is_number = load_digits().target, head == "ridge"
    column = {"value": truth.astype(str)} if is_number else {"label": truth.astype(str)}
    table = pd.DataFrame({"id": [f"{n:04d}" for n in range(len(truth))], **column})
    train = table[:1437].assign(fold=np.arange(1437) % N_FOLDS)
    train.to_csv(folder / "train.csv", index=False)
    table[1437:][["id"]].to_csv(folder / "test.csv", index=False)
    for fold in range(N_FOLDS):
        split = np.where(train["fold"] == fold, "val", "train")
        train.drop(columns="fold").assign(split=split).to_csv(folder / f"fold{fold}.csv", index=False)
    write_json(folder / "classes.json", ["0 to 9"] if is_number else [str(n) for n in range(10)])
    task = "regression" if is_number else "classification"
    seeds = SEEDS[:1] if Origin(head=head).has_one_seed else SEEDS
    assert head in catalog.HEADS["value" if is_number else "label"]
    start = time.process_time()
    stage.run(
        predictions=str(folder / "predict"), embedded=[str(folder / "e.npz")],
        folds={fold: str(folder / f"fold{fold}.csv") for fold in range(N_FOLDS)}, lists={"test": str(folder / "test.csv")},
        train=str(folder / "train.csv"), classes=str(folder / "classes.json"), task={"name": task}, name=head, head=head,
        embeddings="e", seeds=seeds, n_folds=N_FOLDS,
    )  # fmt: skip
    seconds = time.process_time() - start
    right = []
    for fold in range(N_FOLDS):
        found = load(folder / f"predict/{head}/round0/fold{fold}/seed0/oof.npz")
        known = truth[[int(id) for id in found["ids"]]]
        right += [abs(found["values"] - known) if is_number else found["logits"].argmax(axis=1) == known]
    return seconds, f"{'mean error' if is_number else 'accuracy'} {np.concatenate(right).mean():.3f}"


if __name__ == "__main__":
    main()
