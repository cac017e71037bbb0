// SPDX-License-Identifier: Apache-2.0
// A model in ONNX format as a program for exec-npy:, by ONNX Runtime for Node (npm install onnxruntime-node).
//
//     dunectl analyze "exec-npy:node serve_onnx.mjs model.onnx classes.txt" rows.dset -o W.csv --scores f.csv
//
// The model takes one float32 tensor [rows, columns]; its last output is an array of probabilities [rows, classes].
// classes.txt: one class per line, in that order.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const ort = createRequire(path.join(process.cwd(), "x"))("onnxruntime-node"); // from where it is started, or NODE_PATH
const [model, names] = process.argv.slice(2);
const classes = fs.readFileSync(names, "utf8").split("\n").filter(Boolean);
const npy = fs.readFileSync(0), head = npy.subarray(10, 10 + npy.readUInt16LE(8)).toString(), at = 10 + head.length;
const [rows, columns] = /'shape': \((\d+), (\d+)\)/.exec(head).slice(1).map(Number);
const session = await ort.InferenceSession.create(model);
const out = [classes.join(",")];
for (let from = 0; from < rows; from += 65536) {
  const n = Math.min(65536, rows - from), x = new Float32Array(n * columns);
  for (let i = 0; i < x.length; i++) x[i] = npy.readDoubleLE(at + 8 * (from * columns + i));
  const said = await session.run({ [session.inputNames[0]]: new ort.Tensor("float32", x, [n, columns]) });
  const p = said[session.outputNames[session.outputNames.length - 1]].data;
  for (let r = 0; r < n; r++) out.push(Array.from(p.subarray(r * classes.length, (r + 1) * classes.length)).join(","));
}
fs.writeFileSync(1, out.join("\n") + "\n");
