"""One start of Snakemake: work before its first job and after its last, and answers for its input functions.

workflow/rules/reruns.smk passes Snakemake's objects on.
"""

import atexit
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from logging import Logger
from pathlib import Path

from goldfold import ledger, openings, trials
from goldfold.base import log, run_lock, status
from goldfold.base.errors import DataError, GoldfoldError
from goldfold.base.files import cannot_write, read_json, refuse_unusable, refuse_unwritable, write_json
from goldfold.base.signals import handle_apart
from goldfold.base.snakemake_log import Quiet
from goldfold.base.words import count
from goldfold.config import Config
from goldfold.config.dependencies import recipe
from goldfold.lineage import contents, dates, keeping, provenance, recipes, records, source
from goldfold.lineage.staleness import Standing
from goldfold.planning.plan import Job, plan_of

NO_RECIPES = "goldfold: cannot write {folder} in {here}: {why}. Start in another folder."


class Session:
    """The results of a config, from reading the Snakefile to the end of the run.

    Args:
        is_main: whether this process starts the jobs; each job's own process reads the Snakefile again.
        detector: session of the detector by whose boxes images are cropped, which begins before this one; None without one.
    """

    def __init__(self, config: Config, logger: Logger, is_main: bool, detector: "Session | None" = None) -> None:
        self.config, self.plan, self.logger, self.is_main = config, plan_of(config), logger, is_main
        self.detector = detector
        self.results = self.plan.results
        self.versions = provenance.versions(provenance.SHAPING)
        self.begun = time.time()
        self.asked: set[str] = set()
        """Records of all jobs of this run, including those that are up to date."""

    # --- for the input functions

    def standing(self) -> Standing:
        """State of the jobs; computed again after the folds stage, or that of the detector, has run."""
        return self._standing_at(self.folds_time(), self.detector.folds_time() if self.detector else 0)

    @cache  # noqa: B019 - there is one session for a config
    def _standing_at(self, time_ns: int, of_detector_ns: int) -> Standing:
        return Standing(self.plan, self.is_fresh, self.detector.standing() if self.detector else None)

    def folds_time(self) -> int:
        """Time of the folds' record in ns; 0 without a record."""
        return dates.latest([self.plan.record(Job("folds"))])

    def is_fresh(self, job: Job) -> bool:
        """Return whether a job is up to date, its upstream jobs aside.

        Snakemake may call this before the job's recipe is written.
        """
        return self._is_fresh(job, self.recipe_file(job))

    def _is_fresh(self, job: Job, recipe_file: str) -> bool:
        return dates.is_fresh(self.plan.record(job), recipe_file, self.plan.outputs(job))

    def recipe_file(self, job: Job) -> str:
        """File with everything that a job depends on besides its input files.

        Its mtime makes Snakemake run the job if the record has another recipe.

        Raises:
            ConfigError: the config does not ask for the job.
        """
        self.plan.refuse_unplanned(job)
        return self._recipe_file_at(job, self.folds_time())

    @cache  # noqa: B019
    def _recipe_file_at(self, job: Job, time_ns: int) -> str:
        return self._write_recipe(job)

    def _write_recipe(self, job: Job) -> str:
        """Write the recipe of a job.

        That of the folds is new if images will be cropped anew: the crops wait for the checkpoint of the detector's folds, and
        Snakemake takes jobs behind a checkpoint for up to date until it is done, and so the checkpoint behind them too.
        """
        path, made_by = self.plan.record(job), recipe(self.config, job)
        found = recipes.state(path, made_by, self.strict_versions, self.plan.expected(job))
        if path not in self.asked:
            self.asked.add(path)
            self._report_damage(found, path)
        if self.detector and job == Job("folds") and self.standing().is_stale(Job("crop")):
            found = replace(found, is_same=False)
        try:
            return recipes.keep(path, made_by, found)
        except OSError as error:
            sys.exit(NO_RECIPES.format(folder=recipes.FOLDER, here=os.getcwd(), why=error.strerror))

    @property
    def strict_versions(self) -> dict[str, str | None] | None:
        """Versions of libraries that results must have been made with; None if any will do."""
        return self.versions if self.config.strict_versions else None

    def _report_damage(self, state: recipes.State, record: str) -> None:
        """Log which files of a job have changed since it wrote them, so that it runs again."""
        if not self.is_main:
            return
        if not state.is_readable:
            why = "empty, truncated or edited"
            self.logger.warning(f"{record} cannot be read as a record ({why}): its job runs again")
        if state.unlisted and state.is_same:
            self.logger.warning(f"{record} does not list {state.unlisted[0]}: its job runs again")
        for path, (old, new) in state.damage.items():
            found = f"changed ({old[:8]} -> {new[:8]})" if new else "missing"
            self.logger.warning(f"{path} is {found} since its job wrote it: the job runs again")

    def cache_settings(self, piece: Job) -> dict[str, object]:
        """Settings for building a cache shard that do not change its pixels."""
        standing, folds = self.standing(), records.read(self.plan.record(Job("folds")))
        whole = standing.whole_cache((folds or {}).get("images", {}))
        return {"others": standing.other_sizes(piece), "whole": whole, "max_gb": self.config.cache.max_gb}

    @cache  # noqa: B019
    def settle_again(self, folds_time: int) -> None:
        """Set times of files again after the folds stage has written its lists: an unchanged list runs nothing."""
        dates.settle(records.read_all(self.results))

    # --- before the first job

    def start(self) -> None:
        """Bring results and their times up to date when the Snakefile is read; only in the main process."""
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
        """Restore results of the last finished jobs, set times from the records, and report changed library versions."""
        if not run_lock.is_held(self.results):
            keeping.put_back(self.results)  # after a run that was killed
        known = records.read_all(self.results)
        records.refuse_links_to_nothing(self.results, known)
        records.refuse_newer(known)
        dates.settle(known)
        ledger.read()  # a broken one is refused here, before any job
        if self.config.holdout:
            openings.read()
        fate = "kept; --config strict_versions=true makes them again"
        for (library, old, new), n in records.changed_versions(known, self.versions).items():
            results = count(n, "result of the old version is", "results of the old version are")
            decided = "made again" if self.config.strict_versions else fate
            self.logger.warning(f"{library} {old} -> {new}: {results} {decided}")

    @cache  # noqa: B019
    def refuse_unusable_folder(self, is_dry: bool) -> None:
        """End the run before Snakemake starts if the results cannot be written."""
        try:
            refuse_unusable(self.results) if is_dry else refuse_unwritable(self.results)
        except GoldfoldError as error:
            sys.exit(f"goldfold: {error}")

    def begin(self, is_quiet: bool = False) -> None:
        """Lock the folder of results, check that every network can be built, and set earlier results aside.

        Args:
            is_quiet: Snakemake shows no errors of jobs (``-q rules``); then the jobs do.
        """
        if self.detector:
            self.detector.begin(is_quiet)
        if is_quiet:
            os.environ[log.VARIABLE] = "1"
        handle_apart(signal.SIGTERM)
        try:
            run_lock.take(self.results)
        except GoldfoldError as error:
            sys.exit(f"goldfold: {error}")
        contents.memory().save()
        source.save()  # for the jobs
        status.forget_dead(self.results)
        self._preflight()
        keeping.keep(self.results)
        at_exit(self._leave)

    def _preflight(self) -> None:
        """Build every network and optimizer and fetch weights."""
        folds = None if self.standing().is_stale(Job("folds")) else f"{self.results}/folds"
        if trials.run(trials.trials(self.config, self.plan, folds)).returncode:
            sys.exit("goldfold: a model cannot be used; see above. Nothing was run.")

    # --- after the last job

    def _leave(self) -> None:
        """Remember the digests of new outputs; if the run failed, restore earlier results of jobs that did not finish.

        Snakemake has set the times of outputs by now, so the next start need not read them.
        """
        for record in records.read_all(self.results).values():
            if record["finished"] >= self.begun:
                contents.memory().adopt(record)
        contents.memory().save()
        if returned := keeping.put_back(self.results):
            first = f"earlier results are restored, first those of {returned[0]}"
            print(f"goldfold: {count(len(returned), 'job')} did not finish; {first}")

    def end(self) -> None:
        """Print where the results are, and write a manifest of the whole run."""
        if self.detector:
            self.detector.end()
        keeping.forget(self.results)
        self._write_overview()
        recipes.forget(self.results)
        # Prediction jobs delete states; these are left by trainings whose output did not change, so no prediction ran.
        for state in [
            path
            for stage in ("train", "inner_train", "full_train")
            for path in Path(self.results, stage).rglob("state.pt")
        ]:
            if state.with_name("run.json").exists():
                state.unlink()
        now = Standing(self.plan, lambda job: self._is_fresh(job, self._write_recipe(job)))
        if not now.wanted_sizes():
            # shards built for sizes that are no longer needed
            shutil.rmtree(f"{self.results}/cache/.work", ignore_errors=True)
        self._print_results()

    def _print_results(self) -> None:
        """Print the score with its interval, and the paths of report, scores and submission."""
        files = self.plan.files
        places = {"Report": files["report"]["page"], "Scores": files["ensemble"]["metrics"]}
        if self.plan.has_test:
            places["Submission"] = files["submit"]["table"]
        found = {what: path for what, path in places.items() if os.path.exists(path)}
        if "Scores" in found:
            for metric, score in read_json(files["ensemble"]["headline"])["oof"].items():
                value, low, high = (
                    "undefined" if n is None else f"{n:.4f}" for n in map(score.get, ("value", "low", "high"))
                )
                told = ", meaningless after a quick run" if self.config.quick else ""
                print(f"Score: {metric} {value} out of fold (95 % interval {low} to {high}){told}")
        for what, path in found.items():
            print(f"{what}: {path}")

    def _write_overview(self) -> None:
        """Write provenance.json, only if the whole plan was requested."""
        if self.plan.record(Job("report")) in self.asked:
            whole = {"name": self.config.name, "config": self.config.model_dump(mode="json")}
            made = {path: record for path, record in records.read_all(self.results).items() if path in self.asked}
            write_json(f"{self.results}/provenance.json", whole | records.overview(made))


def at_exit(do: Callable[[], object]) -> None:
    """Call ``do`` when the process ends, in the run's working directory, which Snakemake has left by then with --directory."""
    home = os.getcwd()

    def there() -> None:
        if os.path.isdir(home):
            os.chdir(home)
            do()

    atexit.register(there)
