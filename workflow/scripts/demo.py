"""a demo data set -> its files"""

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.stages.demo import run

    run(**made.settings)
