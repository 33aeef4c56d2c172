"""ensemble -> submission"""

from goldfold.runtime.job import job

with job(snakemake):
    from goldfold.stages.submit import run

    run(
        predictions=snakemake.input.predictions,
        test=snakemake.input.test,
        classes=snakemake.input.classes,
        out=snakemake.output[0],
        task=snakemake.params.task,
        metric=snakemake.params.metric,
        **snakemake.params.settings,
    )
