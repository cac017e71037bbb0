# SPDX-License-Identifier: Apache-2.0
"""One fit of scikit-learn's forest on a rows file of dunectl bench; prints one JSON line.

    sklearn_forest.py IN TREES LEAVES DEPTH SQRT BOOTSTRAP THREADS
"""
import json
import resource
import sys
import time


def read_rows(path):
    import numpy as np
    raw = np.memmap(path, dtype=np.uint8, mode="r")
    n_train, n_test, n_cols, n_classes = (int(v) for v in raw[:32].view(np.uint64))
    n = n_train + n_test
    at = 32 + 4 * n * n_cols
    cols = raw[32:at].view(np.uint32).reshape(n_cols, n)
    at += at % 8
    w = raw[at:at + 8 * n].view(np.uint64)
    cls = raw[at + 8 * n:at + 10 * n].view(np.uint16)
    return n_train, cols, w, cls, n_classes


def macro_f1(truth, got, w, n_classes):
    import numpy as np
    total = present = 0
    for c in range(n_classes):
        support = w[truth == c].sum()
        if support > 0:
            present += 1
            total += 2 * w[(truth == c) & (got == c)].sum() / (support + w[got == c].sum())
    return total / present


def main():
    try:
        import numpy as np
        from sklearn.ensemble import RandomForestClassifier
    except ImportError as e:
        print(json.dumps({"who": "scikit-learn", "skip": str(e)}))
        return
    trees, leaves, depth, sqrt, boot, threads = (int(v) for v in sys.argv[2:8])
    n_train, cols, w, cls, n_classes = read_rows(sys.argv[1])
    # float32 is what scikit-learn trains on; C order, so that it makes no copy
    x = np.ascontiguousarray(cols[:, :n_train].T, dtype=np.float32)
    y = np.array(cls[:n_train])
    weight = np.array(w[:n_train], dtype=np.float64) / 2 ** 24
    if (weight == 1).all():
        weight = None
    f = RandomForestClassifier(n_estimators=trees, max_leaf_nodes=leaves or None, max_depth=depth or None,
                               max_features="sqrt" if sqrt else None, bootstrap=bool(boot),
                               n_jobs=threads, random_state=1)
    cpu = time.process_time()
    wall = time.perf_counter()
    f.fit(x, y, sample_weight=weight)
    wall = time.perf_counter() - wall
    cpu = time.process_time() - cpu
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    test_x = np.ascontiguousarray(cols[:, n_train:].T, dtype=np.float32)
    f1 = macro_f1(cls[n_train:], f.predict(test_x), w[n_train:].astype(float), n_classes)
    print(json.dumps({"who": "scikit-learn", "wall": round(wall, 4), "cpu": round(cpu, 4),
                      "rss_mb": round(rss, 1), "f1": round(float(f1), 4),
                      "leaves": int(sum(t.get_n_leaves() for t in f.estimators_))}))


if __name__ == "__main__":
    main()
