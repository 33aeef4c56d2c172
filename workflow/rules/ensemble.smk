rule ensemble:
    input:
        recipe=recipe(
            f"{RESULTS}/ensemble/run.json",
            code=code("ensemble"),
            task=slices.late_task(CONFIG),
            metric=CONFIG.metric,
            models=sorted(MODELS),
            seeds=CONFIG.seeds,
            n_folds=len(FOLDS),
            rounds=len(CONFIG.rounds),
            has_test=bool(SUBMISSION),
            weights=slices.weights(CONFIG),
            settings=slices.fusing(CONFIG),
        ),
        oof=runs(f"{RESULTS}/predict/{RUN}/oof.npz", CONFIG.rounds),
        test=runs(f"{RESULTS}/predict/{RUN}/test.npz", LAST_ROUND) if SUBMISSION else [],
        train=folds_file("train.csv"),
        classes=folds_file("classes.json"),
        answers=folds_file("answers.csv") if "answers" in CONFIG.tables else [],
        images=folds_file("test.csv") if "answers" in CONFIG.tables else [],
    output:
        ensemble=expand(
            f"{RESULTS}/ensemble/{{part}}.{{suffix}}",
            part=["oof", "test"][: 1 + len(SUBMISSION)],
            suffix=["npz", "csv"],
        ),
        weights=f"{RESULTS}/ensemble/weights.json",
        rounds=f"{RESULTS}/ensemble/rounds.csv",
        leaderboard=f"{RESULTS}/leaderboard.csv",
        metrics=f"{RESULTS}/metrics.json",
        headline=f"{RESULTS}/headline.json",
        record=f"{RESULTS}/ensemble/run.json",
    log:
        f"{RESULTS}/logs/ensemble.log",
    benchmark:
        f"{RESULTS}/benchmarks/ensemble.tsv"
    conda:
        "../../envs/goldfold.yaml"
    threads: 8
    resources:
        mem_mb=2000,
    script:
        "../scripts/ensemble.py"
