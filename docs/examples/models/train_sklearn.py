#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A forest of scikit-learn on the rows of dunectl, for dunectl.

    dunectl extract DATA --labels L.csv -o rows.dset --csv rows.csv --n 3 --mark-validation
    train_sklearn.py rows.csv model.json [--trees 50] [--n 3] [--phase running] [--seed 1]
    dunectl analyze model.json rows.dset -o W.csv --scores f.csv

Rows marked validation or test are not learnt from.
"""
import argparse
import csv
import os
import sys

import numpy as np
from sklearn.ensemble import RandomForestClassifier

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../tools"))
import dump_sklearn  # noqa: E402


def read(path):
    with open(path, newline="") as f:
        rows = csv.reader(f)
        head = next(rows)
        columns = [i for i, c in enumerate(head) if c not in dump_sklearn.NO_FEATURES]
        split, weight, label = head.index("split"), head.index("weight"), head.index("Label")
        train = [r for r in rows if r[split] == "train"]
    x = np.array([[float(r[i]) for i in columns] for r in train])
    return x, [r[label] for r in train], np.array([float(r[weight]) for r in train]), [head[i] for i in columns]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("rows")
    p.add_argument("out")
    p.add_argument("--trees", type=int, default=50)
    p.add_argument("--depth", type=int)
    p.add_argument("--n", type=int, default=3)
    p.add_argument("--phase", default="running")
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    x, y, w, names = read(a.rows)
    model = RandomForestClassifier(a.trees, max_depth=a.depth, random_state=a.seed)
    model.fit(x, y, sample_weight=w)
    dump_sklearn.dump(model, names, a.out, a.n, a.phase)


if __name__ == "__main__":
    main()
