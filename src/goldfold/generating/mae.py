"""Masked autoencoder: training images, parts of which are replaced by what a network expects there (He et al. 2022)."""

import math
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from goldfold.base.counter import counter
from goldfold.base.errors import ConfigError
from goldfold.generating.protocol import Given, Made

N_PATCHES = 8
"""Wanted number of patches along the shorter side."""
BATCH = 256
"""Images that are completed at once."""
SPREAD = 1e-3
"""Smallest standard deviation of pixels of 0..1 that they are divided by."""


@dataclass(frozen=True)
class _Settings:
    """Parameters of `mae`."""

    steps: int
    mask: float
    patch_px: int | None
    width: int
    depth: int
    decoder_depth: int
    batch_size: int
    lr: float

    def __post_init__(self) -> None:
        if not 0 < self.mask < 1:
            raise ConfigError(f"mae: mask = {self.mask:g} must lie between 0 and 1, without the ends")
        if min(self.steps, self.depth, self.decoder_depth, self.batch_size) < 1 or self.lr <= 0:
            raise ConfigError("mae: steps, depth, decoder_depth and batch_size must be at least 1, and lr above 0")
        if self.width % 8 or self.width < 16:
            raise ConfigError(f"mae: width = {self.width} must be a multiple of 8, at least 16")


def mae(
    given: Given,
    steps: int = 1000,
    mask: float = 0.5,
    patch_px: int | None = None,
    width: int = 128,
    depth: int = 4,
    decoder_depth: int = 2,
    batch_size: int = 64,
    lr: float = 1e-3,
) -> Made:
    """Train on the given images, and complete each ``per_image`` times with other patches masked; what is visible keeps its
    pixels, and all images their target.

    Args:
        steps: training steps.
        mask: share of the patches that are masked in training, and replaced in the images made.
        patch_px: side of the square patches; by default the divisor of height and width that is nearest to an eighth of the
            shorter side.
        width: numbers per patch in the network.
        depth: blocks of the encoder.
        decoder_depth: blocks of the decoder, of half the width.
        batch_size: images per step.
        lr: largest learning rate; warmed up over a twentieth of the steps, then lowered along a cosine.

    Raises:
        ConfigError: a parameter is outside its range, or patches do not tile the images.
    """
    how = _Settings(1 if given.is_trial else steps, mask, patch_px, width, depth, decoder_depth, batch_size, lr)
    n, height, across, channels = given.images.shape
    patch = patch_px or nearest_patch(height, across)
    check_patch(patch, height, across)
    pixels = _Patches(given.images, patch)
    network = _network(how, (pixels.down, pixels.across), patch * patch * channels, given)
    loss = _train(how, network, pixels, given)
    rows = np.tile(np.arange(n), given.per_image)
    images = np.empty((len(rows), height, across, channels), np.uint8)
    network.eval()
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        seen = _drawn(mask, len(part), pixels.n, (*given.key, "made", start))
        with torch.inference_mode():
            found = network(pixels[part].to(given.device), seen.to(given.device)).cpu()
        images[start : start + len(part)] = pixels.completed(part, found, seen)
    return Made(images, rows, {"loss": loss})


def _drawn(mask: float, n: int, n_patches: int, key: tuple[int | str, ...]) -> Tensor:
    """Draw the patches of ``n`` images that are seen, (n, kept), in ascending order."""
    kept = min(max(round((1 - mask) * n_patches), 1), n_patches - 1)
    order = np.random.default_rng(counter(*key)).random((n, n_patches)).argsort(axis=1)
    return torch.from_numpy(np.sort(order[:, :kept], axis=1))


def _train(how: _Settings, network: nn.Module, pixels: "_Patches", given: Given) -> float:
    """Return the mean loss of the last tenth of the steps: squared error of masked pixels, in units of their variance."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=how.lr, weight_decay=0.05, betas=(0.9, 0.95))
    generator, n, losses = np.random.default_rng(counter(*given.key, "rows")), len(given.images), list[Tensor]()
    network.train()
    with closing(given.progress(how.steps, "steps")) as bar:
        for step in range(how.steps):
            for group in optimizer.param_groups:
                group["lr"] = how.lr * _rate((step + 1) / how.steps)
            rows = generator.choice(n, min(how.batch_size, n), replace=False)
            seen = _drawn(how.mask, len(rows), pixels.n, (*given.key, "masks", step)).to(given.device)
            wanted = pixels[rows].to(given.device)
            loss = _of_masked(network(wanted, seen), wanted, seen)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.detach())
            bar.advance(1)
    return float(torch.stack(losses[-max(how.steps // 10, 1) :]).mean())


def nearest_patch(height: int, width: int) -> int:
    """Divisor of height and width, at least 2, that is nearest to an eighth of the shorter side; 1 if there is none.

    >>> nearest_patch(32, 32), nearest_patch(72, 96), nearest_patch(31, 32)
    (4, 8, 1)
    """
    wanted, common = min(height, width) / N_PATCHES, math.gcd(height, width)
    found = [side for side in range(2, min(height, width) // 2 + 1) if common % side == 0]
    return min(found, key=lambda side: (abs(side - wanted), side), default=1)


def check_patch(patch: int, height: int, width: int) -> None:
    """Refuse patches that do not tile an image, or of which there would be one or too many.

    Raises:
        ConfigError: the image has to have another size, or the patches.
    """
    if height % patch or width % patch or patch < 2 or height * width <= patch * patch:
        raise ConfigError(
            f"mae: patches of {patch} px do not tile images of {height} x {width} px. Set patch_px to a common divisor of height "
            f"and width, at least 2, or an image_size_px that has one, such as a multiple of 8."
        )


def _rate(done: float) -> float:
    """Share of the learning rate after a share of the steps."""
    return min(done * 20, 1.0) * 0.5 * (1 + math.cos(math.pi * done))


def _statistics(images: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, of pixels of 0..1."""
    scaled = images.reshape(-1, images.shape[-1]) / 255.0
    mean, std = scaled.mean(axis=0), np.maximum(scaled.std(axis=0), SPREAD)
    return torch.from_numpy(mean).float(), torch.from_numpy(std).float()


class _Patches:
    """Standardised pixels of images by patch, (rows, patches, pixels of a patch)."""

    def __init__(self, images: NDArray[np.uint8], patch: int) -> None:
        self.images, self.patch = images, patch
        self.mean, self.std = _statistics(images)
        _, height, width, _ = images.shape
        self.down, self.across = height // patch, width // patch
        self.n = self.down * self.across

    def __getitem__(self, rows: NDArray[np.int64]) -> Tensor:
        scaled = (torch.from_numpy(self.images[rows]).float() / 255 - self.mean) / self.std
        channels = scaled.shape[-1]
        tiled = scaled.reshape(len(rows), self.down, self.patch, self.across, self.patch, channels)
        return tiled.permute(0, 1, 3, 2, 4, 5).reshape(len(rows), self.n, -1)

    def completed(self, rows: NDArray[np.int64], found: Tensor, seen: Tensor) -> NDArray[np.uint8]:
        """Images of ``rows`` whose patches that are not ``seen`` are those ``found``."""
        channels = self.images.shape[-1]
        tiled = found.reshape(len(rows), self.down, self.across, self.patch, self.patch, channels)
        tiled = tiled.permute(0, 1, 3, 2, 4, 5).reshape(len(rows), *self.images.shape[1:])
        pixels = ((tiled * self.std + self.mean) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
        is_seen = torch.zeros(len(rows), self.n, dtype=torch.bool).scatter_(1, seen, True)
        keeps = is_seen.reshape(len(rows), self.down, self.across).numpy()
        keeps = keeps.repeat(self.patch, axis=1).repeat(self.patch, axis=2)[..., None]
        return np.where(keeps, self.images[rows], pixels)


class _Network(nn.Module):
    """Encoder of the patches seen, and decoder of all."""

    place: Tensor
    place_decoded: Tensor

    def __init__(self, how: _Settings, grid: tuple[int, int], n_pixels: int) -> None:
        super().__init__()
        half = how.width // 2
        self.embed, self.predict = nn.Linear(n_pixels, how.width), nn.Linear(half, n_pixels)
        self.narrow, self.masked = nn.Linear(how.width, half), nn.Parameter(torch.randn(1, 1, half) * 0.02)
        self.encoder = nn.Sequential(*(Block(how.width, _heads(how.width)) for _ in range(how.depth)))
        self.decoder = nn.Sequential(*(Block(half, _heads(half)) for _ in range(how.decoder_depth)))
        self.norm, self.norm_decoded = nn.LayerNorm(how.width), nn.LayerNorm(half)
        self.register_buffer("place", positions(grid, how.width))
        self.register_buffer("place_decoded", positions(grid, half))

    def forward(self, patches: Tensor, seen: Tensor) -> Tensor:
        """Return all patches (batch, patches, pixels) from those ``seen`` (batch, kept)."""
        kept = patches.gather(1, seen[..., None].expand(-1, -1, patches.shape[-1]))
        known = self.norm(self.encoder(self.embed(kept) + self.place[seen]))
        every = self.masked.expand(*patches.shape[:2], -1)
        index = seen[..., None].expand(-1, -1, every.shape[-1])
        every = every.scatter(1, index, self.narrow(known).to(every.dtype))
        decoded: Tensor = self.predict(self.norm_decoded(self.decoder(every + self.place_decoded)))
        return decoded


def _heads(width: int) -> int:
    """Number of attention heads: of 32 numbers each, or of more if these do not divide the width."""
    return next(heads for heads in range(max(width // 32, 1), 0, -1) if width % heads == 0)


def positions(grid: tuple[int, int], width: int) -> Tensor:
    """Sines and cosines of the places of patches, (patches, width): a half for each direction (Vaswani et al. 2017)."""
    quarter = width // 4
    rates = 1 / 10_000 ** (torch.arange(quarter) / quarter)
    down, across = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    angles = [place.reshape(-1, 1).float() * rates for place in (down, across)]
    return torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], dim=1)


def _network(how: _Settings, grid: tuple[int, int], n_pixels: int, given: Given) -> _Network:
    """Build the network with weights drawn by the key alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.default_rng(counter(*given.key, "weights")).integers(2**63)))
        return _Network(how, grid, n_pixels).to(given.device)


def _of_masked(found: Tensor, wanted: Tensor, seen: Tensor) -> Tensor:
    """Mean squared error of the patches that are not seen."""
    is_masked = torch.ones(wanted.shape[:2], device=wanted.device).scatter_(1, seen, 0.0)
    of_patch = ((found - wanted) ** 2).mean(dim=2)
    return (of_patch * is_masked).sum() / is_masked.sum()
