"""predictions of all members -> one prediction and its score"""

from pathlib import Path

from goldfold.runtime.job import job

with job(snakemake):
    from goldfold.stages.ensemble import run

    run(
        predictions=str(Path(snakemake.input.oof[0]).parents[4]),
        train=snakemake.input.train,
        classes=snakemake.input.classes,
        folder=str(Path(snakemake.output.weights).parent),
        leaderboard=snakemake.output.leaderboard,
        metrics=snakemake.output.metrics,
        task=snakemake.params.task,
        metric=snakemake.params.metric,
        models=snakemake.params.models,
        seeds=snakemake.params.seeds,
        n_folds=snakemake.params.n_folds,
        rounds=snakemake.params.rounds,
        has_test=bool(snakemake.input.get("test")),
        weights=snakemake.params.weights,
        settings=snakemake.params.settings,
        workers=snakemake.threads,
    )
