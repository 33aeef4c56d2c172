"""What filling fresh tensors costs in training: torch's deterministic mode with its NaN and without, in turn.

    python benchmarks/deterministic_fill.py [--pairs 7] [--steps 12] [--size 64] [--batch 32]

Each pair is one run of so many steps with the filling (torch's default) and one without (goldfold's setting), on one core;
the first pair warms up. Ratios are with / without, of wall and of processor time. The weights of both must be equal to the
byte, or the script ends in an error.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from goldfold import models, optim  # noqa: E402
from goldfold.engine.seeding import deterministic, seeded  # noqa: E402
from goldfold.models.wrapping import Normalised  # noqa: E402


def train(backbone: str, fills: bool, steps: int, size: int, batch: int) -> tuple[float, float, bytes]:
    """Wall and processor seconds of the steps, and the bytes of all weights."""
    deterministic(1)
    torch.utils.deterministic.fill_uninitialized_memory = fills
    with seeded("benchmark", backbone):
        network = Normalised(models.build("timm", backbone=backbone, n_classes=10, in_channels=3, image_size=(size, size)), 3)
        optimizer = optim.build_optimizer(network, "adamw", 1e-3, 0.05)
        images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8)
        labels, network = torch.randint(0, 10, (batch,)), network.train()
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return wall, cpu, b"".join(value.numpy().tobytes() for value in network.state_dict().values())


def main() -> None:
    """Print the ratios of each backbone with their spread."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (("pairs", 7), ("steps", 12), ("size", 64), ("batch", 32)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--backbones", nargs="+", default=["resnet18", "convnext_atto"])
    words = parser.parse_args()
    for backbone in words.backbones:
        rows = []
        for _ in range(words.pairs + 1):
            filled, plain = (train(backbone, fills, words.steps, words.size, words.batch) for fills in (True, False))
            if filled[2] != plain[2]:
                sys.exit(f"{backbone}: the weights differ")
            rows.append([filled[part] / plain[part] for part in (0, 1)])
        for name, ratios in zip(("wall", "processor"), zip(*rows[1:], strict=True), strict=True):
            print(
                f"{backbone} {name} time, with / without: median {statistics.median(ratios):.3f} "
                f"({min(ratios):.3f} to {max(ratios):.3f}), {words.pairs} pairs; same bytes",
                flush=True,
            )


if __name__ == "__main__":
    main()
