"""What runs again: recipes, what is out of date, and what is done before the first job."""

import atexit
import json
import os
import shutil
import subprocess
import sys
import time
from functools import cache
from itertools import product
from pathlib import Path

from goldfold.runtime import (
    contents,
    dates,
    keeping,
    plan,
    recipes,
    records,
    run_lock,
    status,
)
from goldfold.runtime.files import (
    cannot_write,
    refuse_unusable,
    refuse_unwritable,
    write_json,
)
from goldfold.runtime.snakemake_log import Quiet
from goldfold.runtime.words import count

INSTALLED = provenance.versions(provenance.SHAPING)
RECIPES = {}
PLACE = ("model", "round", "fold", "seed")
FOLD_LISTS = [
    f"{RESULTS}/folds/{name}"
    for name in (
        *(f"fold{fold}.csv" for fold in FOLDS),
        *(f"{table}.csv" for table in CONFIG.tables),
        *(
            f"shards/{split}-{piece}.csv"
            for split in CONFIG.splits
            for piece in range(CONFIG.data.shards)
        ),
        *("summary.csv", "quarantine.csv", "duplicates.csv"),
        *("split.json", "classes.json", "class_ids.json", "test_groups.json"),
    )
]
ASKED = set()
"""Records of all jobs of this run, those that are up to date included."""


def code(stage, model=""):
    """What code a stage runs: that of components which the config does not name does not count."""
    of = [stage, *chosen.places(CONFIG, stage, model)]
    return {"of": of, "digest": provenance.source_digest(*of)}


def run_code(stage):
    """The same for a model's own network; cached images are part of what it learns from."""
    return lambda wildcards: {
        **code(stage, wildcards.model),
        "cache": provenance.source_digest("cache"),
    }


def recipe(record, code, data=None, **settings):
    """Input function: the file with all that the job which writes ``record`` depends on besides its input files.

    Its time makes Snakemake run the job where the record says that it was made by another recipe.
    """

    def get(wildcards):
        def told(value):
            return value(wildcards) if callable(value) else value

        made_by = {
            "settings": {name: told(value) for name, value in settings.items()},
            "data": told(data) or {},
            "code": told(code),
        }
        refuse_unusable_folder()
        path = record.format(**wildcards)
        versions = INSTALLED if CONFIG.strict_versions else None
        expected = expected_of(made_by["code"]["of"][0], wildcards)
        found = recipes.state(path, made_by, versions, expected)
        if path not in ASKED:
            report_damage(found, path)
        ASKED.add(path)
        try:
            return recipes.keep(path, made_by, found)
        except OSError as error:
            sys.exit(
                f"goldfold: cannot write {recipes.FOLDER} in {os.getcwd()}: {error.strerror}. Start in another folder."
            )

    RECIPES[record] = get
    return get


def expected_of(stage, wildcards):
    """Outputs that the record of a job must know; of the folds the lists too, which the checkpoint does not declare."""
    outputs = [str(path).format(**wildcards) for path in getattr(rules, stage).output]
    return outputs + (FOLD_LISTS if stage == "folds" else [])


def report_damage(state, record):
    """Log which files of a job are not what it wrote, and that it runs again."""
    if not workflow.is_main_process:
        return
    if not state.is_readable:
        logger.warning(f"{record} cannot be read as a record: its job runs again")
    for path, (old, new) in state.damage.items():
        found = f"changed ({old[:8]} -> {new[:8]})" if new else "missing"
        logger.warning(f"{path} is {found} since its job wrote it: the job runs again")


class Place(dict):
    """Wildcards, as an input function takes them."""

    __getattr__ = dict.__getitem__


def will_run(stage, wildcards):
    """Whether a job of a member, or one that it takes something from, is out of date."""
    folds = f"{RESULTS}/folds/run.json"
    time = os.stat(folds).st_mtime_ns if os.path.exists(folds) else 0
    place = tuple(str(wildcards.get(name)) for name in PLACE)
    return is_forced() or out_of_date(stage, place, time)


def is_forced():
    """Whether jobs are asked for by hand; known only once the Snakefile has been read."""
    how = workflow.dag_settings
    return how is not None and bool(how.forceall or how.forcetargets or how.forcerun)


@cache
def out_of_date(stage, place, time):
    """The same by model, round, fold and seed, at the time of the folds."""
    model, number, fold, seed = place
    record = f"{RESULTS}/{stage}/{RUN}/run.json"
    if stage == "pseudo_label":
        record = f"{RESULTS}/pseudo/round{{round}}/fold{{fold}}.run.json"
        takes = [
            ("predict", (name, str(int(number) - 1), fold, str(other)))
            for name in CONFIG.teachers
            for other in CONFIG.seeds
        ]
    else:
        from_train = ("train", place) if stage == "predict" else None
        from_labels = (
            ("pseudo_label", place) if stage == "train" and number != "0" else None
        )
        takes = [job for job in (from_train, from_labels) if job]
    # Snakemake may ask for this before it asks for the job's recipe, which is then yet to be written.
    wildcards = Place(zip(PLACE, place))
    recipe_file = RECIPES[record](wildcards)
    outputs = [str(path).format(**wildcards) for path in getattr(rules, stage).output]
    return not dates.is_fresh(record.format(**wildcards), recipe_file, outputs) or any(
        out_of_date(*job, time) for job in takes
    )


def wanted_sizes():
    """Caches that jobs of models which are out of date will ask for."""
    folds = f"{RESULTS}/folds/run.json"
    time = os.stat(folds).st_mtime_ns if os.path.exists(folds) else 0
    return sorted(
        {slices.cache_spec(CONFIG, name) for name in MODELS if needs_cache(name, time)}
    )


@cache
def needs_cache(model, time):
    """Whether any prediction of a model, and so what it is made with, is out of date."""
    return any(
        out_of_date("predict", (model, *map(str, place)), time)
        for place in product(CONFIG.rounds, FOLDS, CONFIG.seeds)
    )


def other_sizes(wildcards):
    """Sizes besides its own that a piece of cache is wanted in, and is not there."""
    found = []
    for spec in wanted_sizes():
        place = Place(spec=spec, shard=wildcards.shard)
        record = f"{RESULTS}/cache/{{spec}}/{{shard}}/run.json"
        outputs = [str(path).format(**place) for path in rules.cache.output]
        if spec != wildcards.spec and not dates.is_fresh(
            record.format(**place), RECIPES[record](place), outputs
        ):
            found.append(spec)
    return found


def whole_cache():
    """What there will be of the cache, as far as is known before it is made."""
    counts = (records.read(f"{RESULTS}/folds/run.json") or {}).get("images", {})
    return {
        "images": {split: counts.get(split, 0) for split in CONFIG.splits},
        "shards": CONFIG.data.shards,
        "specs": sorted({slices.cache_spec(CONFIG, name) for name in MODELS}),
        "wanted": wanted_sizes(),
    }


@cache
def refuse_unusable_folder():
    """Results that cannot be written end the run before Snakemake meets them; whether it writes is known by now."""
    is_dry = workflow.executor_plugin is None or workflow.dryrun
    try:
        refuse_unusable(RESULTS) if is_dry else refuse_unwritable(RESULTS)
    except GoldfoldError as error:
        sys.exit(f"goldfold: {error}")


def bring_up_to_date():
    """Results as the last finished jobs left them, times as the records have them, and a word on other versions."""
    if not run_lock.is_held(RESULTS):
        keeping.put_back(RESULTS)  # of a run that was killed
    known = records.read_all(RESULTS)
    dates.settle(known)
    for (library, old, new), n in records.changed_versions(known, INSTALLED).items():
        fate = (
            "made again"
            if CONFIG.strict_versions
            else "kept; --config strict_versions=true makes them again"
        )
        results = count(
            n, "result of the old version is", "results of the old version are"
        )
        logger.warning(f"{library} {old} -> {new}: {results} {fate}")


@cache
def settle_again(time):
    """The same once the folds stage, at this time, has written its lists: one that is as it was runs nothing."""
    dates.settle(records.read_all(RESULTS))


def begin():
    """Be the only run in the folder of results, see that every network can be built, and keep the results there are."""
    try:
        run_lock.take(RESULTS)
    except GoldfoldError as error:
        sys.exit(f"goldfold: {error}")
    contents.memory().save()
    status.forget_dead(RESULTS)
    preflight()
    keeping.keep(RESULTS)
    at_exit(leave)


def at_exit(do):
    """Do it as the process ends, in the folder of the run: Snakemake has left it by then where --directory names one."""
    home = os.getcwd()

    def there():
        if os.path.isdir(home):
            os.chdir(home)
            do()

    atexit.register(there)


def leave():
    """Note what was made; where the run ends without success, put earlier results of jobs that did not finish back.

    Snakemake has given times to outputs by now: the next start need not read them.
    """
    for record in records.read_all(RESULTS).values():
        if record["finished"] >= BEGUN:
            contents.memory().adopt(record)
    contents.memory().save()
    returned = keeping.put_back(RESULTS)
    if returned:
        print(
            f"goldfold: {count(len(returned), 'job')} did not finish; earlier results are back in place, first those of {returned[0]}"
        )


def end():
    """Say where the results are; leave a manifest of the whole run."""
    keeping.forget(RESULTS)
    whole = {"name": CONFIG.name, "config": CONFIG.model_dump(mode="json")}
    made = {p: r for p, r in records.read_all(RESULTS).items() if p in ASKED}
    if f"{RESULTS}/report/run.json" in ASKED:  # of a part, it would miss the rest
        write_json(f"{RESULTS}/provenance.json", whole | records.overview(made))
    recipes.forget(RESULTS)
    # Predictions have taken away the others' states; these are of trainings that gave the same bytes as before.
    for state in Path(RESULTS, "train").rglob("state.pt"):
        if state.with_name("run.json").exists():
            state.unlink()
    for looked_at in (out_of_date, needs_cache):
        looked_at.cache_clear()
    if (
        not wanted_sizes()
    ):  # what was made on the way for sizes that nobody asks for any more
        shutil.rmtree(f"{RESULTS}/cache/.work", ignore_errors=True)
    for what, path in (("Report", "report/report.html"), ("Scores", "metrics.json")):
        if os.path.exists(f"{RESULTS}/{path}"):
            print(f"{what}: {RESULTS}/{path}")


def preflight():
    """Try every network and optimizer and fetch weights, in a process of its own: this one loads no torch."""
    command = [
        sys.executable,
        "-m",
        "goldfold.preflight",
        json.dumps(slices.network_checks(CONFIG)),
    ]
    if subprocess.run(command).returncode:
        sys.exit("goldfold: a model cannot be used; see above. Nothing was run.")


BEGUN = time.time()
if workflow.is_main_process:
    at_exit(contents.memory().save)
    logger.addFilter(Quiet())
    try:
        bring_up_to_date()
    except OSError as error:
        sys.exit(f"goldfold: {cannot_write(RESULTS, error)}")
    if plan.VARIABLE in os.environ:
        atexit.register(plan.write, workflow, os.environ[plan.VARIABLE])
