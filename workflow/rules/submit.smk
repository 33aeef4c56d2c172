rule submit:
    input:
        predictions=f"{RESULTS}/ensemble/test.npz",
        test=folds_file("test.csv"),
        classes=folds_file("classes.json"),
    output:
        f"{RESULTS}/submission.csv",
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
        task=CONFIG.task,
        metric=CONFIG.metric,
        settings=CONFIG.submission.model_dump(),
        sample=fingerprint(CONFIG.data.owned(CONFIG.submission.sample)),
        code=source_digest("submit"),
    script:
        "../scripts/submit.py"
