"""The tests, in the shape of the package: what `progresshub/ROOM/NAME.py` promises is in `tests/ROOM/test_NAME.py`."""
