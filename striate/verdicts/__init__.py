"""From numbers by arm and seed to verdicts: intervals, labels, sentences. It knows no run, network or file."""

from striate.verdicts.intervals import Interval
from striate.verdicts.records import ArmResults, Design, Label, Metric, Verdict
from striate.verdicts.verdict import compare, label

__all__ = ["ArmResults", "Design", "Interval", "Label", "Metric", "Verdict", "compare", "label"]
