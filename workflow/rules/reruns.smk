"""Passes Snakemake's objects to `goldfold.session` and `goldfold.lineage.staleness`, which decide what reruns."""

from snakemake.logging import is_quiet_about


def recipe(stage):
    """Input function for the recipe: the file with everything that a job depends on besides its input files."""

    def get(wildcards):
        SESSION.refuse_unusable_folder(is_dry_run())
        return SESSION.recipe_file(job_at(stage, wildcards))

    return get


def is_dry_run():
    """Nothing will be run; known only after the Snakefile has been read."""
    return workflow.executor_plugin is None or workflow.dryrun


def is_forced():
    """Jobs are forced on the command line; known only after the Snakefile has been read."""
    how = workflow.dag_settings
    return how is not None and bool(how.forceall or how.forcetargets or how.forcerun)


def will_run(job):
    """A job of a member, or a job that it depends on, is out of date."""
    return is_forced() or SESSION.standing().is_stale(job)


def begin():
    """Lock the results folder, and check every network."""
    SESSION.begin(
        is_quiet=is_quiet_about(workflow.output_settings.quiet or (), "rules")
    )


def end():
    """Print the paths of the results."""
    SESSION.end()


SESSION.start()
