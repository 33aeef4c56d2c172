"""Detection on windows of large images: gain over squashed images, memory on 6,000 x 6,000, and ways to join boxes.

    python benchmarks/window_boxes.py gain     # some 10 minutes on one core
    python benchmarks/window_boxes.py memory   # some 3 minutes
    python benchmarks/window_boxes.py joining  # seconds

``gain`` trains the same detector on windows of 96 pixels and on whole images squashed to 96 x 96, in two folds, with the same
number of steps, and prints the out-of-fold AP50 of both. ``memory`` predicts one image with a network of random weights that
finds up to 100 boxes in each window. ``joining`` gives the true boxes, clipped to each window, and boxes as a
network might find them, to goldfold and to plain suppression and merging as of SAHI (Akyon et al. 2022).
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from windows import CLASSES, SIDE, run, written

NET: dict[str, Any] = {"network": "fcos", "backbone": "test_resnet", "params": {"width": 32, "strides": [4, 8, 16]}}
WINDOW = 64


def coco(folder: Path, objects: list[list[tuple[int, ...]]], side: int) -> None:
    """Write the boxes as COCO JSON."""
    boxes = [(image, *one) for image, of_image in enumerate(objects) for one in of_image]
    images = [{"id": n, "file_name": f"{n:02d}.png", "width": side, "height": side} for n in range(len(objects))]
    annotations = [
        {"id": n, "image_id": image, "category_id": label, "bbox": corner, "area": corner[2] * corner[3], "iscrowd": 0}
        for n, (image, label, *corner) in enumerate(boxes, 1)
    ]
    categories = [{"id": n, "name": name} for n, name in enumerate(CLASSES, 1)]
    made = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "train.json").write_text(json.dumps(made))


def config_of(models: list[dict[str, Any]], **train: Any) -> dict[str, Any]:
    """Config of a run in two folds."""
    data = {"source": "coco", "train": "train/train.json", "images": "train/images", "shards": 1}
    return {
        "name": "w", "task": "detection", "data": data, "models": models, "folds": {"n_folds": 2}, "metric": "ap50",
        "train": {"batch_size": 8, "lr": 0.003, "augment": "none", "flips": "both", "clip_norm": 1.0, **train},
        "report": {"gallery": 2},
    }  # fmt: skip


def gain(folder: Path) -> None:
    """Print the out-of-fold AP50 with windows and with squashed images."""
    coco(folder / "train", written(folder / "train", 16, 384, 8, 6), 384)
    models = {
        "windows": ({**NET, "image_size_px": 96, "windows": True}, 10),
        "squashed": ({**NET, "image_size_px": 96}, 10 * 16),  # windows have 16 samples per image and epoch
    }
    for name, (model, epochs) in models.items():
        settings = {"epochs": epochs, "warmup_epochs": epochs // 10, "validate_every": epochs, "ema_decay": 0.95}
        results = run(folder, config_of([{"name": name, **model}], **settings) | {"name": name})
        for metric in ("ap50", "ap"):
            score = json.loads((results / "metrics.json").read_text())["oof"][metric]
            print(f"{name:10} {metric} {score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f})", flush=True)


def memory(folder: Path) -> None:
    """Print the largest memory of the prediction of one image of 6,000 x 6,000, in a process of its own."""
    from goldfold.stages import cache

    written(folder / "train", 1, SIDE, 200, 20)
    row = {"id": "x", "path": str(folder / "train/images/00.png"), "sha256": "", "width": SIDE, "height": SIDE}
    pd.DataFrame([{**row, "split": "val"}]).to_csv(folder / "shard.csv", index=False)
    cache.run(str(folder / "shard.csv"), str(folder / "cache/native/train-0"), [0, 0], 3, "native")
    start = time.monotonic()
    subprocess.run([sys.executable, __file__, "predict", "--folder", str(folder)], check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"predict: largest memory {peak:.0f} MB, {time.monotonic() - start:.0f} s")


def predict(folder: Path) -> None:
    """Predict the image with a network of random weights that keeps its best 100 boxes of each window."""
    from safetensors.torch import save_file

    from goldfold import tasks
    from goldfold.config import parse, slices
    from goldfold.inference.predictor import build
    from goldfold.predictions.arrays import load
    from goldfold.stages import predict

    task = {"name": "detection"}
    params = {**NET["params"], "score_threshold": 0.0}
    model = {"name": "m", **NET, "params": params, "image_size_px": 512, "windows": {"overlap": 0.25}}
    settings = slices.network(parse(config_of([model], epochs=2)), "m")
    (folder / "classes.json").write_text(json.dumps(CLASSES))
    network = build(tasks.infer(task, CLASSES), settings, 3)
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    predict.run(
        str(folder), str(folder / "shard.csv"), {}, weights=str(folder / "weights.safetensors"),
        classes=str(folder / "classes.json"), caches=[str(folder / "cache/native/train-0")], task=task, model=settings,
        resize="native", channels=3, tta=["identity"], place={"round": 0, "fold": 0, "seed": 0}, batch_size=64,
        runtime={"device": "cpu", "precision": "fp32", "torch_threads": 1},
    )  # fmt: skip
    print(f"{load(folder / 'oof.npz')['counts'].sum():,} boxes")


def joining(folder: Path) -> None:
    """Print AP of ways to join the boxes of windows, and how many score 0.3 or more for each true one.

    Perfect boxes first, then those of a network that is a pixel or two off, misses some parts, and finds false boxes.
    """
    from goldfold.inference.window_boxes import joined
    from goldfold.inference.windows import Grid
    from goldfold.metrics.detection import average_precision, compare

    ways = {
        "goldfold": joined,
        "NMS, IoU 0.5": suppressed,
        "NMM, IOS 0.5": united,
        "NMM, from 0.25": partial(united, least=0.25),
    }
    for n_false, (longest, overlap) in product((0, 10), ((12, 0.25), (40, 0.25), (40, 0.0))):
        truth = [scene(seed, longest) for seed in range(20)]
        grid = Grid.of((300, 300), (WINDOW, WINDOW), overlap)
        parts = [[*seen(grid, *one)] if not n_false else [*guessed(grid, *one, n_false)] for one in truth]
        for name, way in ways.items():
            found = [way(grid, part) for part in parts]
            matches = compare(truth, found, 1)
            ap = average_precision(matches, np.arange(len(truth)))
            n = sum((scores >= 0.3).sum() for _, scores, _ in found) / sum(len(labels) for _, labels in truth)
            what = f"objects up to {longest} px, overlap {overlap}, {n_false} false boxes per window"
            print(f"{what}: {name:13} AP {ap:.3f}, boxes {n:.2f}")


def guessed(grid: Any, boxes: Any, labels: Any, n_false: int) -> Iterator[tuple[Any, Any, Any]]:
    """Boxes as a network might find them: sides off by up to 1.5 pixels; parts below a quarter, and a tenth of all, missing.

    Half of the false boxes lie anywhere, half around true ones; their scores are 0.02 to 0.3, those of true ones 0.5 to 1,
    less for parts.
    """
    generator = np.random.default_rng(len(boxes))
    for clipped, share, label in seen(grid, boxes, labels):
        kept = (share > 0.25) & (generator.random(len(share)) > 0.1)
        true = (clipped[kept] + generator.uniform(-1.5, 1.5, (kept.sum(), 4))).clip(0, WINDOW)
        corners = generator.uniform(0, WINDOW - 6, (n_false, 2))
        false = np.hstack([corners, corners + generator.uniform(6, 40, (n_false, 2))])
        if len(true):
            around = true[generator.integers(len(true), size=n_false // 2)]
            false[: n_false // 2] = around + generator.uniform(-0.5, 0.5, around.shape) * np.tile(
                around[:, 2:] - around[:, :2], 2
            )
        false = false[(false[:, 2:] - false[:, :2] > 2).all(axis=1)].clip(0, WINDOW)
        scores = np.concatenate(
            [generator.uniform(0.5, 1, kept.sum()) * share[kept], generator.uniform(0.02, 0.3, len(false))]
        )
        yield np.vstack([true, false]), scores, np.concatenate([label[kept], np.zeros(len(false), int)])


def scene(seed: int, longest: int) -> tuple[Any, Any]:
    """Boxes of 6 to ``longest`` pixels in 300 x 300 that overlap each other by up to a quarter of the smaller."""
    generator, boxes = np.random.default_rng(seed), np.empty((0, 4))
    for _ in range(60):
        size = generator.integers(6, longest, 2, endpoint=True)
        corner = generator.integers(0, 300 - size)
        box = np.array([*corner, *(corner + size)], float)
        common = (np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])).clip(0).prod(axis=1)
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        if (common <= 0.25 * np.minimum(areas, size.prod())).all():
            boxes = np.vstack([boxes, box])
    return boxes, np.zeros(len(boxes), int)


def seen(grid: Any, boxes: Any, labels: Any) -> Iterator[tuple[Any, Any, Any]]:
    """The parts of the boxes that each window shows; the score is 1 less what is missing."""
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    for top, left in grid:
        corner = np.array([left, top, left, top])
        clipped = (boxes - corner).clip(0, WINDOW)
        share = (clipped[:, 2:] - clipped[:, :2]).prod(axis=1) / areas
        yield clipped[share > 0], share[share > 0], labels[share > 0]


def in_image(grid: Any, parts: Any) -> tuple[Any, Any]:
    """Boxes and scores of all windows, best first."""
    boxes, scores = [], []
    for (top, left), (own, of_own, _) in zip(grid, parts, strict=True):
        boxes.append(own + np.array([left, top, left, top]))
        scores.append(of_own)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return np.concatenate(boxes)[order], np.concatenate(scores)[order]


def suppressed(grid: Any, parts: Any) -> tuple[Any, Any, Any]:
    """Non-maximum suppression of the boxes of all windows."""
    boxes, scores = in_image(grid, parts)
    kept: list[int] = []
    for row in range(len(boxes)):
        common, _, union = measured(boxes[row], boxes[kept])
        if not (common > 0.5 * union).any():
            kept.append(row)
    return boxes[kept], scores[kept], np.zeros(len(kept), int)


def united(grid: Any, parts: Any, least: float = 0.0) -> tuple[Any, Any, Any]:
    """Greedy merging: the best box absorbs all of which it, or which of it, share more than half; all become their union."""
    boxes, scores = in_image(grid, parts)
    boxes, scores = boxes[scores >= least], scores[scores >= least]
    left, made, best = np.ones(len(boxes), bool), [], []
    for row in range(len(boxes)):
        if left[row]:
            common, smaller, _ = measured(boxes[row], boxes)
            own = left & (common > 0.5 * smaller)
            own[row] = True
            made.append([*boxes[own, :2].min(axis=0), *boxes[own, 2:].max(axis=0)])
            best.append(scores[row])
            left &= ~own
    return np.array(made).reshape(-1, 4), np.array(best), np.zeros(len(best), int)


def measured(box: Any, boxes: Any) -> tuple[Any, Any, Any]:
    """Area in common with each of other boxes, area of the smaller of the two, and area of both together."""
    common = (np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])).clip(0).prod(axis=1)
    own, areas = (box[2:] - box[:2]).prod(), (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return common, np.minimum(areas, own), areas + own - common


def main() -> None:
    """Run one of the measurements, or the step of ``memory``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    measurements = {"gain": gain, "memory": memory, "joining": joining, "predict": predict}
    parser.add_argument("what", choices=measurements)
    parser.add_argument("--folder", type=Path, help="folder of the step predict")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measurements[options.what](options.folder or Path(folder))


if __name__ == "__main__":
    main()
