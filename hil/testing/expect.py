"""Expectations: one sentence in domain words each, about what the bench saw and what the daemon left.

A sentence is a claim, then what it says about time (see `when`). `FORMS` is the table of all claims; whoever adds one adds a
line with an example. Where a claim is a condition it holds all the time unless the sentence says otherwise; where it is
something that happens it happens at least once. Values carry units, as in site files.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass

from energyctl.core.errors import ConfigError

from . import claims
from .claims import Condition, Figure, Happening, Not
from .evidence import Evidence
from .finding import Finding
from .judge import Count, judge_condition, judge_figure, judge_happening, untold
from .when import AMOUNT, DAEMON, TAILS, Amount, CannotTell, When, split

Ask = Callable[[str, When, Evidence], Finding]
"""Judges a sentence: the sentence, what it says about time, the evidence."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """A sentence that must hold of a run."""

    sentence: str
    when: When
    ask: Ask

    @property
    def anchors(self) -> tuple[str, ...]:
        """The names of the scenario's events that it counts from."""
        return tuple(dict.fromkeys(anchor.event for anchor in self.when.anchors if anchor.event))

    def judge(self, evidence: Evidence) -> Finding:
        """Whether it held, with what was measured. What cannot be judged has not held."""
        try:
            return self.ask(self.sentence, self.when, evidence)
        except CannotTell as error:
            return untold(self.sentence, error)


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of claim: how it is written, an example, and how to judge it."""

    pattern: re.Pattern[str]
    example: str
    make: Callable[[re.Match[str]], Ask]


def parse(sentence: str) -> Expectation:
    """The expectation that a sentence is. Raises ConfigError naming what is wrong, or the closest forms."""
    text = " ".join(sentence.split()).rstrip(".")
    claim, when = split(text)
    for form in FORMS:
        if match := form.pattern.fullmatch(claim):
            try:
                ask = form.make(match)
                _check(when, match)
            except ConfigError as error:
                raise ConfigError(f"'{sentence}': {error}") from None
            return Expectation(text, when, ask)
    raise ConfigError(f"'{sentence}': no such sentence; closest are {_closest(text)}")


def forms() -> list[tuple[str, str]]:
    """What can be said, as (kind, example): every claim, then every way to speak of time."""
    return [*(("claim", form.example) for form in FORMS), *(("time", tail) for tail in TAILS)]


def _check(when: When, match: re.Match[str]) -> None:
    if match.groupdict().get("modal") in ("never", "always") and (when.most_s is not None or when.least_s is not None):
        raise ConfigError(f"'{match['modal']}' and 'for at ...' say two things; keep one")


def _closest(text: str) -> str:
    examples = [form.example for form in FORMS]
    shared = sorted(examples, key=lambda example: -difflib.SequenceMatcher(None, text, example).ratio())
    return ", ".join(f"'{example}'" for example in shared[:3])


_THING = r"[\w@#][\w@#.-]*"
_MODAL = r"(?:(?P<modal>never|always|not) )?"
_BOUND = (
    rf"(?:(?P<side>above|below|at least|at most) (?P<amount>{AMOUNT})|between (?P<low>{AMOUNT}) and (?P<high>{AMOUNT}))"
)
_QUANTITY = r"(?P<quantity>grid import|grid export|grid power|[\w@#-]+\.[\w.]+|outdoor_c|ghi_w_m2)"
_TIMES = r"(?: (?:(?P<often>at least|at most|exactly) )?(?P<number>\d+) times?| (?P<once>once))?"
_HOW_MANY = r"(?P<many>no|a|an|at least \d+|at most \d+|exactly \d+)"
_WRITTEN = rf"(?: (?P<side>above|below) (?P<amount>{AMOUNT}))?"
_UNITS = {"_c": "°C", "_kwh": "kWh", "_kw": "kW", ".soc": "1", ".power": "kW"}
_LEVELS = {"plan": "plan", "last plan": "last plan", "rules": "rule", "nothing": "release"}


def _condition(condition: Condition, match: re.Match[str]) -> Ask:
    modal = match["modal"]
    if modal == "not":
        condition = Not(condition)

    def ask(sentence: str, when: When, evidence: Evidence) -> Finding:
        return judge_condition(sentence, condition, modal == "never", when, evidence)

    return ask


def _happening(happening: Happening, count: Count) -> Ask:
    def ask(sentence: str, when: When, evidence: Evidence) -> Finding:
        return judge_happening(sentence, happening, count, when, evidence)

    return ask


def _figure(figure: Figure, match: re.Match[str]) -> Ask:
    low, high = _bounds(match, figure.unit)

    def ask(sentence: str, when: When, evidence: Evidence) -> Finding:
        return judge_figure(sentence, figure, low, high, when, evidence)

    return ask


def _bounds(match: re.Match[str], unit: str | None) -> tuple[Amount | None, Amount | None]:
    """The lower and the upper bound that a sentence names. Raises ConfigError for a unit that does not fit."""
    amounts = [Amount.of(match[name]) for name in ("amount", "low", "high") if match[name] is not None]
    for amount in amounts:
        if unit is not None:
            amount.must_be(unit)
    if match["side"] is None:
        return amounts[0], amounts[1]
    return (amounts[0], None) if match["side"] in ("above", "at least") else (None, amounts[0])


def _local(match: re.Match[str]) -> Ask:
    return _condition(Not(claims.Commanded(match["thing"])), match)


def _commanded(match: re.Match[str]) -> Ask:
    return _condition(claims.Commanded(match["thing"]), match)


def _compared(match: re.Match[str]) -> Ask:
    name = match["quantity"]
    unit = "kW" if name.startswith("grid ") else next((u for end, u in _UNITS.items() if name.endswith(end)), None)
    low, high = _bounds(match, unit)
    modal = match["modal"]

    def ask(sentence: str, when: When, evidence: Evidence) -> Finding:
        # what a bound may be broken by is never held against the daemon
        tight = modal in ("never", "not") or when.most_s is not None
        condition: Condition = claims.Compared(claims.Quantity(name), low, high, tight)
        if modal == "not":
            condition = Not(condition)
        return judge_condition(sentence, condition, modal == "never", when, evidence)

    return ask


def _guided(match: re.Match[str]) -> Ask:
    return _condition(claims.GuidedBy(_LEVELS[match["level"]]), match)


def _stands(match: re.Match[str]) -> Ask:
    return _condition(claims.Stands(match["name"], match["subject"] or ""), match)


def _alarmed(match: re.Match[str]) -> Ask:
    alarmed = claims.Alarmed(match["name"], match["subject"] or "", match["what"] == "cleared")
    return _happening(alarmed, _count(match))


def _written(match: re.Match[str]) -> Ask:
    return _happening(_write(match), _count(match))


def _writes(match: re.Match[str]) -> Ask:
    return _happening(_write(match), _how_many(match["many"]))


def _write(match: re.Match[str]) -> claims.Written:
    bound = Amount.of(match["amount"]) if match["amount"] else None
    return claims.Written(match["thing"], *((bound, None) if match["side"] == "above" else (None, bound)))


def _plans(match: re.Match[str]) -> Ask:
    return _happening(claims.Planned(), _how_many(match["many"]))


def _daemon(match: re.Match[str]) -> Ask:
    return _happening(claims.DaemonDid(match["what"]), _count(match))


def _code(match: re.Match[str]) -> Ask:
    code = Amount(float(match["code"]), "")

    def ask(sentence: str, when: When, evidence: Evidence) -> Finding:
        return judge_figure(sentence, claims.ExitCode(), code, code, when, evidence)

    return ask


def _charged(match: re.Match[str]) -> Ask:
    return _condition(claims.Charged(match["thing"]), match)


def _short(match: re.Match[str]) -> Ask:
    return _figure(claims.Short(match["thing"]), match)


def _discomfort(match: re.Match[str]) -> Ask:
    return _figure(claims.Discomfort(match["zone"] or ""), match)


def _cost(match: re.Match[str]) -> Ask:
    what, unit = {"cost": ("cost", "EUR"), "co2": ("co2", "kg"), "peak import": ("peak", "kW")}[match["what"]]
    return _figure(claims.Cost(what, unit), match)


def _site_energy(match: re.Match[str]) -> Ask:
    return _figure(claims.Energy("grid import", 1.0 if match["way"] == "imported" else -1.0), match)


def _part_energy(match: re.Match[str]) -> Ask:
    return _figure(claims.Energy(f"{match['thing']}.power", 1.0 if match["way"] == "takes" else -1.0), match)


def _count(match: re.Match[str]) -> Count:
    if match["modal"] == "never":
        return Count(0, 0)
    if match["once"]:
        return Count(1, 1)
    return Count(1) if match["number"] is None else _bounded(match["often"] or "exactly", int(match["number"]))


def _how_many(text: str) -> Count:
    if text in ("no", "a", "an"):
        return Count(0, 0) if text == "no" else Count(1)
    often, _, number = text.rpartition(" ")
    return _bounded(often, int(number))


def _bounded(often: str, number: int) -> Count:
    return Count(number if often != "at most" else 0, number if often != "at least" else None)


def _form(pattern: str, example: str, make: Callable[[re.Match[str]], Ask]) -> Form:
    return Form(re.compile(pattern), example, make)


FORMS: tuple[Form, ...] = (
    _form(
        rf"site is {_MODAL}guided by (?:the )?(?P<level>plan|last plan|rules|nothing)",
        "site is guided by rules within 2 min of price-missing",
        _guided,
    ),
    _form(
        rf"(?P<thing>{_THING}) is {_MODAL}(?:on local control|local|released)",
        "storage is on local control within 60 s of daemon-killed",
        _local,
    ),
    _form(rf"(?P<thing>{_THING}) is {_MODAL}commanded", "storage is commanded within 2 min", _commanded),
    _form(rf"(?P<thing>{_THING}) is {_MODAL}charged", "car is charged by 07:30", _charged),
    _form(
        rf"{_QUANTITY}(?: is| stays)? {_MODAL}{_BOUND}", "grid import above 60 kW for at most 5 min at once", _compared
    ),
    _form(
        rf"alarm (?P<name>[\w-]+)(?: on (?P<subject>{_THING}))? (?:is )?{_MODAL}(?P<what>raised|cleared){_TIMES}",
        "alarm meter-lost on meter raised within 5 s of meter-dead",
        _alarmed,
    ),
    _form(
        rf"alarm (?P<name>[\w-]+)(?: on (?P<subject>{_THING}))? {_MODAL}stands",
        "alarm meter-lost stands for at least 5 min",
        _stands,
    ),
    _form(
        rf"(?P<thing>{_THING}) is {_MODAL}written{_WRITTEN}{_TIMES}",
        "storage.power_setpoint is written at most 10 times",
        _written,
    ),
    _form(
        rf"{_HOW_MANY} writes? to (?P<thing>{_THING}){_WRITTEN}",
        "no write to @battery.setpoint above 5 kW during rival",
        _writes,
    ),
    _form(rf"{_HOW_MANY} plans?(?: (?:is|are) (?:made|issued))?", "at least 5 plans", _plans),
    _form(rf"daemon is {_MODAL}(?P<what>{'|'.join(DAEMON)}){_TIMES}", "daemon is never killed", _daemon),
    _form(r"daemon ends with code (?P<code>\d+)", "daemon ends with code 0", _code),
    _form(rf"discomfort(?: in (?P<zone>{_THING}))? {_BOUND}", "discomfort below 2 K·h", _discomfort),
    _form(rf"(?P<what>cost|co2|peak import) {_BOUND}", "cost below 120 EUR", _cost),
    _form(rf"(?P<way>imported|exported) energy {_BOUND}", "exported energy at most 5 kWh", _site_energy),
    _form(rf"(?P<thing>{_THING}) (?P<way>takes|gives) {_BOUND}", "battery gives at least 10 kWh", _part_energy),
    _form(rf"(?P<thing>{_THING}) (?:is )?short {_BOUND}", "car short at most 1 kWh", _short),
)
"""Every claim there is, tried in this order."""
