"""Memory and time of many classes: a training step with an embedding, the search for neighbours, and the votes.

    python benchmarks/retrieval.py step [--classes 10000] [--centres 3] [--width 512] [--repeats 5]
    python benchmarks/retrieval.py search [--rows 100000] [--queries 10000] [--classes 10000] [--width 512] [--k 10]
        [--no-faiss] [--repeats 3]

Random images, weights and embeddings, one thread. Prints the peak memory of the process, and processor seconds, median over the
repeats (lowest to highest). One case per start, since a process's peak never falls.
"""

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from goldfold import tasks  # noqa: E402
from goldfold.cases import Inputs  # noqa: E402
from goldfold.losses.arcface import arcface  # noqa: E402
from goldfold.models.neighbours import Neighbours, Votes  # noqa: E402
from goldfold.models.search import Search  # noqa: E402

SIZE, BATCH = 64, 64
"""Side of the images of a training step in pixels, and their number."""


def gigabytes() -> float:
    """Peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def seconds(work: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Processor time of ``work``: median, lowest and highest."""
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return {"median_s": round(statistics.median(taken), 2), "low_s": round(min(taken), 2), "high_s": round(max(taken), 2)}


def step(classes: int, centres: int, width: int, repeats: int) -> dict[str, float]:
    """A training step of resnet18 with an embedding, ArcFace and AdamW."""
    names = [f"class{number}" for number in range(classes)]
    embedding = {"width": width, "neck": "batch_norm", "scale": 30.0, "centres": centres}
    network = tasks.infer({"name": "classification"}, names).model(
        "timm", (SIZE, SIZE), 3, backbone="resnet18", embedding=embedding
    )
    optimizer = torch.optim.AdamW(network.parameters())
    images = torch.randint(0, 256, (BATCH, 3, SIZE, SIZE), dtype=torch.uint8)
    target = functional.one_hot(torch.randint(0, classes, (BATCH,)), classes).float()

    def one() -> None:
        optimizer.zero_grad()
        torch.autograd.backward(arcface(network(Inputs.of(images)), target).mean())
        optimizer.step()

    one()  # which allocates the state of the optimizer
    return {**seconds(one, repeats), "peak_gb": round(gigabytes(), 2)}


def search(
    rows: int, queries: int, classes: int, width: int, k: int, with_faiss: bool, repeats: int
) -> dict[str, float]:
    """The nearest rows to all queries, then their votes for the classes."""
    index, asked = (functional.normalize(torch.randn(n, width)) for n in (rows, queries))
    before, found = gigabytes(), Search(index, with_faiss)
    times, searched = seconds(lambda: found.nearest(asked, k), repeats), gigabytes()
    head = Neighbours(width, classes, Votes(k, "sum", 0.1, 0.5))
    cosines, nearest = found.nearest(asked, k)
    head._log_probabilities(cosines, torch.randint(0, classes, (rows,))[nearest])
    peaks = {"before_gb": before, "search_gb": searched, "with_votes_gb": gigabytes()}
    return {**times, **{name: round(value, 2) for name, value in peaks.items()}}


def main() -> None:
    """Measure one case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["step", "search"])
    for name, default in (("classes", 10000), ("centres", 3), ("width", 512), ("rows", 100000), ("queries", 10000), ("k", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-faiss", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if options.what == "step":
        found = step(options.classes, options.centres, options.width, options.repeats)
    else:
        found = search(
            options.rows, options.queries, options.classes, options.width, options.k, not options.no_faiss, options.repeats
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
