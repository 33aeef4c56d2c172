"""everything -> one page"""

from pathlib import Path

from goldfold.runtime.job import job

with job(snakemake):
    from goldfold.stages.report import run

    run(results=str(Path(snakemake.output[0]).parents[1]), out=snakemake.output[0], **snakemake.params.settings)
