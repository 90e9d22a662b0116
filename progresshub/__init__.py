"""Live progress for everything that takes a while, in the browser, the terminal and any script.

Importing the package costs next to nothing: children and users' own scripts do it for `report`.
"""

__version__ = "0.1.0"
