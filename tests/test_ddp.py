"""One training in two processes, each a device of its own."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import forks
from conftest import PLACE, RUNTIME, Tiny
from goldfold.base.errors import ConfigError, GoldfoldError
from goldfold.cases import Batch, Inputs
from goldfold.engine import device
from goldfold.engine.gradient import Gradient
from goldfold.engine.seeding import seeded
from goldfold.losses import Losses
from goldfold.samples.dataset import EpochSampler
from goldfold.samples.samplers import EpochOrder, TrainingCases, shuffled
from goldfold.samples.windows import Repeated
from goldfold.stages import cache as stage
from goldfold.training import windows
from goldfold.training.samples import loader
from goldfold.training.spec import read
from jobs import Jobs, bytes_of, is_alive, settings_of_job, status_of, until

VIT = {"network": "timm", "backbone": "test_vit", "params": {"patch_size": 4}}
"""A network without batch norm, whose gradient of a batch is the mean of those of its halves."""
REACTING = {
    "update": "sam", "hooks": ["agc"], "lr_scale": {"head": 2}, "schedule": {"plateau": {"patience": 0, "threshold": 0.9}},
}  # fmt: skip
"""Two gradients per step, and a learning rate that drops after the second epoch: the scores of rank 0 reach all."""
PLAIN = {"epochs": 3, "warmup_epochs": 0, "optimizer": "sgd", "augment": "light", "accumulate": 2}
STOPPED = {"epochs": 9, "ema_decay": 0.9, "early_stopping": {"patience": 2, "min_delta": 9}}
"""Ends after three epochs, as no score is better by 9 than that of the first."""


def curve(folder: Path) -> list[float]:
    return list(pd.read_csv(folder / "history.csv")["train_loss"])


# --- shares


@pytest.mark.parametrize("n", [5, 16, 23, 40])
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_the_batches_of_one_with_as_many_times_the_batch(n: int, processes: int) -> None:
    whole = EpochSampler(n, 4 * processes, ("k",))
    shares = [EpochSampler(n, 4, ("k",), process, processes) for process in range(processes)]
    assert {len(share) for share in shares} == {len(whole)}
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(place for part in parts for place in part) == sorted(batch)
        assert all(parts)


def test_a_sampler_starts_at_any_batch() -> None:
    sampler = EpochSampler(40, 4, ("k",))
    whole = list(sampler)
    sampler.start = 7
    assert list(sampler) == whole[7:]


# --- two processes on the CPU


@pytest.fixture
def quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of a group are forks of a Python that has the libraries in memory."""
    monkeypatch.setattr(sys, "executable", str(forks.folder() / "python"))


@pytest.fixture(scope="module")
def pair(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Two processes with batches of 4, started by the real Python, in which they import all they need."""
    folder = tmp_path_factory.mktemp("pair")
    return folder, tiny.train(
        folder, model=tiny.model({**PLAIN, **REACTING, **STOPPED, "batch_size": 4}, gpus=2, **VIT)
    )


def test_two_processes_learn_as_one_with_twice_the_batch(
    tiny: Tiny, pair: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, facts = pair
    alone = tiny.train(tmp_path, model=tiny.model({**PLAIN, **REACTING, **STOPPED, "batch_size": 8}, **VIT))
    assert (facts["gpus"], alone["gpus"]) == (2, 1)
    assert (facts["stopped"]["by"], facts["epochs"]) == ("early_stopping", 3), "in all processes at the same step"
    assert curve(folder) == pytest.approx(curve(tmp_path), rel=1e-5)
    assert len(set(curve(folder))) == 3
    assert list(pd.read_csv(folder / "history.csv")["lr"]) == pytest.approx([0.01, 0.01, 0.001])
    one, other = (load_file(place / "model.safetensors") for place in (folder, tmp_path))
    assert max((one[name] - other[name]).abs().max().item() for name in one) < 1e-5
    assert facts["final"]["accuracy"] == pytest.approx(alone["final"]["accuracy"])
    assert set(bytes_of(folder)) == set(bytes_of(tmp_path))
    assert {**facts, "gpus": 1, "final": 0, "micro_batch_size": 8, "files": 0} == {**alone, "final": 0, "files": 0}


@pytest.mark.usefixtures("quick_start")
def test_two_processes_unfreeze_and_learn_auxiliary_targets_as_one_does(tiny: Tiny, tmp_path: Path) -> None:
    ids = pd.read_csv(tiny.fold_file())["id"]
    pd.DataFrame({"id": ids, "meta_age": range(len(ids))}).to_csv(tmp_path / "ages.csv", index=False)
    freeze = [[0, "backbone"], [1, {"first": 3}], [2, "none"]]
    more = {"freeze": freeze, "auxiliary": {"columns": ["age"], "weight": 0.3}}
    for name, batch_size, gpus in (("pair", 4, 2), ("alone", 8, 1)):
        made = tiny.model({**PLAIN, "batch_size": batch_size}, gpus=gpus, **VIT)
        model = {**made, "train": {**made["train"], **more}, "auxiliary": {"numeric": ["age"], "categorical": []}}
        tiny.train(tmp_path / name, model=model, metadata=[str(tmp_path / "ages.csv")])
    pair, alone = (pd.read_csv(tmp_path / name / "history.csv") for name in ("pair", "alone"))
    for column in ("train_loss", "train_loss_auxiliary"):
        assert list(pair[column]) == pytest.approx(list(alone[column]), rel=1e-5)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("pair", "alone"))
    assert max((one[name] - other[name]).abs().max().item() for name in one) < 1e-5


@pytest.mark.usefixtures("quick_start")
def test_two_processes_learn_from_the_unlabelled_images_of_one_with_twice_the_batch(tiny: Tiny, tmp_path: Path) -> None:
    how = {"sources": ["unlabeled"], "mu": 3, "threshold": 0.5, "strong": "broad"}
    unlabeled = {"unlabeled": [str(tiny.folds / "unlabeled.csv")], "caches": tiny.caches("train", "unlabeled")}
    for name, batch_size, gpus in (("pair", 4, 2), ("alone", 8, 1)):
        made = tiny.model({**PLAIN, "batch_size": batch_size, "fixmatch": how}, gpus=gpus, **VIT)
        tiny.train(tmp_path / name, model=made, **unlabeled)
    pair, alone = (pd.read_csv(tmp_path / name / "history.csv") for name in ("pair", "alone"))
    for column in ("train_loss", "train_loss_unlabeled", "mask_rate"):
        assert list(pair[column]) == pytest.approx(list(alone[column]), rel=1e-4)
    assert alone["mask_rate"].iloc[-1] > 0


# --- killed and stopped

LONG = {**PLAIN, "epochs": 30, "batch_size": 2, "accumulate": 1, "ema_decay": 0.9, "checkpoint": "best"}


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def time_of(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


@pytest.fixture(scope="module")
def jobs() -> Iterator[Jobs]:
    made = Jobs(python=str(forks.folder() / "python"))
    yield made
    made.end()


@pytest.mark.usefixtures("quick_start")
def test_processes_killed_in_every_way_end_with_the_same_bytes_and_leave_none_behind(
    tiny: Tiny, tmp_path: Path, jobs: Jobs
) -> None:
    """Three, for sums of three depend on their order; batch norm, whose statistics are those of the first process."""
    model = tiny.model(LONG, gpus=3)
    tiny.train(tmp_path / "whole", model=model)
    folder, log, pids = tmp_path / "run", tmp_path / "log", list[int]()
    job = settings_of_job(tiny, folder, model=model, runtime={**RUNTIME, "save_minutes": 0.0})

    def run_until_a_state_is_saved() -> Any:
        before = time_of(folder / "state.pt")
        process = jobs.start(job, log)
        until(lambda: process.exitcode is not None or time_of(folder / "state.pt") != before)
        assert process.exitcode is None, log.read_text()
        own = children(process.pid)
        assert len(own) == 3
        pids.extend(own)
        return process

    def ended(process: Any) -> int:
        status = status_of(process)
        until(lambda: not any(map(is_alive, pids)), 5)
        return status

    process = run_until_a_state_is_saved()
    os.kill(pids[-1], signal.SIGKILL)
    assert ended(process) == 1
    assert "process 2 of 3 training processes was killed by SIGKILL" in log.read_text()
    log.unlink()

    process = run_until_a_state_is_saved()
    os.killpg(process.pid, signal.SIGTERM)
    assert ended(process) == 143
    text = log.read_text()
    assert "Traceback" not in text, text
    assert text.splitlines()[-1].startswith("stopped by SIGTERM at step "), text
    assert text.endswith(" of 90; state saved, run again to resume\n")

    facts = tiny.train(folder, model=model)
    assert len(facts["resumed_at_step"]) == 2
    assert facts["resumed_at_step"] == sorted(set(facts["resumed_at_step"]))
    assert bytes_of(folder) == bytes_of(tmp_path / "whole")


CHILD = """
import sys, time
from goldfold.engine.parent import die_with
die_with(int(sys.argv[1]))
print(0, flush=True)
time.sleep(60)
"""
PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def test_a_process_dies_with_its_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.kill()
    until(lambda: not is_alive(child), 5)


# --- errors

NETWORK = """
import os, torch

class Odd(torch.nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.linear = torch.nn.Linear(3, n_classes)

    def forward(self, images):
        if os.environ["RANK"] == "1":
            raise ValueError("no such luck")
        return self.linear(images.mean(dim=(2, 3)))

def build(n_classes, in_channels, image_size, pretrained=False):
    return Odd(n_classes)
"""


@pytest.mark.usefixtures("quick_start")
def test_an_error_of_one_process_ends_all(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = children(os.getpid())
    (tmp_path / "odd_network.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(GoldfoldError, match="process 1 of 2 training processes ended with status 1"):
        tiny.train(tmp_path, model=tiny.model(PLAIN, gpus=2, network="odd_network:build", params={}))
    told = capfd.readouterr().err
    assert told.count("Traceback") == 1, "the other's lost connection is not told"
    assert "ValueError: no such luck" in told
    assert children(os.getpid()) == before


@pytest.mark.usefixtures("quick_start")
def test_an_error_of_ours_is_told_as_it_is(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(GoldfoldError, match=r"^the loss is \S+ at step \d, lr \S+, ids .*Lower train\.lr"):
        tiny.train(tmp_path, model=tiny.model({**PLAIN, "lr": 1e30}, gpus=2))


def test_fewer_devices_than_asked_for_are_refused(monkeypatch: pytest.MonkeyPatch, tiny: Tiny, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    said = r"models\[\]\.gpus = 2, but this job sees 1 \(CUDA_VISIBLE_DEVICES=3\)\. Make 2 visible, or set gpus: 1"
    for asked in ("cuda", "auto"):
        with pytest.raises(ConfigError, match=said):
            tiny.train(tmp_path, model=tiny.model(gpus=2), runtime={**RUNTIME, "device": asked})
    assert device.backend("cpu", 2) == "gloo"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert (device.backend("auto", 4), device.backend("cpu", 4)) == ("nccl", "gloo")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert device.backend("auto", 2) == "gloo"
    with pytest.raises(ConfigError, match=r"gpus = 2, but this job sees 0"):
        device.backend("cuda", 2)


def test_fewer_than_two_images_per_process_are_refused(tiny: Tiny) -> None:
    spec, rows = read(tiny.model(), "squash", 3, PLACE), pd.DataFrame({"id": ["a", "b", "c"]})
    said = r"models\[\]\.gpus = 2: there are only 3 training images, where each process needs two\. Set gpus: 1"
    with pytest.raises(ConfigError, match=said):
        loader(spec, None, None, rows, None, 0, SimpleNamespace(process_index=0, num_processes=2))


def test_windows_are_counted_not_their_images(tiny_masks: Tiny) -> None:
    rows, ranks = pd.DataFrame({"id": ["a"]}), SimpleNamespace(process_index=0, num_processes=2)
    images: Any = SimpleNamespace(size=lambda id: (64, 64), frame=(32, 32))
    for per_image, n in ((3, 3), ("auto", 4)):
        how = read(tiny_masks.model(windows={"per_image": per_image}), "native", 3, PLACE)
        if n == 4:
            assert windows.samples_of(how, images, rows["id"]) == (4, "windows of training images")
            continue
        with pytest.raises(ConfigError, match=rf"gpus = 2: there are only {n} windows of training images, where each"):
            loader(how, None, None, rows, images, 0, ranks)


@pytest.mark.usefixtures("quick_start")
def test_two_processes_learn_from_windows_as_one_does(tiny_masks: Tiny, tmp_path: Path) -> None:
    with contextlib.chdir(tiny_masks.root):
        stage.run(str(tiny_masks.folds / "shards/train-0.csv"), str(tmp_path / "cache"), [128, 128], 3, "native")
    net = {
        "backbone": "test_convnext",
        "params": {"decoder_channels": [8, 8, 8, 8, 8], "decoder_use_norm": False},
    }
    net |= {"windows": {"per_image": 2}, "image_size_px": [32, 32]}
    train = {"epochs": 2, "warmup_epochs": 0, "optimizer": "sgd", "loss": "ce", "flips": "both"}
    for name, batch_size, gpus in (("pair", 2, 2), ("alone", 4, 1)):
        model = tiny_masks.model({**train, "batch_size": batch_size}, gpus=gpus, **net)
        tiny_masks.train(tmp_path / name, model=model, resize="native", caches=[str(tmp_path / "cache")])
    assert curve(tmp_path / "pair") == pytest.approx(curve(tmp_path / "alone"), rel=1e-4)


def test_processes_share_the_windows_of_few_images() -> None:
    order = EpochOrder(Repeated(shuffled, np.array([9, 7])), TrainingCases(2, np.zeros), 8, ("k",))
    shares = [EpochSampler(2, 4, ("k",), process, 2, order) for process in range(2)]
    seen = [(place.row, place.again) for share in shares for batch in share for place in batch]
    assert len(seen) == len({*seen}) == 16, "no window is seen twice"


def test_processes_draw_differently_and_each_the_same_every_time() -> None:
    def drawn(process: int, n: int) -> float:
        alone = SimpleNamespace(process_index=process, num_processes=n, device=torch.device("cpu"))
        alone.autocast, alone.reduce, alone.no_sync = nullcontext, lambda value, how: value, nullcontext
        alone.backward, alone.scaler, alone.unwrap_model = lambda loss: None, None, lambda model: model
        model = torch.nn.Linear(1, 1)
        gradient = Gradient(
            model, lambda model, batch: Losses(torch.rand(1).sum()), torch.optim.SGD(model.parameters()), alone, None
        )
        with seeded("k", 0, 3):
            return gradient(
                [Batch(["a"], Inputs.of(torch.zeros(1, 1, 1, 1)), torch.zeros(1), torch.ones(1))], ("k", 0, 3)
            )["train_loss"]

    assert drawn(0, 2) == drawn(0, 2) != drawn(1, 2) == drawn(1, 2)
    assert drawn(0, 1) not in (drawn(0, 2), drawn(1, 2))


def test_splitting_batches_goes_with_one_device_only(tiny: Tiny) -> None:
    with pytest.raises(
        ConfigError, match=r"models\[0\]: train\.on_oom: shrink works with gpus: 1 only, not 2; set fail"
    ):
        tiny.model({"on_oom": "shrink"}, gpus=2)
