"""Detectors of transformers learn 16 images by heart: minutes, so that only `make test-slow` runs them."""

import numpy as np
import pytest
import torch

from goldfold.metrics.detection import AP50, compare
from goldfold.models.query_models import FAMILIES
from test_networks import boxes

N_IMAGES, SIDE_PX = 16, 96
STEPS = {"detr": 1600, "rt_detr_v2": 400, "d_fine": 400}


def scenes() -> tuple[torch.Tensor, list[dict[str, torch.Tensor]]]:
    """Images of noise with one to three bright rectangles, red ones of class 0 and green ones of class 1."""
    generator = np.random.default_rng(0)
    images, targets = generator.integers(0, 64, (N_IMAGES, 3, SIDE_PX, SIDE_PX)), []
    for image in images:
        drawn, labels = [], []
        for _ in range(generator.integers(1, 4)):
            width, height = generator.integers(14, 40, 2)
            x, y, label = (
                generator.integers(0, SIDE_PX - width),
                generator.integers(0, SIDE_PX - height),
                generator.integers(2),
            )
            image[:, y : y + height, x : x + width], image[label, y : y + height, x : x + width] = 90, 240
            drawn.append([x, y, x + width, y + height])
            labels.append(label)
        targets.append({"boxes": torch.tensor(drawn).float(), "labels": torch.tensor(labels)})
    return torch.from_numpy(images).byte(), targets


@pytest.mark.slow
@pytest.mark.parametrize("kind", FAMILIES)
def test_a_detector_learns_16_images_by_heart(kind: str) -> None:
    images, targets = scenes()
    strides = [8] if kind == "detr" else [8, 16]
    model = boxes(kind, n_classes=2, image_size=(SIDE_PX, SIDE_PX), strides=strides, width=64)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3 if kind == "detr" else 2e-3, STEPS[kind])
    for step in range(STEPS[kind]):
        rows = np.random.default_rng(step).permutation(N_IMAGES)[:8]
        optimizer.zero_grad()
        sum(model(images[rows], [targets[row] for row in rows]).values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    with torch.inference_mode():
        found = model.eval()(images)
    truth = [(one["boxes"].double().numpy(), one["labels"].numpy()) for one in targets]
    predictions = [(one["boxes"].double().numpy(), one["scores"].numpy(), one["labels"].numpy()) for one in found]
    score = AP50.value(compare(truth, predictions, 2), np.arange(N_IMAGES))
    print(f"{kind}: AP50 {score:.3f}")
    assert score >= 0.9
