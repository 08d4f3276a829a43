"""The main job from nothing, on the lab: fit, solve, serve, route, report."""
