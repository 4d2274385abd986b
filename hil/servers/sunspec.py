"""SunSpec models as register tables: the chain a SunSpec device shows from register 40000 on.

Written from the SunSpec model definitions. A layout lists every point of a model after its id and length, in order, as
`name:type[:scale factor]`; types are u i e (16 bits: unsigned, signed, enumeration), u32 i32 u64 a32 (accumulator) b32,
sf (scale factor), sN (text of N registers) and pad. Points that the device does not have show the type's "not
implemented" pattern. The scale factors are this maker's choice, wide enough for a few hundred kW.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from energyctl.core.profile import PointSpec
from hil.device import SimDevice

from .registers import SIZES, Cell, RegisterMap, Table

BASE = 40000
END = (0xFFFF, 0)
LAYOUTS: dict[int, str] = {
    1: """
        Mn:s16 Md:s16 Opt:s8 Vr:s8 SN:s16 DA:u Pad:pad
    """,
    103: """
        A:u:A_SF AphA:u:A_SF AphB:u:A_SF AphC:u:A_SF A_SF:sf PPVphAB:u:V_SF PPVphBC:u:V_SF PPVphCA:u:V_SF
        PhVphA:u:V_SF PhVphB:u:V_SF PhVphC:u:V_SF V_SF:sf W:i:W_SF W_SF:sf Hz:u:Hz_SF Hz_SF:sf VA:i:VA_SF
        VA_SF:sf VAr:i:VAr_SF VAr_SF:sf PF:i:PF_SF PF_SF:sf WH:a32:WH_SF WH_SF:sf DCA:u:DCA_SF DCA_SF:sf
        DCV:u:DCV_SF DCV_SF:sf DCW:i:DCW_SF DCW_SF:sf TmpCab:i:Tmp_SF TmpSnk:i:Tmp_SF TmpTrns:i:Tmp_SF
        TmpOt:i:Tmp_SF Tmp_SF:sf St:e StVnd:e Evt1:b32 Evt2:b32 EvtVnd1:b32 EvtVnd2:b32 EvtVnd3:b32
        EvtVnd4:b32
    """,
    120: """
        DERTyp:e WRtg:u:WRtg_SF WRtg_SF:sf VARtg:u:VARtg_SF VARtg_SF:sf VArRtgQ1:i:VArRtg_SF
        VArRtgQ2:i:VArRtg_SF VArRtgQ3:i:VArRtg_SF VArRtgQ4:i:VArRtg_SF VArRtg_SF:sf ARtg:u:ARtg_SF
        ARtg_SF:sf PFRtgQ1:i:PFRtg_SF PFRtgQ2:i:PFRtg_SF PFRtgQ3:i:PFRtg_SF PFRtgQ4:i:PFRtg_SF PFRtg_SF:sf
        WHRtg:u:WHRtg_SF WHRtg_SF:sf AhrRtg:u:AhrRtg_SF AhrRtg_SF:sf MaxChaRte:u:MaxChaRte_SF
        MaxChaRte_SF:sf MaxDisChaRte:u:MaxDisChaRte_SF MaxDisChaRte_SF:sf Pad:pad
    """,
    123: """
        Conn_WinTms:u Conn_RvrtTms:u Conn:e WMaxLimPct:u:WMaxLimPct_SF WMaxLimPct_WinTms:u
        WMaxLimPct_RvrtTms:u WMaxLimPct_RmpTms:u WMaxLim_Ena:e OutPFSet:i:OutPFSet_SF OutPFSet_WinTms:u
        OutPFSet_RvrtTms:u OutPFSet_RmpTms:u OutPFSet_Ena:e VArWMaxPct:i:VArPct_SF VArMaxPct:i:VArPct_SF
        VArAvalPct:i:VArPct_SF VArPct_WinTms:u VArPct_RvrtTms:u VArPct_RmpTms:u VArPct_Mod:e VArPct_Ena:e
        WMaxLimPct_SF:sf OutPFSet_SF:sf VArPct_SF:sf
    """,
    701: """
        ACType:e St:e InvSt:e ConnSt:e Alrm:b32 DERMode:b32 W:i:W_SF VA:i:VA_SF Var:i:Var_SF PF:i:PF_SF
        A:i:A_SF LLV:u:V_SF LNV:u:V_SF Hz:u32:Hz_SF TotWhInj:u64:TotWh_SF TotWhAbs:u64:TotWh_SF
        TotVarhInj:u64:TotVarh_SF TotVarhAbs:u64:TotVarh_SF TmpAmb:i:Tmp_SF TmpCab:i:Tmp_SF TmpSnk:i:Tmp_SF
        TmpTrns:i:Tmp_SF TmpSw:i:Tmp_SF TmpOt:i:Tmp_SF WL1:i:W_SF VAL1:i:VA_SF VarL1:i:Var_SF PFL1:i:PF_SF
        AL1:i:A_SF VL1L2:u:V_SF VL1:u:V_SF TotWhInjL1:u64:TotWh_SF TotWhAbsL1:u64:TotWh_SF
        TotVarhInjL1:u64:TotVarh_SF TotVarhAbsL1:u64:TotVarh_SF WL2:i:W_SF VAL2:i:VA_SF VarL2:i:Var_SF
        PFL2:i:PF_SF AL2:i:A_SF VL2L3:u:V_SF VL2:u:V_SF TotWhInjL2:u64:TotWh_SF TotWhAbsL2:u64:TotWh_SF
        TotVarhInjL2:u64:TotVarh_SF TotVarhAbsL2:u64:TotVarh_SF WL3:i:W_SF VAL3:i:VA_SF VarL3:i:Var_SF
        PFL3:i:PF_SF AL3:i:A_SF VL3L1:u:V_SF VL3:u:V_SF TotWhInjL3:u64:TotWh_SF TotWhAbsL3:u64:TotWh_SF
        TotVarhInjL3:u64:TotVarh_SF TotVarhAbsL3:u64:TotVarh_SF ThrotPct:u ThrotSrc:b32 A_SF:sf V_SF:sf
        Hz_SF:sf W_SF:sf PF_SF:sf VA_SF:sf Var_SF:sf TotWh_SF:sf TotVarh_SF:sf Tmp_SF:sf MnAlrmInfo:s32
    """,
    704: """
        PFWInjEna:e PFWInjEnaRvrt:e PFWInjRvrtTms:u32 PFWInjRvrtRem:u32 PFWAbsEna:e PFWAbsEnaRvrt:e
        PFWAbsRvrtTms:u32 PFWAbsRvrtRem:u32 WMaxLimPctEna:e WMaxLimPct:u:WMaxLimPct_SF
        WMaxLimPctRvrt:u:WMaxLimPct_SF WMaxLimPctEnaRvrt:e WMaxLimPctRvrtTms:u32 WMaxLimPctRvrtRem:u32
        WSetEna:e WSetMod:e WSet:i32:WSet_SF WSetRvrt:i32:WSet_SF WSetPct:i:WSetPct_SF
        WSetPctRvrt:i:WSetPct_SF WSetEnaRvrt:e WSetRvrtTms:u32 WSetRvrtRem:u32 VarSetEna:e VarSetMod:e
        VarSetPri:e VarSet:i32:VarSet_SF VarSetRvrt:i32:VarSet_SF VarSetPct:i:VarSetPct_SF
        VarSetPctRvrt:i:VarSetPct_SF VarSetEnaRvrt:e VarSetRvrtTms:u32 VarSetRvrtRem:u32 WRmp:u WRmpRef:e
        VarRmp:u AntiIslEna:e PF_SF:sf WMaxLimPct_SF:sf WSet_SF:sf WSetPct_SF:sf VarSet_SF:sf
        VarSetPct_SF:sf PFWInj.PF:u:PF_SF PFWInj.Ext:e PFWInjRvrt.PF:u:PF_SF PFWInjRvrt.Ext:e
        PFWAbs.PF:u:PF_SF PFWAbs.Ext:e PFWAbsRvrt.PF:u:PF_SF PFWAbsRvrt.Ext:e
    """,
    713: """
        WHRtg:u:WH_SF WHAvail:u:WH_SF SoC:u:Pct_SF SoH:u:Pct_SF Sta:e WH_SF:sf Pct_SF:sf
    """,
}
FACTORS: dict[int, dict[str, int]] = {
    103: {"A_SF": -1, "V_SF": -1, "W_SF": 1, "Hz_SF": -2},
    120: {"WRtg_SF": 1},
    123: {"WMaxLimPct_SF": -2},
    701: {"W_SF": 1, "A_SF": -1, "V_SF": -1, "Hz_SF": -2},
    704: {"WMaxLimPct_SF": -2},
    713: {"WH_SF": 1, "Pct_SF": -2},
}
"""Powers of ten that are not 0."""

_TYPES = {
    "u": ("uint16", 0xFFFF),
    "i": ("int16", 0x8000),
    "e": ("uint16", 0xFFFF),
    "u32": ("uint32", 0xFFFFFFFF),
    "i32": ("int32", 0x80000000),
    "u64": ("uint64", 0xFFFFFFFFFFFFFFFF),
    "a32": ("uint32", 0),
    "b32": ("uint32", 0xFFFFFFFF),
    "sf": ("int16", 0x8000),
    "pad": ("uint16", 0x8000),
}


@dataclass(frozen=True, slots=True)
class Field:
    """A point of a model: registers from the model's id register, type, scale factor's name."""

    name: str
    offset: int
    size: int
    type: str
    factor: str


def fields(model: int) -> Iterator[Field]:
    """The points of a model after id and length."""
    offset = 2
    for token in LAYOUTS[model].split():
        name, kind, factor, *_ = (*token.split(":"), "")
        size = int(kind[1:]) if kind[0] == "s" and kind != "sf" else SIZES[_TYPES[kind][0]]
        yield Field(name, offset, size, kind, factor)
        offset += size


def is_sunspec(device: SimDevice) -> bool:
    """Whether the device's points are addressed by SunSpec model and point."""
    return any("model" in spec.address for spec in device.profile.points.values())


def sunspec_map(device: SimDevice, unit: int) -> RegisterMap:
    """The device's chain: model 1, the models its points are in, the end marker."""
    points = {(spec.address["model"], spec.address["point"]): name for name, spec in device.profile.points.items()}
    texts = {"Mn": device.profile.vendor, "Md": device.profile.model, "Vr": "1", "SN": device.id}
    fixed = dict(enumerate(_words(b"SunS"), BASE))
    cells: list[Cell] = []
    at = BASE + 2
    for model in sorted({1, *(model for model, _ in points)}):
        layout = list(fields(model))
        length = layout[-1].offset + layout[-1].size - 2
        fixed |= {at: model, at + 1: length}
        for point in layout:
            name = points.get((model, point.name))
            if name is not None:
                cells.append(_cell(name, device.profile.points[name], point, model, at))
            else:
                fixed |= enumerate(_background(model, point, texts, unit), at + point.offset)
        at += 2 + length
    fixed |= enumerate(END, at)
    return RegisterMap(device, {"holding": Table(tuple(cells), fixed)})


def _cell(name: str, spec: PointSpec, point: Field, model: int, at: int) -> Cell:
    kind, missing = _TYPES[point.type]
    scale = 10.0 ** FACTORS.get(model, {}).get(point.factor, 0)
    return Cell(name, spec, at + point.offset, kind, scale=scale, missing=missing)


def _background(model: int, point: Field, texts: Mapping[str, str], unit: int) -> list[int]:
    if point.type == "sf":
        return [FACTORS.get(model, {}).get(point.name, 0) & 0xFFFF]
    if point.name == "DA":
        return [unit]
    if point.type not in _TYPES:
        text = texts.get(point.name, "").encode()[: 2 * point.size]
        return _words(text.ljust(2 * point.size, b"\0"))
    return _words(_TYPES[point.type][1].to_bytes(2 * point.size, "big"))


def _words(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
