"""How long an audit takes, in how much memory, and which near duplicates it finds.

    python benchmarks/audit.py DATA [--plant 40] [--run RUN] [--pairs FILE]

DATA is what `striate audit` takes. `--plant`: that many pictures of each transformation are put among the images, and the table
says how many are found. `--run`: a run on pictures of 32 x 32 pixels; two more tables say how many pairs are found in addition
where the features of its network choose pairs for the comparison with turns, and where the colors alone choose as many.
`--pairs`: a CSV file with the columns TestID and TrainID, such as ciFAIR's list for CIFAR-10 (meta/duplicates_cifar10.csv of
github.com/cvjena/cifair); its numbers are rows of the author's files, which DATA must be.
"""

import argparse
import csv
import resource
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from striate.audit import near
from striate.audit.read import ImageTable, read_images, shrink
from striate.data.canonical_order import PARTS
from striate.data.loading import find_source
from tests.audit.planted import HARD, TRANSFORMATIONS, transformed

FIRST = (286, 600, 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--plant", type=int, default=0)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--pairs", type=Path)
    options = parser.parse_args()
    began = time.perf_counter()
    contents = find_source(options.data).read()
    table = read_images(contents)
    print(f"{len(table):,} images read in {time.perf_counter() - began:.1f} s")
    small, planted = plant(table, options.plant)
    began = time.perf_counter()
    pairs = near.scored_pairs(small, np.random.default_rng(0).integers(0, 256, (len(small), 32), np.uint8))
    seconds = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{len(pairs.first):,} pairs looked at closely in {seconds:.1f} s; peak memory {memory:.2f} GB")
    in_parts(table, pairs)
    recall(pairs, planted)
    if options.run:
        with_features(table, small, planted, pairs.select(pairs.score >= near.THRESHOLD), options.run)
    if options.pairs:
        if not contents.keeps_order:
            sys.exit(
                f"{options.data}: not in the order of the author's files, so the numbers of {options.pairs} mean other images"
            )
        known(table, pairs, options.pairs)


def plant(table: ImageTable, each: int) -> tuple[np.ndarray, dict[tuple[int, int], str]]:
    """The small pictures with transformed copies of random ones behind them."""
    rng, small, planted = np.random.default_rng(0), list(table.small), {}
    rows = iter(rng.permutation(len(table)).tolist())
    for name in (*TRANSFORMATIONS, *HARD) if each else ():
        for row in (next(rows) for _ in range(each)):
            planted[row, len(small)] = name
            small.append(shrink(transformed(table.small[row], name)))
    return np.stack(small), planted


def in_parts(table: ImageTable, pairs: near.Pairs) -> None:
    chosen = pairs.select((pairs.second < len(table)) & (pairs.score >= near.THRESHOLD))
    kinds = Counter(
        tuple(sorted({PARTS[table.parts[row]] for row in rows}))
        for rows in zip(chosen.first, chosen.second, strict=True)
    )
    for kind, number in sorted(kinds.items()):
        print(f"{' and '.join(kind)}: {number:,} pairs with a score of {near.THRESHOLD} or more")
    images = test_ranking(table, chosen)
    print(f"test images with such a pair in train: {len(images):,}")


def test_ranking(table: ImageTable, pairs: near.Pairs) -> list[int]:
    """The test images that have a pair in train, the most alike first."""
    ranked: dict[int, None] = {}
    for first, second in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        if second < len(table) and PARTS[table.parts[first]] == "train" and PARTS[table.parts[second]] == "test":
            ranked.setdefault(second)
    return list(ranked)


def recall(pairs: near.Pairs, planted: dict[tuple[int, int], str]) -> None:
    found = set(
        zip(
            pairs.first[pairs.score >= near.THRESHOLD].tolist(),
            pairs.second[pairs.score >= near.THRESHOLD].tolist(),
            strict=True,
        )
    )
    numbers, all_of = Counter(planted[pair] for pair in found if pair in planted), Counter(planted.values())
    for name, number in all_of.items():
        print(f"{name:28}{numbers[name]:4} of {number} found")


def with_features(
    table: ImageTable, small: np.ndarray, planted: dict[tuple[int, int], str], close: near.Pairs, run: Path
) -> None:
    from striate.explain.features import features

    began = time.perf_counter()
    values = features(run, small)
    print(f"\n{values.shape[1]} features of {len(small):,} images in {time.perf_counter() - began:.1f} s")
    found = near.distinct_candidates(small, np.random.default_rng(0).integers(0, 256, (len(small), 32), np.uint8))
    began = time.perf_counter()
    show("features and colors", near.turned_pairs(small, found, close, values), began, table, planted)
    began, others = time.perf_counter(), set(zip(close.first.tolist(), close.second.tolist(), strict=True))
    is_other = [pair not in others for pair in zip(found.first.tolist(), found.second.tolist(), strict=True)]
    nearest = found.select(np.array(is_other))
    nearest = nearest.select(np.argsort(-nearest.score)[: int(near.TURNED_SHARE * len(small))])
    nearest = nearest._replace(score=near.free_scores(small, nearest)[0])
    show("colors alone", nearest.select(nearest.score >= near.THRESHOLD), began, table, planted)


def show(what: str, pairs: near.Pairs, began: float, table: ImageTable, planted: dict[tuple[int, int], str]) -> None:
    print(f"\nchosen by {what}: {len(pairs.first):,} pairs in {time.perf_counter() - began:.1f} s")
    in_parts(table, pairs)
    recall(pairs, planted)


def known(table: ImageTable, pairs: near.Pairs, path: Path) -> None:
    offset = int((table.parts != PARTS.index("test")).sum())  # parts follow each other, test last
    with path.open(newline="") as file:
        images = {offset + int(row["TestID"]) for row in csv.DictReader(file)}
    ranking = test_ranking(table, pairs)
    for first in FIRST:
        print(f"among the first {first}: {len(images & set(ranking[:first]))} of {len(images)} known test images")


if __name__ == "__main__":
    main()
