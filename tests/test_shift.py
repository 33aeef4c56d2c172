"""Whether two sets of images can be told apart: said where it is so, and not where it is not."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from conftest import picture
from goldfold.audit import shift
from goldfold.audit.adversarial import Auc, compare
from goldfold.audit.shift import Feature, Shift, between
from goldfold.audit.shift_features import FEATURES, look, of_pixels
from goldfold.base.fingerprint import sha256_of
from goldfold.images import cases
from goldfold.images.stacks import joined
from goldfold.report.shift import find, is_inconclusive, notes, verdict

N_SPLITS = 30


def correlated(n: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n, 8)) @ generator.normal(size=(8, 8))


def test_the_interval_of_a_random_split_holds_one_half_about_95_times_in_100() -> None:
    found = []
    for seed in range(N_SPLITS):
        is_second = np.random.default_rng(seed).permutation(160) < 60
        told = compare(correlated(160, seed), is_second, [], range(160), seed)
        assert told is not None
        found.append(told.auc)

    def held(width: float) -> int:
        ends = [
            (auc.value + width * (auc.low - auc.value), auc.value + width * (auc.high - auc.value)) for auc in found
        ]
        return sum(low <= 0.5 <= high for low, high in ends)

    assert held(1.0) >= 26  # binomial(30, 0.95): fewer in 1 of 60 tries
    assert held(0.5) < 25  # the interval is not merely wide: half of it would be too little


def test_images_of_a_unit_are_never_parted() -> None:
    units = np.repeat(np.arange(40), 4)
    features = correlated(40, 0)[units] + np.random.default_rng(1).normal(0, 0.01, (160, 8))
    is_second = (np.random.default_rng(2).permutation(40) < 20)[units]
    apart, together = (compare(features, is_second, [], of) for of in (range(160), units))
    assert apart is not None
    assert together is not None
    assert apart.auc.low > 0.9  # each image's copies give it away
    assert together.auc.low <= 0.5 <= together.auc.high
    assert together.auc.high - together.auc.low > apart.auc.high - apart.auc.low


def test_an_interval_over_few_units_is_wide_even_where_all_are_told() -> None:
    features = np.repeat([[0.0], [1.0]], 30, axis=0)
    is_second = features[:, 0] > 0.5
    many, few = (compare(features, is_second, ["x"], of) for of in (range(60), np.arange(60) // 10))
    assert many is not None
    assert few is not None
    assert (many.auc.value, many.auc.high) == (1.0, 1.0)
    assert many.auc.low == pytest.approx(0.025 ** (1 / 30))
    assert few.auc.low == pytest.approx(0.025 ** (1 / 3))
    assert many.drops["x"] > 0.3


@pytest.mark.parametrize("units", [[0] * 20 + list(range(1, 21)), range(40)])
def test_too_little_to_tell_gives_nothing(units: list[int]) -> None:
    is_second = np.arange(40) < (20 if units[1] == 0 else 9)
    assert compare(correlated(40, 0), is_second, [], units) is None


def folder(root: Path, prefix: str, n: int, level: int) -> pd.DataFrame:
    rows = []
    for number in range(n):
        path = root / f"{prefix}{number:02d}.png"
        cv2.imwrite(str(path), picture(number + 500 * (prefix == "a"), level=level + number % 9))
        rows.append({"id": path.stem, "path": str(path), "sha256": sha256_of(path)})
    return pd.DataFrame(rows)


def test_a_planted_shift_is_found_named_and_remembered(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = folder(in_tmp, "a", 40, 100), folder(in_tmp, "b", 30, 112)
    found = between(train, test, most=25, workers=1)
    assert found is not None
    assert found.is_seen
    assert found.auc.value > 0.9
    assert found.images == (25, 25)
    telling = found.features[0]
    assert telling.kind in ("brightness", "colour")
    assert telling.second - telling.first == pytest.approx(12, abs=5)
    assert {id for id, _ in found.like_second} <= set(train["id"])
    assert {id for id, _ in found.like_first} <= set(test["id"])
    chosen = between(train.iloc[::-1], test, most=25, workers=1)  # the choice depends on ids, not on the order
    assert chosen is not None
    assert chosen.images == found.images
    monkeypatch.setattr(shift, "look_at", lambda *_: pytest.fail("looked again"))
    assert between(train, test, most=25, workers=1) == found


def test_a_shift_of_the_second_view_alone_is_found(in_tmp: Path) -> None:
    def of_cases(split: str, seed: int, side: int) -> pd.DataFrame:
        paths = [[str(in_tmp / f"{split}{case}-{view}.png") for view in range(2)] for case in range(30)]
        for case, own in enumerate(paths):
            for view, (path, level) in enumerate(zip(own, (100, side), strict=True)):
                cv2.imwrite(path, picture(seed + 2 * case + view, level=level))
        ids = [f"{split}{case}" for case in range(30)]
        return cases.with_paths(pd.DataFrame({"id": ids, "sha256": ids}), paths)

    tables = {"train": of_cases("train", 0, 100), "test": of_cases("test", 100, 150)}
    results: Any = SimpleNamespace(tables=tables, settings={"data": {"scale_16bit": "full_range"}})
    found = find(results, [], 100, 1)["test"]
    assert found is not None
    assert found.images == (60, 60)
    assert found.is_seen
    assert found.auc.value == pytest.approx(0.75, abs=0.1), "half of the images cannot be told apart"


@pytest.mark.parametrize("rule", ["full_range", [0, 40_000], "percentile"])
def test_brightness_of_16_bit_stacks_is_a_shift_where_the_rule_lets_networks_see_it(rule: Any, in_tmp: Path) -> None:
    def stack(number: int, added: int) -> dict[str, str]:
        files = [f"{number}_{channel}.png" for channel in range(4)]
        for seed, file in enumerate(files):
            pixels = np.random.default_rng(number * 4 + seed).integers(0, 20_000, (12, 12)) + added
            cv2.imwrite(file, pixels.astype(np.uint16))
        return {"id": str(number), "path": joined(files), "sha256": str(number), "unit": f"group {number // 2}"}

    train = pd.DataFrame([stack(number, 0) for number in range(24)])
    test = pd.DataFrame([stack(number, 15_000) for number in range(24, 48)])
    found = between(train, test, most=50, workers=1, scale_16bit=rule)
    assert found is not None
    assert found.is_seen == (rule != "percentile"), "percentiles take it away from networks too"
    assert (found.auc.value > 0.9) == found.is_seen


def test_files_that_cannot_be_read_do_not_count(in_tmp: Path) -> None:
    train, test = folder(in_tmp, "a", 12, 100), folder(in_tmp, "b", 12, 100)
    for path in test["path"][:2]:
        Path(path).unlink()
    test.loc[3, "path"] = str(in_tmp / "empty.png")
    (in_tmp / "empty.png").touch()
    assert between(train, test, most=50, workers=1) is None  # nine are left


def test_features_are_numbers_whatever_the_image(in_tmp: Path) -> None:
    for number, shape in enumerate([(1, 1), (3, 900), (700, 2), (40, 30)]):
        path = in_tmp / f"{number}.png"
        cv2.imwrite(str(path), picture(number, shape))
        assert len(look(str(path))) == len(FEATURES)
        assert np.isfinite(look(str(path))).all()
    dark, bright = (
        dict(zip(FEATURES, of_pixels(picture(0, (50, 60), level=level)), strict=False)) for level in (60, 180)
    )
    assert bright["mean grey level"] - dark["mean grey level"] == pytest.approx(120, abs=5)


@pytest.mark.parametrize(
    ("auc", "said"),
    [
        (Auc(0.983, 0.406, 1.0), "too few images to tell"),
        (Auc(0.5, 0.2, 0.8), "too few images to tell"),
        (Auc(0.583, 0.479, 0.680), "images cannot be told apart"),
        (Auc(0.98, 0.9, 1.0), "almost always"),
    ],
)
def test_a_wide_interval_is_no_evidence_that_images_are_alike(auc: Auc, said: str) -> None:
    found = Shift(auc, Auc(0.9, 0.3, 1.0), (27, 11), {"size": 0.1}, [Feature("width", "size", 0.9, 10, 20)], [], [])
    words = verdict("test", found)
    assert said in words
    assert ("cannot be told apart" in words) == (not is_inconclusive(auc) and not found.is_seen)
    assert "By the pixels alone they cannot" not in words
    assert bool(notes({"test": found})) == found.is_seen
