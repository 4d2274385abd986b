"""Reads YAML that a person wrote into plain data, and remembers the line of everything in it.

Rule: YAML 1.2 (so 17:00, on and off stay text), no tags, one document, every key once. What would cost memory or time is
refused while it is read: a file over 250 kB, nesting over 20 levels, over 5,000 values with every alias counted in full.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
)

from energyctl.core.errors import ConfigError

MAX_BYTES = 250_000
MAX_DEPTH = 20
MAX_VALUES = 5_000
MAX_PROBLEMS = 100

YamlPath = tuple[str | int, ...]

_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,18}|[0-9]{1,18}(\.[0-9]{0,18})?)([eE][-+]?[0-9]{1,2})?")
_TOO_DEEP = re.compile(rf"(?:[\[{{]\s*){{{MAX_DEPTH + 1}}}")
"""Found before reading, because the YAML reader takes its time over such text."""
_WORDS: dict[str, bool | None] = {"true": True, "True": True, "TRUE": True, "false": False, "False": False}
_WORDS |= {"FALSE": False, "": None, "~": None, "null": None, "Null": None, "NULL": None}
_HINTS = (
    ("'\\t'", "a tab; indent with spaces"),
    ("character '@'", "a text that begins with '@' needs quotes"),
    (
        "mapping values are not allowed",
        "a ':' where none can be; is the line above indented alike, or are quotes missing?",
    ),
    ("<block end>", "the indentation does not fit the lines above"),
    ("',' or '}'", "a '{' is not closed; expected ',' or '}'"),
    ("',' or ']'", "a '[' is not closed; expected ',' or ']'"),
    ("unexpected end of stream", "a quote is not closed"),
    ("could not find expected ':'", "a ':' is missing after the key"),
)


@dataclass(frozen=True, slots=True)
class Node:
    """A value as it was written: its line, how many values are in it, and its children by key or position."""

    line: int
    value: Any
    children: dict[str | int, Node] = field(default_factory=dict)
    size: int = 1
    span: tuple[int, int] = (0, 0)
    """Where a scalar stands in the text, from and to; an alias stands where its anchor does."""


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file as plain data; `problems` are (line, text) of what is wrong but did not stop the reading."""

    file: str
    root: Node
    problems: tuple[tuple[int, str], ...] = ()

    @property
    def data(self) -> Any:
        """The whole file as dicts, lists, text, numbers, bools and None."""
        return self.root.value

    def line(self, path: YamlPath) -> int:
        """The line of `path`, or of the deepest part of it that is in the file."""
        node = self.root
        for key in path:
            child = node.children.get(key)
            if child is None:
                break
            node = child
        return node.line


def read_yaml(path: Path) -> Document:
    """Read a file. Raises ConfigError when it cannot be read at all; smaller mistakes are in `Document.problems`."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as exc:
        raise ConfigError(f"{path}: cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES // 1000} kB; a site file has a few")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text; save the file as UTF-8") from exc
    return parse_yaml(text, str(path))


def parse_yaml(text: str, file: str) -> Document:
    """Like `read_yaml`, of a text that is already there."""
    if (deep := _TOO_DEEP.search(text)) is not None:
        raise ConfigError(
            f"{file}:{text.count(chr(10), 0, deep.start()) + 1}: nested more than {MAX_DEPTH} levels deep"
        )
    builder = _Builder(file, YAML(typ="safe", pure=True).parse(io.StringIO(text)))
    try:
        root = builder.document()
    except YAMLError as exc:
        builder.stop(*_explain(exc, text))
    return Document(file, root, tuple(builder.problems))


def _explain(exc: YAMLError, text: str) -> tuple[int, str]:
    if not isinstance(exc, MarkedYAMLError):
        position = getattr(exc, "position", 0)
        return text.count("\n", 0, position) + 1, "a character that no text may hold (a control character?)"
    mark = exc.problem_mark or exc.context_mark
    problem = str(exc.problem or exc.context)
    words = next((words for part, words in _HINTS if part in problem), f"not readable as YAML: {problem}")
    return (mark.line + 1 if mark is not None else 1), words


def resolve(text: str) -> Any:
    """What a plain scalar means: a bool, a number, nothing, or else the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


class _Builder:
    """Events in, a tree of Nodes out; counts as it goes so that nothing grows without bound."""

    def __init__(self, file: str, events: Iterator[Event]) -> None:
        self.problems: list[tuple[int, str]] = []
        self._file = file
        self._events = events
        self._anchors: dict[str, Node] = {}
        self._values = 0

    def stop(self, line: int, message: str) -> NoReturn:
        lines = [f"{self._file}:{at}: {text}" for at, text in sorted([*self.problems, (line, message)])]
        raise ConfigError(lines)

    def document(self) -> Node:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, DocumentStartEvent) and root is not None:
                self._note(event, "a second document ('---'); a file holds one")
                break
            if isinstance(event, NodeEvent):
                root = self._node(event, ())
        return root if root is not None else Node(1, None)

    def _note(self, event: Event, message: str) -> None:
        self.problems.append((_line(event), message))
        if len(self.problems) >= MAX_PROBLEMS:
            self.stop(_line(event), "too many mistakes to go on")

    def _node(self, event: NodeEvent, path: YamlPath) -> Node:
        if isinstance(event, AliasEvent):
            return self._alias(event)
        tag = getattr(event, "ctag", None)
        if tag is not None:
            written = str(tag).replace("tag:yaml.org,2002:", "!!")
            self._note(event, f"{_dotted(path)}tags such as '{written}' are not read; write the plain value")
        if len(path) > MAX_DEPTH:
            self.stop(_line(event), f"nested more than {MAX_DEPTH} levels deep")
        self._count(event, 1)
        node = self._built(event, path)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _built(self, event: NodeEvent, path: YamlPath) -> Node:
        if isinstance(event, MappingStartEvent):
            return self._mapping(event, path)
        if isinstance(event, CollectionStartEvent):
            return self._sequence(event, path)
        assert isinstance(event, ScalarEvent)
        text = self._text(event)
        span = (int(event.start_mark.index), int(event.end_mark.index))
        return Node(_line(event), text if event.style else resolve(text), span=span)

    def _text(self, event: ScalarEvent) -> str:
        r"""The text of a scalar; surrogates written apart, as JSON does ("\ud83d\ude00"), become one character."""
        try:
            return str(event.value).encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self.stop(_line(event), "half a character (a lone surrogate) that no text may hold")

    def _alias(self, event: AliasEvent) -> Node:
        node = self._anchors.get(event.anchor or "")
        if node is None:
            self.stop(
                _line(event), f"'*{event.anchor}' stands for nothing; there is no complete '&{event.anchor}' above"
            )
        self._count(event, node.size)
        return node

    def _count(self, event: Event, more: int) -> None:
        self._values += more
        if self._values > MAX_VALUES:
            self.stop(_line(event), f"more than {MAX_VALUES} values (each use of an alias counts in full)")

    def _mapping(self, start: Event, path: YamlPath) -> Node:
        children: dict[str | int, Node] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            assert isinstance(event, NodeEvent)
            key = self._key(event, path)
            value = self._node(self._next(), (*path, key or "?"))
            if key in children:
                self._note(event, f"{_dotted((*path, key))}'{key}' is here twice; first on line {children[key].line}")
            elif key is not None:
                children[key] = replace(value, line=_line(event))
        return _collected(start, {key: child.value for key, child in children.items()}, children)

    def _next(self) -> NodeEvent:
        event = next(self._events)
        assert isinstance(event, NodeEvent)
        return event

    def _key(self, event: NodeEvent, path: YamlPath) -> str | None:
        """Keys are text as it was written; anything else is noted and left out."""
        if isinstance(event, ScalarEvent) and event.value:
            self._count(event, 1)
            if event.anchor:
                self._anchors[event.anchor] = Node(_line(event), self._text(event))
            return self._text(event)
        self._note(event, f"{_dotted(path)}a key must be a word")
        self._node(event, (*path, "?"))
        return None

    def _sequence(self, start: Event, path: YamlPath) -> Node:
        children: dict[str | int, Node] = {}
        while not isinstance(event := next(self._events), SequenceEndEvent):
            assert isinstance(event, NodeEvent)
            index = len(children)
            children[index] = self._node(event, (*path, index))
        return _collected(start, [child.value for child in children.values()], children)


def _collected(start: Event, value: Any, children: dict[str | int, Node]) -> Node:
    return Node(_line(start), value, children, 1 + sum(child.size for child in children.values()))


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1


def _dotted(path: YamlPath) -> str:
    return dotted(path) + ": " if path else ""


def dotted(path: Sequence[str | int]) -> str:
    """A path as people read it: ("tariff", "bands", 0, "hours") is "tariff.bands[0].hours"."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
