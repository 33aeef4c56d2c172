from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldfold.data import hamming
from goldfold.data.duplicates import find
from goldfold.data.hamming import near_pairs
from goldfold.data.perceptual import FLAT, perceptual_hash, signature
from goldfold.data.together import components
from goldfold.runtime.errors import DataError


def scene(seed: int, size: tuple[int, int] = (96, 128)) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def row(split: str, id: str, image: np.ndarray, label: str | None = None) -> dict[str, Any]:
    sha256 = str(hash(image.tobytes()))
    return {"split": split, "id": id, "sha256": sha256, "label": label, **signature(image)._asdict()}


@given(st.integers(0, 2**32 - 1), st.integers(0, 150), st.integers(0, 16), st.sampled_from([7, 1 << 20]))
def test_the_pairs_are_those_of_brute_force(seed: int, n: int, max_distance: int, block: int) -> None:
    generator = np.random.default_rng(seed)
    hashes = generator.integers(0, 2**64, max(1, n // 8), dtype=np.uint64)[generator.integers(0, max(1, n // 8), n)]
    for _ in range(int(generator.integers(0, 14))):
        bits = np.uint64(1) << generator.integers(0, 64, n, dtype=np.uint64)
        hashes = hashes ^ bits * generator.integers(0, 2, n, dtype=np.uint64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hamming, "BLOCK", block)
        pairs, distances = near_pairs(hashes, max_distance)
    all_distances = np.bitwise_count(hashes[:, None] ^ hashes[None])
    wanted = np.argwhere(np.triu(all_distances <= max_distance, 1))
    assert pairs.tolist() == wanted.tolist()
    assert distances.tolist() == [int(all_distances[i, j]) for i, j in wanted]


@pytest.mark.parametrize("distance", [-1, 17])
def test_a_distance_out_of_range_is_refused(distance: int) -> None:
    with pytest.raises(DataError, match=rf"distance {distance} of 64 bits\. Choose one from 0 to 16"):
        near_pairs(np.zeros(2, np.uint64), distance)


def test_groups_are_chains_numbered_by_first_appearance() -> None:
    assert components(6, np.array([[4, 5], [1, 3], [5, 1]])).tolist() == [0, 1, 2, 1, 1, 1]


def test_flat_dark_and_tiny_images_have_no_hash_of_their_own() -> None:
    dark = np.random.default_rng(0).integers(0, 4, (64, 64, 1), dtype=np.uint8)
    for image in (np.zeros((40, 40, 3), np.uint8), np.full((40, 40, 1), 255, np.uint8), dark, scene(1, (8, 8))):
        assert perceptual_hash(image) == FLAT
    assert perceptual_hash(scene(1)) != FLAT


def test_flat_images_match_by_bytes_alone() -> None:
    images = [np.full((40, 40, 3), level, np.uint8) for level in (0, 0, 7, 9)]
    found = find(pd.DataFrame([row("train", str(i), image) for i, image in enumerate(images)]))
    assert found[["id", "kind"]].to_numpy().tolist() == [["0", "exact"], ["1", "exact"]]


def copies() -> pd.DataFrame:
    return pd.DataFrame([
        row("train", "a", scene(1), "cat"), row("test", "b", scene(1)),
        row("train", "c", scene(2), "cat"), row("train", "d", cv2.resize(scene(2), (64, 48)), "dog"),
        row("train", "e", scene(3), "cat"), row("unlabeled", "f", np.ascontiguousarray(scene(3)[:, ::-1])),
        *(row("train", f"other{number:02d}", scene(10 + number), "cat") for number in range(30)),
    ])  # fmt: skip


def test_copies_are_found_with_their_splits_and_labels() -> None:
    found = find(copies())
    assert found[["cluster", "id", "kind", "nearest", "splits", "n_labels"]].to_numpy().tolist() == [
        [0, "a", "exact", "test:b", "train+test", 1],
        [0, "b", "exact", "train:a", "train+test", 1],
        [1, "c", "near", "train:d", "train", 2],
        [1, "d", "near", "train:c", "train", 2],
        [2, "e", "mirrored", "unlabeled:f", "train+unlabeled", 1],
        [2, "f", "mirrored", "train:e", "train+unlabeled", 1],
    ]
    assert set(find(copies().drop(columns="mirrored"))["id"]) == set("abcd")
    assert set(find(copies(), max_distance=None)["id"]) == set("ab")


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    pd.testing.assert_frame_equal(find(copies()), find(copies().sample(frac=1, random_state=seed)))


def test_thumbnails_that_differ_are_no_copies_though_hashes_agree() -> None:
    table = copies().iloc[6:].assign(hash=1234567, mirrored=7654321)
    assert find(table).empty


def test_without_images_nothing_is_found() -> None:
    assert find(copies().iloc[:0]).empty
