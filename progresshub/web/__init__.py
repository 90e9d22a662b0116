"""The dashboard: its files, the shell that every page of it begins with, and the feed that keeps it live."""

from progresshub.edge import house
from progresshub.edge.routes import Dialect
from progresshub.web import assets, feed, lists

WEB = Dialect(
    name="web",
    summary="The dashboard, and its private feed, which may change with it",
    routes=(*assets.ROUTES, *lists.ROUTES, *feed.ROUTES),
    prefixes=("/-/web", "/-/rows", "/-/feed"),
    refuse=house.refuse,
)
