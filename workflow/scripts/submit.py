"""ensemble -> submission"""

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.stages.submit import run

    run(
        predictions=snakemake.input.predictions,
        test=snakemake.input.test,
        classes=snakemake.input.classes,
        class_ids=snakemake.input.class_ids,
        out=snakemake.output.table,
        **made.settings,
    )
