"""The stems dialect: the API of a karaoke backend, which takes a song and gives its stems, words and beats."""

from progresshub.dialects.stems import keeping, outcome, songs
from progresshub.dialects.stems.refusals import refuse
from progresshub.edge.routes import Dialect

STEMS = Dialect(
    name="stems",
    summary="Songs, their stems, words and beats",
    routes=(*songs.ROUTES, *outcome.ROUTES, *keeping.ROUTES),
    prefixes=("/api/process", "/api/upload-info", "/api/results", "/api/files", "/api/cleanup"),
    refuse=refuse,
)
