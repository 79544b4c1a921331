"""Do several rankings of the same cells order them better together? By the sum of ranks, as a judged selection does it.

    gdas bench correlate --ranker synflow --cells 300 --pairs synflow.csv ...
    gdas bench correlate RUN --cells 300 --pairs shared.csv ...
    python bench/rank_sums.py synflow.csv shared.csv

For every combination of the files: Kendall's tau-b against the table, and the table's accuracy of the cell that comes out first
among 100 cells drawn from those of all files (mean and 10th percentile over 2,000 draws, fixed seed).
"""

import csv
import itertools
import math
import pathlib
import random
import sys

DRAWS, CANDIDATES = 2000, 100


def read(path):
    with open(path, newline="") as file:
        return {int(row["index"]): (float(row["score"]), float(row["accuracy"])) for row in csv.DictReader(file)}


def ranks(values):
    """1 for the smallest; equal ones share the mean of their ranks."""
    order = sorted(values)
    first, last = {}, {}
    for place, value in enumerate(order, 1):
        first.setdefault(value, place)
        last[value] = place
    return [(first[value] + last[value]) / 2 for value in values]


def kendall(a, b):
    agree = told_by_a = told_by_b = 0
    for i, j in itertools.combinations(range(len(a)), 2):
        of_a, of_b = (a[i] > a[j]) - (a[i] < a[j]), (b[i] > b[j]) - (b[i] < b[j])
        agree, told_by_a, told_by_b = agree + of_a * of_b, told_by_a + of_a * of_a, told_by_b + of_b * of_b
    return agree / math.sqrt(told_by_a * told_by_b)


def main():
    files = {pathlib.Path(path).stem: read(path) for path in sys.argv[1:]}
    if not files:
        sys.exit(__doc__)
    cells = sorted(set.intersection(*(set(pairs) for pairs in files.values())))
    accuracies = [next(iter(files.values()))[cell][1] for cell in cells]
    scores = {name: [pairs[cell][0] for cell in cells] for name, pairs in files.items()}
    print(f"{len(cells)} cells; first of {CANDIDATES}: mean and 10th percentile over {DRAWS} draws\n")
    print("| ranking | tau-b | first, mean % | 10th percentile % |\n| --- | --- | --- | --- |")
    for size in range(1, len(files) + 1):
        for names in itertools.combinations(files, size):
            # Every file ranks all cells here, and the candidates of a draw among themselves below, as a search does.
            total = [sum(column) for column in zip(*(ranks(scores[name]) for name in names))]
            generator = random.Random(0)
            found = []
            for _ in range(DRAWS):
                drawn = generator.sample(range(len(cells)), min(CANDIDATES, len(cells)))
                sums = [sum(column) for column in zip(*(ranks([scores[name][i] for i in drawn]) for name in names))]
                found.append(accuracies[drawn[max(range(len(drawn)), key=sums.__getitem__)]])
            found.sort()
            row = f"{kendall(total, accuracies):.3f} | {sum(found) / DRAWS:.2f} | {found[DRAWS // 10]:.2f}"
            print(f"| {' + '.join(names)} | {row} |")


if __name__ == "__main__":
    main()
