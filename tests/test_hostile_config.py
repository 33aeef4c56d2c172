"""Config files that would hang, fill memory or end in a traceback: one error, with the line."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from goldfold import cli
from goldfold.base.config_files import refuse_unreadable
from goldfold.base.errors import MOST_SHOWN, ConfigError, GoldfoldError, Stopped, as_error, shortened, shown
from goldfold.config import load, merged, parse
from goldfold.config.base import Unique

pytestmark = pytest.mark.usefixtures("in_tmp")
MODEL = "{name: a, network: small_resnet, image_size_px: 8}"
BASE = f"name: t\ndata: {{source: digits}}\nmodels: [{MODEL}]\n"
"""Three lines, so that what is added stands in line 4."""
BOMB = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [*{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def error_of(text: str | bytes) -> str:
    Path("c.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load("c.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("\tx: 1", r"not valid YAML: line 4: .*found character '\\t'.*; indent with blanks, not with tabs"),
        ("x: [1\ny: 2", "not valid YAML: line 5: .*expected ',' or ']'"),
        ("a: b: c", "not valid YAML: line 4: mapping values are not allowed here"),
        ("x: \0", r"not valid YAML: line 4: found the character U\+0000"),
        ('x: "\\UFFFFFFFF"', "not valid YAML: line 4: found an escape that is not a character"),
        ("x: *y", "line 4: found undefined alias 'y'"),
        ("metric: 2020-99-99", "line 4: '2020-99-99' is read as timestamp but is not a valid one; correct it, or"),
        ("metric: !!timestamp abc", "line 4: 'abc' is read as timestamp but is not a valid one"),
        ("metric: !!int abc", "line 4: 'abc' is read as int but is not a valid one"),
        ("metric: !!float abc", "line 4: 'abc' is read as float but is not a valid one"),
        ("metric: !!bool abc", "line 4: 'abc' is read as bool but is not a valid one"),
        ("seeds: [" + "1" * 5000 + "]", r"line 4: '1+ \.\.\. 1+' is read as int but is not a valid one"),
        ("metric: " + "[" * 3000 + "]" * 3000, "line 4: nested deeper than 50 levels"),
        ("metric: " + "{a: " * 3000 + "1" + "}" * 3000, "line 4: nested deeper than 50 levels"),
        ("metric: &p {x: *p}", "line 4: alias 'p' is used inside the value that it refers to"),
        ("tta: &p [*p]", "line 4: alias 'p' is used inside the value that it refers to"),
        (BOMB, "line 10: more than 200,000 values, with aliases expanded"),
        ("seeds: [1_1, 11]", "line 4: '1_1' is read as another number by YAML: put it in quotes"),
        ("report: {title: 2024_01_02}", "line 4: '2024_01_02' is read as another number by YAML: put it in quotes"),
        ("seeds: [010]", "line 4: '010' is read as another number"),
        ("seeds: [1:30]", "line 4: '1:30' is read as another number"),
        ("train: {lr: 1_0.5}", "line 4: '1_0.5' is read as another number"),
    ],
)  # fmt: skip
def test_what_yaml_makes_of_a_text_is_told_with_its_line(added: str, said: str) -> None:
    text = error_of(f"{BASE}{added}\n")
    assert text.startswith("c.yaml: ")
    assert re.search(said, text), text
    assert len(text) < 400


SIGNS = ["=", "<<", "@a", "`a", "*a", "*", "&a", "&", "&a b", "%a", "!a", "!!a", "! a", "- a", "|a", ">a", ",", ":", "? a", "{a",
         "[a", "'a", '"a', '"a" b', "a: b", "~"]  # fmt: skip


@pytest.mark.parametrize("name", SIGNS)
@pytest.mark.parametrize(
    "where", ["data: {{source: digits, classes: [{}, b]}}", "models: [{{name: {}, image_size_px: 8}}]"]
)
def test_a_name_of_signs_is_to_be_put_in_quotes(name: str, where: str) -> None:
    """Both where it breaks the text and where it would be read as something else."""
    kept = [line for line in BASE.splitlines() if line.split(":")[0] != where.split(":")[0]]
    text = error_of("\n".join([*kept, where.format(name)]) + "\n")
    assert text.endswith("put it in quotes"), text
    assert re.search(r"line \d|classes\[0\]|models", text), text


def test_where_an_open_quote_begins_is_said() -> None:
    assert (
        "line 6: while scanning a quoted scalar found unexpected end of stream; it begins in line 4; if it is"
        in error_of(f"{BASE}report: {{title: 'a}}\nseeds: [1]\n")
    )


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("data: {source: digits, classes: [no]}", "data.classes[0] = False: {} true or false (as yes, no, on and off): {}"),
        ("report: {title: 2024-01-02}", "report.title = 2024-01-02: {} a date: {}"),
        ("metric: 12", "metric = 12: {} a number: {}"),
        ("data: {source: digits, classes: [~]}", "data.classes[0] = None: {} nothing (as null and ~): {}"),
        ("no: 1", "config: key False is not text; YAML reads it as true or false (as yes, no, on and off): put it in quotes"),
        (
            "ensemble: {weights: {2024-01-02: 1}}",
            "ensemble.weights: key 2024-01-02 is not text; YAML reads it as a date: put it in quotes",
        ),
        ("data: {source: digits, classes: [+, =]}", ": '=' is special syntax of YAML: put it in quotes"),
        ('report: {title: "a\\0"}', "report.title = 'a\\x00': holds a NUL character; remove it"),
        ('report: {title: "\\uD800"}', "report.title = '\\ud800': holds half a surrogate pair, which is not a character"),
    ],
)  # fmt: skip
def test_names_that_yaml_turns_into_something_else_are_to_be_put_in_quotes(key: str, said: str) -> None:
    kept = [line for line in BASE.splitlines() if line.split(":")[0] != key.split(":")[0]]
    said = said.replace("{}", "Input should be a valid string; YAML reads it as", 1).replace("{}", "put it in quotes")
    assert said in error_of("\n".join([*kept, key]) + "\n")


def test_numbers_that_all_readers_agree_on_and_merged_sections_are_taken() -> None:
    text = BASE + "seeds: [0, 0x10, 7]\ntrain: &t {lr: 1.5e-3, epochs: 20, clip_norm: .5}\nreport: {title: '1_1'}\n"
    text = text.replace("image_size_px: 8", "image_size_px: 8, train: {<<: *t, epochs: 30}")
    lines = text.splitlines()
    Path("c.yaml").write_text("\n".join([*lines[:2], *lines[3:], lines[2]]) + "\n")
    config = load("c.yaml")
    assert config.seeds == [0, 16, 7]
    assert (config.report.title, config.models[0].train.epochs, config.models[0].train.clip_norm) == ("1_1", 30, 0.5)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("2020-01-01", "2020-01-01 is read as a date by YAML; put it in quotes"),
        ("{2: 1}", "key 2 is not text; put it in quotes"),
        (".nan", "nan is not a finite number"),
        ("1.0e+999", "inf is not a finite number"),
        ("!!binary aGk=", "b'hi' is not a plain value"),
        ("!!set {a}", "{'a'} is not a plain value"),
    ],
)
def test_settings_of_networks_and_tasks_are_what_json_can_hold(value: str, said: str) -> None:
    assert f"models[0].params: {said}" in error_of(BASE.replace("px: 8", f"px: 8, params: {{width: [{value}]}}"))
    assert f": {said}" in error_of(f"{BASE}task_params: {{width: {value}}}\n")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("models[0].params.width[0]", BASE.replace("px: 8", "px: 8, params: {width: [%s]}")),
        ("task_params.width", BASE + "task_params: {width: %s}\n"),
        ("train.epochs", BASE + "train: {epochs: %s}\n"),
        ("models[0].image_size_px", BASE.replace("px: 8", "px: %s")),
        ("data.max_pixels", BASE.replace("digits}", "digits, max_pixels: %s}")),
    ],
)
@pytest.mark.parametrize("number", ["9" * 4000, "-" + "9" * 20, "0x" + "f" * 5000])
def test_numbers_that_no_library_can_take_are_refused_in_every_section(key: str, value: str, number: str) -> None:
    text = error_of(value % number)
    assert f"  {key} = " in text
    assert text.endswith(": is too large; write a number below 2^63")
    assert len(text) < 400


def test_a_component_that_is_no_name_is_told_without_a_part_of_it() -> None:
    assert error_of(BASE + "tta: [{a: b}]\n").endswith("\n  tta[0]: write a name, or {name: {parameter: value}}")


def test_hundreds_of_problems_are_counted_and_the_first_are_named() -> None:
    text = error_of(BASE + "".join(f"k{number}: 1\n" for number in range(200)))
    assert text.startswith("c.yaml: 200 problems\n  k0: unknown key; ")
    assert text.endswith("\n  and 150 more")
    assert text.count("\n") == 51


def test_a_module_whose_name_no_file_can_have_is_not_found() -> None:
    text = error_of(BASE.replace("small_resnet", f"{'a' * 5000}:b"))
    assert re.search(r"models\[0\] \(a\)\.network = .*looked for in", text), text


@pytest.mark.parametrize("key", ["pretrained", "folds.file", "data.test_answers", "data.train"])
def test_paths_that_no_file_can_have_are_no_files(key: str) -> None:
    values: dict[str, Any] = {
        "name": "t", "data": {"source": "digits"}, "folds": {},
        "models": [{"name": "a", "network": "small_resnet", "image_size_px": 8}],
    }  # fmt: skip
    section, _, name = key.partition(".")
    if section == "pretrained":
        values["models"][0]["pretrained"] = "a" * 5000
    else:
        values[section][name] = "a" * 5000
    with pytest.raises(ConfigError) as caught:
        parse(values)
    assert key in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_config_that_is_no_regular_file_is_not_waited_for() -> None:
    os.mkfifo("pipe")
    Path("zero").symlink_to("/dev/zero")
    Path("folder").mkdir()
    for name, kind in (("pipe", "a named pipe"), ("zero", "a device"), ("folder", "a folder")):
        with pytest.raises(ConfigError, match=rf"^{name}: not a regular file \({kind}\)$"):
            load(name)
    with pytest.raises(ConfigError, match="pretrained = 'pipe': not a regular file"):
        parse({"name": "t", "data": {"source": "digits"}, "models": [{"name": "a", "pretrained": "pipe"}]})


def test_files_are_merged_section_by_section_and_the_command_line_has_the_last_word() -> None:
    Path("a.yaml").write_text("name: a\ntrain: {lr: 1.0e-3, epochs: 3}\n")
    Path("b.yaml").write_text("train: {epochs: 4}\nseeds: [1]\n")
    expected = {"name": "c", "train": {"lr": 1e-3, "epochs": 5}, "seeds": [1]}
    assert merged(["a.yaml", "b.yaml"], {"name": "c", "train": {"epochs": "5"}}) == expected
    Path("b.yaml").write_text("[1]\n")
    with pytest.raises(ConfigError, match=r"^b\.yaml: empty; it must hold keys"):
        merged(["a.yaml", "b.yaml"], {})


def test_values_of_the_command_line_are_bounded_too() -> None:
    Path("a.yaml").write_text("name: a\n")
    bomb: list[Any] = ["x"]
    for _ in range(30):
        bomb = [bomb, bomb]
    within: list[Any] = []
    within.append(within)
    deep: list[Any] = []
    for _ in range(60):
        deep = [deep]
    for value in (bomb, within, deep, {"a": bomb}):
        with pytest.raises(
            ConfigError, match=r"^--config report: nested deeper than 50 levels, or more than 200,000 val"
        ):
            merged(["a.yaml"], {"report": value})
    leaves = {"a": ["1", "true", "[1, 2]", "1" * 5000, "1_1"]}
    assert merged(["a.yaml"], leaves)["a"] == [1, True, "[1, 2]", "1" * 5000, "1_1"]


def test_many_names_are_compared_in_one_pass() -> None:
    names = [f"c{number}" for number in range(100_000)]
    section = TypeAdapter(Annotated[list[str], Unique])
    assert section.validate_python(names) == names
    with pytest.raises(ValidationError, match=r"named more than once: c0, c1, .*, \.\.\. "):
        section.validate_python(names * 2)


def test_values_are_repeated_in_200_characters_at_most() -> None:
    for value in ("x" * 5000, list(range(5000)), {"a" * 300: 1}):
        assert len(shown(value)) <= MOST_SHOWN
        assert shown(value)[:50] == repr(value)[:50]
        assert shown(value)[-50:] == repr(value)[-50:]
    assert shown("it's") == repr("it's")
    text = str(GoldfoldError(f"a.csv: label {'two words ' * 500!r} of the image's row, {'y' * 300}/z: not one's own"))
    assert len(text) < 500
    assert text.endswith("y/z: not one's own")
    plain = "the image's mask, and " + "many words of the other's " * 40
    assert shortened(plain) == plain


@pytest.mark.parametrize("words", [["--configfile", "ok.yaml", "bad.yaml"], ["--configfiles=bad.yaml", "-C", "a=1"]])
def test_files_on_snakemake_s_command_line_are_found(words: list[str]) -> None:
    Path("ok.yaml").write_text(BASE)
    Path("bad.yaml").write_text(f"{BASE}\tx: 1\n")
    refuse_unreadable(["--cores", "1", "--configfile", "ok.yaml", "--config", "bad.yaml=1", "-n", "target"])
    with pytest.raises(SystemExit, match=r"^goldfold: bad\.yaml: not valid YAML: line 4: "):
        refuse_unreadable(["-n", *words])


@pytest.mark.parametrize("target", ["results/ok/metrics.json", "results/ok/submission.csv", "folds_made"])
@pytest.mark.parametrize("is_made", [False, True])
def test_a_target_after_the_config_file_is_refused_with_the_order_that_works(target: str, is_made: bool) -> None:
    Path("ok.yaml").write_text(BASE)
    if is_made and "/" in target:
        Path(target).parent.mkdir(parents=True)
        Path(target).write_text("{}")
    said = (
        f"goldfold: {target} is not a config file. Snakemake takes every word after --configfile for one; name targets before "
        f"it: snakemake {target} --configfile ok.yaml"
    )
    with pytest.raises(SystemExit) as raised:
        refuse_unreadable(["-n", "--configfile", "ok.yaml", target])
    assert str(raised.value) == said
    refuse_unreadable(["-n", target, "--configfile", "ok.yaml"])


def test_a_config_file_that_is_missing_keeps_its_message() -> None:
    Path("ok.yaml").write_text(BASE)
    with pytest.raises(SystemExit, match=r"^goldfold: none\.yaml: No such file or directory$"):
        refuse_unreadable(["--configfile", "ok.yaml", "none.yaml"])


def test_the_profile_names_the_line_before_snakemake_reads_the_file(repo: Path) -> None:
    """A pipe: Snakemake would wait for ever."""
    os.mkfifo("pipe.yaml")
    words = ["--snakefile", str(repo / "Snakefile"), "--configfile", "pipe.yaml"]
    run = subprocess.run([sys.executable, "-m", "snakemake", *words], capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == "goldfold: pipe.yaml: not a regular file (a named pipe)"


@pytest.mark.parametrize("code", ["0", "3", "'bye'"])
def test_a_task_that_ends_the_process_is_an_error(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"leaves_{abs(hash((tmp_path, code)))}"
    Path(f"{name}.py").write_text(f"import sys\nsys.exit({code})\n")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    Path("c.yaml").write_text(f"{BASE}task: {name}:T\n")
    assert cli.main(["check", "--config", "c.yaml"]) == 1
    said = f"ended the process instead of raising an error, with {code} ("
    assert said in capsys.readouterr().out
    Path(f"{name}.py").write_text("x = undefined\n")
    assert "name 'undefined' is not defined" in error_of(f"{BASE}task: {name}:T\n")


def test_a_signal_that_stops_a_job_is_no_error_of_its_code() -> None:
    error = as_error(SystemExit(3))
    assert "with 3 (an unknown place)" in str(error)
    assert as_error(known := ValueError("x")) is known
    assert issubclass(Stopped, SystemExit)
