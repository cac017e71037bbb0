# SPDX-License-Identifier: Apache-2.0
"""P4Runtime entries against what the compiler says about the program.

    p4info.py P4INFO.json ENTRIES.txt

Every update must name a table, match fields and an action with parameters that the p4info has, by id and by
name, with values that fit; priorities where the table needs them; no more entries than the table has room
for, none twice. Prints what it counted; exit status 1 names the first update that is wrong.
"""
import json
import re
import sys

TOKEN = re.compile(r'"((?:\\x[0-9a-f]{2})*)"|([A-Za-z_][A-Za-z_0-9]*)|(\d+)|([{}:])|\s+')


class Wrong(Exception):
    pass


def tokens(text):
    at = 0
    while at < len(text):
        m = TOKEN.match(text, at)
        if not m:
            raise Wrong(f"cannot read {text[at:at + 20]!r}")
        at = m.end()
        if m.group(1) is not None:
            yield "value", bytes.fromhex(m.group(1).replace("\\x", ""))
        elif m.group(2):
            yield "word", m.group(2)
        elif m.group(3):
            yield "value", int(m.group(3))
        elif m.group(4):
            yield m.group(4), m.group(4)


def message(stream, closed):
    """A message of the text form as {field: [value, ...]}."""
    out = {}
    for kind, name in stream:
        if kind == "}" and closed:
            return out
        if kind != "word":
            raise Wrong(f"want a field, have {name!r}")
        kind, value = next(stream)
        if kind == "{":
            value = message(stream, True)
        else:
            if kind != ":":
                raise Wrong(f"field {name} has no value")
            kind, value = next(stream)
            if kind not in ("value", "word"):
                raise Wrong(f"field {name} has no value")
        out.setdefault(name, []).append(value)
    if closed:
        raise Wrong("a brace is open")
    return out


def only(m, field):
    if len(m.get(field, [])) != 1:
        raise Wrong(f"want one {field}, there are {len(m.get(field, []))}")
    return m[field][0]


def fits(value, bits, what):
    if not value or len(value) > 1 and value[0] == 0:
        raise Wrong(f"{what}: not the shortest form")
    if int.from_bytes(value, "big") >> bits:
        raise Wrong(f"{what}: does not fit {bits} bits")
    return int.from_bytes(value, "big")


def check_match(table, entry):
    fields = {f["id"]: f for f in table.get("matchFields", [])}
    seen = set()
    for m in entry.get("match", []):
        f = fields.get(only(m, "field_id"))
        if f is None or f["id"] in seen:
            raise Wrong(f"match field {m['field_id'][0]} is unknown or there twice")
        seen.add(f["id"])
        kind = f["matchType"].lower()
        if set(m) != {"field_id", kind}:
            raise Wrong(f"{f['name']} is {kind}, the entry has {sorted(set(m) - {'field_id'})}")
        value = {k: fits(v[0], f["bitwidth"], f["name"]) for k, v in only(m, kind).items()}
        if kind == "ternary" and (value["mask"] == 0 or value["value"] & ~value["mask"]):
            raise Wrong(f"{f['name']}: bits outside of the mask, or no mask")
        if kind == "range" and not (value["low"] <= value["high"] and
                                    (value["low"] or value["high"] + 1 < 1 << f["bitwidth"])):
            raise Wrong(f"{f['name']}: not a range, or one that does not care")
    for f in fields.values():
        if f["matchType"] == "EXACT" and f["id"] not in seen:
            raise Wrong(f"{f['name']} must be there")
    return any(f["matchType"] != "EXACT" for f in fields.values())


def check_action(info, table, entry, default):
    action = only(only(entry, "action"), "action")
    ref = [r for r in table["actionRefs"] if r["id"] == only(action, "action_id")]
    if not ref:
        raise Wrong(f"the table has no action {action['action_id'][0]}")
    scope = ref[0].get("scope", "TABLE_AND_DEFAULT")
    if scope == ("TABLE_ONLY" if default else "DEFAULT_ONLY"):
        raise Wrong(f"the action is {scope}")
    if default and table.get("constDefaultActionId"):
        raise Wrong("the default action cannot be changed")
    want = {p["id"]: p for p in info["action"][ref[0]["id"]].get("params", [])}
    if sorted(only(p, "param_id") for p in action.get("params", [])) != sorted(want):
        raise Wrong(f"want parameters {sorted(want)}")
    for p in action.get("params", []):
        fits(only(p, "value"), want[p["param_id"][0]]["bitwidth"], want[p["param_id"][0]]["name"])


def check_update(info, update, name, used):
    entry = only(only(update, "entity"), "table_entry")
    table = info["table"].get(only(entry, "table_id"))
    default = entry.get("is_default_action") == ["true"]
    if table is None or table["preamble"]["name"] != name:
        raise Wrong(f"the compiler has no table {name} with this id")
    if only(update, "type") != ("MODIFY" if default else "INSERT") or table.get("isConstTable"):
        raise Wrong(f"{update['type'][0]} is not for this table")
    needs_priority = check_match(table, entry)
    check_action(info, table, entry, default)
    if default:
        return
    if needs_priority != ("priority" in entry):
        raise Wrong("a priority is missing" if needs_priority else "no priority wanted")
    key = (name, repr(entry.get("match")), entry.get("priority", [0])[0])
    if key in used:
        raise Wrong("is there twice")
    used.add(key)
    if sum(k[0] == name for k in used) > int(table["size"]):
        raise Wrong(f"the table has room for {table['size']}")


def main():
    with open(sys.argv[1]) as f:
        raw = json.load(f)
    info = {kind: {x["preamble"]["id"]: x for x in raw[kind + "s"]} for kind in ("table", "action")}
    with open(sys.argv[2]) as f:
        blocks = re.split(r"(?m)^(?=updates \{)", f.read())[1:]
    used, done = set(), 0
    for block in blocks:
        name = re.search(r"table_entry \{ # (\S+)", block).group(1)
        try:
            text = re.sub(r"#.*", "", block)
            check_update(info, only(message(tokens(text), False), "updates"), name, used)
        except Wrong as e:
            print(f"update {done + 1}, {name}: {e}")
            return 1
        done += 1
    print(f"# {done} updates of {len(set(k[0] for k in used))} tables agree")
    return 0 if done else 1


sys.exit(main())
