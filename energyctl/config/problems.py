"""Collects every mistake in a file, each as one line for a person: file:line: path: value: what is wrong and what is right.

A value under a name that promises a secret is never shown.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from energyctl.core.errors import ConfigError

from .yaml_source import Document, YamlPath, dotted

_M = TypeVar("_M", bound=BaseModel)
_T = TypeVar("_T")
_SECRET = re.compile(r"(^|[_-])(password|passwd|passphrase|secret|token|api_?key)$|^key$", re.IGNORECASE)
_NOTHING = object()

_WORDS: Mapping[str, str] = {
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "list_type": "must be a list, like [a, b]",
    "tuple_type": "must be a list, like [a, b]",
    "dict_type": "must be a section of 'key: value' lines",
    "model_type": "must be a section of 'key: value' lines",
    "model_attributes_type": "must be a section of 'key: value' lines",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "is not written as it must be (pattern {pattern})",
    "path_type": "must be the name of a file",
    "time_parsing": 'must be a time like "07:30"',
    "time_type": 'must be a time like "07:30"',
}


def is_secret(key: str | int) -> bool:
    """Whether a key's name promises a secret."""
    return isinstance(key, str) and _SECRET.search(key) is not None


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, or None when none is alike."""
    table = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower()[:100], table, n=1, cutoff=0.6)
    return table[found[0]] if found else None


def did_you_mean(word: object, known: Iterable[str], what: str = "known") -> str:
    """The end of a message: "; did you mean 'x'?" or, when nothing is alike, a list of what there is."""
    names = sorted(known)
    near = nearest(str(word), names)
    if near is not None:
        return f"; did you mean '{near}'?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"; {what}: {shown}" if names else "; there are none"


class Report:
    """The mistakes of one file so far."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.hidden: set[str] = set()
        """Texts that must not appear in any message: resolved secrets."""
        self._problems: list[tuple[int, str]] = [
            (line, f"{document.file}:{line}: {t}") for line, t in document.problems
        ]

    def add(self, path: YamlPath, message: str, value: Any = _NOTHING) -> None:
        """Note a mistake at a path of the file; a scalar `value` is shown."""
        hidden = value is _NOTHING or path[:1] == ("secrets",) or any(map(is_secret, path))
        shown = "" if hidden else _shown(value)
        line = self.document.line(path)
        where = f"{dotted(path)}: " if path else ""
        self._problems.append((line, f"{self.document.file}:{line}: {where}{shown}{message}"))

    def add_elsewhere(self, path: YamlPath, problems: Iterable[str]) -> None:
        """Note mistakes in another file, each line already naming it, that `path` of this file refers to."""
        line = self.document.line(path)
        self._problems.extend((line, problem) for problem in problems)

    def add_line(self, text: str) -> None:
        """Note a mistake given as "a.b.c: message", as drivers give theirs."""
        where, _, message = text.partition(": ")
        self.add(tuple(where.split(".")), message or text)

    def add_validation(self, path: YamlPath, error: ValidationError, model: type[BaseModel]) -> None:
        """Note every mistake pydantic found in the section at `path`; a key misspelt is not also a key missing."""
        data = _at(self.document.data, path)
        details = error.errors(include_url=False)
        meant = {_meant(model, detail["loc"]) for detail in details if detail["type"] == "extra_forbidden"}
        for detail in details:
            if detail["type"] != "missing" or detail["loc"] not in meant:
                self._add_detail(path, data, detail, model)

    def _add_detail(self, path: YamlPath, data: Any, detail: ErrorDetails, model: type[BaseModel]) -> None:
        kind, key = detail["type"], detail["loc"][-1] if detail["loc"] else ""
        place = (*path, *_present(data, detail["loc"]))
        owner = _owner(model, detail["loc"])
        if kind == "extra_forbidden":
            self.add(place, f"unknown key '{key}'{did_you_mean(key, owner.model_fields)}")
        elif kind == "missing":
            self.add((*place, str(key)), f"is missing{_example(owner, str(key))}")
        else:
            self.add(place, words(detail), detail["input"])

    def validate(
        self, path: YamlPath, model: type[_M], data: Any, context: Mapping[str, Any] | None = None
    ) -> _M | None:
        """The section at `path` as a model. With mistakes noted: a model of what is right, None if that is too little."""
        try:
            return model.model_validate(data, context=dict(context or {}))
        except ValidationError as exc:
            self.add_validation(path, exc, model)
            wrong = {detail["loc"][0] for detail in exc.errors(include_url=False) if detail["loc"]}
        if not isinstance(data, dict) or not wrong:
            return None
        try:
            right = {key: value for key, value in data.items() if key not in wrong}
            return model.model_validate(right, context=dict(context or {}))
        except ValidationError:
            return None

    def attempt(self, path: YamlPath, action: Callable[[], _T], *, elsewhere: bool = False) -> _T | None:
        """What `action` gives, or None with its mistakes noted at `path`, or `elsewhere` in the file it has read."""
        try:
            return action()
        except ConfigError as exc:
            if elsewhere:
                self.add_elsewhere(path, exc.problems)
            for problem in () if elsewhere else exc.problems:
                self.add(path, problem)
        return None

    def ask(self, path: YamlPath, who: str, action: Callable[[], _T]) -> _T | None:
        """What a plug-in answers, or None with a note: one that trips over a value must not end in a traceback."""
        try:
            return action()
        except (TypeError, AttributeError, LookupError, ArithmeticError) as exc:
            self.add(path, f"{who} failed on this ({type(exc).__name__}: {exc}); is a value of the wrong type?")
        return None

    def section(self, name: str) -> dict[str, Any]:
        """A top-level section as it is written; empty when it is absent or no section."""
        value = _at(self.document.data, (name,))
        return value if isinstance(value, dict) else {}

    def mapping(self, path: YamlPath, what: str) -> dict[str, Any]:
        """The section at `path`; anything else than 'key: value' lines is noted and counts as empty."""
        value = _at(self.document.data, path)
        if isinstance(value, dict):
            return value
        self.add(path, f"must be a section: {what}", value)
        return {}

    @property
    def problems(self) -> list[str]:
        """Every line, in the order of the file, without repetition and without secrets."""
        lines = [text for _, text in sorted(self._problems, key=lambda problem: problem[0])]
        return list(dict.fromkeys(self._masked(line) for line in lines))

    def _masked(self, line: str) -> str:
        for text in self.hidden:
            line = line.replace(text, "***")
        return line

    def raise_if_any(self) -> None:
        """Raises ConfigError with all that was noted."""
        if self._problems:
            raise ConfigError(self.problems)


def words(detail: ErrorDetails) -> str:
    """What pydantic found wrong, in words for somebody who has never heard of pydantic."""
    context = {key: f"{v:g}" if isinstance(v, float) else v for key, v in detail.get("ctx", {}).items()}
    kind, message = detail["type"], detail["msg"]
    if kind in ("value_error", "assertion_error"):
        return message.partition(", ")[2] or message
    if kind in ("literal_error", "enum"):
        expected = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        return f"must be {context.get('expected')}{_alike(detail['input'], expected)}"
    template = _WORDS.get(kind)
    return template.format(**context) if template else message[:1].lower() + message[1:]


def _meant(model: type[BaseModel], loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Where the key is that an unknown key at `loc` was probably meant to be."""
    return (*loc[:-1], nearest(str(loc[-1]), _owner(model, loc).model_fields) or "")


def _alike(value: object, known: Sequence[str]) -> str:
    near = nearest(str(value), known)
    return f"; did you mean '{near}'?" if near is not None else ""


def _example(model: type[BaseModel], key: str) -> str:
    if key not in model.model_fields:
        return ""
    schema = model.model_json_schema(mode="validation")["properties"].get(key, {})
    examples = schema.get("examples") or schema.get("enum")
    return f"; write e.g. '{key}: {examples[0]}'" if examples else ""


def _owner(model: type[BaseModel], loc: Sequence[str | int]) -> type[BaseModel]:
    """The model whose key is the last of `loc`: follows fields that are models, lists or dicts of models."""
    for key in loc[:-1]:
        field = model.model_fields.get(key) if isinstance(key, str) else None
        inner = _model_in(field.annotation) if field is not None else None
        model = inner or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, getattr(annotation, "__args__", ()))), None)


def _present(data: Any, loc: Sequence[str | int]) -> YamlPath:
    """The part of pydantic's location that is in the data (it also names union members and the like)."""
    path: list[str | int] = []
    for key in loc:
        inside = _at(data, (key,), _NOTHING)
        if inside is not _NOTHING:
            path.append(key)
            data = inside
    return tuple(path)


def _at(data: Any, path: YamlPath, default: Any = None) -> Any:
    for key in path:
        inside = key in data if isinstance(data, dict) else isinstance(data, list) and key in range(len(data))
        if not inside:
            return default
        data = data[key]
    return data


def _shown(value: Any) -> str:
    if value is None:
        return "nothing is written here; "
    if isinstance(value, bool):
        return f"{str(value).lower()}: "
    if not isinstance(value, str | int | float | Path):
        return ""
    text = str(value)
    return f"'{text[:57]}...': " if len(text) > 60 else f"'{text}': "
