"""everything -> one page"""

from pathlib import Path

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.stages.report import run

    page = Path(snakemake.output.page)
    made.facts = run(results=str(page.parents[1]), out=str(page), workers=snakemake.threads, **made.settings)
