"""Modes, trials, the shadow, and the records of commissioning, without a daemon."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from energyctl.config import load_site
from energyctl.control.commissioned import Commissioned, Records
from energyctl.control.gate import GateState, PointLimits, check
from energyctl.control.modes import Modes
from energyctl.control.seams import Ban
from energyctl.control.shadow import Shadow
from energyctl.control.trials import Trials
from energyctl.core.findings import Finding
from energyctl.core.points import ProcessImage, Rank, Setpoint

NOW = datetime(2026, 1, 14, 10, tzinfo=UTC)
LOADED = load_site(Path(__file__).parents[2] / "sites" / "larissa" / "town-hall.yaml")
STRICT = replace(LOADED, safety=replace(LOADED.safety, require_commissioning=True))
IMAGE = ProcessImage(NOW, 7)
SET = "storage.power_setpoint"
RIGHT = Finding(point=SET, what="effect", verdict="right", text="as it should")
WRONG = Finding(point=SET, what="effect", verdict="wrong", text="moved the other way")


def site(mode="control", **modes):
    return replace(LOADED, mode=mode, modes={**dict.fromkeys(LOADED.devices, mode), **modes})


def wish(point=SET, value=5.0, expires_at=1e9):
    return Setpoint(point, value, Rank.OPERATOR, "a person", "because", expires_at)


def refusal(bans, point=SET, now_s=0.0):
    state = GateState(LOADED.points, {}, bans=[found for ban in bans if (found := ban.ban(IMAGE, now_s))])
    found = check(wish(point), state, now_s)
    return None if found is None else str(found)


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("control", None),
        ("shadow", "refused by rule 'mode': storage is in mode 'shadow': storage gets nothing written"),
        ("monitor", "refused by rule 'mode': storage is in mode 'monitor': storage is only read"),
        ("off", "refused by rule 'mode': storage is in mode 'off': storage is not even read"),
    ],
)
def test_only_what_is_in_control_is_written_to(mode, told):
    assert refusal([Modes(site(storage=mode), Trials(LOADED))]) == told
    assert refusal([Modes(site(storage=mode), Trials(LOADED))], "charger.current_limit") is None


def test_a_point_on_trial_is_spared_alone_and_not_where_the_device_is_off():
    trials = Trials(LOADED)
    zones = "heatpump.zone1_setpoint", "heatpump.zone2_setpoint"
    trials.device = "heatpump"
    trials.move(zones[0], 5.0, "to see", 100.0)
    modes = Modes(site("monitor"), trials)
    value = {"bans": [modes, trials]}
    state = GateState(LOADED.points, {}, bans=[ban.ban(IMAGE, 0.0) for ban in value["bans"]])
    assert check(wish(zones[0], 21.0), state, 0.0) is None
    assert check(wish(zones[1], 21.0), state, 0.0).rule == "mode"
    assert refusal([Modes(site("monitor"), trials)], "charger.current_limit") is not None
    expired = GateState(LOADED.points, {}, bans=[ban.ban(IMAGE, 100.0) for ban in value["bans"]])
    assert check(wish(zones[0], 21.0), expired, 100.0).rule == "mode"
    assert trials.wishes(IMAGE, 100.0, 200.0) == ()
    off = GateState(LOADED.points, {}, bans=[Modes(site("off"), trials).ban(IMAGE, 0.0)])
    assert check(wish(zones[0], 21.0), off, 0.0).rule == "mode"


def test_a_device_on_trial_belongs_to_the_trial_alone():
    trials = Trials(LOADED)
    trials.device = "storage"
    assert refusal([trials]) == "refused by rule 'trial': storage is being commissioned"
    trials.move(SET, 5.0, "to see", 100.0)
    assert refusal([trials]) is None
    trials.end()
    assert refusal([trials]) is not None


# -- the shadow --------------------------------------------------------------------------------------------------------


def shadowed(*steps, bans=(), limits=None):
    """Lines of (seconds, value or None for no wish) in a site in shadow, as (value, detail)."""
    shadow = Shadow(site("shadow"), 60.0)
    banned = Modes(site("shadow"), Trials(LOADED)).ban(IMAGE, 0.0)
    state = GateState(LOADED.points, limits or {}, bans=[banned, *bans])
    lines = []
    for now_s, value in steps:
        winners = [] if value is None else [wish(value=value, expires_at=now_s + 60)]
        lines += [(line.value, line.detail) for line in shadow.decide(winners, state, IMAGE, now_s)]
    return shadow, lines


def test_the_shadow_tells_changes_and_the_hand_back_and_no_refresh():
    shadow, lines = shadowed((0, 5.0), (1, 5.0), (40, 5.0), (41, 8.0), (42, None), (43, None))
    assert lines == [(5.0, "write"), (8.0, "write"), (None, "hand back")]
    assert shadow.count == 3 and shadow.held == {} and shadow.last[SET].value is None


def test_the_shadow_keeps_to_the_gate():
    assert shadowed((0, 31.0), limits={SET: PointLimits(maximum=30.0)})[1] == []
    limits = {SET: PointLimits(min_change_interval_s=60.0)}
    assert shadowed((0, 5.0), (10, 9.0), (61, 9.0), limits=limits)[1] == [(5.0, "write"), (9.0, "write")]
    assert shadowed((0, 5.0), bans=[Ban("estop", {"*": "pressed"})])[1] == []


def test_devices_in_control_are_no_business_of_the_shadow():
    shadow = Shadow(site(charger="shadow"), 60.0)
    assert shadow.decide([wish()], GateState(LOADED.points, {}), IMAGE, 0.0) == []
    assert not shadow.covers(SET) and shadow.covers("charger.current_limit")


# -- records -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def records(tmp_path):
    return Records(tmp_path / "commissioned", STRICT)


def pass_all(records, findings=(RIGHT,)):
    for device in ("meter", "storage"):
        records.keep(device, f"a {device}", "Eleni", NOW, findings if device == "storage" else (RIGHT,))


def commissioned(records, loaded=STRICT, **says):
    identities = {"meter": "a meter", "storage": "a storage", **says}
    return refusal([Commissioned(loaded, records, lambda: identities, Trials(loaded))])


def test_without_records_the_message_names_the_command(records):
    assert commissioned(records) == (
        "refused by rule 'commissioned': storage is not commissioned; "
        f"run 'energyctl commission {LOADED.path} --device storage'"
    )


def test_with_its_own_record_and_the_meters_a_device_is_controlled(records):
    records.keep("storage", "a storage", "Eleni", NOW, (RIGHT,))
    assert "meter is not commissioned" in commissioned(records)
    pass_all(records)
    assert commissioned(records) is None
    assert commissioned(records, storage=None, meter=None) is None  # not reached yet: that is another rule's


def test_a_site_that_does_not_want_it_needs_no_record(records):
    assert commissioned(records, LOADED) is None


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ({"storage": "another"}, "when it said it was 'a storage'; now it says 'another'"),
        ({"meter": "another"}, "meter was commissioned when it said it was 'a meter'"),
    ],
)
def test_another_identity_ends_it(records, says, words):
    pass_all(records)
    assert words in commissioned(records, **says)


def test_another_address_or_profile_ends_it(records, tmp_path):
    pass_all(records)
    storage = STRICT.devices["storage"]
    folder = tmp_path / "commissioned"
    moved = replace(STRICT, devices={**STRICT.devices, "storage": replace(storage, options={"unit": 4})})
    assert "unit=3, not at" in commissioned(Records(folder, moved), moved)
    points = dict(list(storage.profile.points.items())[:-1])
    other = storage.profile.model_copy(update={"points": points})
    changed = replace(STRICT, devices={**STRICT.devices, "storage": replace(storage, profile=other)})
    assert "with another content of profile sunspec/battery@1" in commissioned(Records(folder, changed), changed)


def test_a_device_that_failed_is_not_controlled(records):
    pass_all(records, (RIGHT, WRONG))
    assert f"did not pass commissioning ({SET}: moved the other way)" in commissioned(records)


def tamper_text(folder):
    path = folder / "storage.json"
    path.write_text(path.read_text().replace("Eleni", "Nikos"))


def tamper_verdict(folder):
    path = folder / "storage.json"
    document = json.loads(path.read_text())
    document["record"]["findings"][0]["verdict"] = "right"
    path.write_text(json.dumps(document))


def copy_from_another_device(folder):
    (folder / "storage.json").write_text((folder / "meter.json").read_text())


def cut_short(folder):
    path = folder / "storage.json"
    path.write_text(path.read_text()[:100])


def another_key(folder):
    (folder / "key").write_text("0" * 64)
    for path in folder.glob("*.json"):
        path.touch()


def lose_the_key(folder):
    (folder / "key").unlink()


@pytest.mark.parametrize(
    "tamper", [tamper_text, tamper_verdict, copy_from_another_device, cut_short, another_key, lose_the_key]
)
def test_a_record_that_is_not_as_it_was_signed_is_refused(records, tmp_path, tamper):
    pass_all(records, (WRONG,) if tamper is tamper_verdict else (RIGHT,))
    folder = tmp_path / "commissioned"
    tamper(folder)
    assert "is not as it was signed" in commissioned(Records(folder, STRICT))


def test_a_change_is_noticed_while_running(records, tmp_path):
    pass_all(records)
    assert commissioned(records) is None
    tamper_text(tmp_path / "commissioned")
    assert "is not as it was signed" in commissioned(records)


def test_the_key_is_for_its_user_alone(records, tmp_path):
    pass_all(records)
    assert (tmp_path / "commissioned" / "key").stat().st_mode & 0o077 == 0
    assert (tmp_path / "commissioned").stat().st_mode & 0o077 == 0
