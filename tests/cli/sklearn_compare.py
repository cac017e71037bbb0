# SPDX-License-Identifier: Apache-2.0
"""Forests of dunectl against scikit-learn's on the same rows, weights and settings.

    sklearn_compare.py ROWS.csv FOREST.json TREES LEAVES DEPTH SQRT

Without random draws the weighted Gini impurity of the leaves must agree, with them macro F1 on the
rows of the test split within a point. Prints the figures; exit status 0 when they agree, 77 without
scikit-learn.
"""
import csv
import json
import sys

try:
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier
except ImportError as e:
    print(f"scikit-learn cannot be used: {e}")
    sys.exit(77)


def read_rows(path):
    with open(path, newline="", encoding="utf-8") as f:
        rows = csv.reader(f)
        head = next(rows)
        body = list(rows)
    first = head.index("packet") + 1
    x = np.array([r[first:-2] for r in body], dtype=np.float32)
    w = np.array([float(r[-2]) for r in body])
    test = np.array([r[head.index("split")] == "test" for r in body])
    return x, w, np.array([r[-1] for r in body]), test


def leaf_shares(tree, n_classes):
    """For every node: its children or class shares, as scikit-learn would have them."""
    shares = np.zeros((len(tree["nodes"]), n_classes))
    leaf = 0
    for v, node in enumerate(tree["nodes"]):
        if not node:
            pairs = tree["leaves"][leaf]
            leaf += 1
            for c, weight in zip(pairs[::2], pairs[1::2]):
                shares[v, c] = weight
    return shares


def walk(tree, x):
    at = np.zeros(len(x), dtype=int)
    split = np.array([len(n) > 0 for n in tree["nodes"]])
    feat, threshold, left = (np.array([n[i] if n else 0 for n in tree["nodes"]]) for i in range(3))
    while split[at].any():
        go = split[at]
        v = at[go]
        at[go] = left[v] + (x[go, feat[v]] > threshold[v])
    return at


def gini(hist):
    total = hist.sum(axis=1)
    return float((total - (hist ** 2).sum(axis=1) / total).sum())


def macro_f1(truth, got, w, classes):
    f1 = [2 * w[(truth == c) & (got == c)].sum() / (w[truth == c].sum() + w[got == c].sum())
          for c in classes if (truth == c).any()]
    return float(np.mean(f1))


def main():
    path, forest, trees, leaves, depth, sqrt = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:7])
    x, w, y, test = read_rows(path)
    f = json.load(open(forest, encoding="utf-8"))
    classes = np.array(f["classes"])
    peer = RandomForestClassifier(n_estimators=trees, max_leaf_nodes=leaves or None, max_depth=depth or None,
                                  max_features="sqrt" if sqrt else None, bootstrap=False, n_jobs=1,
                                  random_state=1)
    peer.fit(x[~test], y[~test], sample_weight=w[~test])
    if not sqrt:
        t = f["trees"][0]
        shares = leaf_shares(t, len(classes))
        ours = gini(shares[[not n for n in t["nodes"]]]) / 2 ** 24
        sk = peer.estimators_[0].tree_
        is_leaf = sk.children_left < 0
        theirs = float((sk.impurity * sk.weighted_n_node_samples)[is_leaf].sum())
        print(f"impurity of the leaves: ours {ours:.3f}, scikit-learn {theirs:.3f}")
        sys.exit(abs(ours - theirs) > 0.01 * theirs)
    vote = np.zeros((int(test.sum()), len(classes)))
    for t in f["trees"]:
        shares = leaf_shares(t, len(classes))
        at = walk(t, x[test])
        vote += shares[at] / shares[at].sum(axis=1, keepdims=True)
    ours = macro_f1(y[test], classes[vote.argmax(axis=1)], w[test], classes)
    theirs = macro_f1(y[test], peer.predict(x[test]), w[test], classes)
    print(f"macro F1: ours {100 * ours:.2f}, scikit-learn {100 * theirs:.2f}")
    sys.exit(ours < theirs - 0.01)


main()
