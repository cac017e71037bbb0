#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Marks packets by what DUNE says their flow is: reads a feed (JSON lines) and keeps an nftables map of flows to marks.

    dunectl controller watch | dune-mark.py --mark camera=1 --mark bulk=2

The kernel then gives every packet of such a flow the mark of its class in the hook forward (--hook to change it), where `ip rule`,
`tc filter ... fw` and nftables itself can use it. Flows leave the map --timeout seconds after their last event. Other
classes, unclaimed and tentative flows are not marked. --table NAME is created at the start and removed at the end.
"""
import argparse
import ipaddress
import json
import signal
import subprocess
import sys


def nft(text):
    """Runs commands of nft; they take effect together."""
    r = subprocess.run(["nft", "-f", "-"], input=text, text=True, stderr=subprocess.PIPE, check=False)
    if r.returncode:
        sys.exit("dune-mark: nft: " + r.stderr.strip())


def setup(table, hook, timeout):
    maps = rules = ""
    for family, ip in (("ipv4", "ip"), ("ipv6", "ip6")):
        kinds = f"{family}_addr . inet_service . {family}_addr . inet_service . inet_proto : mark"
        maps += f"  map {ip}_flows {{ type {kinds}; flags timeout; timeout {timeout}s; size 65536; }}\n"
        rules += f"    meta mark set {ip} saddr . th sport . {ip} daddr . th dport . meta l4proto map @{ip}_flows\n"
    nft(f"table inet {table}\ndelete table inet {table}\n"
        f"table inet {table} {{\n{maps}  chain by_flow {{\n    type filter hook {hook} priority mangle;\n{rules}  }}\n}}\n")


def element(table, event, mark, timeout):
    """A command that puts the flow of an event into its map, or None for an event that is not as it should be."""
    try:
        src, dst = ipaddress.ip_address(event["src"]), ipaddress.ip_address(event["dst"])
        ports = int(event["sport"]), int(event["dport"])
        if src.version != dst.version or event["proto"] not in ("tcp", "udp"):
            return None
    except (KeyError, TypeError, ValueError):
        return None
    name = f"inet {table} {'ip' if src.version == 4 else 'ip6'}_flows"
    key = f"{src} . {ports[0]} . {dst} . {ports[1]} . {event['proto']}"
    return (f"add element {name} {{ {key} : {mark} }}\ndelete element {name} {{ {key} }}\n"
            f"add element {name} {{ {key} timeout {timeout}s : {mark} }}\n")


def main():
    p = argparse.ArgumentParser(description="marks packets by the class of their flow")
    p.add_argument("--mark", action="append", required=True, metavar="CLASS=MARK")
    p.add_argument("--table", default="dune")
    p.add_argument("--hook", default="forward", choices=["prerouting", "input", "forward", "output"])
    p.add_argument("--timeout", type=int, default=120, metavar="SECONDS")
    p.add_argument("--keep", action="store_true", help="leave the table behind at the end")
    a = p.parse_args()
    marks = {}
    for m in a.mark:
        cls, eq, number = m.rpartition("=")
        if not eq or not number.isdigit():
            p.error(f"--mark is CLASS=NUMBER, not {m}")
        marks[cls] = int(number)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    setup(a.table, a.hook, a.timeout)
    try:
        for line in sys.stdin:
            try:
                event = json.loads(line)
                mark = marks.get(event.get("class"))
            except (ValueError, AttributeError, TypeError):
                continue
            command = element(a.table, event, mark, a.timeout) if mark and not event.get("tentative") else None
            if command:
                nft(command)
                print(f"{event['class']} {event['src']} {event['dst']} mark {mark}", flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        if not a.keep:
            nft(f"delete table inet {a.table}\n")


main()
