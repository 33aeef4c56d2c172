"""Snakemake's objects passed on to `goldfold.session` and `goldfold.lineage.staleness`, which decide what runs again."""

import atexit
import os

from goldfold.base import scheduled


def recipe(stage):
    """Input function: the file with all that a job of a stage depends on besides its input files."""

    def get(wildcards):
        SESSION.refuse_unusable_folder(is_dry_run())
        return SESSION.recipe_file(job_at(stage, wildcards))

    return get


def is_dry_run():
    """Whether nothing is run; known only once the Snakefile has been read."""
    return workflow.executor_plugin is None or workflow.dryrun


def is_forced():
    """Whether jobs are asked for by hand; known only once the Snakefile has been read."""
    how = workflow.dag_settings
    return how is not None and bool(how.forceall or how.forcetargets or how.forcerun)


def will_run(job):
    """Whether a job of a member, or one that it takes something from, is out of date."""
    return is_forced() or SESSION.standing().is_stale(job)


def begin():
    """Be the only run in the folder of results, and look at every network."""
    SESSION.begin()


def end():
    """Report where the results are."""
    SESSION.end()


SESSION.start()
if workflow.is_main_process and scheduled.VARIABLE in os.environ:
    atexit.register(scheduled.write, workflow, os.environ[scheduled.VARIABLE])
