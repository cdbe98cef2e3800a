#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Add up ctest's JUnit files: name what failed and what was skipped and why, then the count.

A test that is skipped (exit status 77) says why on a line that starts with "SKIP"; its last line
otherwise. A file that is missing or lists no test counts as one failure: silence is no success.
"""
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def skip_reason(case):
    lines = [line.strip() for line in (case.findtext("system-out") or "").splitlines()]
    lines = [line for line in lines if line]
    said = [line for line in lines if line.startswith("SKIP")]
    return (said or lines or ["it did not say why"])[-1]


def read(path):
    """Yields (outcome, name, reason) for each test case of one file."""
    try:
        cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError) as error:
        yield "failed", str(path), f"no result of this run: {error}"
        return
    if not cases:
        yield "failed", str(path), "no test ran"
    for case in cases:
        name = f"{path.parent.name}: {case.get('name')}"
        status = case.get("status")
        # ctest also says "skipped" of a test whose program was never built: that is a failure.
        skipped = case.find("skipped")
        if status == "run":
            yield "passed", name, ""
        elif skipped is not None and skipped.get("message", "").startswith("SKIP_"):
            yield "skipped", name, skip_reason(case)
        else:
            yield "failed", name, status if skipped is None else skipped.get("message")


def main():
    results = [result for path in sys.argv[1:] for result in read(Path(path))]
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    print("\n== summary")
    for outcome, name, reason in results:
        counts[outcome] += 1
        if outcome != "passed":
            print(f"{outcome.upper():8}{name}: {reason}")
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
