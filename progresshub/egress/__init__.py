"""The way out for a download: an HTTP proxy of its own, which checks every address before it connects.

Forked from the download's worker, it lives as long as that does and serves nobody without its password.
"""

from __future__ import annotations

from progresshub.egress.gate import Egress, egress
from progresshub.egress.rules import Rules, rules_of

__all__ = ["Egress", "Rules", "egress", "rules_of"]
