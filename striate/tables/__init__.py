"""Results of other programs (CSV, parquet, TensorBoard, W&B, MLflow) to arms, seeds and a metric, and to verdicts on them."""

from striate.tables.columns import Choices
from striate.tables.judge import Judged, judge, judge_table
from striate.tables.read import read
from striate.tables.table import Table

__all__ = ["Choices", "Judged", "Table", "judge", "judge_table", "read"]
