"""Input sizes, parameters and speed of networks by name."""

import time
from contextlib import suppress
from statistics import median
from typing import Any

import torch
from torch import nn

from goldfold.base.errors import GoldfoldError
from goldfold.models import build
from goldfold.models.timm_models import input_size
from goldfold.signatures import read

N_CLASSES, CHANNELS = 10, 3
BATCH = 8
"""Images of a pass."""
SECONDS, MOST_PASSES = 1.0, 50
"""Time that passes of a network are repeated for, and the largest number of them."""
MOST_PARAMETERS = 500_000_000
"""Largest network that is measured."""
SMALL_PX, DENSE_PX = 32, 256
"""Sides of the images of networks for small images, and of networks for masks and boxes."""
BACKBONES = {"dpt": "vit_tiny_patch16_224"}
"""Backbones of networks that do not take `BACKBONE`."""
BACKBONE = "resnet18"


def backbone_of(place: str, name: str) -> str | None:
    """Return the backbone that a network of the catalog, defined at ``place``, is described on; None if it takes none."""
    takes = {one.name for one in read(place).parameters}
    return BACKBONES.get(name, BACKBONE) if "backbone" in takes else None


def size_of(name: str, kind: str) -> tuple[int, int]:
    """Return the input size (height, width) that a network is described at: a backbone's own, or a usual one."""
    if kind == "backbone":
        return input_size(name)
    if kind == "values":
        return SMALL_PX, SMALL_PX
    return (224, 224) if name in BACKBONES else (DENSE_PX, DENSE_PX)


def n_parameters(name: str, backbone: str | None, size: tuple[int, int]) -> int | None:
    """Return the number of parameters of a network; None if it cannot be built here."""
    with suppress(GoldfoldError), torch.device("meta"):
        return sum(value.numel() for value in _built(name, backbone, size).parameters())
    return None


def images_per_second(name: str, backbone: str | None, size: tuple[int, int]) -> float:
    """Return the images per second of prediction: the median over passes of `BATCH` images, with random weights."""
    device = torch.device(_device())
    torch.manual_seed(0)
    network = _built(name, backbone, size).eval().to(device).to(memory_format=torch.channels_last)
    images = torch.rand(BATCH, CHANNELS, *size, device=device).contiguous(memory_format=torch.channels_last)
    times, start = list[float](), time.perf_counter()
    with torch.inference_mode():
        network(images)
        while not times or (time.perf_counter() - start < SECONDS and len(times) < MOST_PASSES):
            before = time.perf_counter()
            network(images)
            if device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - before)
    return BATCH / median(times)


def machine() -> dict[str, str | int]:
    """Return what the speed depends on: device, threads, images of a batch, precision."""
    device = _device()
    named = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    return {"device": named, "threads": torch.get_num_threads(), "batch": BATCH, "precision": "float32"}


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _built(name: str, backbone: str | None, size: tuple[int, int]) -> nn.Module:
    on: dict[str, Any] = {} if backbone is None else {"backbone": backbone}
    return build(name, n_classes=N_CLASSES, in_channels=CHANNELS, image_size=size, **on)
