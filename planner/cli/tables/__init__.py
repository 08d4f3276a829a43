"""`trim tables`: build policy tables, look at them, check, compare and export them; find the price of a budget, or plan for hard ones."""

from cyclopts import App

from planner.cli.tables.budget import budget
from planner.cli.tables.build import build
from planner.cli.tables.calibrate import calibrate
from planner.cli.tables.diff import diff
from planner.cli.tables.export import export
from planner.cli.tables.show import show
from planner.cli.tables.verify import verify

app = App(name="tables", help="Build, show, verify, compare, export and calibrate policy tables.")
for command in (build, show, verify, diff, export, calibrate, budget):
    app.command(command)
