import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldfold.audit import duplicates, hamming
from goldfold.audit.duplicates import find
from goldfold.audit.hamming import near_pairs
from goldfold.audit.perceptual import FLAT, signature
from goldfold.audit.target_maps import boxes_map, differ, mask_map
from goldfold.base.errors import DataError
from goldfold.splits.together import components
from goldfold.targets.boxes import to_text


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
    with pytest.raises(DataError, match=rf"distance of {distance} bits is out of range\. Choose one from 0 to 16"):
        near_pairs(np.zeros(2, np.uint64), distance)


def test_groups_are_chains_numbered_by_first_appearance() -> None:
    assert components(6, np.array([[4, 5], [1, 3], [5, 1]])).tolist() == [0, 1, 2, 1, 1, 1]


def test_flat_dark_and_tiny_images_have_no_hash_of_their_own() -> None:
    dark = np.random.default_rng(0).integers(0, 4, (64, 64, 1), dtype=np.uint8)
    for image in (np.zeros((40, 40, 3), np.uint8), np.full((40, 40, 1), 255, np.uint8), dark, scene(1, (8, 8))):
        assert signature(image).hash == FLAT
    assert signature(scene(1)).hash != FLAT


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


# --- a fixed camera, and targets that differ


def board(seed: int, squares: list[int]) -> np.ndarray:
    """A place seen by a fixed camera, with a piece on each of 64 squares that is named."""
    image = scene(1000, (128, 128))
    for square in squares:
        row, column = divmod(square, 8)
        centre = column * 16 + 8, row * 16 + 8
        cv2.circle(image, centre, 6, (0, 0, 0) if image[centre[1], centre[0]].mean() > 127 else (255, 255, 255), -1)
    noise = np.random.default_rng(seed).normal(0, 2, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def as_jpeg(image: np.ndarray) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_COLOR)


def test_a_fixed_camera_is_a_scene_of_which_copies_alone_are_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    boards = [row("train", f"b{n:02d}", board(n, [n])) for n in range(40)]
    others = [row("train", f"o{n:02d}", scene(n, (64, 64))) for n in range(60)]
    copy = row("train", "copy", as_jpeg(board(7, [7])))
    table = pd.DataFrame([*boards, *others, copy])
    found = find(table)
    assert found[["id", "kind", "nearest"]].to_numpy().tolist() == [
        ["b07", "near", "train:copy"], ["copy", "near", "train:b07"]
    ]  # fmt: skip
    monkeypatch.setattr(duplicates, "SCENE_SHARE", 2.0)
    assert find(table).groupby("cluster").size().max() > 5, "by look alone they are one group"


def test_a_scene_keeps_what_is_the_same_file() -> None:
    boards = [row("train", f"b{n:02d}", board(n, [n])) for n in range(40)]
    twin = {**boards[3], "id": "twin"}
    assert find(pd.DataFrame([*boards, twin]))[["id", "kind"]].to_numpy().tolist() == [
        ["b03", "exact"],
        ["twin", "exact"],
    ]


def test_near_copies_with_other_boxes_are_none_and_the_same_file_is() -> None:
    rows = [row("train", "a", scene(1)), row("train", "b", as_jpeg(scene(1))), row("train", "c", as_jpeg(scene(1)))]
    rows.append({**row("train", "d", scene(1))})
    texts = [to_text(["x"], np.array([[x, 10, x + 20, 30]])) for x in (10, 12, 90, 90)]
    maps = [boxes_map(text, 128, 96) for text in texts]
    table = pd.DataFrame(rows).assign(sha256=["1", "2", "3", "1"])
    found = find(table, differ=lambda pairs, mirrored: differ(maps, pairs, mirrored))
    assert dict(zip(found["id"], found["kind"], strict=True)) == {"a": "exact", "b": "near", "d": "exact"}


@pytest.mark.parametrize(
    ("boxes", "wanted"),
    [
        ([["x", 10, 10, 30, 30], ["y", 60, 60, 90, 90]], False),
        ([["x", 12, 11, 31, 30], ["y", 60, 59, 89, 90]], False),
        ([["x", 10, 10, 30, 30]], True),
        ([["x", 10, 10, 30, 30], ["y", 10, 60, 40, 90]], True),
        ([], True),
    ],
)
def test_targets_differ_where_half_of_them_lie_elsewhere(boxes: list[list[Any]], wanted: bool) -> None:
    first = boxes_map(json.dumps([["x", 10, 10, 30, 30], ["y", 60, 60, 90, 90]]), 100, 100)
    second = boxes_map(json.dumps(boxes), 100, 100)
    pair, straight = np.array([[0, 1]]), np.array([0])
    assert differ([first, second], pair, straight).tolist() == [wanted]
    assert differ([first, None], pair, straight).tolist() == [False], "an unlabeled image may be a copy of any"
    assert differ([first, first[..., ::-1]], pair, np.array([1])).tolist() == [False], "mirrored with its target"


def test_masks_are_told_apart_by_where_their_classes_are(tmp_path: Path) -> None:
    masks = [np.zeros((50, 60), np.uint8) for _ in range(4)]
    masks[0][10:20, 10:20], masks[1][10:21, 10:20], masks[2][10:20, 40:50], masks[3][10:20, 10:20] = 1, 1, 1, 2
    for number, mask in enumerate(masks):
        cv2.imwrite(str(tmp_path / f"{number}.png"), mask)
    maps = [mask_map(str(tmp_path / f"{number}.png")) for number in range(4)]
    pairs = np.array([[0, 1], [0, 2], [0, 3]])
    assert differ(maps, pairs, np.zeros(3, int)).tolist() == [False, True, True]
