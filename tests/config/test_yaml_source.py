"""YAML as people write it, and as attackers do."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

import pytest

from energyctl.config.yaml_source import MAX_BYTES, dotted, parse_yaml, read_yaml
from energyctl.core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("17:00", "17:00"),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("007", 7),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("2.5", 2.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1e999", "1e999"),
        (".nan", ".nan"),
        (".inf", ".inf"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("120 kW", "120 kW"),
        ("2026-01-12", "2026-01-12"),
        ("9" * 30, "9" * 30),
        ("[1, a]", [1, "a"]),
        ("{on: 1, 2: 3}", {"on": 1, "2": 3}),
        ("|\n  a\n  b\n", "a\nb\n"),
        (r'"\ud83d\ude00"', "\U0001f600"),
    ],
)
def test_values(text: str, value: Any) -> None:
    data = parse_yaml(f"key: {text}", "f").data
    assert data == {"key": value}
    assert type(data["key"]) is type(value)


def test_lines_of_everything() -> None:
    document = parse_yaml("a: 1\n\nb:\n  - x\n  - {y: 1,\n     z: [2,\n      3]}\n", "f")
    lines = {"a": 1, "b": 3}
    assert {key: document.line((key,)) for key in lines} == lines
    assert document.line(("b", 0)) == 4
    assert document.line(("b", 1, "y")) == 5
    assert document.line(("b", 1, "z")) == 6
    assert document.line(("b", 1, "z", 1)) == 7
    assert document.line(("b", 1, "nothing", "below")) == 5, "the deepest part that is there"
    assert document.line(("nowhere",)) == 1


def test_an_alias_is_what_it_stands_for() -> None:
    document = parse_yaml("a: &x {k: 1}\nb: *x\n", "f")
    assert document.data == {"a": {"k": 1}, "b": {"k": 1}}
    assert document.line(("b",)) == 2


def test_every_small_mistake_is_noted() -> None:
    document = parse_yaml("a: 1\na: 2\nb: !x 3\n? [c]\n: 4\n---\nd: 5", "f")
    assert document.data == {"a": 1, "b": 3}
    assert [line for line, _ in document.problems] == [2, 3, 4, 6]
    assert "first on line 1" in document.problems[0][1]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: [1, 2\nb: 3", 2, "'[' is not closed"),
        ("a: {b: 1\nc: 2", 2, "'{' is not closed"),
        ('a: "open\nb: 1', 2, "a quote is not closed"),
        ("a:\n  b: 1\n c: 2", 3, "indentation"),
        ("a: 1\n\tb: 2", 2, "a tab"),
        ("a: b: c", 1, "a ':' where none can be"),
        ("a: 1\nb\nc: 2", 3, "':' is missing"),
        ("a: \x07", 1, "a character"),
        ("a: 1\nb: \x00", 2, "a character"),
        (r'a: "\ud83d"', 1, "half a character"),
        ("a: *nobody", 1, "'*nobody' stands for nothing"),
        ("a: &me [*me]", 1, "'*me' stands for nothing"),
    ],
)
def test_what_cannot_be_read_says_where_and_why(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "site.yaml")
    assert str(caught.value).startswith(f"site.yaml:{line}: ")
    assert words in str(caught.value)


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
)
WIDE = "a: &a {k: 1}\nb: [" + "*a, " * 30_000 + "]\n"
HOSTILE = {
    "alias bomb (9 to the 12)": (BOMB, "more than 5000 values"),
    "aliases by the thousand": (WIDE, "more than 5000 values"),
    "deep in brackets": ("[" * 100_000, "levels deep"),
    "deep in braces": ("{a: " * 60_000, "levels deep"),
    "deep in dashes": ("- " * 100_000, "levels deep"),
    "deep by indentation": ("\n".join(" " * depth + "a:" for depth in range(600)), "levels deep"),
    "many keys": ("".join(f"k{n}: v\n" for n in range(20_000)), "more than 5000 values"),
    "one key over and over": ("k: v\n" * 40_000, "too many mistakes"),
    "python object": ("a: !!python/object/apply:os.system [id]", None),
    "spaces": (" " * 249_000, None),
    "one long line": ("a: " + "x" * 249_000, None),
    "question marks": ("?" * 249_000, None),
    "ampersands": ("&a " * 80_000, "not readable"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_dealt_with_in_under_a_second_and_little_memory(name: str) -> None:
    text, words = HOSTILE[name]
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        document = parse_yaml(text, "f")
        assert words is None, "this should have been refused"
        assert "python" not in name or "tags" in document.problems[0][1]
    except ConfigError as exc:
        assert words is None or words in str(exc)
    assert time.process_time() - started < 1.0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_a_100_mb_file_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as stream:
        stream.truncate(100_000_000)
    started = time.process_time()
    with pytest.raises(ConfigError, match=r"huge.yaml: larger than 250 kB"):
        read_yaml(path)
    assert time.process_time() - started < 1.0


def test_the_largest_file_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("a: 1\n#" + "x" * (MAX_BYTES - 6))
    assert read_yaml(path).data == {"a": 1}
    path.write_text("a: 1\n#" + "x" * (MAX_BYTES - 5))
    with pytest.raises(ConfigError, match="larger"):
        read_yaml(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"a: 1\nb: \xff\xfe", "site.yaml:2: not UTF-8"), (None, "site.yaml: cannot be read: No such file")],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "site.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        read_yaml(path)


def test_a_folder_and_a_byte_order_mark(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_yaml(path).data == {"a": 1}


def test_paths_as_people_read_them() -> None:
    assert dotted(("tariff", "bands", 0, "hours")) == "tariff.bands[0].hours"
