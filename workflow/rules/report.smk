rule report:
    input:
        recipe=recipe(
            f"{RESULTS}/report/run.json",
            code=code("report"),
            **slices.report(CONFIG),
        ),
        metrics=rules.ensemble.output.metrics,
        leaderboard=rules.ensemble.output.leaderboard,
        weights=rules.ensemble.output.weights,
        rounds=rules.ensemble.output.rounds,
        ensemble=rules.ensemble.output.ensemble,
        records=runs(f"{RESULTS}/train/{RUN}/run.json", CONFIG.rounds),
        histories=runs(f"{RESULTS}/train/{RUN}/history.csv", CONFIG.rounds),
        submission=SUBMISSION,
        train=folds_file("train.csv"),
        others=image_lists,
        folds=folds_file("summary.csv"),
        test_groups=folds_file("test_groups.json"),
        quarantine=folds_file("quarantine.csv"),
        copies=folds_file("duplicates.csv"),
        classes=folds_file("classes.json"),
        answers=folds_file("answers.csv") if "answers" in CONFIG.tables else [],
        data=ancient(CONFIG.data.generated),
    output:
        page=report(
            f"{RESULTS}/report/report.html",
            caption="../report/report.rst",
            category="goldfold",
        ),
        curves=f"{RESULTS}/report/curves.csv",
        record=f"{RESULTS}/report/run.json",
    log:
        f"{RESULTS}/logs/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/report.tsv"
    conda:
        "../../envs/goldfold.yaml"
    threads: 2
    resources:
        mem_mb=2000,
    script:
        "../scripts/report.py"
