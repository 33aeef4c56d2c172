"""Heat maps of points: what a network is trained to give."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

REACH = 4.0
"""Standard deviations up to which a Gaussian is drawn (its value there is 0.0003)."""


def heat_maps(
    points: Sequence[Tensor],
    labels: Sequence[Tensor],
    shape: tuple[int, int, int],
    stride: tuple[float, float],
    sigma: float,
) -> tuple[Tensor, Tensor]:
    """Draw a Gaussian of height 1 around each point, the larger value where two overlap.

    Args:
        points: (n, 2) x, y of each image in pixels of the network's input, from its corner.
        labels: (n,) class of each point.
        shape: classes, height and width of the maps.
        stride: input pixels per pixel of a map, down and across.
        sigma: standard deviation in pixels of the input.

    Returns:
        The maps (images, *shape), exact to the fraction of a pixel; True at the pixel that holds a point, same shape.
    """
    (n_classes, height, width), (down, across) = shape, stride
    places, classes = torch.cat([*points]), torch.cat([*labels])
    lengths = torch.tensor([len(one) for one in points], device=places.device)
    planes = torch.repeat_interleave(torch.arange(len(points), device=places.device), lengths) * n_classes + classes
    rows = (places[:, 1] / down).long().clamp(0, height - 1)
    columns = (places[:, 0] / across).long().clamp(0, width - 1)
    maps = torch.zeros(len(points) * n_classes * height * width, device=places.device)
    peaks = torch.zeros(len(maps), dtype=torch.bool, device=places.device)
    peaks[(planes * height + rows) * width + columns] = True
    y, down_values = _around(rows, places[:, 1], down, sigma)
    x, across_values = _around(columns, places[:, 0], across, sigma)
    inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
    at = (planes[:, None, None] * height + y[:, :, None]) * width + x[:, None, :]
    values = down_values[:, :, None] * across_values[:, None, :]
    maps.scatter_reduce_(0, at[inside], values[inside], "amax")
    return maps.view(len(points), *shape), peaks.view(len(points), *shape)


def _around(pixels: Tensor, places: Tensor, stride: float, sigma: float) -> tuple[Tensor, Tensor]:
    """Return pixels (n, k) of a map near each place (n,) along one side, and the Gaussian at their centres."""
    reach = math.ceil(REACH * sigma / stride)
    near = pixels[:, None] + torch.arange(-reach, reach + 1, device=pixels.device)
    return near, torch.exp(-0.5 * (((near + 0.5) * stride - places[:, None]) / sigma).square())
