"""SARSOP as the second solver: Julia in worker processes, alpha-vectors and bounds back (DESIGN section 5)."""
