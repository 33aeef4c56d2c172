"""tables of the manifest, lists of the detector -> whose boxes each image may be cropped by"""

from pathlib import Path

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.stages.match import run

    run(
        tables={Path(path).stem: str(path) for path in snakemake.input.tables},
        own={Path(path).stem: str(path) for path in snakemake.input.own},
        classes=str(snakemake.input.classes),
        table=str(snakemake.output.table),
        **made.settings,
    )
