"""The work of the kind `video`, done by a worker: a deck is written, spoken, drawn and put together.

Everything heavy is imported in here and not in the server; the way in is `making.make`.
"""
