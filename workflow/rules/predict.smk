rule predict:
    input:
        model=rules.train.output.model,
        fold=folds_file("fold{fold}.csv"),
        classes=folds_file("classes.json"),
        lists=image_lists,
        cache=lambda wildcards: cache_files(wildcards.model, CONFIG.splits),
    output:
        expand(f"{RESULTS}/predict/{RUN}/{{part}}.npz", part=PARTS, allow_missing=True),
    log:
        f"{RESULTS}/logs/predict/{RUN}.log",
    benchmark:
        f"{RESULTS}/benchmarks/predict/{RUN}.tsv"
    params:
        task=CONFIG.task,
        model=network_settings,
        channels=CONFIG.data.channels,
        tta=CONFIG.tta,
        place=place,
        runtime=ARITHMETIC,
        code=source_digest("predict"),
    threads: CONFIG.runtime.torch_threads
    resources:
        gpu=1,
        mem_mb=CONFIG.runtime.train_mem_mb,
    conda:
        "../../envs/goldfold.yaml"
    script:
        "../scripts/predict.py"
