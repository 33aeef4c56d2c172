rule submit:
    input:
        predictions=f"{RESULTS}/ensemble/test.npz",
        test=folds_file("test.csv"),
        classes=folds_file("classes.json"),
        class_ids=folds_file("class_ids.json"),
    output:
        table=f"{RESULTS}/submission.csv",
        files=SUBMISSION_FILES,
        folders=[directory(folder) for folder in SUBMISSION_FOLDERS],
    log:
        f"{RESULTS}/logs/submit.log",
    benchmark:
        f"{RESULTS}/benchmarks/submit.tsv"
    conda:
        "../../envs/goldfold.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        task=slices.late_task(CONFIG),
        metric=CONFIG.metric,
        sample_file=CONFIG.submission.sample,
        settings=CONFIG.submission.model_dump(exclude={"sample"}),
        sample=fingerprint(CONFIG.data.owned(CONFIG.submission.sample)),
        own_task=OWN_TASK,
        code=source_digest("submit", CONFIG.task),
    script:
        "../scripts/submit.py"
