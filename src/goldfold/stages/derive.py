"""Stage derive: weights of trained networks of a fold -> a soup of them, the network of a snapshot, or one that predicts by
neighbours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from accelerate import Accelerator
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from goldfold import components, tasks
from goldfold.base.errors import ConfigError
from goldfold.base.files import read_json
from goldfold.cache.images import CachedImages
from goldfold.cache.tiled import opened
from goldfold.engine.checkpoint import sweep, write_all
from goldfold.engine.device import accelerator as build_accelerator
from goldfold.engine.statistics import update_statistics
from goldfold.images.depth import DEFAULT, Rule
from goldfold.inference.predictor import encoder_beside, trained
from goldfold.metadata.columns import joined
from goldfold.metrics import Metric
from goldfold.models.norm_layers import layers
from goldfold.predictions.arrays import save
from goldfold.tables import read_table
from goldfold.tasks.protocol import Infer
from goldfold.training import indexing
from goldfold.training.context import TrainingImages
from goldfold.training.samples import Cases, rows_of
from goldfold.training.soup import Mean, best_first, equal_shapes, greedy, header_of
from goldfold.training.spec import Spec, read
from goldfold.training.validation import Validation

OUTPUTS = ("model.safetensors", "history.csv", indexing.FILE)


def run(
    folder: str,
    weights: Sequence[str],
    fold_file: str,
    classes: str,
    caches: list[str],
    task: dict[str, Any],
    metric: components.Written,
    model: dict[str, Any],
    resize: str,
    channels: int,
    place: dict[str, int],
    of: Sequence[str],
    snapshot: int,
    select: str | None,
    runtime: dict[str, Any],
    scale_16bit: Rule = DEFAULT,
    reported: Sequence[components.Written] = (),
    metadata: Sequence[str] = (),
) -> dict[str, Any]:
    """Write ``model.safetensors`` and ``history.csv``, one row of validation scores, into ``folder``; return the facts.

    A member that predicts by neighbours (``neighbours`` in ``model``) also has ``embeddings.npz``, its index.

    Args:
        weights: files of the networks in the order of ``of``, all of this fold; of a snapshot its file alone.
        fold_file: CSV of id, split and target.
        caches: folders of cached training images.
        model: settings of the first training, under the name of the member.
        of: places of the runs in the grid, for log and record.
        snapshot: number of the snapshot; 0 for a soup.
        select: uniform or greedy, see `goldfold.config.soups.Soup`; None for a snapshot.
        metric: score by which a greedy soup chooses its ingredients.
        metadata: CSVs of id and metadata columns of all cases, where the network takes metadata.

    Raises:
        ConfigError: the weights do not fit each other.
    """
    sweep(Path(folder), OUTPUTS)
    spec, names = read(model, resize, channels, place), read_json(classes)
    accelerator = build_accelerator(runtime["device"], runtime["precision"], runtime["torch_threads"])
    cases, images = (
        _cases(spec, fold_file, weights[0], metadata),
        opened(caches, spec.size, spec.resize, scale_16bit, spec.model.get("max_images")),
    )
    metrics = [tasks.score(task, names).metric(one) for one in (metric, *reported)]
    validation = _validation(spec, task, names, cases, images, metrics, accelerator)
    training = TrainingImages(spec, validation.infer, cases.train, images, accelerator, cases.encoder)
    files = dict(zip(of, weights, strict=True))
    kitchen = Kitchen(spec, validation.infer, accelerator, training, validation, files, metrics[0].name)
    if model.get("neighbours"):
        made = indexing.indexed_network(spec, validation.infer, load_file(weights[0]), training, names)
        found = validation(made.network.eval(), lambda: None)
        _write(Path(folder), made.weights, found, _header(weights[0]), made.arrays)
        about = {"neighbours": {"of": of[0], **model["neighbours"], "n_index": len(made.arrays["ids"])}}
        return {**about, **_facts(spec, cases, found, accelerator)}
    used, known = kitchen.chosen(select, metrics[0].greater_is_better)
    mean, found = kitchen.soup(used)
    _write(Path(folder), mean, found, header_of([_header(path) for path in weights]))
    listed = [{"run": one, "used": one in used, **({"score": known[one]} if known else {})} for one in of]
    soup = {"select": select, "metric": metrics[0].name, "ingredients": listed}
    about = {"snapshot": {"of": of[0], "number": snapshot}} if snapshot else {"soup": soup}
    return {**about, **_facts(spec, cases, found, accelerator)}


def _facts(spec: Spec, cases: Cases, found: dict[str, float], accelerator: Accelerator) -> dict[str, Any]:
    return {
        "member": {"model": spec.name, **spec.place},
        "n_train": len(cases.train),
        "n_val": len(cases.held_out),
        "final": found,
        "device": accelerator.device.type,
        "precision": accelerator.mixed_precision,
    }


def _cases(spec: Spec, fold_file: str, weights: str, metadata: Sequence[str]) -> Cases:
    """Read the labelled cases of a fold, whose metadata are encoded as in the training."""
    table, encoder = read_table(fold_file), encoder_beside(weights, spec.model)
    train, held_out = rows_of(table, None, 0.0), table[table["split"] == "val"].reset_index(drop=True)
    if spec.metadata is not None:
        train, held_out = (joined(rows, metadata, spec.metadata) for rows in (train, held_out))
    return Cases(train, held_out, encoder)


def _validation(
    spec: Spec,
    task: dict[str, Any],
    classes: list[str],
    cases: Cases,
    images: CachedImages,
    metrics: list[Metric],
    accelerator: Accelerator,
) -> Validation:
    """Validation on the fold's held-out cases, as in the training."""
    infer, scores = tasks.infer(task, classes), tasks.score(task, classes)
    return Validation(
        spec, tasks.target(task, classes), tasks.learn(task, classes), infer, scores, cases.held_out, images, metrics, None,
        accelerator, cases.encoder,
    )  # fmt: skip


@dataclass(frozen=True)
class Kitchen:
    """Makes soups of a fold, and scores them on its validation images."""

    spec: Spec
    infer: Infer
    accelerator: Accelerator
    training: TrainingImages
    validation: Validation
    files: Mapping[str, str]
    """File of the weights of each ingredient."""
    metric: str
    """Score of a greedy soup."""

    def chosen(self, select: str | None, greater_is_better: bool) -> tuple[list[str], dict[str, float]]:
        """Return the ingredients that are used, and the score of each ingredient if they are chosen by it."""
        if select != "greedy":
            return [*self.files], {}
        known = {one: self.soup([one])[1][self.metric] for one in self.files}
        ordered = best_first([*known], [*known.values()], greater_is_better)

        def score(several: Sequence[str]) -> float:
            value = known[several[0]] if len(several) == 1 else self.soup(several)[1][self.metric]
            print(f"{self.metric} {value:.4f} of {', '.join(several)}", flush=True)
            return value

        used = greedy(ordered, score, greater_is_better)
        print(f"used: {', '.join(used)}", flush=True)
        return [one for one in self.files if one in used], known

    def soup(self, ingredients: Sequence[str]) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Average ingredients; return the weights and the scores.

        The batch norm statistics of an average are those of the training images, as after SWA; a single ingredient is left
        as it is.
        """
        mean = self._mean(ingredients)
        spec = self.spec
        predictor = trained(
            self.infer, spec.model, mean.weights, spec.channels, self.accelerator.device, encoder=self.training.encoder,
            resize=spec.resize,
        )  # fmt: skip
        network = predictor.network
        if len(ingredients) > 1 and layers(network):
            update_statistics(network, self.training.batches(), self.training.forward)
        scores = self.validation(network.eval(), lambda: None)
        return {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}, scores

    def _mean(self, ingredients: Sequence[str]) -> Mean:
        first, mean = load_file(self.files[ingredients[0]]), Mean()
        for one in ingredients:
            found = load_file(self.files[one])
            if odd := equal_shapes(first, found):
                raise ConfigError(
                    f"models ({self.spec.name}).soup: {one} cannot be averaged with {ingredients[0]}: {odd} has another shape. "
                    f"List models with the same network."
                )
            mean = mean.with_(found)
        return mean


def _header(path: str) -> dict[str, str] | None:
    with safe_open(path, "pt") as file:
        found: dict[str, str] | None = file.metadata()
    return found


def _write(
    folder: Path,
    weights: dict[str, Tensor],
    scores: dict[str, float],
    header: dict[str, str] | None,
    index: dict[str, Any] | None = None,
) -> None:
    history = pd.DataFrame([scores]).to_csv(index=False)
    writers = {
        "model.safetensors": partial(save_file, weights, metadata=header),
        "history.csv": partial(Path.write_text, data=history, encoding="utf-8", newline="\n"),
    }
    if index is not None:
        writers[indexing.FILE] = partial(save, entries=index.items())
    else:
        (folder / indexing.FILE).unlink(missing_ok=True)  # of an earlier member of this name
    write_all(folder, writers)
    print(", ".join(f"{name} {value:.4f}" for name, value in scores.items()), flush=True)
