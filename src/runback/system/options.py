"""Reads a command's options; a bad one is an InputError like any other bad input."""

import argparse
from typing import NoReturn

from runback.errors import InputError


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that says in one line what is wrong, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Raise InputError instead of printing the usage and exiting."""
        raise InputError(f"{message} (see {self.prog} --help)")
