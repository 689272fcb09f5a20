"""`python -m cli`, for where the `adyton` script is not installed."""

from cli.main import run

run()
