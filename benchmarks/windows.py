"""Windows of large images: memory of each stage on an image of 6,000 x 6,000, and the gain over squashed images.

    python benchmarks/windows.py memory   # some 2 minutes on two cores
    python benchmarks/windows.py gain     # some 5 minutes

``memory`` caches and predicts one image, fuses three members, scores and draws them, and prints the largest memory of these
processes so far. ``gain`` trains the same network on windows of 64 pixels and on whole images squashed to 64 x 64, in two folds,
with the same number of steps, and prints the out-of-fold Dice of both.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import yaml

SIDE = 6000
TASK, CLASSES = {"name": "segmentation", "mask_values": "index", "ignore_value": None}, ["disc", "square"]
ROOT = Path(__file__).resolve().parents[1]
NET: dict[str, Any] = {
    "network": "unet", "backbone": "test_resnet", "params": {"decoder_channels": [16, 12, 8, 8, 8]},
}  # fmt: skip


def written(folder: Path, n: int, side: int, n_discs: int, radius: int, seed: int = 0) -> list[list[tuple[int, ...]]]:
    """Write grey noise with bright discs, class 1, and equally bright squares, class 2, and their masks.

    Returns:
        Class, left, top, width and height of each object, by image.
    """
    generator, objects = np.random.default_rng(seed), []
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(n):
        image = generator.integers(40, 110, (side, side, 3), np.uint8)
        mask = np.zeros((side, side), np.uint8)
        objects.append(list[tuple[int, ...]]())
        for place in range(2 * n_discs):
            x, y = (int(value) for value in generator.integers(2 * radius, side - 2 * radius, 2))
            shape = np.zeros((2 * radius + 1, 2 * radius + 1), np.uint8)
            if place % 2:
                cv2.circle(shape, (radius, radius), radius, 1, -1)
            else:
                shape[1:-1, 1:-1] = 1
            at = np.s_[y - radius : y + radius + 1, x - radius : x + radius + 1]
            image[at][shape > 0] = generator.integers(120, 200, (int(shape.sum()), 3), np.uint8)
            mask[at][shape > 0] = 1 + (place + 1) % 2
            side_px = 2 * radius - 1 + 2 * (place % 2)
            corner = x - side_px // 2, y - side_px // 2
            objects[-1].append((1 + (place + 1) % 2, *corner, side_px, side_px))
        cv2.imwrite(str(folder / f"images/{number:02d}.png"), image)
        cv2.imwrite(str(folder / f"masks/{number:02d}.png"), mask)
    return objects


def run(folder: Path, config: dict[str, Any]) -> Path:
    """Run the workflow; return the folder of its results."""
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1",
               "--workflow-profile", str(ROOT / "profiles/default"), "--configfile", "config.yaml", "--",
               f"results/{config['name']}/metrics.json"]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-4000:])
    return folder / "results" / str(config["name"])


def config_of(models: list[dict[str, Any]], **train: Any) -> dict[str, Any]:
    """Config of a run in two folds."""
    data: dict[str, Any] = {"source": "masks", "train": "train/images", "masks": "train/masks", "shards": 1}
    data |= {"classes": ["disc", "square"]}
    return {
        "name": "w", "task": "segmentation", "data": data, "models": models, "folds": {"n_folds": 2},
        "train": {"batch_size": 8, "lr": 0.003, "augment": "none", "flips": "both", **train},
        "report": {"gallery": 2},
    }  # fmt: skip


def memory(folder: Path) -> None:
    """Print the largest memory of each step, each in a process of its own, for one image of 6,000 x 6,000."""
    written(folder / "train", 1, SIDE, 200, 20)
    for step in STEPS:
        start = time.monotonic()
        command = [sys.executable, __file__, step, "--folder", str(folder)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT / "src")})
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"{step:10} largest so far {children:6.0f} MB, {time.monotonic() - start:5.0f} s", flush=True)


def cache(folder: Path) -> None:
    """Write the image's tiles."""
    from goldfold.stages import cache

    image, mask = (str(folder / f"train/{name}/00.png") for name in ("images", "masks"))
    row = {"id": "x", "path": image, "sha256": "", "mask": mask, "mask_depth": "8", "width": SIDE, "height": SIDE}
    pd.DataFrame([{**row, "split": "val"}]).to_csv(folder / "shard.csv", index=False)
    cache.run(str(folder / "shard.csv"), str(folder / "cache/native/train-0"), [0, 0], 3, "native")


def predict(folder: Path) -> None:
    """Predict the image with a network of random weights."""
    from safetensors.torch import save_file

    from goldfold import tasks
    from goldfold.config import parse, slices
    from goldfold.inference.predictor import build
    from goldfold.stages import predict

    model = {"name": "m", **NET, "image_size_px": 512, "windows": {"overlap": 0.25}}
    settings = slices.network(parse(config_of([model], epochs=2)), "m")
    (folder / "classes.json").write_text(json.dumps(CLASSES))
    network = build(tasks.infer(TASK, CLASSES), settings, 3)
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    predict.run(
        str(folder), str(folder / "shard.csv"), {}, weights=str(folder / "weights.safetensors"),
        classes=str(folder / "classes.json"), caches=[str(folder / "cache/native/train-0")], task=TASK, model=settings,
        resize="native", channels=3, tta=["identity"], place={"round": 0, "fold": 0, "seed": 0}, batch_size=64,
        runtime={"device": "cpu", "precision": "fp32", "torch_threads": 1},
    )  # fmt: skip


def ensemble(folder: Path) -> None:
    """Fuse three members, and score them."""
    from goldfold import tasks
    from goldfold.predictions.arrays import load, save
    from goldfold.tables import read_table

    fused = tasks.output(TASK, CLASSES).fuse([load(folder / "oof.npz")] * 3, [1.0, 1.0, 2.0])
    save(folder / "fused.npz", fused.items())
    score = tasks.score(TASK, CLASSES)
    print(
        score.metric("dice").value(
            score.evidence(load(folder / "fused.npz"), read_table(folder / "shard.csv")), np.arange(1)
        )
    )


def report(folder: Path) -> None:
    """Compare the masks with the true ones and draw them, as the report does."""
    from goldfold.predictions.arrays import load
    from goldfold.tables import read_table
    from goldfold.tasks.segmentation.outcome import compared
    from goldfold.tasks.segmentation.show_images import image_section
    from goldfold.tasks.segmentation.spec import Spec

    image_section(compared(Spec(CLASSES), load(folder / "fused.npz"), read_table(folder / "shard.csv")), 1)


STEPS = {"cache": cache, "predict": predict, "ensemble": ensemble, "report": report}


def gain(folder: Path) -> None:
    """Print the out-of-fold Dice with windows and with squashed images."""
    written(folder / "train", 16, 256, 6, 3)
    models = {
        "windows": ({**NET, "image_size_px": 64, "windows": True}, 10),
        "squashed": ({**NET, "image_size_px": 64}, 10 * 16),  # windows have 16 samples per image and epoch
    }
    for name, (model, epochs) in models.items():
        settings = {"epochs": epochs, "warmup_epochs": epochs // 10, "validate_every": epochs}
        results = run(folder, config_of([{"name": name, **model}], **settings) | {"name": name})
        score = json.loads((results / "metrics.json").read_text())["oof"]["dice"]
        print(f"{name:10} Dice {score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f})", flush=True)


def main() -> None:
    """Run one of the measurements, or a step of the first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("memory", "gain", *STEPS))
    parser.add_argument("--folder", type=Path, help="folder of a step")
    options = parser.parse_args()
    if options.what in STEPS:
        STEPS[options.what](options.folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        {"memory": memory, "gain": gain}[options.what](Path(folder))


if __name__ == "__main__":
    main()
