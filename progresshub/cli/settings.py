"""The settings as the flags of a command name them."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from progresshub import config
from progresshub.config import Loaded


def load(args: Namespace) -> Loaded:
    short = [f"{name}={value}" for name in ("host", "port", "data_dir") if (value := getattr(args, name)) is not None]
    return config.load(args.config, os.environ, [*short, *args.set])


def data_dir(args: Namespace) -> Path:
    return config.data_dir(load(args).config, os.environ)
