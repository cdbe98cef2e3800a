# SPDX-License-Identifier: Apache-2.0
"""How the benches print numbers: Markdown tables, shares, and what an aim says to them."""


def percent(share, digits=2):
    return f"{share * 100:.{digits}f}%"


def table(title, columns, rows):
    lines = [f"\n**{title}**\n", "| " + " | ".join(columns) + " |", "| --- |" + " ---: |" * (len(columns) - 1)]
    return lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]


def verdict(interval, aim, text):
    """Is something at most its aim, as far as its interval (low, high) can tell?"""
    low, high = interval
    return f"{'met' if high <= aim else 'MISSED' if low > aim else 'open'}: {text}"
