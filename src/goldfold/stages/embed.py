"""Stage embed: cached images and the weights of a backbone -> embeddings, the inputs of its last layer."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.backbones import backbone, digest
from goldfold.base.status import Progress
from goldfold.cache.images import CachedImages
from goldfold.cache.shrunk import at_size
from goldfold.components import Written
from goldfold.embeddings import CASES
from goldfold.engine.device import accelerator as build_accelerator
from goldfold.images.depth import DEFAULT, Rule
from goldfold.inference import views as all_views
from goldfold.inference.embedding import Embedder
from goldfold.inference.predictor import Predictor
from goldfold.predictions.arrays import save


def run(
    path: str,
    cache: str,
    model: dict[str, Any],
    resize: str,
    channels: int,
    views: Sequence[Written],
    batch_size: int,
    runtime: dict[str, Any],
    scale_16bit: Rule = DEFAULT,
) -> dict[str, Any]:
    """Write the embeddings of the images of one cache shard to ``path``; return the facts.

    Args:
        cache: folder of the cache shard.
        model: network, backbone, params, weights and size, as for `goldfold.inference.predictor.build`.
        resize: how images were put into the frame of the cache.
        views: views of each image, over which embeddings are averaged.
        scale_16bit: rule that converts cached 16-bit images to 8 bits.
    """
    accelerator = build_accelerator(runtime["device"], runtime["precision"], runtime["torch_threads"])
    network = backbone(model, channels)
    images = CachedImages([cache], scale_16bit)
    table = pd.DataFrame({"id": [*images.place]}, dtype=str)  # the images of a case may be in several shards
    predictor = Predictor(
        network.to(accelerator.device),
        Embedder(),
        resize,
        accelerator.device,
        all_views.build(views),
        accelerator.autocast,
    )
    progress = Progress(len(table), "images")
    entries = predictor.entries(table, at_size(images, model["size"], resize), batch_size, progress.advance)
    save(Path(path), [*entries, *_cases(images, table["id"])])
    progress.close()
    if not model["pretrained"]:
        print("the weights are random (pretrained: false): embeddings say little about the images", flush=True)
    return {"embedding": {"n": len(table), "pretrained": model["pretrained"], "weights": digest(network)}}


def _cases(images: CachedImages, ids: Iterable[str]) -> Iterator[tuple[str, NDArray[np.str_]]]:
    """Yield the case of each image, where cases have several."""
    case_of = {id: case for case, own in images.cases.items() for id in own}
    if case_of:
        yield CASES, np.array([case_of[id] for id in ids], dtype=str)
