"""Images and labels of a fold in YOLO's form, as ultralytics reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from goldfold.base.errors import TrainingError

FASTEST = (cv2.IMWRITE_PNG_COMPRESSION, 1)


def write(
    folder: Path, ids: Sequence[str], images: Any, targets: Sequence[Mapping[str, Any]], classes: Sequence[str]
) -> None:
    """Write ``data.yaml``, and an image and a label file per case, named by its number.

    Only the training cases are written: goldfold validates itself.

    Args:
        images: at the network's input size, see `goldfold.inference.loading.Images`.
        targets: ``bboxes`` (n, 4), x1 y1 x2 y2 in pixels of the frame, and ``labels`` (n,) of each case.

    Raises:
        TrainingError: no image has a box, which the trainer of ultralytics cannot train on.
    """
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    height, width = images.frame
    texts = [label_text(target["bboxes"], target["labels"], (height, width)) for target in targets]
    if not any(texts):
        raise TrainingError(
            "no training image of this fold has a box, so ultralytics cannot be trained. Use fewer folds, a splitter that "
            "balances objects, or another network."
        )
    for number, (id, text) in enumerate(zip(ids, texts, strict=True)):
        pixels, _ = images.case_batch([id])
        _write_image(folder / "images" / f"{number:07d}.png", pixels[0, 0])
        (folder / "labels" / f"{number:07d}.txt").write_text(text, encoding="utf-8")
    channels = int(images.case_batch(ids[:1])[0].shape[-1])
    (folder / "data.yaml").write_text(yaml.safe_dump(data_of(folder, classes, channels)), encoding="utf-8")


def data_of(folder: Path, classes: Sequence[str], channels: int) -> dict[str, Any]:
    """Return the content of ``data.yaml``; ``val`` is required, but never read."""
    named = dict(enumerate(classes))
    images = str(folder / "images")
    return {"path": str(folder), "train": images, "val": images, "nc": len(named), "names": named, "channels": channels}


def label_text(boxes: Any, labels: Any, size: tuple[int, int]) -> str:
    """Return the lines of a label file: class, centre and size of each box as fractions of the image; "" without boxes.

    >>> label_text([[0, 0, 32, 16]], [1], (32, 64))
    '1 0.25 0.25 0.5 0.5\\n'

    Args:
        boxes: (n, 4), x1 y1 x2 y2 in pixels.
        labels: (n,) numbers of classes.
        size: height and width in pixels.
    """
    corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4) / [size[1], size[0], size[1], size[0]]
    corners = corners.clip(0, 1)
    centred = np.hstack([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]])
    rows = zip(np.asarray(labels, dtype=int).reshape(-1), centred, strict=True)
    return "".join(f"{label} {' '.join(f'{value:.9g}' for value in row)}\n" for label, row in rows)


def _write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an image (height, width, channels) of 1 or 3 channels without loss."""
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.shape[-1] == 3 else image
    written, content = cv2.imencode(".png", stored, FASTEST)
    if not written:
        raise TrainingError(f"{path}: cannot be encoded as PNG")
    path.write_bytes(content.tobytes())
