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
    params:
        task=CONFIG.task,
        metric=CONFIG.metric,
        settings=CONFIG.submission.model_dump(),
        sample=fingerprint(filter(None, [CONFIG.submission.sample])),
        code=source_digest("submit"),
    resources:
        mem_mb=2000,
    conda:
        "../../envs/goldfold.yaml"
    script:
        "../scripts/submit.py"
