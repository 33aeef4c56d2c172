"""ensemble -> submission"""

from goldfold.runtime.job import job

with job(snakemake):
    from goldfold.stages.submit import run

    run(
        predictions=snakemake.input.predictions,
        test=snakemake.input.test,
        classes=snakemake.input.classes,
        class_ids=snakemake.input.class_ids,
        out=snakemake.output.table,
        task=snakemake.params.task,
        metric=snakemake.params.metric,
        sample=snakemake.params.sample_file,
        settings=snakemake.params.settings,
    )
