"""The `optional` arms of a study file: left out where their engine or GPU is not on this machine, with the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from striate.core.config import Document
from striate.core.errors import Missing
from striate.runs import layout
from striate.runs.layout import slug
from striate.studies.relations import read_relation
from striate.studies.study import Arm, Study


def missing_arms(study: Study, arms: Sequence[Arm], folder: Path) -> dict[str, str]:
    """The optional arms that cannot be trained here, and why; not those that have runs in the study's `folder`."""
    if not study.optional:
        return {}
    from striate.engines.select import check

    missing = {}
    for arm in arms:
        if arm.name in study.optional and not any((folder / slug(arm.name)).glob(f"*/{layout.RUN}")):
            try:
                check(arm.recipe, arm.network, "auto")
            except Missing as error:
                missing[arm.name] = str(error)
    return missing


def without_arms(document: Document, study: Study, missing: Mapping[str, str]) -> Document:
    """`document` without these arms and what is said of them: comparisons and claims."""
    data = dict(document.data)
    data["arms"] = {name: changes for name, changes in data["arms"].items() if name not in missing}
    data["optional"] = [name for name in study.optional if name not in missing]
    data["compare"] = [str(c) for c in study.comparisons if not {c.first, c.second} & missing.keys()]
    if study.looks and not data["compare"]:
        data["seeds"] = study.looks[0]  # looks are of comparisons
    data["claims"] = [claim for claim in data.get("claims") or [] if not _arms_of(claim) & missing.keys()]
    data["left_out"] = dict(missing)
    return replace(document, data=data)


def _arms_of(claim: Mapping[str, Any]) -> set[str]:
    """The arms that a claim of a study file names."""
    relation = claim.get("relation")
    return {*claim, *(read_relation(relation).arms if relation else ())}
