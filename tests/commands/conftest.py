"""What the tests of several commands need."""

from tests.commands.files import models

__all__ = ["models"]
