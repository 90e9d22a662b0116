"""The five APIs: each a translation of the one registry into its own words."""

from dataclasses import replace

from progresshub.dialects.crossroads import CROSSROADS, shared
from progresshub.dialects.downloads import DOWNLOADS
from progresshub.dialects.executions import EXECUTIONS
from progresshub.dialects.generations import GENERATIONS
from progresshub.dialects.queues import QUEUES
from progresshub.dialects.stems import STEMS

DIALECTS = (
    EXECUTIONS,
    QUEUES,
    replace(DOWNLOADS, routes=tuple(map(shared, DOWNLOADS.routes))),
    GENERATIONS,
    STEMS,
    CROSSROADS,
)
