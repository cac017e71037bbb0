#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trees of scikit-learn as JSON that dunectl reads (docs/formats/models.md).

As a module:   dump_sklearn.dump(model, feature_names, "model.json", n=3, phase="running")
As a program:  dump_sklearn.py MODEL.joblib OUT.json --rows rows.csv [--n 3] [--phase running]

A model is a fitted DecisionTreeClassifier, RandomForestClassifier or ExtraTreesClassifier whose classes are the
labels of `dunectl extract --csv`. MODEL.joblib is a pickle: load only what you wrote yourself.
"""
import argparse
import csv
import json

NO_FEATURES = ("flow", "capture", "split", "packet", "weight", "Label")


def tree_of(estimator):
    t = estimator.tree_
    value = t.value[:, 0, :]
    # Up to 1.2 the weights of the classes, from 1.3 on their shares: brought back to weights.
    scale = t.weighted_n_node_samples / value.sum(axis=1)
    return {
        "left": t.children_left.tolist(),
        "right": t.children_right.tolist(),
        "feature": [max(f, 0) for f in t.feature.tolist()],
        "threshold": t.threshold.tolist(),
        "value": (value * scale[:, None]).tolist(),
    }


def dump(model, features, path, n=None, phase=None):
    estimators = getattr(model, "estimators_", [model])
    text = {
        "format": "dune-sklearn",
        "version": 1,
        "kind": type(model).__name__,
        "features": list(features),
        "classes": [str(c) for c in model.classes_],
        "trees": [tree_of(e) for e in estimators],
    }
    if n is not None:
        text["n"] = n
    if phase is not None:
        text["phase"] = phase
    with open(path, "w") as f:
        json.dump(text, f)


def main():
    import joblib

    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("model")
    p.add_argument("out")
    p.add_argument("--rows", required=True, help="a CSV whose header names the columns, as the model saw them")
    p.add_argument("--n", type=int)
    p.add_argument("--phase")
    a = p.parse_args()
    with open(a.rows, newline="") as f:
        header = next(csv.reader(f))
    dump(joblib.load(a.model), [c for c in header if c not in NO_FEATURES], a.out, a.n, a.phase)


if __name__ == "__main__":
    main()
