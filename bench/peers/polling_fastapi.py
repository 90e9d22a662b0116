"""FastAPI on uvicorn: one route that answers a progress by its response model."""

from fastapi import FastAPI
from polled import PROGRESS
from pydantic import BaseModel


class Entry(BaseModel):
    task_id: str
    percentage: int
    stage: str
    message: str
    timestamp_ms: int
    current: float
    total: float
    unit: str
    speed_bps: float
    eta_seconds: float


class Latest(BaseModel):
    progress: Entry
    is_final: bool
    stream_id: str
    status: str


app = FastAPI()


@app.get("/tasks/{task_id}/progress")
async def progress(task_id: str) -> Latest:
    return PROGRESS
