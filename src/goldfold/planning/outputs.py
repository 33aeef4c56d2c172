"""Paths of the files that the jobs of each stage write, as patterns of their wildcards."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from goldfold.base.native import scale_of
from goldfold.planning.runs import FULL, IMAGES, INNER, LABELS, RUN, WHOLE

if TYPE_CHECKING:
    from goldfold.planning.plan import Plan

SHARD = "{spec}/{shard}"
"""Folder of a cache shard, below that of the cache."""
EMBEDDED = "{embedding}/{shard}"
"""Embeddings of the cases of a cache shard, below the folder of embeddings."""
HEADS = ("heads", "heads_once")
"""Stages that fit all runs of a head on a frozen backbone in one job, see `goldfold.planning.heads`."""
GROUP = "group"
"""Column of the groups of images, and the name by which samplers know it."""
CLASS = "class"
"""Name by which samplers know the classes of images."""
VAL_LOSS = "val_loss"
"""Column of the validation loss in the history of a training."""
MASK_RATE = "mask_rate"
"""Column of the share of the unlabelled images that FixMatch learns from."""
HOLDOUT = "holdout"
"""Split of the sealed holdout: training cases that are set aside before the folds are made."""
SEALED = "sealed/holdout.csv"
"""Truth of the holdout, below ``folds/``: an input of no job, read by ``goldfold holdout --open``."""
FULL_LABELS = "round{round}/full"
"""Pseudo labels of the runs on all rows in a round, below the folder of pseudo labels."""
FOLD_TABLES = ("summary.csv", "quarantine.csv", "duplicates.csv")
FOLD_FACTS = ("split.json", "classes.json", "class_ids.json", "test_groups.json")


@dataclass(frozen=True)
class Files:
    """Files that the jobs of a stage write, as patterns of their wildcards.

    Args:
        outputs: one path or several by the name under which the rule declares them, the record last.
        beside: files written besides the outputs, which the record must list.
    """

    outputs: dict[str, str | list[str]]
    log: str
    benchmark: str
    beside: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        return self.outputs[name]

    @property
    def all(self) -> list[str]:
        """All outputs."""
        return [path for found in self.outputs.values() for path in ([found] if isinstance(found, str) else found)]


def files_of(plan: "Plan") -> dict[str, Files]:
    """Files that each stage writes."""
    root = plan.results

    def files(outputs: dict[str, Any], about: str, record: str, beside: Iterable[str] = ()) -> Files:
        whole = {name: found if isinstance(found, str) else list(found) for name, found in outputs.items()}
        log, times = f"{root}/logs/{about}.log", f"{root}/benchmarks/{about}.tsv"
        return Files({**whole, "record": f"{root}/{record}"}, log, times, tuple(beside))

    train, predict, cache = f"{root}/train/{RUN}", f"{root}/predict/{RUN}", f"{root}/cache/{SHARD}"
    inner_train, parts = f"{root}/inner_train/{INNER}", ["oof", *plan.splits[1:]]
    network = {"model": f"{train}/model.safetensors", "history": f"{train}/history.csv"}
    return {
        "demo": files({"data": plan.demo}, "demo", "demo/run.json"),
        "manifest": files(_manifest(plan), "manifest", "manifest/run.json"),
        "match": files({"table": f"{root}/crop/images.csv"}, "match", "crop/match.run.json"),
        "crop": files({"tables": [f"{root}/crop/{table}.csv" for table in plan.tables]}, "crop", "crop/run.json"),
        "folds": files({}, "folds", "folds/run.json", (f"{root}/folds/{name}" for name in _fold_lists(plan))),
        "cache": files(
            {"files": [f"{cache}/{name}" for name in plan.task_cache]}, f"cache/{SHARD}", f"cache/{SHARD}/run.json"
        ),
        "embed": files(
            {"features": f"{root}/embeddings/{EMBEDDED}.npz"}, f"embed/{EMBEDDED}", f"embeddings/{EMBEDDED}.run.json"
        ),
        **{
            stage: files({"parts": head_parts(plan, stage, parts)}, f"{stage}/{{model}}", "heads/{model}/run.json")
            for stage in HEADS
        },
        "train": files(network, f"train/{RUN}", f"train/{RUN}/run.json"),
        "derive": files(network, f"derive/{RUN}", f"train/{RUN}/run.json"),
        "predict": files(
            {"parts": [f"{predict}/{part}.npz" for part in parts]}, f"predict/{RUN}", f"predict/{RUN}/run.json"
        ),
        "teach": files({"train": f"{root}/teach/{RUN}/train.npz"}, f"teach/{RUN}", f"teach/{RUN}/run.json"),
        "inner_train": files(
            {"model": f"{inner_train}/model.safetensors", "history": f"{inner_train}/history.csv"},
            f"inner_train/{INNER}",
            f"inner_train/{INNER}/run.json",
        ),
        "inner_predict": files(
            {"parts": [f"{root}/inner_predict/{INNER}/oof.npz"]},
            f"inner_predict/{INNER}",
            f"inner_predict/{INNER}/run.json",
        ),
        "generate": files(
            {"images": f"{root}/generate/{IMAGES}/images.npy", "ids": f"{root}/generate/{IMAGES}/ids.csv"},
            f"generate/{IMAGES}",
            f"generate/{IMAGES}/run.json",
        ),
        "clean": files({"table": f"{root}/clean/{LABELS}.csv"}, f"clean/{LABELS}", f"clean/{LABELS}.run.json"),
        "pseudo_label": files(
            {"table": f"{root}/pseudo/{LABELS}.csv"}, f"pseudo/{LABELS}", f"pseudo/{LABELS}.run.json"
        ),
        "full_label": files(
            {"table": f"{root}/pseudo/{FULL_LABELS}.csv"}, f"pseudo/{FULL_LABELS}", f"pseudo/{FULL_LABELS}.run.json"
        ),
        "full_train": files(
            {
                "model": f"{root}/full_train/{FULL}/model.safetensors",
                "history": f"{root}/full_train/{FULL}/history.csv",
            },
            f"full_train/{FULL}",
            f"full_train/{FULL}/run.json",
        ),
        "full_predict": files(
            {"parts": [f"{root}/full_predict/{FULL}/{split}.npz" for split in plan.predicted]},
            f"full_predict/{FULL}",
            f"full_predict/{FULL}/run.json",
        ),
        "external": files(
            {"parts": [f"{root}/external/{{external}}/{part}.npz" for part in ["oof", *["test"] * plan.has_test]]},
            "external/{external}",
            "external/{external}/run.json",
        ),
        "ensemble": files(_ensemble(plan), "ensemble", "ensemble/run.json"),
        "submit": files(_submission(plan), "submit", "submission.run.json"),
        "report": files(
            {"page": f"{root}/report/report.html", "curves": f"{root}/report/curves.csv"}, "report", "report/run.json"
        ),
    }


def head_parts(plan: "Plan", stage: str, parts: Iterable[str]) -> list[str]:
    """Predictions that a job of `goldfold.planning.heads` writes: those of all folds, of all seeds or of the first one."""
    seeds = plan.grid.seeds[:1] if stage == "heads_once" else plan.grid.seeds
    places = [(fold, seed) for fold in range(plan.grid.n_folds) for seed in seeds]
    folders = [f"{plan.results}/predict/{{model}}/round0/fold{fold}/seed{seed}" for fold, seed in places]
    return [f"{folder}/{part}.npz" for folder in folders for part in parts]


def _manifest(plan: "Plan") -> dict[str, Any]:
    folder = f"{plan.results}/manifest"
    return {
        "tables": [f"{folder}/{table}.csv" for table in plan.tables],
        "quarantine": f"{folder}/quarantine.csv",
        "duplicates": f"{folder}/duplicates.csv",
        "classes": f"{folder}/classes.json",
        "class_ids": f"{folder}/class_ids.json",
        "generated": plan.generated,
    }


def _ensemble(plan: "Plan") -> dict[str, Any]:
    root, parts = plan.results, ["oof", *plan.predicted]
    return {
        "ensemble": [f"{root}/ensemble/{part}.{suffix}" for part in parts for suffix in ("npz", "csv")],
        "weights": f"{root}/ensemble/weights.json",
        "fitted": f"{root}/ensemble/fitted.json",
        "rounds": f"{root}/ensemble/rounds.csv",
        "resampled": f"{root}/ensemble/resampled.npz",
        "leaderboard": f"{root}/leaderboard.csv",
        "metrics": f"{root}/metrics.json",
        "headline": f"{root}/headline.json",
    }


def _submission(plan: "Plan") -> dict[str, Any]:
    extras = plan.task_submission if plan.has_test else ()
    return {
        "table": f"{plan.results}/submission.csv",
        "files": [f"{plan.results}/{name}" for name in extras if not name.endswith("/")],
        "folders": [f"{plan.results}/{name[:-1]}" for name in extras if name.endswith("/")],
    }


def cache_spec(size: tuple[int, int], resize: str) -> str:
    """Name of the cache of images of one size.

    >>> cache_spec((224, 320), "squash")
    '224x320-squash'
    >>> cache_spec((512, 512), "native-0.5")  # images at half their own size, whatever the input of the network
    'native-0.5'
    """
    return resize if scale_of(resize) is not None else f"{size[0]}x{size[1]}-{resize}"


def part_of(fold: int) -> str:
    """Beginning of the names of the lists of a fold, or of those of all labelled cases.

    >>> part_of(0), part_of(WHOLE)
    ('fold0', 'full')
    """
    return "full" if fold == WHOLE else f"fold{fold}"


def group_list(fold: int) -> str:
    """Name of the list of the groups of a fold's cases.

    >>> group_list(0)
    'fold0-groups.csv'
    """
    return f"{part_of(fold)}-groups.csv"


def metadata_list(part: str) -> str:
    """Name of the metadata list of ``fold<k>`` or of a split.

    >>> metadata_list("fold0")
    'fold0-metadata.csv'
    """
    return f"{part}-metadata.csv"


def _fold_lists(plan: "Plan") -> list[str]:
    """Lists that the folds stage writes besides its record, each only when its content changes."""
    return [
        *(f"{part_of(fold)}.csv" for fold in plan.folds),
        *(f"{table}.csv" for table in plan.tables),
        *[f"{HOLDOUT}.csv", SEALED] * (HOLDOUT in plan.splits),
        *(metadata_list(part) for part in plan.metadata_parts),
        *(group_list(fold) for fold in plan.folds if plan.by_group),
        *plan.inner_lists,
        *plan.row_lists,
        *(f"shards/{split}-{piece}.csv" for split in plan.splits for piece in range(plan.n_shards)),
        *FOLD_TABLES,
        *FOLD_FACTS,
    ]
