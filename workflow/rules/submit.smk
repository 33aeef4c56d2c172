rule submit:
    input:
        recipe=recipe(
            f"{RESULTS}/submission.run.json",
            code=code("submit"),
            data={"sample": fingerprint(CONFIG.data.owned(CONFIG.submission.sample))},
            task=slices.late_task(CONFIG),
            metric=CONFIG.metric,
            sample=CONFIG.submission.sample,
            settings=CONFIG.submission.model_dump(exclude={"sample"}),
        ),
        predictions=f"{RESULTS}/ensemble/test.npz",
        test=folds_file("test.csv"),
        classes=folds_file("classes.json"),
        class_ids=folds_file("class_ids.json"),
        data=ancient(CONFIG.data.generated),
    output:
        table=f"{RESULTS}/submission.csv",
        files=SUBMISSION_FILES,
        folders=[directory(folder) for folder in SUBMISSION_FOLDERS],
        record=f"{RESULTS}/submission.run.json",
    log:
        f"{RESULTS}/logs/submit.log",
    benchmark:
        f"{RESULTS}/benchmarks/submit.tsv"
    conda:
        "../../envs/goldfold.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    script:
        "../scripts/submit.py"
