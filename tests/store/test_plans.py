"""Any plan survives JSON unchanged."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from energyctl.core.plan import CostSplit, Plan, PlanStatus, Provenance, Relaxation
from energyctl.core.timeline import Forecast, Horizon
from energyctl.store import plan_from_json, plan_to_json

numbers = st.floats(allow_nan=False)
texts = st.text(max_size=8)
times = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
costs = st.builds(CostSplit, *[numbers] * 8)
relaxations = st.builds(Relaxation, texts, st.integers(0, 99), st.integers(0, 99), numbers, texts, numbers)
provenances = st.builds(Provenance, texts, texts, texts, numbers, *[st.integers(0, 10**6)] * 3, *[numbers] * 3)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    steps = draw(st.integers(1, 3))
    horizon = Horizon(draw(times), draw(st.sampled_from([300, 900, 3600])), steps)
    row = st.tuples(*[numbers] * steps)
    states = st.lists(st.tuples(numbers, numbers), min_size=steps + 1, max_size=steps + 1).map(tuple)
    forecasts = st.builds(Forecast, texts, st.just(horizon), row, texts, times, texts, low=row, high=st.just(()))
    return Plan(
        draw(times),
        horizon,
        draw(st.sampled_from(PlanStatus)),
        draw(st.dictionaries(texts, row, max_size=2)),
        draw(st.dictionaries(texts, row, max_size=1)),
        draw(st.dictionaries(texts, states, max_size=1)),
        *(draw(row) for _ in range(3)),
        draw(costs),
        draw(provenances),
        tuple(draw(st.lists(relaxations, max_size=2))),
        draw(st.one_of(st.just(()), row)),
        draw(st.dictionaries(texts, forecasts, max_size=2)),
    )


@settings(max_examples=150, deadline=None)
@given(plans())
def test_round_trip(plan: Plan) -> None:
    text = plan_to_json(plan)
    back = plan_from_json(text)
    assert back == plan
    assert repr(back.grid_kw) == repr(plan.grid_kw)  # tells -0.0 from 0.0 and a tuple from a list
    assert "\n" not in text
    json.loads(text, parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name)))  # plain JSON, no Infinity
