"""What standing faults want of one and the same thing: the latest that still stands holds, and none takes back another's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, MutableMapping, MutableSet, Sequence
from typing import Any, TypeVar

Undo = Callable[[], Awaitable[None] | None]
_T = TypeVar("_T")


class Claims:
    """By thing, the claims that stand, in the order they were made."""

    def __init__(self) -> None:
        self._standing: dict[Hashable, dict[object, Any]] = {}
        self._healthy: dict[Hashable, Any] = {}

    def taken(self, thing: Hashable) -> bool:
        """Whether any claim on it stands."""
        return bool(self._standing.get(thing))

    def lay(self, thing: Hashable, value: _T, apply: Callable[[Sequence[_T]], None]) -> Callable[[], None]:
        """Claim `value` for `thing`; `apply` gets all standing claims now and when one goes. Returns how to give it up."""
        own, standing = object(), self._standing.setdefault(thing, {})
        standing[own] = value
        apply([*standing.values()])

        def give_up() -> None:
            if own in standing:
                del standing[own]
                apply([*standing.values()])

        return give_up

    def attribute(self, owner: object, name: str, value: object) -> Callable[[], None]:
        """Claim an attribute; with no claim left it is what it was before the first."""
        thing = (id(owner), name)
        healthy = self._healthy.setdefault(thing, getattr(owner, name))
        return self.lay(thing, value, lambda claims: setattr(owner, name, claims[-1] if claims else healthy))

    def entry(self, mapping: MutableMapping[str, Any], key: str, value: object) -> Callable[[], None]:
        """Claim an entry of a mapping that has none for it otherwise."""

        def apply(claims: Sequence[object]) -> None:
            if claims:
                mapping[key] = claims[-1]
            else:
                mapping.pop(key, None)

        return self.lay((id(mapping), key), value, apply)

    def member(self, group: MutableSet[str], name: str) -> Callable[[], None]:
        """Claim that a set has a member."""
        return self.lay((id(group), name), name, lambda claims: group.add(name) if claims else group.discard(name))


def all_of(undos: Sequence[Undo]) -> Undo:
    """One undo for several, the last first."""

    async def undo() -> None:
        for one in reversed(undos):
            done = one()
            if done is not None:
                await done

    return undo
