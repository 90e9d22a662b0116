"""How the program exits. The words for it stand in `parser`, and in the README."""

REFUSED = 1
MISUSED = 2
NO_SERVER = 69
TIMED_OUT = 124
NOT_STARTED = 127
SIGNALLED = 128
"""And the number of the signal."""

INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143
