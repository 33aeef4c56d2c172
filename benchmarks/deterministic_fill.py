"""What filling fresh tensors costs in training: torch's deterministic mode with its NaN and without, in turn.

    python benchmarks/deterministic_fill.py [--pairs 80] [--size 64] [--batch 32]

Two trainings of the same network on one core take a step each in turn, one with the filling (torch's default) and one
without (goldfold's setting), the first of a pair by turns. Ratios are with / without, of wall and of processor time, pair by
pair. The weights of both must be equal to the byte at the end, or the script ends in an error.
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

WARM_UP = 4
"""Pairs that do not count."""


class Run:
    """A training of its own, a step at a time; two of one backbone see and draw the same."""

    def __init__(self, backbone: str, fills: bool, size: int, batch: int) -> None:
        self.fills, shape = fills, {"n_classes": 10, "in_channels": 3, "image_size": (size, size)}
        with seeded("benchmark", backbone):
            self.network = Normalised(models.build("timm", backbone=backbone, **shape), 3).train()
            self.images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8)
            self.labels = torch.randint(0, 10, (batch,))
        self.optimizer = optim.build_optimizer(self.network, "adamw", 1e-3, 0.05)

    def step(self) -> tuple[float, float]:
        """Wall and processor seconds of a step."""
        torch.utils.deterministic.fill_uninitialized_memory = self.fills
        wall, cpu = time.perf_counter(), time.process_time()
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(self.network(self.images), self.labels).backward()
        self.optimizer.step()
        return time.perf_counter() - wall, time.process_time() - cpu

    def bytes(self) -> bytes:
        """All weights."""
        return b"".join(value.numpy().tobytes() for value in self.network.state_dict().values())


def measure(backbone: str, pairs: int, size: int, batch: int) -> None:
    """Print the ratios of a backbone with their spread."""
    filled, plain = (Run(backbone, fills, size, batch) for fills in (True, False))
    rows = []
    for number in range(pairs + WARM_UP):
        order = (filled, plain) if number % 2 else (plain, filled)
        seconds = {run.fills: run.step() for run in order}
        rows.append([seconds[True][part] / seconds[False][part] for part in (0, 1)])
    if filled.bytes() != plain.bytes():
        sys.exit(f"{backbone}: the weights differ")
    for name, ratios in zip(("wall", "processor"), zip(*rows[WARM_UP:], strict=True), strict=True):
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(
            f"{backbone} {name} time, with / without: median {middle:.3f} (quartiles {low:.3f} to {high:.3f}), {pairs} pairs"
        )
    print(f"{backbone}: the same bytes after {pairs + WARM_UP} steps", flush=True)


def main() -> None:
    """Measure each backbone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (("pairs", 80), ("size", 64), ("batch", 32)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--backbones", nargs="+", default=["resnet18", "convnext_atto"])
    words = parser.parse_args()
    deterministic(1)
    for backbone in words.backbones:
        measure(backbone, words.pairs, words.size, words.batch)


if __name__ == "__main__":
    main()
