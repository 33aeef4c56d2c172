"""A whole run with a teacher of weight 0 that also learns from unlabelled images, its student, and pseudo labels in the second
round."""

from pathlib import Path

from goldfold.base.files import read_json
from test_workflow import N_TEST, TINY, snakemake, write_config, write_images

WIDE, SLIM = TINY["models"]  # type: ignore[misc]
TEACHER = {**WIDE, "train": {"fixmatch": {"mu": 1}}}  # type: ignore[dict-item]
STUDENT = {**SLIM, "train": {"distill": {"teacher": "wide", "weight": 0.7}}}  # type: ignore[dict-item]


def test_a_student_is_trained_after_its_teacher_and_a_second_start_has_nothing_to_do(
    code: Path, tmp_path: Path
) -> None:
    write_images(tmp_path)
    write_config(
        tmp_path,
        models=[TEACHER, STUDENT],
        ensemble={"weights": {"wide": 0}},
        pseudo_labels={"rounds": 1, "threshold": 0},
    )
    made = snakemake(tmp_path, code=code)
    assert made.returncode == 0, made.stdout + made.stderr
    results = tmp_path / "results/tiny"
    lessons = sorted(path.relative_to(results).as_posix() for path in results.glob("teach/**/*.npz"))
    assert lessons == [f"teach/wide/round{r}/fold{k}/seed0/train.npz" for r in (0, 1) for k in (0, 1)]
    record = read_json(results / "train/slim/round1/fold1/seed0/run.json")
    read = {path for path in record["inputs"] if "/teach/" in path or "/predict/" in path}
    assert read == {f"results/tiny/{of}" for of in (lessons[3], "predict/wide/round1/fold1/seed0/test.npz")}
    assert record["started"] > read_json(results / "teach/wide/round1/fold1/seed0/run.json")["started"]
    assert "train_loss_distill" in (results / "train/slim/round1/fold1/seed0/history.csv").read_text()
    record = read_json(results / "train/wide/round0/fold1/seed0/run.json")
    lists = {path for path in record["inputs"] if "/folds/" in path}
    assert lists == {f"results/tiny/folds/{name}" for name in ("fold1.csv", "classes.json", "test.csv")}
    assert record["fixmatch"] == {"images": N_TEST}
    assert "mask_rate" in (results / "train/wide/round0/fold1/seed0/history.csv").read_text()
    again = snakemake(tmp_path, "-n", code=code)
    assert "Nothing to be done" in again.stdout + again.stderr, again.stdout
