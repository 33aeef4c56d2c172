rule train:
    input:
        fold=folds_file("fold{fold}.csv"),
        classes=folds_file("classes.json"),
        cache=train_caches,
        pseudo=pseudo_file,
    output:
        model=f"{RESULTS}/train/{RUN}/model.safetensors",
        history=f"{RESULTS}/train/{RUN}/history.csv",
        record=f"{RESULTS}/train/{RUN}/run.json",
    log:
        f"{RESULTS}/logs/train/{RUN}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{RUN}.tsv"
    params:
        task=CONFIG.task,
        metric=CONFIG.metric,
        model=learning_settings,
        channels=CONFIG.data.channels,
        place=place,
        pseudo_weight=lambda wildcards: CONFIG.pseudo_labels.weight if int(wildcards.round) else 1.0,
        pretrained=pretrained_digest,
        runtime=ARITHMETIC,
        code=source_digest("train"),
    threads: CONFIG.runtime.torch_threads
    resources:
        gpu=1,
        mem_mb=CONFIG.runtime.train_mem_mb,
        loader_workers=LOADER_WORKERS,
    conda:
        "../../envs/goldfold.yaml"
    script:
        "../scripts/train.py"
