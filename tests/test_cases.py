"""Cases of one or more images, some missing: as batches, through networks, mixing and views."""

import numpy as np
import pytest
import torch
from torch import nn

from goldfold.cases import Batch, Inputs, stacked
from goldfold.engine.memory import pieces
from goldfold.inference import views
from goldfold.models.wrapping import Normalised
from goldfold.training.validation import CachedOutput
from whole_task import classification

PRESENT = torch.tensor([[True, True], [True, False], [False, True], [True, True]])


def cases(present: torch.Tensor = PRESENT) -> Inputs:
    """Random cases of two views; where there is no image, something that no result may depend on."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (*present.shape, 3, 6, 4), dtype=torch.uint8, generator=generator)
    return Inputs(images, present)


class Mean(nn.Module):
    """Mean of each channel, as logits of three classes; counts the images that it was shown."""

    seen = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen += len(images)
        return images.mean(dim=(2, 3))


def test_samples_become_a_batch_channels_first_in_shape_and_last_in_memory() -> None:
    pixels = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
    samples = [
        {"id": id, "weight": weight, "images": pixels, "present": np.array(present)}
        for id, weight, present in (("x", 1.0, [True, False]), ("y", 0.5, [True, True]))
    ]
    batch = stacked(samples, torch.tensor([3, 4]))
    assert (batch.ids, batch.weights.tolist(), batch.targets.tolist()) == (["x", "y"], [1.0, 0.5], [3, 4])
    assert batch.inputs.images.shape == (2, 2, 3, 4, 6)
    assert batch.inputs.images[:, 1].is_contiguous(memory_format=torch.channels_last) is False  # of a batch of views
    assert batch.inputs.images[0].is_contiguous(memory_format=torch.channels_last)
    assert batch.inputs.images[1, 0, 2, 3, 5] == pixels[0, 3, 5, 2]
    assert batch.inputs.present.tolist() == [[True, False], [True, True]]


def test_images_of_cases_of_one_lie_in_memory_as_a_batch_of_images_does() -> None:
    samples = [{"id": "x", "weight": 1.0, "images": np.zeros((1, 4, 6, 3), np.uint8), "present": np.ones(1, bool)}] * 5
    plain = torch.zeros(5, 4, 6, 3, dtype=torch.uint8).permute(0, 3, 1, 2)
    inputs = stacked(samples, torch.zeros(5)).inputs
    assert inputs.single.stride() == plain.stride()
    assert inputs.map(lambda images: images.float()).single.stride() == plain.stride()


@pytest.mark.parametrize(
    "targets", [torch.arange(4), [torch.zeros(row, 4) for row in range(4)], {"a": torch.arange(4)}]
)
def test_rows_of_a_batch_hold_inputs_targets_and_weights_of_the_same_cases(targets: object) -> None:
    batch = Batch(list("abcd"), cases(), targets, torch.linspace(0, 1, 4))
    (first, last) = pieces(batch, 2)
    assert (first.ids, last.ids) == (["a", "b"], ["c", "d"])
    assert torch.equal(last.inputs.images, batch.inputs.images[2:])
    assert torch.equal(last.inputs.present, PRESENT[2:])
    assert last.inputs.metadata is None
    assert str(last.targets) == str({"a": torch.tensor([2, 3])} if isinstance(targets, dict) else targets[2:])
    assert last.weights.tolist() == pytest.approx([2 / 3, 1.0])


def test_metadata_goes_with_its_case() -> None:
    inputs = Inputs(cases().images, PRESENT, torch.arange(8.0).view(4, 2))
    assert inputs.rows([2, 0]).metadata.tolist() == [[4.0, 5.0], [0.0, 1.0]]
    assert inputs.rows(slice(1, 3)).equals(inputs.rows([1, 2]))
    assert not inputs.equals(cases())
    assert torch.equal(inputs.map(lambda images: images.flip(-1)).metadata, inputs.metadata)


def test_the_output_of_a_case_is_the_mean_over_its_images_and_missing_ones_are_not_computed() -> None:
    network, inputs = Normalised(Mean(), 3), cases()
    made = network(inputs)
    assert network.network.seen == 6
    each = network(inputs.images.flatten(0, 1)).view(4, 2, 3)
    expected = torch.stack([each[0].mean(dim=0), each[1, 0], each[2, 1], each[3].mean(dim=0)])
    torch.testing.assert_close(made, expected)
    one = cases(torch.ones(4, 1, dtype=torch.bool))
    assert torch.equal(network(one), network(one.single))
    with pytest.raises(ValueError, match="cases have 2 images each, where one is needed"):
        _ = inputs.single


def test_views_turn_each_image_of_a_case() -> None:
    (flip,) = views.build(["hflip"])
    made, inputs = cases().map(flip.forward), cases()
    assert torch.equal(made.images, inputs.images.flip(-1))
    assert torch.equal(made.present, PRESENT)
    (turn,) = views.build(["rot90"])
    assert inputs.map(turn.forward).images.shape == (4, 2, 3, 4, 6)
    logits = classification("abc").predict(Normalised(Mean(), 3), inputs, views.build(["identity", "hflip"]))["logits"]
    expected = Normalised(Mean(), 3)(inputs).log_softmax(dim=1)
    assert logits == pytest.approx(expected.numpy(), abs=1e-5)


def test_validation_asks_the_network_once_for_cases_that_it_was_given_before() -> None:
    network = Normalised(Mean(), 3)
    remembered, inputs = CachedOutput(network), cases()
    first = remembered(inputs)
    remembered.rows = slice(1, 3)
    assert torch.equal(remembered(inputs.rows([1, 2])), first[1:3])
    assert network.network.seen == 6
    others = Inputs(inputs.images[1:3], torch.ones(2, 2, dtype=torch.bool))
    assert not torch.equal(remembered(others), first[1:3]), "the same pixels, but both views are there"
