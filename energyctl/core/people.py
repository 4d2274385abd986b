"""Who asks, in words: the name of a user of this machine."""

from __future__ import annotations

import pwd
from functools import lru_cache


@lru_cache
def user_name(user_id: int) -> str:
    """The login name of a user id; the id itself where the machine knows no name for it."""
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return f"user {user_id}"
