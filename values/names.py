"""Names of tenants, plans, models, versions and aliases."""

from __future__ import annotations

import re

# A colon, a slash or a capital in a name would make it ambiguous in a path, a policy or a route.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
RULE = "has 1 to 63 of a-z, 0-9, dot, dash and underscore, and starts with a letter or digit"


def is_name(text: str) -> bool:
    """Whether the text can be a name."""
    return _NAME.fullmatch(text) is not None
