"""Studies: from a study file to a plan, to runs, to results, to verdicts."""
