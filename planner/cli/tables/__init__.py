"""`trim tables`: build policy tables, look at them, check them, compare them, export them, and find the lambda of a budget."""

from cyclopts import App

app = App(name="tables", help="Build, show, verify, compare, export and calibrate policy tables.")
app.command("planner.cli.tables.build:build", name="build", help="Solve for every lambda and write a policy table.")
app.command("planner.cli.tables.show:show", name="show", help="Show a table's policies and draw their regions.")
app.command(
    "planner.cli.tables.verify:verify",
    name="verify",
    help="Solve again, simulate, and compare with what a table claims.",
)
app.command(
    "planner.cli.tables.diff:diff", name="diff", help="Say where two tables decide differently and what that costs."
)
app.command("planner.cli.tables.export:export", name="export", help="Write a policy and its POMDP for other programs.")
app.command("planner.cli.tables.calibrate:calibrate", name="calibrate", help="Find the lambda that meets a budget.")
