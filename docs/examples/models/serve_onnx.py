#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A model in ONNX format as a program for exec-npy:, by ONNX Runtime. serve_onnx.mjs is the same for Node.

    dunectl analyze "exec-npy:python3 serve_onnx.py model.onnx classes.txt" rows.dset -o W.csv --scores f.csv

The model takes one float32 tensor [rows, columns]; its last output is an array of probabilities [rows, classes].
Converters of scikit-learn write that when they are told zipmap=False. classes.txt: one class per line, in that order.
"""
import csv
import io
import sys

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
classes = [c for c in open(sys.argv[2]).read().split("\n") if c]
rows = np.load(io.BytesIO(sys.stdin.buffer.read())).astype(np.float32)
out = csv.writer(sys.stdout)
out.writerow(classes)
for at in range(0, len(rows), 65536):
    out.writerows(session.run(None, {session.get_inputs()[0].name: rows[at : at + 65536]})[-1].tolist())
