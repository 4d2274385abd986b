"""BACnet bytes against the examples of ASHRAE 135 annex F, and against bacpypes3's codec."""

from __future__ import annotations

import math

import pytest
from bacpypes3 import primitivedata
from hypothesis import given
from hypothesis import strategies as st

from drivers.bacnet import apdu
from drivers.bacnet.apdu import Failed, Ref
from drivers.bacnet.tags import Kind, Tags, Value, encode

ANALOG_INPUT_16 = "0c 00000010"


def test_reading_two_properties_of_one_object_as_in_f_3_7() -> None:
    refs = [Ref(16, 85), Ref(16, 103)]
    assert apdu.read_request(refs) == bytes.fromhex(f"{ANALOG_INPUT_16} 1e 0955 0967 1f")
    answer = bytes.fromhex(f"{ANALOG_INPUT_16} 1e 2955 4e 444290999a 4f 2967 4e 9100 4f 1f")
    assert apdu.read_answer(answer) == {refs[0]: [pytest.approx(72.3)], refs[1]: [0]}


def test_reading_three_objects_of_which_one_is_not_there_as_in_f_3_7() -> None:
    refs = [Ref(33, 85), Ref(50, 85), Ref(35, 85)]
    asked = "0c 00000021 1e 0955 1f 0c 00000032 1e 0955 1f 0c 00000023 1e 0955 1f"
    assert apdu.read_request(refs) == bytes.fromhex(asked)
    answer = (
        "0c 00000021 1e 2955 4e 4442293333 4f 1f"
        "0c 00000032 1e 2955 5e 9101 911f 5f 1f"
        "0c 00000023 1e 2955 4e 4443d9d99a 4f 1f"
    )
    assert apdu.read_answer(bytes.fromhex(answer)) == {
        refs[0]: [pytest.approx(42.3)],
        refs[1]: Failed(1, 31),
        refs[2]: [pytest.approx(435.7)],
    }


def test_writing_as_in_f_3_9() -> None:
    target = apdu.object_id("analog-value,1")
    expected = "0c 00800001 1955 3e 4443340000 3f 490a"
    assert apdu.write_request(target, encode(180.0, "real"), 10) == bytes.fromhex(expected)


def test_subscribing_as_in_f_1_11() -> None:
    target = apdu.object_id("analog-input,10")
    assert apdu.subscribe_request(18, target, 300) == bytes.fromhex("0912 1c 0000000a 2900 3a012c")
    assert apdu.subscribe_request(18, target, None) == bytes.fromhex("0912 1c 0000000a")


def test_a_notification_as_in_f_1_3() -> None:
    data = "0912 1c 02000004 2c 0000000a 3900 4e 0955 2e 4442820000 2f 096f 2e 820400 2f 4f"
    note = apdu.notification(bytes.fromhex(data))
    assert note == apdu.Notification(18, 10, {85: 65.0, 111: (False, False, False, False)})


def test_a_priority_array_keeps_the_place_of_each_slot() -> None:
    data = "0c 00400001 1e 2957 4e" + "00" * 7 + "4441a00000" + "00" + "4442960000" + "00" * 6 + "4f 1f"
    found = apdu.read_answer(bytes.fromhex(data))[Ref(apdu.object_id("analog-output,1"), 87)]
    assert isinstance(found, list)
    assert {slot: value for slot, value in enumerate(found, 1) if value is not None} == {8: 20.0, 10: 75.0}
    assert len(found) == 16


@pytest.mark.parametrize(
    ("tagged", "value"),
    [
        ("00", None),
        ("10", False),
        ("11", True),
        ("2148", 72),
        ("22 0190", 400),
        ("31 b8", -72),
        ("55 08 c2b0800000000000", -18141941858304.0),
        ("75 0a 00 5468697320697321", "This is!"),
        ("73 05 c9 e9", "Éé"),
        ("82 04 60", (False, True, True, False)),
        ("91 02", 2),
        ("c4 00c0000f", 0xC0000F),
        ("a4 5b011804", bytes.fromhex("5b011804")),
        ("0e 2101 1e 2102 1f 0f", None),
        ("0c 01020304", None),
    ],
)
def test_each_kind_of_value(tagged: str, value: Value) -> None:
    content = bytes.fromhex(tagged)
    if tagged.startswith("75"):
        content = bytes((0x75, len(content) - 2)) + content[2:]
    assert Tags(b"\x4e" + content + b"\x21\x07\x4f").values(4) == [value, 7]


@pytest.mark.parametrize(
    ("value", "kind", "oracle"),
    [
        (21.5, "real", primitivedata.Real(21.5)),
        (-0.1, "double", primitivedata.Double(-0.1)),
        (0.0, "unsigned", primitivedata.Unsigned(0)),
        (255.0, "unsigned", primitivedata.Unsigned(255)),
        (256.0, "unsigned", primitivedata.Unsigned(256)),
        (2.0**32 - 1, "unsigned", primitivedata.Unsigned(2**32 - 1)),
        (1.0, "enumerated", primitivedata.Enumerated(1)),
        (127.0, "signed", primitivedata.Integer(127)),
        (128.0, "signed", primitivedata.Integer(128)),
        (-128.0, "signed", primitivedata.Integer(-128)),
        (-129.0, "signed", primitivedata.Integer(-129)),
        (None, "real", primitivedata.Null(())),
    ],
)
def test_numbers_are_written_as_bacpypes3_writes_them(value: float | None, kind: Kind, oracle: object) -> None:
    (tag,) = oracle.encode()  # type: ignore[attr-defined]
    assert encode(value, kind) == bytes(tag.encode().pduData)


@pytest.mark.parametrize(
    ("value", "kind", "reason"),
    [(1e39, "real", "1e+39 does not fit a 32-bit float"), (-1.0, "unsigned", "-1 does not fit an unsigned value")],
)
def test_numbers_that_do_not_fit_are_refused(value: float, kind: Kind, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("+", r"\+")):
        encode(value, kind)


@given(st.floats(width=32, allow_nan=False))
def test_a_real_comes_back_as_it_went(value: float) -> None:
    assert Tags(b"\x4e" + encode(value, "real") + b"\x4f").values(4) == [value]


@given(st.binary(max_size=60))
def test_any_bytes_are_an_answer_or_make_no_sense(data: bytes) -> None:
    for decode in (apdu.read_answer, apdu.notification, apdu.error_answer):
        try:
            decode(data)
        except ValueError:
            continue


@given(st.integers(0, 23), st.integers(0, 255))
def test_an_answer_with_a_wrong_byte_never_crashes(at: int, byte: int) -> None:
    answer = bytearray(bytes.fromhex(f"{ANALOG_INPUT_16} 1e 2955 4e 444290999a 4f 2967 4e 9100 4f 1f"))
    answer[at % len(answer)] = byte
    try:
        values = apdu.read_answer(bytes(answer)).values()
    except ValueError:
        return
    assert all(isinstance(value, Failed | list) for value in values)


@pytest.mark.parametrize(
    ("text", "number"),
    [("analog-input,0", 0), ("analog-value,3", 2 << 22 | 3), ("multi-state-value,4194302", 19 << 22 | 4194302)],
)
def test_objects_by_name(text: str, number: int) -> None:
    assert apdu.object_id(text) == number


@pytest.mark.parametrize("text", ["", "analog-input", "analog-input,x", "analog-input,4194303", "device,1", "ai,1"])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"instance number|object type"):
        apdu.object_id(text)


def test_nan_goes_over_the_wire_as_nan() -> None:
    (value,) = Tags(b"\x4e" + encode(math.nan, "real") + b"\x4f").values(4)
    assert isinstance(value, float)
    assert math.isnan(value)
