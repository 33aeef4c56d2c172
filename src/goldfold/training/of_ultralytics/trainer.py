"""The trainer of ultralytics with goldfold's network, validation, random numbers and saved state.

Losses, augmentation, optimizer, schedule and moving average are those of ultralytics. Random numbers are functions of the seed of
the run, the epoch and the image, or the step, so that the number of workers does not matter, and a run that is resumed after an
epoch ends with the same bytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from copy import copy, deepcopy
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml

from goldfold.base.counter import counter
from goldfold.base.errors import Stopped, TrainingError
from goldfold.models.ultralytics_library import library

if TYPE_CHECKING:
    from torch import nn

    from goldfold.engine.hooks import Hook
    from goldfold.engine.loop import Validate
    from goldfold.engine.state import State, Training
    from goldfold.engine.stopping import StopRequest


@dataclass
class Course:
    """What a training needs besides the arguments of the trainer."""

    network: nn.Module
    """The network inside `goldfold.models.wrapping.Normalised`, with its initial weights."""
    key: tuple[int | str, ...]
    """Seed of the run."""
    at: Training
    """Progress; its ``scored`` is the moving average of the weights."""
    hooks: Mapping[str, Hook]
    validate: Validate
    validate_every: int
    bar: Any
    keep: Callable[[int, Callable[[], State]], None]
    """Called after each epoch with the number of steps done and a function that makes the state; may raise Stopped."""
    asked: StopRequest
    state: State | None
    """State to resume from."""


class NoImages(list[Any]):
    """Stand-in for the validation images, which the trainer never reads."""

    labels: tuple[Any, ...] = ()


def trainer(arguments: Mapping[str, Any], course: Course) -> Any:
    """Build the trainer; its method ``train`` trains the network and moves ``course.at``."""
    library()
    kind = _class_of(course.network.network.is_rtdetr)  # type: ignore[union-attr]
    return kind(course, overrides=dict(arguments))


@cache
def _class_of(is_rtdetr: bool) -> Any:
    """Return the class of the trainer. It has no ``Trainer`` in its name: ultralytics would add trackers to it."""
    from ultralytics.models.rtdetr.train import RTDETRTrainer
    from ultralytics.models.yolo.detect import DetectionTrainer

    base: Any = RTDETRTrainer if is_rtdetr else DetectionTrainer

    class Seeded(base):  # type: ignore[misc]
        """Trainer of ultralytics, see the module."""

        def __init__(self, course: Course, **given: Any) -> None:
            self.course, threads = course, torch.get_num_threads()
            super().__init__(**given)
            torch.set_num_threads(threads)
            detector: Any = course.network.network
            self.model: Any = detector.model

        # --- what it does not do: report to anyone, draw, check its data, validate

        def run_callbacks(self, event: str) -> None:
            """Call the method of this class for an event; those of trackers are never called."""
            getattr(self, event, lambda: None)()

        def get_dataset(self) -> dict[str, Any]:
            """Read ``data.yaml`` without its checks, which download fonts and data sets."""
            return dict(yaml.safe_load(Path(self.args.data).read_text(encoding="utf-8")))

        def get_validator(self) -> Any:
            """Return an empty stand-in: `validate` does not use it."""
            return SimpleNamespace(metrics=SimpleNamespace(keys=[]))

        def final_eval(self) -> None:
            """Do nothing: the weights of the last epoch and of the best are known."""

        # --- data

        def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
            """Build the training set, whose samples are functions of the seed, the epoch and the image."""
            with redirect_stdout(StringIO()):  # progress bars of scanning and caching, whatever the verbosity
                built = super().build_dataset(img_path, mode, batch)
            return _counted(built, self.course.key, copy(self.args))

        def get_dataloader(self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
            """Build the loader of training images; there is none for validation."""
            if mode != "train":
                return SimpleNamespace(dataset=NoImages())
            return super().get_dataloader(dataset_path, batch_size, rank, mode)

        # --- events

        def on_train_epoch_start(self) -> None:
            """Draw the order of the images from the epoch's number, also in worker processes, which start again."""
            for hook in self.course.hooks.values():
                hook.before_epoch(self.course.at)
            self._oom_retries = 3  # fail, and never train with another batch size than the config has
            self.train_loader.reset()
            self.train_loader.generator.manual_seed(counter(*self.course.key, self.epoch, "order"))
            self.train_loader.dataset.epoch = self.epoch

        def on_train_batch_start(self) -> None:
            """Draw the numbers of a step from its number."""
            _seed(*self.course.key, self.epoch, self.course.at.step)

        def on_train_batch_end(self) -> None:
            """Note the losses of a step; stop if a signal asked for it."""
            at, course = self.course.at, self.course
            parts = {f"train_loss_{name}": float(value) for name, value in self.loss_items.items()}
            at.losses.append({"train_loss": sum(parts.values()), **parts})
            if not np.isfinite(at.losses[-1]["train_loss"]):
                raise TrainingError(
                    f"the loss of step {at.step + 1} is not finite. Use a smaller lr, or runtime.precision: fp32."
                )
            at.step, at.lr = (
                at.step + 1,
                next(group["lr"] for group in self.optimizer.param_groups if group.get("param_group") != "bias"),
            )
            at.n_updates += 1
            for hook in course.hooks.values():
                hook.after_step(at)
            course.bar.advance(1)
            if course.asked.signal and at.step % len(self.train_loader):
                print(
                    f"stopped within epoch {self.epoch + 1}; run again to resume after epoch {self.epoch}", flush=True
                )
                raise Stopped(128 + course.asked.signal)

        # --- ends of epochs, in the order in which they are called

        def validate(self) -> tuple[dict[str, float], None]:
            """Score the moving average of the weights by goldfold; the trainer itself sees no score."""
            course, at = self.course, self.course.at
            at.scored = _with_model(course.network, self.ema.ema)
            due = (self.epoch + 1) % course.validate_every == 0 or self._is_last
            scores = dict(course.validate(at.scored, lambda: None)) if due else {}
            at.end_epoch(scores)
            for hook in course.hooks.values():
                hook.after_epoch(at, scores)
            return {}, None

        def _handle_nan_recovery(self, epoch: int) -> bool:
            """Never repeat an epoch: a loss that is not finite has ended the training."""
            return False

        def save_metrics(self, metrics: Mapping[str, Any]) -> None:
            """Do nothing: the history has them."""

        def save_model(self) -> bool:
            """Save the state instead of its checkpoint, whose weights are rounded to half precision."""
            if not self._is_last:
                self.course.keep(self.course.at.step, self._state)
            return False

        def on_fit_epoch_end(self) -> None:
            """End a training on all rows where those on the folds ended."""
            self.stop = self._is_last

        @property
        def _is_last(self) -> bool:
            return self.epoch + 1 == self.epochs or self.course.at.stopped is not None

        # --- state

        def _state(self) -> State:
            return {
                "fit": self.course.at.state_dict(),
                "model": self.model.state_dict(),
                "average": self.ema.ema.state_dict(),
                "averaged": self.ema.updates,
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                **{f"hook {name}": hook.state_dict() for name, hook in self.course.hooks.items()},
            }

        def resume_training(self, ckpt: Any) -> None:
            """Restore a state that was saved after an epoch."""
            state = self.course.state
            if state is None:
                return
            self.course.at.load_state_dict(state["fit"])
            for name, part in {
                "model": self.model,
                "average": self.ema.ema,
                "optimizer": self.optimizer,
                "scaler": self.scaler,
                **{f"hook {name}": hook for name, hook in self.course.hooks.items()},
            }.items():
                part.load_state_dict(state[name])
            self.ema.updates, self.start_epoch = state["averaged"], len(self.course.at.history)
            if getattr(self.model.model[-1], "one2one_cv2", None) is not None:  # weights of its two losses by epoch
                self.model.criterion = self.model.init_criterion()
                self.model.criterion.updates = self.start_epoch - 1
                self.model.criterion.update()

    return Seeded


def _counted(dataset: Any, key: tuple[int | str, ...], arguments: Any) -> Any:
    """Make each sample of a data set a function of the key, the epoch and the number of the image.

    Partners of mosaics are drawn from all images, not from a buffer of the last ones, which depends on what was read before.
    """
    base: Any = type(dataset)

    class Counted(base):  # type: ignore[misc]
        """Data set of ultralytics, see the function."""

        def __getitem__(self, index: int) -> Any:
            _seed(*key, self.epoch, Path(self.im_files[index]).stem)
            return super().__getitem__(index)

    dataset.__class__, dataset.epoch = Counted, 0
    dataset.cache = "ram"  # means that there is no buffer; images are read from the files that its cache on disk wrote
    dataset.transforms = dataset.build_transforms(hyp=arguments)
    return dataset


def _seed(*parts: int | str) -> None:
    """Seed the generators that ultralytics draws from."""
    seed = counter(*parts)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _with_model(network: nn.Module, model: nn.Module) -> nn.Module:
    """Return the network with another model of ultralytics in it, such as the average of its weights."""
    detector: Any = network.network
    own, detector.model = detector.model, None
    copied: Any = deepcopy(network)
    detector.model, copied.network.model = own, model
    return copied
