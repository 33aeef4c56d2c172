"""Runs that teach by distillation, and the predictions that students learn from."""

from collections.abc import Iterable

from goldfold.planning.grid import Grid
from goldfold.planning.runs import Lesson, Run


def teaching_runs(grid: Grid) -> tuple[Run, ...]:
    """Runs that other runs learn from, sorted."""
    lessons = [lesson for run in grid.runs() if (lesson := grid.lesson(run))]
    return tuple(sorted({run for lesson in lessons for run in lesson.teachers}))


def parts_of_lesson(lesson: Lesson | None, sources: Iterable[str]) -> list[tuple[str, str, Run]]:
    """Stage, part and run of the predictions that a student learns from.

    The stage teach predicts the labelled training images; pseudo-labelled ones, of the splits ``sources``, are predicted by
    the stage predict for every run.
    """
    parts = [("teach", "train"), *(("predict", source) for source in sources)]
    return [(stage, part, run) for stage, part in parts for run in lesson.teachers] if lesson else []
