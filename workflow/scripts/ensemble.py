"""predictions of all members -> one prediction and its score"""

from pathlib import Path

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.planning.runs import stage_folder
    from goldfold.stages.ensemble import run

    run(
        predictions=stage_folder(snakemake.input.oof[0]),
        train=snakemake.input.train,
        classes=snakemake.input.classes,
        folder=str(Path(snakemake.output.weights).parent),
        leaderboard=snakemake.output.leaderboard,
        metrics=snakemake.output.metrics,
        outside=str(Path(snakemake.input.external[0]).parents[1]) if snakemake.input.external else None,
        on_all_rows=stage_folder(snakemake.input.full[0]) if snakemake.input.full else None,
        workers=snakemake.threads,
        headline=snakemake.output.headline,
        answers=str(snakemake.input.answers) if snakemake.input.answers else None,
        test=str(snakemake.input.images) if snakemake.input.images else None,
        metadata_lists=list(snakemake.input.get("metadata", [])),
        embedded=list(snakemake.input.get("embedded", [])),
        **made.settings,
    )
