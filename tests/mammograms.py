"""Pictures that a crop must get right: one bright region at a side of a dark scan, a label burnt in, borders, noise."""

from dataclasses import dataclass

import cv2
import numpy as np

DARKEST = 0.25
"""Level of the region's rim as a share of its brightest: skin is far dimmer than glands."""


@dataclass(frozen=True)
class Mammogram:
    """A scan, (height, width) uint8 or uint16, and where its region is: x1, y1, x2, y2."""

    image: np.ndarray
    region: tuple[int, int, int, int]
    kind: str


def mammogram(seed: int, height: int = 500) -> Mammogram:
    """A region at the left or the right; which label, border, type and range of values there is depends on the seed."""
    generator = np.random.default_rng((1, seed))
    width = round(height * generator.uniform(0.7, 0.9))
    levels, shape = _breast(generator, height, width)
    ground = generator.uniform(0.0, 0.03)
    levels = np.where(shape, levels, ground)
    levels += generator.normal(0, generator.uniform(0.002, 0.02), levels.shape)
    speckle = generator.random(levels.shape) < 0.0005
    levels[speckle] = 1.0
    if generator.random() < 0.5:
        levels, shape = levels[:, ::-1].copy(), shape[:, ::-1].copy()
    kind = [_label(generator, levels, shape), _border(generator, levels)]
    deep = generator.random() < 0.5
    if deep:
        brightest = int(generator.choice([1023, 4095, 16383, 65535]))
        image = np.round(levels.clip(0, 1) * brightest).astype(np.uint16)
        kind.append(f"16 bit to {brightest}")
    else:
        image = np.round(levels.clip(0, 1) * 255).astype(np.uint8)
        kind.append("8 bit")
    x, y = np.flatnonzero(shape.any(axis=0)), np.flatnonzero(shape.any(axis=1))
    return Mammogram(image, (int(x[0]), int(y[0]), int(x[-1]) + 1, int(y[-1]) + 1), ", ".join(kind))


def _breast(generator: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Levels and shape of half an ellipse at the left, dim at its rim, with bright glands and a nipple."""
    tall, wide = height * generator.uniform(0.22, 0.42), width * generator.uniform(0.3, 0.65)
    middle = height * generator.uniform(0.45, 0.55)
    y, x = np.mgrid[:height, :width]
    inside = 1 - ((y - middle) / tall) ** 2 - (x / wide) ** 2
    shape = inside > 0
    nipple = (y - middle) ** 2 + (x - wide) ** 2 < (0.02 * height) ** 2
    shape |= nipple
    brightest = generator.uniform(0.35, 0.9)
    rim = (DARKEST + (1 - DARKEST) * np.sqrt(inside.clip(0, 1))) * brightest
    glands = cv2.resize(generator.uniform(0.75, 1.1, (12, 10)), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.where(shape, rim * glands, 0.0), shape


def _label(generator: np.random.Generator, levels: np.ndarray, shape: np.ndarray) -> str:
    """Letters or a bright plate in a corner away from the region."""
    height, width = levels.shape
    kind = str(generator.choice(["no label", "letters", "plate"]))
    is_right = not shape[:, -1].any()
    top = int(generator.choice([0.03, 0.9]) * height)
    wide, high = int(0.22 * width), int(0.06 * height)
    left = width - wide - int(0.04 * width) if is_right else int(0.04 * width)
    if kind == "letters":
        scale = height / 500
        canvas = np.zeros(levels.shape, np.uint8)
        cv2.putText(
            canvas, "R CC 17", (left, top + high), cv2.FONT_HERSHEY_SIMPLEX, 0.6 * scale, 255, max(1, round(2 * scale))
        )
        levels[(canvas > 0) & ~shape] = 1.0
    if kind == "plate":
        place = np.s_[top : top + high, left : left + wide]
        levels[place] = np.where(shape[place], levels[place], 1.0)
    return kind


def _border(generator: np.random.Generator, levels: np.ndarray) -> str:
    """A bright strip along some edges, 1 to 4 % of the height thick."""
    kind = str(generator.choice(["no border", "border", "border all round"]))
    thick = int(levels.shape[0] * generator.uniform(0.01, 0.04))
    views = [levels, levels[::-1], levels.T, levels.T[::-1]]
    chosen = {"no border": [], "border": [views[generator.integers(4)]], "border all round": views}[kind]
    for lines in chosen:
        lines[:thick] = generator.uniform(0.8, 1.0)
    return kind
