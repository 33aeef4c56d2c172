rule predict:
    input:
        recipe=recipe(
            f"{RESULTS}/predict/{RUN}/run.json",
            code=run_code("predict"),
            task=slices.task(CONFIG),
            model=lambda wildcards: slices.network(CONFIG, wildcards.model),
            resize=lambda wildcards: slices.resize(CONFIG, wildcards.model),
            channels=CONFIG.data.channels,
            scale_16bit=CONFIG.data.scale_16bit,
            tta=CONFIG.tta,
            batch_norm=CONFIG.batch_norm,
            place=place,
            runtime=slices.runtime(CONFIG),
            batch_size=CONFIG.runtime.predict_batch_size,
        ),
        model=rules.train.output.model,
        fold=folds_file("fold{fold}.csv"),
        classes=folds_file("classes.json"),
        lists=image_lists,
        cache=cache_for("predict", CONFIG.splits),
    output:
        parts=expand(
            f"{RESULTS}/predict/{RUN}/{{part}}.npz", part=PARTS, allow_missing=True
        ),
        record=f"{RESULTS}/predict/{RUN}/run.json",
    log:
        f"{RESULTS}/logs/predict/{RUN}.log",
    benchmark:
        f"{RESULTS}/benchmarks/predict/{RUN}.tsv"
    conda:
        "../../envs/goldfold.yaml"
    threads: CONFIG.runtime.torch_threads
    resources:
        gpu=1,
        mem_mb=CONFIG.runtime.train_mem_mb,
    params:
        gpus=slices.gpus(CONFIG),
        caches=lambda wildcards: cache_folders(wildcards.model, CONFIG.splits),
    script:
        "../scripts/predict.py"


# One target a model, for whoever wants to make or version the members one by one (dvc.yaml does).
for member in MODELS:

    rule:
        name:
            f"member_{member}"
        input:
            expand(
                [*rules.train.output, *rules.predict.output],
                model=member,
                round=CONFIG.rounds,
                fold=FOLDS,
                seed=CONFIG.seeds,
            ),
