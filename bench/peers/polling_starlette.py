"""Starlette on uvicorn: one route that answers a progress as JSON."""

from polled import PROGRESS
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def progress(request):
    request.path_params["id"]
    return JSONResponse(PROGRESS)


app = Starlette(routes=[Route("/tasks/{id}/progress", progress)])
