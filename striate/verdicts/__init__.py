"""From numbers by arm and seed to verdicts: intervals, labels, sentences. It knows no run, network or file."""

from striate.verdicts.intervals import Interval
from striate.verdicts.records import ArmResults, Label, Verdict
from striate.verdicts.verdict import compare, label

__all__ = ["ArmResults", "Interval", "Label", "Verdict", "compare", "label"]
