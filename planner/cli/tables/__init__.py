"""`trim tables`: build policy tables, look at them, check them, compare them, export them, and find the lambda of a budget."""

from cyclopts import App

app = App(name="tables", help="Build, show, verify, compare, export and calibrate policy tables.")
app.command("planner.cli.tables.build:build", name="build")
app.command("planner.cli.tables.show:show", name="show")
app.command("planner.cli.tables.verify:verify", name="verify")
app.command("planner.cli.tables.diff:diff", name="diff")
app.command("planner.cli.tables.export:export", name="export")
app.command("planner.cli.tables.calibrate:calibrate", name="calibrate")
