"""Scores are what they claim: chance where there is nothing to learn, and an interval that holds the truth 95 times in 100."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import CLASSES, Tiny, picture, prepare, save_picture
from goldfold.metrics.bootstrap import bootstrap
from goldfold.stages import ensemble, pseudo_label

N_IMAGES, N_TEST, SEEDS = 160, 20, (0, 1)


@pytest.fixture
def shuffled(tmp_path: Path) -> Tiny:
    """Images that all look alike, with labels that were drawn."""
    generator, classes = np.random.default_rng(0), str(tmp_path / "raw/train.csv")
    for number in range(N_IMAGES):
        save_picture(tmp_path / f"raw/train/im{number:03d}.png", picture(number))
    for number in range(N_TEST):
        save_picture(tmp_path / f"raw/test/te{number:02d}.png", picture(1000 + number))
    ids = [f"im{number:03d}" for number in range(N_IMAGES)]
    labels = [CLASSES[place % 2] for place in generator.permutation(N_IMAGES)]
    pd.DataFrame({"id": ids, "label": labels}).to_csv(classes, index=False)
    pd.DataFrame({"id": [f"te{number:02d}" for number in range(N_TEST)]}).to_csv(tmp_path / "raw/test.csv", index=False)
    data = {
        "source": "csv", "train": classes, "images": str(tmp_path / "raw/train"), "test": str(tmp_path / "raw/test.csv"),
        "test_images": str(tmp_path / "raw/test"),
    }  # fmt: skip
    with contextlib.chdir(tmp_path):
        return prepare(Tiny(tmp_path, data), ["train", "test"])


def test_drawn_labels_give_chance_out_of_fold_through_rounds_best_checkpoints_and_the_ensemble(shuffled: Tiny) -> None:
    """Networks of 2 seeds x 2 folds x 2 rounds learn their training images by heart; of the others they know nothing."""
    root = shuffled.root / "results"
    model = shuffled.model({"epochs": 12, "warmup_epochs": 0, "checkpoint": "best", "augment": "none"})
    classes = str(shuffled.folds / "classes.json")
    for number in (0, 1):
        for fold in (0, 1):
            asked = []
            for seed in SEEDS:
                out, place = root / f"predict/net/round{number}/fold{fold}/seed{seed}", {"round": number, "fold": fold}
                common = {
                    "fold_file": shuffled.fold_file(fold),
                    "caches": shuffled.caches("train", "test"),
                    "model": model,
                }
                pseudo = str(root / f"pseudo/fold{fold}.csv") if number else None
                shuffled.train(out, pseudo=pseudo, place={**place, "seed": seed}, **common)
                shuffled.predict(out, out / "model.safetensors", "test", place={**place, "seed": seed}, **common)
                asked.append(str(out / "test.npz"))
            taught = str(root / f"pseudo/fold{fold}.csv")
            teach = {"threshold": 0.0, "fold": fold, "weights": {}, "settings": {"method": "probability"}, "workers": 1}
            pseudo_label.run({"test": asked}, classes, taught, shuffled.task, **teach)
    learnt = pd.read_csv(root / "predict/net/round0/fold0/seed0/history.csv")
    assert learnt["train_loss"].iloc[-1] < 0.9 * learnt["train_loss"].iloc[0], "there was something to learn by heart"
    ensemble.run(
        str(root / "predict"), str(shuffled.folds / "train.csv"), classes, str(root / "ensemble"),
        str(root / "leaderboard.csv"), str(root / "metrics.json"), shuffled.task, "accuracy", ["net"], list(SEEDS), 2,
        [["net"], ["net"]], True, {}, {"method": "probability"}, 1,
    )  # fmt: skip
    score = json.loads((root / "metrics.json").read_text())["oof"]["accuracy"]
    assert score["low"] < 0.5 < score["high"]
    assert abs(score["value"] - 0.5) < 3 * np.sqrt(0.25 / N_IMAGES), "three standard deviations of a coin"


def test_the_interval_of_grouped_images_holds_the_truth_about_95_times_in_100() -> None:
    """Groups of five of which each has an accuracy of its own; taken for independent images, it holds it far less often."""
    generator, n_groups, size, truth = np.random.default_rng(0), 60, 5, 2 / 3
    groups, held = [f"g{number // size:02d}" for number in range(n_groups * size)], {True: 0, False: 0}
    for seed in range(200):
        hits = generator.random((n_groups, size)) < generator.beta(1.0, 0.5, n_groups)[:, None]
        flat = hits.ravel().astype(float)
        for grouped in held:
            found = bootstrap(
                lambda rows, flat=flat: float(flat[rows].mean()), len(flat), groups if grouped else None, 200, seed
            )
            held[grouped] += found.low <= truth <= found.high
    assert 0.90 <= held[True] / 200 <= 0.98
    assert held[False] / 200 < 0.85
