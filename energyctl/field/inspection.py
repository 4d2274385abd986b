"""Looks at the readings of a device as somebody does who commissions it: are units, signs and scales what they should be?

Every point is judged on the quality that acquisition gives it (out of range, implausible, frozen, not read), and then:
- a number nearer to 0 than anything measured is one whose words are in the wrong order;
- a meter's voltage and frequency are those of a grid;
- what generates never consumes more than a little, and a charge lies between 0 and 1 and is not a percentage of a percentage;
- what the meter shows beyond all that measure themselves is consumption: a building does not generate by itself.
What nothing is bound to may be missing: that is "not shown".
"""

from __future__ import annotations

from collections.abc import Iterator

from energyctl.config.site import Site
from energyctl.core.findings import Finding, Verdict, quantity
from energyctl.core.points import Point, ProcessImage, Quality, Sample
from energyctl.core.resources import Binding, Resource

TINY = 1e-20
GENERATORS = ("pv",)
OWN_USE = 0.02
"""What a generator may consume at rest, as a share of the most it can give."""
ODD_CHARGE = 0.011
SLACK_KW = 0.5
SLACK = 0.02
"""How far the sum may be off: so many kW and this share of all powers, for readings that are not of one instant."""
GRID = {"V": (80.0, 40_000.0), "Hz": (45.0, 65.0)}
"""What a grid's meter can show."""


def inspect(site: Site, device: str, image: ProcessImage, rest_kw: float | None) -> list[Finding]:
    """What the readings of a device are worth. `rest_kw`: what the meter shows beyond the resources, None if not known."""
    bound = _bound(site)
    findings = [_judged(site, point, image[point.id], bound) for point in site.devices[device].points.values()]
    if site.meter.partition(".")[0] == device:
        findings.append(_sum(site, image, rest_kw))
    return findings


def _bound(site: Site) -> dict[str, tuple[Resource | None, Binding | None]]:
    """What each point is used for; the meter's by no resource."""
    used: dict[str, tuple[Resource | None, Binding | None]] = {
        one.point: (resource, one) for resource in site.resources for one in resource.bindings()
    }
    return {site.meter: (None, None), **used}


def _judged(
    site: Site, point: Point, sample: Sample, bound: dict[str, tuple[Resource | None, Binding | None]]
) -> Finding:
    def finding(verdict: Verdict, text: str) -> Finding:
        return Finding(point=point.id, what="reading", verdict=verdict, text=text)

    shown = "" if sample.value is None else quantity(sample.value, point.unit)
    if sample.quality is Quality.BAD or sample.value is None:
        return finding("wrong" if point.id in bound else "not shown", sample.reason)
    if sample.quality is not Quality.GOOD:
        return finding("wrong", f"shows {shown}: {sample.reason}")
    resource, binding = bound.get(point.id, (None, None))
    doubts = [*_impossible(site, point, sample.value), *_unlike(resource, binding, sample.value)]
    if doubts:
        return finding("wrong", f"shows {shown}: {doubts[0]}")
    if resource is not None and resource.kind in GENERATORS and point.id == resource.power and sample.value >= 0:
        return finding("not shown", f"shows {shown}: it generates nothing now, so its sign cannot be told")
    return finding("right", shown)


def _impossible(site: Site, point: Point, value: float) -> Iterator[str]:
    if 0 < abs(value) < TINY:
        yield "nothing measures so little; are its words in the wrong order?"
    low, high = GRID.get(point.unit, (0.0, 0.0))
    if site.devices[point.device].profile.kind == "meter" and high and value and not low <= value <= high:
        yield f"no grid has that ({low:g}..{high:g} {point.unit})"


def _unlike(resource: Resource | None, binding: Binding | None, value: float) -> Iterator[str]:
    if resource is None or binding is None:
        return
    generates = resource.kind in GENERATORS and binding.field == "power" and binding.minimum is not None
    if generates and value > -OWN_USE * (binding.minimum or 0.0):
        yield f"{resource.id} would consume, and it generates; is its sign the wrong way round?"
    if binding.field == "soc" and 0 < value < ODD_CHARGE:
        yield "so low a charge is more likely a share taken for a percentage; charge it a little to be sure"
    if binding.field == "soc" and not 0 <= value <= 1:
        yield "a charge lies between 0 and 100 %"


def _sum(site: Site, image: ProcessImage, rest_kw: float | None) -> Finding:
    powers = {resource.power: image.value(resource.power) for resource in site.resources if resource.power in image}
    powers.pop(site.meter, None)
    resources, total = sum(kw or 0.0 for kw in powers.values()), sum(abs(kw or 0.0) for kw in powers.values())
    meter = image.value(site.meter)
    if rest_kw is None or meter is None:
        missing = ", ".join(str(point) for point, kw in powers.items() if kw is None) or site.meter
        return Finding(point=site.meter, what="sum", verdict="not shown", text=f"no good value of {missing}")
    text = f"the meter shows {meter:.2f} kW, the resources {resources:.2f} kW: {rest_kw:.2f} kW for the rest"
    if rest_kw < -(SLACK_KW + SLACK * (total + abs(meter))):
        text += ", which cannot generate; is a sign or a scale wrong, or a generator missing from the site file?"
        return Finding(point=site.meter, what="sum", verdict="wrong", text=text)
    return Finding(point=site.meter, what="sum", verdict="right", text=text)
