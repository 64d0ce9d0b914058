"""One folder is one run: what decides it, its files, the writer and the reader."""

from striate.runs.reader import Run, read
from striate.runs.records import DataFacts, EpochRow, Job, RunEnvironment, SplitScores, Summary
from striate.runs.writer import RunWriter

__all__ = [
    "DataFacts",
    "EpochRow",
    "Job",
    "Run",
    "RunEnvironment",
    "RunWriter",
    "SplitScores",
    "Summary",
    "read",
]
