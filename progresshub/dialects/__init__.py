"""The five APIs: each a translation of the one registry into its own words."""

from progresshub.dialects.crossroads import CROSSROADS
from progresshub.dialects.downloads import DOWNLOADS
from progresshub.dialects.executions import EXECUTIONS
from progresshub.dialects.queues import QUEUES

DIALECTS = (EXECUTIONS, QUEUES, DOWNLOADS, CROSSROADS)
