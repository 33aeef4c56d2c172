"""Generated images: the masked autoencoder, what the generator of a fold sees, and trainings with a share of its images."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import made_run
from conftest import Tiny
from goldfold.base.errors import ConfigError, TrainingError
from goldfold.commands.component_trial import check_components
from goldfold.config import parse, slices
from goldfold.config.dependencies import recipe
from goldfold.generating.files import IMAGE_FILES
from goldfold.generating.mae import _drawn, _Patches, mae
from goldfold.generating.protocol import Given, Made
from goldfold.planning.jobs import Job
from goldfold.planning.plan import plan_of
from goldfold.samples.samplers import TrainingCases, shuffled
from goldfold.stages import generate
from goldfold.training.generated import WithGenerated, with_generated
from jobs import bytes_of
from made_run import would_run
from test_resume import run_until
from test_rounds import BASE, NET

SMALL: dict[str, Any] = {"steps": 3, "width": 16, "depth": 1, "decoder_depth": 1}
RUNTIME = {"device": "cpu", "precision": "no", "torch_threads": 1}


class Quiet:
    """A progress bar that shows nothing."""

    def __init__(self, *_: Any) -> None:
        pass

    def advance(self, n: int = 1) -> None:
        pass

    close = advance


def given(*key: int | str, n: int = 6, per_image: int = 2) -> Given:
    images = np.random.default_rng(0).integers(256, size=(n, 16, 24, 3), dtype=np.uint8)
    return Given(images, None, per_image, key or ("k",), progress=Quiet)


# --- the masked autoencoder


def test_patches_are_taken_apart_and_put_together_again() -> None:
    images = given().images
    pixels = _Patches(images, 4)
    rows = np.array([2, 0])
    nothing_seen = torch.zeros(2, 0, dtype=torch.int64)
    assert (pixels.completed(rows, pixels[rows], nothing_seen) == images[rows]).all()
    first = (pixels[rows][0, 1] * pixels.std.repeat(16) + pixels.mean.repeat(16)) * 255
    assert torch.allclose(first.reshape(4, 4, 3), torch.from_numpy(images[2, :4, 4:8]).float(), atol=1e-3)


def test_visible_patches_keep_their_pixels_and_the_others_are_what_the_network_expects() -> None:
    made = mae(given(), mask=0.25, **SMALL)
    assert made.images.shape == (12, 16, 24, 3)
    assert made.rows.tolist() == [*range(6)] * 2
    same = (made.images == given().images[made.rows]).all(axis=3)
    patches = same.reshape(12, 8, 2, 12, 2).all(axis=(2, 4))  # an eighth of the shorter side is 2 px
    assert (patches.sum(axis=(1, 2)) >= 72).all()
    assert (patches.sum(axis=(1, 2)) < 96).all()
    assert (patches[:6] != patches[6:]).any(), "the second image of each has other patches masked"


def test_the_images_are_a_function_of_the_key_and_not_of_the_global_random_state() -> None:
    torch.manual_seed(1)
    first = mae(given("a"), **SMALL)
    torch.manual_seed(2)
    assert (mae(given("a"), **SMALL).images == first.images).all()
    assert (mae(given("b"), **SMALL).images != first.images).any()


def test_what_is_masked_is_learned_from_what_is_seen() -> None:
    """Images of one colour: a patch tells the colour of the others."""
    colours = np.linspace(20, 235, 32).astype(np.uint8)
    images = np.broadcast_to(colours[:, None, None, None], (32, 16, 16, 1)).copy()
    made = mae(Given(images, None, 1, ("k",), progress=Quiet), steps=150, width=32, depth=1, decoder_depth=1)
    error = np.abs(made.images.astype(float) - images).mean()
    assert error < 15, "guessing the mean colour for half of the patches is wrong by 27"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"mask": 1.0}, "mask = 1 must lie between 0 and 1"),
        ({"width": 20}, "width = 20 must be a multiple of 8"),
        ({"steps": 0}, "steps, depth, .* at least 1"),
        ({"patch_px": 5}, "patches of 5 px do not tile images of 16 x 24 px. Set patch_px to a common divisor"),
    ],
)
def test_parameters_outside_their_range_are_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        mae(given(), **{**SMALL, **params})


def test_as_many_patches_are_seen_as_are_left_and_each_once() -> None:
    seen = _drawn(0.7, 50, 10, ("k",))
    assert seen.shape == (50, 3)
    assert (seen.diff(dim=1) > 0).all()
    assert len(set(seen.flatten().tolist())) == 10


# --- the stage


def generated(tiny: Tiny, folder: Path, fold_file: str = "", **changes: Any) -> dict[str, Any]:
    folder.mkdir()
    return generate.run(
        str(folder), fold_file or tiny.fold_file(), str(tiny.folds / "classes.json"), tiny.caches(), tiny.task,
        **{"generator": {"mae": SMALL}, "per_image": 2, "runtime": RUNTIME, **changes},
        place={"model": "net", "round": 0, "fold": 0},
    )  # fmt: skip


def contents(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in IMAGE_FILES]


def test_the_generator_sees_no_validation_image_and_no_label_of_one(tiny: Tiny, tmp_path: Path) -> None:
    """Labels of validation images are permuted, then their rows are taken away: nothing changes by one byte."""
    facts = generated(tiny, tmp_path / "plain")
    table = pd.read_csv(tiny.fold_file(), dtype=str)
    is_val = table["split"] == "val"
    other = table.copy()
    other.loc[is_val, "label"] = table.loc[is_val, "label"].to_numpy()[::-1]
    assert (other["label"] != table["label"]).any()
    for name, rows in (("permuted", other), ("gone", table[~is_val])):
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
        generated(tiny, tmp_path / name, str(tmp_path / f"{name}.csv"))
        assert contents(tmp_path / name) == contents(tmp_path / "plain")
    made = pd.read_csv(tmp_path / "plain/ids.csv", dtype=str)
    train = table[~is_val]["id"]
    assert facts["generated"]["images"] == len(made) == 2 * len(train)
    assert {*made["source"]} == {*train}
    assert made["id"].is_unique
    assert not {*made["id"]} & {*table["id"]}


def by_class(given: Given) -> Made:
    """Generator: grey images, as bright as the number of their class."""
    assert given.classes is not None
    images = np.broadcast_to(given.classes[:, None, None, None], given.images.shape).astype(np.uint8)
    return Made(images, np.arange(len(images)), {})


def no_images(given: Given) -> Made:
    """Generator: floating-point numbers."""
    return Made(given.images / 255, np.arange(len(given.images)), {})


def test_an_own_generator_gets_the_classes_and_what_is_no_image_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    generated(tiny, tmp_path / "own", generator="test_generated:by_class")
    table = pd.read_csv(tiny.fold_file(), dtype=str).set_index("id")["label"]
    made, images = pd.read_csv(tmp_path / "own/ids.csv", dtype=str), np.load(tmp_path / "own/images.npy")
    assert images[:, 0, 0, 0].tolist() == [tiny.classes.index(table[source]) for source in made["source"]]
    with pytest.raises(
        TrainingError, match=r"no_images: it made float64 images .*uint8 images of 12 x 12 x 3 are needed"
    ):
        generated(tiny, tmp_path / "wrong", generator="test_generated:no_images")
    wanted = slices.network_checks(parse({**BASE, "models": [model(generator="test_generated:no_images")]}))[0]
    with pytest.raises(
        ConfigError, match=r"train\.generated\.generator test_generated:no_images|no_images: it made float64"
    ):
        check_components(wanted, 2)


# --- a training


def test_generated_images_have_the_target_that_their_source_is_trained_with(tiny: Tiny, tmp_path: Path) -> None:
    generated(tiny, tmp_path / "made")
    table = pd.read_csv(tiny.fold_file(), dtype=str)
    train = table[table["split"] == "train"].assign(weight=1.0).reset_index(drop=True)
    dropped, relabelled = train["id"][0], train["id"][1]
    train = train[1:].assign(label=train["label"].where(train["id"] != relabelled, "new"))
    rows = with_generated(train, str(tmp_path / "made"), 0.5)
    more = rows[rows["split"] == "generated"]
    assert len(more) == 2 * len(train)
    assert not more["id"].str.startswith(dropped).any(), "a row that is cleaned away leaves no image"
    assert {*more["label"][more["id"].str.startswith(relabelled)]} == {"new"}
    assert {*more["weight"]} == {0.5}
    assert rows[: len(train)]["id"].tolist() == train["id"].tolist()


def test_an_epoch_has_its_share_of_generated_images_between_the_others() -> None:
    cases = TrainingCases(40 + 30, lambda by: np.zeros(70))
    rows = WithGenerated(shuffled, 30, 0.5)(cases, 8, np.random.default_rng(0))
    own = rows[rows < 40]
    assert sorted(own) == [*range(40)]
    assert own.tolist() == shuffled(TrainingCases(40, cases.values), 8, np.random.default_rng(0)).tolist()
    made = rows[rows >= 40]
    assert len(made) == 40
    assert np.bincount(made - 40, minlength=30).max() == 2, "each comes once before any comes again"
    assert 8 < (rows[:40] >= 40).sum() < 32


def test_a_training_with_generated_images_stopped_at_a_step_ends_with_the_same_bytes(
    tiny: Tiny, tmp_path: Path
) -> None:
    generated(tiny, tmp_path / "made")
    how = {"model": tiny.model({"generated": {"share": 0.5}}), "generated": str(tmp_path / "made")}
    tiny.train(tmp_path / "plain")
    tiny.train(tmp_path / "whole", **how)
    assert (tmp_path / "whole/model.safetensors").read_bytes() != (tmp_path / "plain/model.safetensors").read_bytes()
    run_until(4, tiny, tmp_path / "cut", **how)
    assert tiny.train(tmp_path / "cut", **how)["resumed_at_step"] == [3]
    assert bytes_of(tmp_path / "cut") == bytes_of(tmp_path / "whole")


# --- config, plan and recipes


def model(name: str = "b3", train: dict[str, Any] | None = None, **how: Any) -> dict[str, Any]:
    return {"name": name, **NET, "train": {**(train or {}), "generated": how}}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"models": [model(share=1)]}, r"models\[0\]\.train\.generated\.share = 1: must be less than 1"),
    ({"models": [model(generator="mea")]}, r"models\[0\] \(b3\)\.train\.generated\.generator = 'mea': nearest is 'mae'"),
    ({"models": [model(generator={"mae": {"step": 2}})]}, r"models\[0\] \(b3\)\.train\.generated\.generator.*step"),
    ({"models": [model()], "task": "segmentation"}, r"models\[0\] \(b3\)\.train\.generated: task 'segmentation' has no "
     r"generated images yet; these tasks have: classification, ordinal, multilabel, regression\. Remove it"),
    ({"models": [{**model(), "metadata": True}], "data": {**BASE["data"], "metadata": {"numeric": ["age"]}}},
     r"models\[0\] \(b3\)\.train\.generated: generated images have no metadata"),
    ({"models": [{"name": "b0", **NET}, model(train={"distill": {"teacher": "b0"}})]},
     r"models\[1\] \(b3\)\.train\.generated: a teacher predicts no generated images"),
    ({"models": [model()], "full_data": True}, r"full_data: b3 is trained on generated images, which are made by fold"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), WRONG, ids=[text[:70] for _, text in WRONG])
def test_what_cannot_be_generated_is_refused_before_any_job(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=rf"(?s)\n  .*{said}"):
        parse({**BASE, **changes})


def test_only_trainings_that_ask_for_them_have_generated_images_and_inner_ones_have_none() -> None:
    rounds = [{}, {"clean": {"folds": 2}}, {"models": ["b3"], "train": {"generated": None}}]
    config = parse({**BASE, "models": [{"name": "b0", **NET}, model()], "rounds": rounds})
    plan = plan_of(config)
    asking = {
        (job.stage, job.model, job.round)
        for stage in plan.stages()
        for job in plan.jobs(stage)
        if any(above.stage == "generate" for above in plan.above(job))
    }
    assert asking == {("train", "b3", 0), ("train", "b3", 1)}
    assert {above.fold for above in plan.above(Job("train", "b3", fold=1)) if above.stage == "generate"} == {1}
    of_inner = recipe(config, Job("inner_train", "b3", 0, 0, part="0of2"))["settings"]["model"]["train"]
    assert "generated" not in of_inner
    assert recipe(config, Job("train", "b0")) == recipe(
        parse({**BASE, "models": [{"name": "b0", **NET}]}), Job("train", "b0")
    )
    assert "goldfold.generating.mae:mae" in recipe(config, Job("generate", "b3"))["code"]["of"]


def test_an_edit_of_the_generator_reruns_its_images_and_what_is_trained_on_them(tmp_path: Path) -> None:
    wide, slim = made_run.METADATA["models"]
    models = [{**wide, "train": {"generated": {"per_image": 3}}}, {key: slim[key] for key in slim if key != "metadata"}]
    made_run.finish(tmp_path, models=models)
    assert not would_run(tmp_path)
    models[0]["train"]["generated"]["per_image"] = 4
    made_run.write_config(tmp_path, models=models)
    again = would_run(tmp_path)
    first = {job.split("/")[0] for job in again if "/round0/" in job}
    assert first == {"generate wide", "train wide", "predict wide"}, "in round 1, wide teaches slim"
    models[0]["train"]["generated"]["share"] = 0.5
    models[0]["train"]["generated"]["per_image"] = 3
    made_run.write_config(tmp_path, models=models)
    assert not [job for job in would_run(tmp_path) if job.startswith("generate")], "a share remakes no image"
