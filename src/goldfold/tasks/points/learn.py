"""Batches of images with points, and their loss.

In samples, ``keypoints`` (n, 2) are x, y of the pixels' centres, as albumentations counts them: the first pixel is at 0. With
classes that change places in mirror images, the last three of them, of negative labels, show whether an image was mirrored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold import catalog, components
from goldfold.tasks.points.spec import Spec

if TYPE_CHECKING:
    from torch import nn

    from goldfold.cases import Batch
    from goldfold.losses import Losses

CENTRE = 0.5
"""Centre of the first pixel, from the corner of the image."""
AXES = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
"""Places that move with the image, by which a mirrored one is known."""
OF_AXES = np.array([-1, -2, -3])
"""Their labels."""
SIGMAS = 3.0
"""Standard deviations in the radius of a peak."""


def in_samples(points: NDArray[Any], labels: NDArray[Any], has_mirror: bool) -> dict[str, Any]:
    """Return the fields of a sample for points (n, 2) in pixels of the frame, from its corner."""
    places, names = points - CENTRE, labels
    if has_mirror:
        places, names = np.vstack([places, AXES]), np.concatenate([labels, OF_AXES])
    return {"keypoints": places.astype(np.float32).reshape(-1, 2), "labels": names.astype(np.int64)}


class Learn:
    """Training on points in pixels of the network's input."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    @property
    def compose_params(self) -> dict[str, Any]:
        """Settings for points as x, y in pixels; those that leave the image are dropped by `soft`."""
        return {"keypoint_params": {"format": "xy", "label_fields": ["labels"], "remove_invisible": False}}

    def soft(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Return a sample whose points are those inside the image, with the classes that they have in a mirrored one."""
        places = np.asarray(sample["keypoints"], dtype=np.float32).reshape(-1, 2)
        labels = np.asarray(sample["labels"], dtype=np.float64).round().astype(np.int64).reshape(-1)
        is_point = labels >= 0
        if not is_point.all():
            axes = places[~is_point][np.argsort(-labels[~is_point])]
            if np.linalg.det(np.float64(axes[1:] - axes[0])) < 0:
                labels = np.where(is_point, np.array(self.spec.mirrored)[labels.clip(0)], labels)
        height, width = sample["images"].shape[1:3]
        is_point &= ((places >= -CENTRE) & (places <= np.array([width, height]) - CENTRE)).all(axis=1)
        return {**sample, "keypoints": places[is_point], "labels": labels[is_point]}

    def collate(self, samples: list[dict[str, Any]]) -> Batch:
        """Batch samples; targets are, per image, ``points`` (n, 2) in pixels from the corner and ``labels`` (n,)."""
        import torch

        from goldfold.cases import stacked

        ready = [self.soft(sample) for sample in samples]
        targets = [
            {
                "points": torch.from_numpy(one["keypoints"] + np.float32(CENTRE)),
                "labels": torch.from_numpy(one["labels"]),
            }
            for one in ready
        ]
        return stacked(samples, targets)

    def loss(self, loss: components.Several) -> Callable[[nn.Module, Batch], Losses]:
        """Return the mean over the batch, by the weights of the images; heat maps are drawn at the size of the outputs."""
        from goldfold.losses import combined
        from goldfold.losses.heat_maps import heat_maps

        criterion = combined(catalog.LOSSES["points"], loss)

        def mean_loss(model: nn.Module, batch: Batch) -> Losses:
            logits = model(batch.inputs)
            height, width = batch.inputs.images.shape[-2:]
            shape = tuple(logits.shape[1:])
            stride = height / shape[1], width / shape[2]
            points, labels = ([one[name] for one in batch.targets] for name in ("points", "labels"))
            target, peaks = heat_maps(points, labels, shape, stride, self.spec.radius_px / SIGMAS)
            weights = batch.weights
            return criterion(logits, target, peaks).map(lambda each: (each * weights).mean())

        return mean_loss
