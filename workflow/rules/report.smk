rule report:
    input:
        recipe=recipe("report"),
        metrics=rules.ensemble.output.metrics,
        leaderboard=rules.ensemble.output.leaderboard,
        weights=rules.ensemble.output.weights,
        fitted=rules.ensemble.output.fitted,
        rounds=rules.ensemble.output.rounds,
        resampled=rules.ensemble.output.resampled,
        ensemble=rules.ensemble.output.ensemble,
        records=each_run(FILES["train"]["record"]),
        histories=each_run(FILES["train"]["history"]),
        heads=[
            PLAN.record(job) for stage in heads.STAGES[1:] for job in PLAN.jobs(stage)
        ],
        embeddings=[
            path for job in PLAN.jobs("embed") for path in PLAN.outputs(job)[:1]
        ],
        full=[path for job in PLAN.jobs("full_train") for path in PLAN.outputs(job)[1:]],
        submission=rules.submit.output.table if PLAN.has_test else [],
        train=folds_file("train.csv"),
        others=image_lists,
        folds=folds_file("summary.csv"),
        test_groups=folds_file("test_groups.json"),
        quarantine=folds_file("quarantine.csv"),
        copies=folds_file("duplicates.csv"),
        classes=folds_file("classes.json"),
        metadata=metadata_lists("report"),
        answers=folds_file("answers.csv") if "answers" in PLAN.tables else [],
        data=ancient(PLAN.made_data),
    output:
        page=report(
            FILES["report"]["page"],
            caption="../report/report.rst",
            category="goldfold",
        ),
        curves=FILES["report"]["curves"],
        record=FILES["report"]["record"],
    log:
        FILES["report"].log,
    benchmark:
        FILES["report"].benchmark
    conda:
        "../../envs/goldfold.yaml"
    threads: 2
    resources:
        mem_mb=2000,
    script:
        "../scripts/report.py"
