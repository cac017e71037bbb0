#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A network of PyTorch as a program for exec-npy:.

    dunectl analyze "exec-npy:python3 serve_pytorch.py net.pt classes.txt" rows.dset -o W.csv --scores f.csv

net.pt is a scripted module (torch.jit.save) that maps a float32 tensor [rows, columns] to scores [rows, classes];
classes.txt has one class per line, in the order of the scores.
"""
import csv
import io
import sys

import numpy as np
import torch

net = torch.jit.load(sys.argv[1]).eval()
classes = open(sys.argv[2]).read().split("\n")
classes = [c for c in classes if c]
rows = np.load(io.BytesIO(sys.stdin.buffer.read()))
out = csv.writer(sys.stdout)
out.writerow(classes)
with torch.no_grad():
    for at in range(0, len(rows), 65536):
        part = torch.from_numpy(rows[at : at + 65536].astype(np.float32))
        out.writerows(torch.softmax(net(part), dim=1).tolist())
