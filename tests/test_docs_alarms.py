"""What docs/alarms.md says is so: its snippet checks our signature, its figures and its example are those of the code."""

import json
import re
from pathlib import Path

from energyctl.control import alarms
from energyctl.control.alarms import Alarm
from energyctl.daemon import webhook

PAGE = (Path(__file__).parent.parent / "docs" / "alarms.md").read_text(encoding="utf-8")


def block(language):
    return re.search(rf"```{language}\n(.*?)```", PAGE, re.S).group(1)


def test_the_snippet_tells_our_messages_from_others():
    names = {}
    exec(block("python"), names)
    body = b'{"id": 1}'
    assert names["is_ours"]("k3y", body, webhook.signature("k3y", body))
    assert not names["is_ours"]("k3y", body + b" ", webhook.signature("k3y", body))
    assert not names["is_ours"]("other", body, webhook.signature("k3y", body))


def test_the_example_has_the_keys_of_a_message():
    shown = json.loads(block("json"))
    assert shown["alarm"].keys() <= {*Alarm.__slots__, "severity"}


def test_the_figures_are_those_of_the_code():
    words = {6: "six", 10: "ten", 4: "four"}
    assert f"comes and goes {words[alarms.FLAPS]} times in {words[alarms.FLAP_WINDOW_S / 60]} minutes" in PAGE
    assert f"quiet for {words[alarms.QUIET_S / 60]}" in PAGE and alarms.SETTLE_S == 30
    assert f"within {webhook.TIMEOUT_S:g} s" in PAGE
    tries, minutes = len(webhook.WAITS_S) + 1, sum(webhook.WAITS_S) / 60
    assert f"same `id`, {words[tries]} times\nwithin {words[round(minutes)]} minutes" in PAGE
