#!/usr/bin/env python3
"""Instructions per operation, exactly: `instructions.py BINARY --workloads get,set --operations 20000`.

Owns: running `BINARY WORKLOAD OPERATIONS` under callgrind for N and for 2N operations; the difference over N is what one
operation costs, start and preparation cancelled out. Refuses to know: what a workload does; the binary lists its own
when called with `list`.
Start at `instructions`. With `--baseline FILE` the figures are compared, with `--save FILE` they are kept.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile


def instructions(binary, workload, operations):
    """All instructions of one run."""
    with tempfile.TemporaryDirectory(prefix="kora-callgrind-") as folder:
        out = os.path.join(folder, "out")
        argv = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", binary, workload, str(operations)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=900)
        if done.returncode:
            raise SystemExit(f"{' '.join(argv)} ended with {done.returncode}:\n{(done.stderr or done.stdout)[-1500:]}")
        with open(out, encoding="utf-8", errors="replace") as profile:
            totals = re.findall(r"^(?:totals|summary): (\d+)", profile.read(), re.MULTILINE)
    if not totals:
        raise SystemExit(f"{binary} {workload}: callgrind wrote no total")
    return int(totals[-1])


def per_operation(binary, workload, operations):
    return (instructions(binary, workload, 2 * operations) - instructions(binary, workload, operations)) / operations


def own_workloads(binary):
    done = subprocess.run([binary, "list"], capture_output=True, text=True, timeout=60)
    if done.returncode or not done.stdout.split():
        raise SystemExit(f"`{binary} list` names no workloads; give --workloads")
    return done.stdout.split()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("binary", help="takes WORKLOAD and OPERATIONS, and `list`")
    parser.add_argument("--workloads", default="", help="separated by commas (default: all that the binary lists)")
    parser.add_argument("--operations", type=int, default=20_000, help="N")
    parser.add_argument("--baseline", metavar="FILE", help="figures to compare with, as written by --save")
    parser.add_argument("--save", metavar="FILE")
    parser.add_argument(
        "--worse-max", type=float, metavar="PERCENT", help="fail when a workload is worse than the baseline by more"
    )
    given = parser.parse_args()
    if given.operations < 1:
        parser.error("--operations is at least 1")
    baseline, results, too_slow = {}, {}, []
    if given.baseline:
        with open(given.baseline, encoding="utf-8") as file:
            baseline = json.load(file)
    for workload in [word for word in given.workloads.split(",") if word] or own_workloads(given.binary):
        results[workload] = now = per_operation(given.binary, workload, given.operations)
        before = baseline.get(workload)
        change = 100 * (now / before - 1) if before else None
        print(
            f"{workload:24} {now:10.1f} instructions" + (f"  {change:+6.1f} %" if change is not None else ""),
            flush=True,
        )
        if change is not None and given.worse_max is not None and change > given.worse_max:
            too_slow.append(workload)
    if given.save:
        with open(given.save, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1, sort_keys=True)
    if too_slow:
        print(f"worse by more than {given.worse_max} %: {', '.join(too_slow)}")
    return 1 if too_slow else 0


if __name__ == "__main__":
    sys.exit(main())
