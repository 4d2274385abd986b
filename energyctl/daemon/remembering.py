"""What a site's points have been through, as far as the store remembers it."""

from __future__ import annotations

import logging

from energyctl.config.site import Site
from energyctl.control.wear import Wear
from energyctl.core.boot import boot_id
from energyctl.core.clock import Clock
from energyctl.core.errors import StoreError
from energyctl.store import Store

from .cycle import point_limits

log = logging.getLogger(__name__)


def wear_of(site: Site, clock: Clock, store: Store) -> Wear:
    """The past of a site's points; what cannot be read is logged and not known."""
    boot = "" if clock.virtual else boot_id()
    wear = Wear(site.devices, point_limits(site), clock, site.timezone, boot)
    try:
        wear.load(store.pasts())
    except StoreError as error:
        log.error("what the points have been through is not known: %s", error)
    return wear
