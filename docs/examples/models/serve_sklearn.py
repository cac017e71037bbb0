#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Any fitted classifier of scikit-learn as a program for exec:.

    dunectl analyze "exec:python3 serve_sklearn.py model.joblib" rows.dset -o W.csv --scores f.csv

Rows come as CSV with a header; the answer is a header of class names, then a line of probabilities per row.
"""
import csv
import sys

import joblib
import numpy as np

model = joblib.load(sys.argv[1])
rows = csv.reader(sys.stdin)
next(rows)  # the names of the columns: those the model was fitted with, in their order
x = np.array([[float(v) for v in r] for r in rows])
out = csv.writer(sys.stdout)
out.writerow(model.classes_)
out.writerows(model.predict_proba(x))
