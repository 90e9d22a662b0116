"""The progress that every polled peer answers with: what ours would say of such a download."""

PROGRESS = {
    "progress": {
        "task_id": "0d1f2c64-5a7e-4a53-9f4e-2f4ad1b0a9c1",
        "percentage": 42,
        "stage": "downloading",
        "message": "a film of some length, and it takes a while",
        "timestamp_ms": 1_790_000_000_000,
        "current": 42_000_000.0,
        "total": 100_000_000.0,
        "unit": "bytes",
        "speed_bps": 1_234_567.0,
        "eta_seconds": 46.9,
    },
    "is_final": False,
    "stream_id": "1790000000000-3",
    "status": "",
}
