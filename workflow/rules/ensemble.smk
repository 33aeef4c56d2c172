rule ensemble:
    input:
        recipe=recipe("ensemble"),
        oof=PLAN.predictions("oof", PLAN.runs),
        test=(PLAN.predictions("test", PLAN.grid.final_runs()) if PLAN.has_test else []),
        holdout=(
            PLAN.predictions("holdout", PLAN.grid.final_runs())
            if "holdout" in PLAN.predicted
            else []
        ),
        full=[
            path
            for job in PLAN.jobs("full_predict")
            for path in PLAN.outputs(job)
            if path.endswith(".npz")
        ],
        external=[path for job in PLAN.jobs("external") for path in PLAN.outputs(job)],
        train=folds_file("train.csv"),
        classes=folds_file("classes.json"),
        metadata=metadata_lists("ensemble"),
        embedded=embedding_files("ensemble"),
        answers=folds_file("answers.csv") if "answers" in PLAN.tables else [],
        images=folds_file("test.csv") if "answers" in PLAN.tables else [],
    output:
        ensemble=FILES["ensemble"]["ensemble"],
        weights=FILES["ensemble"]["weights"],
        fitted=FILES["ensemble"]["fitted"],
        rounds=FILES["ensemble"]["rounds"],
        resampled=FILES["ensemble"]["resampled"],
        leaderboard=FILES["ensemble"]["leaderboard"],
        metrics=FILES["ensemble"]["metrics"],
        headline=FILES["ensemble"]["headline"],
        record=FILES["ensemble"]["record"],
    log:
        FILES["ensemble"].log,
    benchmark:
        FILES["ensemble"].benchmark
    conda:
        "../../envs/goldfold.yaml"
    threads: 8
    resources:
        mem_mb=2000,
    script:
        "../scripts/ensemble.py"
