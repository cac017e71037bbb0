#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The examples for PyTorch and ONNX Runtime, against the network's own answers. What is not installed is said.
. "$(dirname "$0")/tap.sh"

cd "$T" || exit 1
python_with() { # MODULE...: a Python that has them all
    for p in python3 /usr/bin/python3; do
        $p -c "import $1" 2>/dev/null && echo $p && return
    done
}
expect 0 "traffic" "$D" synth -o traffic --flows 400 -q
expect 0 "rows" "$D" extract traffic -l traffic/labels.csv --captures traffic/captures.csv -o rows.dset -q --csv rows.csv --n 3
python3 - <<'P'
import csv
rows = list(csv.DictReader(open("rows.csv", newline="")))
open("classes.txt", "w").write("\n".join(sorted({r["Label"] for r in rows})) + "\n")
P
near() { # FILE FILE: the same rows, nearly the same probabilities
    python3 - "$1" "$2" <<'P'
import csv, sys
a, b = (list(csv.reader(open(f))) for f in sys.argv[1:3])
assert a[0] == b[0] and len(a) == len(b) > 100, (a[0], b[0], len(a), len(b))
assert max(abs(float(p) - float(q)) for x, y in zip(a[1:], b[1:]) for p, q in zip(x[2:], y[2:])) < 2e-5
P
}

TORCH=$(python_with torch,numpy)
if [ -z "$TORCH" ]; then
    skip "a network of PyTorch" "python3-torch is not installed"
else
    cat >net.py <<'P'
import csv, sys, torch
names = open("classes.txt").read().split()
torch.manual_seed(1)
layers = [torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, len(names))]
net = torch.nn.Sequential(*layers)
rows = list(csv.DictReader(open("rows.csv", newline="")))
x = torch.tensor([[float(r["ip.len"]), float(r["ip.ttl"])] for r in rows])
y = torch.tensor([names.index(r["Label"]) for r in rows])
step = torch.optim.Adam(net.parameters(), 0.02)
for _ in range(60):
    step.zero_grad()
    torch.nn.functional.cross_entropy(net(x), y).backward()
    step.step()
net.eval()
torch.jit.script(net).save("net.pt")
p = torch.softmax(net(x), 1).tolist()
with open("own.csv", "w") as f:
    f.write("flow,packet," + ",".join(names) + "\n")
    for r, v in zip(rows, p):
        f.write(r["flow"] + "," + r["packet"] + "," + ",".join("%.6g" % q for q in v) + "\n")
whole = torch.nn.Sequential(net, torch.nn.Softmax(1)).eval()
torch.onnx.export(whole, x[:1], "net.onnx", input_names=["rows"], output_names=["p"], dynamic_axes={"rows": {0: "n"}, "p": {0: "n"}})
P
    check "train a network" $TORCH net.py
    NET="exec-npy:$TORCH $ROOT/docs/examples/models/serve_pytorch.py net.pt classes.txt"
    expect 0 "PyTorch behind exec-npy" "$D" predict "$NET" rows.dset -o torch.csv --features ip.len,ip.ttl -q
    check "says what the network says" near own.csv torch.csv
    expect 0 "W and f of it" "$D" analyze "$NET" rows.dset -o W.csv -s f.csv --features ip.len,ip.ttl --repeats 2
fi

ORT=$(python_with onnxruntime,numpy)
if [ -n "$ORT" ] && [ -f net.onnx ]; then
    expect 0 "ONNX Runtime behind exec-npy" "$D" predict "exec-npy:$ORT $ROOT/docs/examples/models/serve_onnx.py net.onnx classes.txt" \
        rows.dset -o onnx.csv --features ip.len,ip.ttl -q
    check "says what the network says" near own.csv onnx.csv
else
    skip "serve_onnx.py with ONNX Runtime" "its Python package or PyTorch, which makes the model, is not installed"
fi
NUMPY=$(python_with numpy)
if [ -n "$NUMPY" ]; then # the rest of the script: a stand-in for the session says one class, then the next
    mkdir stand-in
    cat >stand-in/onnxruntime.py <<'P'
import types
import numpy as np
class InferenceSession:
    def __init__(self, path, providers):
        assert providers == ["CPUExecutionProvider"]
        self.n = int(open(path).read())
    def get_inputs(self):
        return [types.SimpleNamespace(name="rows")]
    def run(self, outputs, feed):
        x = feed["rows"]
        assert outputs is None and x.dtype == np.float32 and x.shape[1] == 2
        return [np.zeros(1), np.eye(self.n, dtype=np.float32)[x[:, 0].astype(int) % self.n]]
P
    grep -c . classes.txt >model.onnx
    expect 0 "serve_onnx.py with a stand-in for the runtime" env PYTHONPATH=stand-in "$D" predict \
        "exec-npy:$NUMPY $ROOT/docs/examples/models/serve_onnx.py model.onnx classes.txt" rows.dset -o fake.csv --features ip.len,ip.ttl -q
    check "passes rows and answers on" python3 - <<'P'
import csv
rows, said = list(csv.DictReader(open("rows.csv"))), list(csv.reader(open("fake.csv")))
n = len(said[0]) - 2
assert len(rows) == len(said) - 1 > 100
assert all(float(s[2 + int(float(r["ip.len"])) % n]) == 1 for r, s in zip(rows, said[1:]))
P
else
    skip "serve_onnx.py" "python3-numpy is not installed"
fi
if command -v node >/dev/null && [ -f net.onnx ] && node -e 'require("onnxruntime-node")' 2>/dev/null; then
    expect 0 "ONNX Runtime for Node behind exec-npy" "$D" predict "exec-npy:node $ROOT/docs/examples/models/serve_onnx.mjs net.onnx classes.txt" \
        rows.dset -o node.csv --features ip.len,ip.ttl -q
    check "says what the network says" near own.csv node.csv
else
    skip "ONNX Runtime for Node" "onnxruntime-node (on NODE_PATH) or PyTorch, which makes the model, is not installed"
fi
tap_done
