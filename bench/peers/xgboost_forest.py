# SPDX-License-Identifier: Apache-2.0
"""One fit of XGBoost in random-forest mode on a rows file of dunectl bench; prints one JSON line.

    xgboost_forest.py IN TREES LEAVES DEPTH SQRT BOOTSTRAP THREADS
"""
import json
import resource
import sys
import time

import sklearn_forest as rows


def main():
    try:
        import numpy as np
        import xgboost as xgb
    except ImportError as e:
        print(json.dumps({"who": "xgboost", "skip": str(e)}))
        return
    trees, leaves, depth, sqrt, boot, threads = (int(v) for v in sys.argv[2:8])
    n_train, cols, w, cls, n_classes = rows.read_rows(sys.argv[1])
    x = np.ascontiguousarray(cols[:, :n_train].T, dtype=np.float32)
    weight = np.array(w[:n_train], dtype=np.float64) / 2 ** 24
    param = {"objective": "multi:softprob", "num_class": n_classes, "tree_method": "hist", "eta": 1,
             "num_parallel_tree": trees, "max_depth": depth, "max_leaves": leaves,
             "grow_policy": "lossguide" if leaves else "depthwise", "subsample": 0.63 if boot else 1,
             "colsample_bynode": x.shape[1] ** -0.5 if sqrt else 1, "nthread": threads, "seed": 1}
    cpu = time.process_time()
    wall = time.perf_counter()
    f = xgb.train(param, xgb.DMatrix(x, np.array(cls[:n_train]), weight=weight), 1)
    wall = time.perf_counter() - wall
    cpu = time.process_time() - cpu
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    test = xgb.DMatrix(np.ascontiguousarray(cols[:, n_train:].T, dtype=np.float32))
    f1 = rows.macro_f1(cls[n_train:], f.predict(test).argmax(axis=1), w[n_train:].astype(float), n_classes)
    print(json.dumps({"who": "xgboost", "wall": round(wall, 4), "cpu": round(cpu, 4), "rss_mb": round(rss, 1),
                      "f1": round(float(f1), 4)}))


if __name__ == "__main__":
    main()
