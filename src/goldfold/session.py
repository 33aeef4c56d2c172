"""One start of Snakemake: what is done before its first job and after its last, and what its input functions ask.

The Snakefile only passes Snakemake's objects on: workflow/rules/reruns.smk.
"""

import atexit
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from logging import Logger
from pathlib import Path

from goldfold.base import run_lock, status
from goldfold.base.errors import DataError, GoldfoldError
from goldfold.base.files import cannot_write, refuse_unusable, refuse_unwritable, write_json
from goldfold.base.snakemake_log import Quiet
from goldfold.base.words import count
from goldfold.config import Config, slices
from goldfold.config.dependencies import recipe
from goldfold.lineage import contents, dates, keeping, provenance, recipes, records
from goldfold.lineage.staleness import Standing
from goldfold.plan import Job, plan_of

NO_RECIPES = "goldfold: cannot write {folder} in {here}: {why}. Start in another folder."


class Session:
    """The results of a config, from the reading of the Snakefile to the end of the run.

    Args:
        is_main: whether this process starts the jobs; in a job of its own, Snakemake reads the Snakefile again.
    """

    def __init__(self, config: Config, logger: Logger, is_main: bool) -> None:
        self.config, self.plan, self.logger, self.is_main = config, plan_of(config), logger, is_main
        self.results = self.plan.results
        self.versions = provenance.versions(provenance.SHAPING)
        self.begun = time.time()
        self.asked: set[str] = set()
        """Records of all jobs of this run, those that are up to date included."""

    # --- what the input functions ask

    def standing(self) -> Standing:
        """How the jobs stand; looked at again once the folds stage has run."""
        return self._standing_at(self.folds_time())

    @cache  # noqa: B019 - there is one session in a process
    def _standing_at(self, time_ns: int) -> Standing:
        return Standing(self.plan, self.is_fresh)

    def folds_time(self) -> int:
        """Time of the folds' record in ns; 0 where there is none."""
        return dates.latest([self.plan.record(Job("folds"))])

    def is_fresh(self, job: Job) -> bool:
        """Whether a job has nothing to do by itself.

        Snakemake may ask for this before it asks for the job's recipe, which is then yet to be written.
        """
        return self._is_fresh(job, self.recipe_file(job))

    def _is_fresh(self, job: Job, recipe_file: str) -> bool:
        return dates.is_fresh(self.plan.record(job), recipe_file, self.plan.outputs(job))

    def recipe_file(self, job: Job) -> str:
        """File with all that a job depends on besides its input files.

        Its time makes Snakemake run the job where the record says that it was made by another recipe.
        """
        return self._recipe_file_at(job, self.folds_time())

    @cache  # noqa: B019
    def _recipe_file_at(self, job: Job, time_ns: int) -> str:
        return self._write_recipe(job)

    def _write_recipe(self, job: Job) -> str:
        path, made_by = self.plan.record(job), recipe(self.config, job)
        found = recipes.state(path, made_by, self.strict_versions, self.plan.expected(job))
        if path not in self.asked:
            self.asked.add(path)
            self._report_damage(found, path)
        try:
            return recipes.keep(path, made_by, found)
        except OSError as error:
            sys.exit(NO_RECIPES.format(folder=recipes.FOLDER, here=os.getcwd(), why=error.strerror))

    @property
    def strict_versions(self) -> dict[str, str | None] | None:
        """Versions of libraries that results must have been made with."""
        return self.versions if self.config.strict_versions else None

    def _report_damage(self, state: recipes.State, record: str) -> None:
        """Log which files of a job are not what it wrote, and that it runs again."""
        if not self.is_main:
            return
        if not state.is_readable:
            self.logger.warning(f"{record} cannot be read as a record: its job runs again")
        for path, (old, new) in state.damage.items():
            found = f"changed ({old[:8]} -> {new[:8]})" if new else "missing"
            self.logger.warning(f"{path} is {found} since its job wrote it: the job runs again")

    def cache_settings(self, piece: Job) -> dict[str, object]:
        """How a piece of the cache is made, which does not change its pixels."""
        standing, folds = self.standing(), records.read(self.plan.record(Job("folds")))
        whole = standing.whole_cache((folds or {}).get("images", {}))
        return {"others": standing.other_sizes(piece), "whole": whole, "max_gb": self.config.cache.max_gb}

    @cache  # noqa: B019
    def settle_again(self, folds_time: int) -> None:
        """Date files again once the folds stage, at this time, has written its lists: one that is as it was runs nothing."""
        dates.settle(records.read_all(self.results))

    # --- before the first job

    def start(self) -> None:
        """Bring results and times up to date as the Snakefile is read; only the main process does."""
        if not self.is_main:
            return
        at_exit(contents.memory().save)
        self.logger.addFilter(Quiet())
        try:
            self.bring_up_to_date()
        except DataError as error:
            sys.exit(f"goldfold: {error}")
        except OSError as error:
            sys.exit(f"goldfold: {cannot_write(self.results, error)}")

    def bring_up_to_date(self) -> None:
        """Results as the last finished jobs left them, times as the records have them; other versions are reported."""
        if not run_lock.is_held(self.results):
            keeping.put_back(self.results)  # of a run that was killed
        known = records.read_all(self.results)
        records.refuse_links_to_nothing(self.results, known)
        records.refuse_newer(known)
        dates.settle(known)
        fate = "kept; --config strict_versions=true makes them again"
        for (library, old, new), n in records.changed_versions(known, self.versions).items():
            results = count(n, "result of the old version is", "results of the old version are")
            decided = "made again" if self.config.strict_versions else fate
            self.logger.warning(f"{library} {old} -> {new}: {results} {decided}")

    @cache  # noqa: B019
    def refuse_unusable_folder(self, is_dry: bool) -> None:
        """End the run where the results cannot be written, before Snakemake meets them."""
        try:
            refuse_unusable(self.results) if is_dry else refuse_unwritable(self.results)
        except GoldfoldError as error:
            sys.exit(f"goldfold: {error}")

    def begin(self) -> None:
        """Be the only run in the folder of results, see that every network can be built, and keep the results there are."""
        try:
            run_lock.take(self.results)
        except GoldfoldError as error:
            sys.exit(f"goldfold: {error}")
        contents.memory().save()
        status.forget_dead(self.results)
        self._preflight()
        keeping.keep(self.results)
        at_exit(self._leave)

    def _preflight(self) -> None:
        """Try every network and optimizer and fetch weights, in a process of its own: this one loads no torch."""
        checks = slices.network_checks(self.config)
        if self.plan.with_metadata and not self.config.quick and not self.standing().is_stale(Job("folds")):
            checks = [{**one, "folds": f"{self.results}/folds"} for one in checks]
        command = [sys.executable, "-m", "goldfold.commands.preflight", json.dumps(checks)]
        if subprocess.run(command).returncode:
            sys.exit("goldfold: a model cannot be used; see above. Nothing was run.")

    # --- after the last job

    def _leave(self) -> None:
        """Note what was made; where the run ends without success, put earlier results of jobs that did not finish back.

        Snakemake has given times to outputs by now: the next start need not read them.
        """
        for record in records.read_all(self.results).values():
            if record["finished"] >= self.begun:
                contents.memory().adopt(record)
        contents.memory().save()
        if returned := keeping.put_back(self.results):
            first = f"earlier results are back in place, first those of {returned[0]}"
            print(f"goldfold: {count(len(returned), 'job')} did not finish; {first}")

    def end(self) -> None:
        """Report where the results are; leave a manifest of the whole run."""
        keeping.forget(self.results)
        self._write_overview()
        recipes.forget(self.results)
        # Predictions have taken away the others' states; these are of trainings that gave the same bytes as before.
        for state in Path(self.results, "train").rglob("state.pt"):
            if state.with_name("run.json").exists():
                state.unlink()
        now = Standing(self.plan, lambda job: self._is_fresh(job, self._write_recipe(job)))
        if not now.wanted_sizes():
            # made on the way, for sizes that nobody asks for any more
            shutil.rmtree(f"{self.results}/cache/.work", ignore_errors=True)
        page, scores = (self.plan.files[stage][name] for stage, name in (("report", "page"), ("ensemble", "metrics")))
        for what, path in (("Report", page), ("Scores", scores)):
            if os.path.exists(path):
                print(f"{what}: {path}")

    def _write_overview(self) -> None:
        """Write provenance.json; of a part of the plan, it would miss the rest."""
        if self.plan.record(Job("report")) in self.asked:
            whole = {"name": self.config.name, "config": self.config.model_dump(mode="json")}
            made = {path: record for path, record in records.read_all(self.results).items() if path in self.asked}
            write_json(f"{self.results}/provenance.json", whole | records.overview(made))


def at_exit(do: Callable[[], object]) -> None:
    """Do it as the process ends, in the folder of the run: Snakemake has left it by then where --directory names one."""
    home = os.getcwd()

    def there() -> None:
        if os.path.isdir(home):
            os.chdir(home)
            do()

    atexit.register(there)
