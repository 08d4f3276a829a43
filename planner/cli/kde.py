"""`trim kde` as a whole: the commands of `kde`, and `compare`, which needs the planner."""

from kde.cli import app

app.command(
    "planner.cli.compare:compare", name="compare", help="Say whether a model still fits: keep, refit, investigate."
)

__all__ = ["app"]
