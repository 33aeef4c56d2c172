"""Windows of large images: memory of each stage on images of 6,000 x 6,000, and the gain over squashed images.

    python benchmarks/windows.py memory   # some 5 minutes on two cores
    python benchmarks/windows.py gain     # some 5 minutes

``memory`` runs the whole workflow on three images and prints the largest memory of the jobs of each stage, as Snakemake
measured it. ``gain`` trains the same network on windows of 96 pixels and on whole images squashed to 96 x 96, in two folds,
with the same number of steps, and prints the out-of-fold Dice of both.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
NET: dict[str, Any] = {
    "network": "unet", "backbone": "test_resnet", "params": {"decoder_channels": [16, 12, 8, 8, 8]},
}  # fmt: skip


def written(folder: Path, n: int, side: int, n_discs: int, radius: int, seed: int = 0) -> None:
    """Write grey noise with bright discs, class 1, and equally bright squares, class 2, and their masks."""
    generator = np.random.default_rng(seed)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(n):
        image = generator.integers(40, 110, (side, side, 3), np.uint8)
        mask = np.zeros((side, side), np.uint8)
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
        cv2.imwrite(str(folder / f"images/{number:02d}.png"), image)
        cv2.imwrite(str(folder / f"masks/{number:02d}.png"), mask)


def run(folder: Path, config: dict[str, Any]) -> Path:
    """Run the workflow; return the folder of its results."""
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1",
               "--workflow-profile", str(ROOT / "profiles/default"), "--configfile", "config.yaml"]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-4000:])
    return folder / "results" / str(config["name"])


def config_of(models: list[dict[str, Any]], test: bool, **train: Any) -> dict[str, Any]:
    """Config of a run in two folds."""
    data: dict[str, Any] = {"source": "masks", "train": "train/images", "masks": "train/masks", "shards": 1}
    data |= {"classes": ["disc", "square"], **({"test": "test/images"} if test else {})}
    return {
        "name": "w", "task": "segmentation", "data": data, "models": models, "folds": {"n_folds": 2},
        "train": {"batch_size": 8, "lr": 0.003, "augment": "none", "flips": "both", **train},
        "report": {"gallery": 2},
    }  # fmt: skip


def memory(folder: Path) -> None:
    """Print the largest memory of the jobs of each stage."""
    written(folder / "train", 2, 6000, 200, 20)
    written(folder / "test", 1, 6000, 200, 20, seed=1)
    models = [
        {"name": name, **NET, "image_size_px": 512, "windows": {"overlap": overlap, "per_image": 8}}
        for name, overlap in (("a", 0.25), ("b", 0.0))
    ]
    results = run(folder, config_of(models, True, epochs=1, warmup_epochs=0, batch_size=4))
    for stage in ("manifest", "cache", "train", "predict", "ensemble", "submit", "report"):
        files = [*(results / "benchmarks").glob(f"{stage}.tsv"), *(results / "benchmarks" / stage).rglob("*.tsv")]
        table = pd.concat([pd.read_csv(path, sep="\t") for path in files])
        largest, longest = (pd.to_numeric(table[name], errors="coerce").max() for name in ("max_rss", "s"))
        print(f"{stage:10} {largest:7.0f} MB   {longest:5.0f} s   ({len(files)} jobs)", flush=True)


def gain(folder: Path) -> None:
    """Print the out-of-fold Dice with windows and with squashed images."""
    written(folder / "train", 16, 512, 20, 5)
    models = {
        "windows": ({**NET, "image_size_px": 96, "windows": True}, 12),
        "squashed": ({**NET, "image_size_px": 96}, 12 * 29),  # windows have 29 samples per image and epoch
    }
    for name, (model, epochs) in models.items():
        settings = {"epochs": epochs, "warmup_epochs": epochs // 12, "validate_every": epochs}
        results = run(folder, config_of([{"name": name, **model}], False, **settings) | {"name": name})
        score = json.loads((results / "metrics.json").read_text())["oof"]["dice"]
        print(f"{name:10} Dice {score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f})", flush=True)


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("memory", "gain"))
    what = parser.parse_args().what
    with tempfile.TemporaryDirectory() as folder:
        {"memory": memory, "gain": gain}[what](Path(folder))


if __name__ == "__main__":
    main()
