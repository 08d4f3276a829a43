"""`trim kde`: from labelled traces to an observation model and the dynamics."""

from cyclopts import App

app = App(
    name="kde",
    help="Fit, judge and report observation models, and estimate the dynamics of generators.",
    help_epilogue="""\
A walk: `trim kde fit` makes an observation model of class samples or labelled traces; `trim kde evaluate` judges its belief filters on
traces; `trim kde tune` puts the best one into it; `trim kde dynamics` estimates the rest of the POMDP; `trim kde compare` says whether
a newer model differs enough to matter; `trim kde report` shows it all on one page.""",
)
app.command("kde.cli.fit:fit", name="fit", help="Fit an observation model P(m, r | class).")
app.command("kde.cli.dynamics:dynamics", name="dynamics", help="Estimate step accuracies, hazard and token model.")
app.command("kde.cli.evaluate:evaluate", name="evaluate", help="Judge the belief filters on traces.")
app.command("kde.cli.evaluate:tune", name="tune", help="Put the filter that wins on held-out traces into the model.")
app.command(
    "kde.cli.report:report", name="report", help="Write one page about a model: densities, calibration, provenance."
)
