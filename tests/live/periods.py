# SPDX-License-Identifier: Apache-2.0
"""What became of an agent's periods: as a server of OTLP got them, as its spool has them, and as the agent counts them."""
import collections
import time

import live
import receiver

Told = collections.namedtuple("Told", "parcel attempt start end arrived")


def told(request):
    """Of one request: which period it tells of (wall clock, ns), and when it came (this process' wall clock)."""
    profile = receiver.plain_body(request)
    for number in 1, 2, 2:  # resource, scope, and its first profile: all have the same period
        profile = receiver.fields(profile)[number][0]
    profile = receiver.fields(profile)
    start, duration = profile[3][0], profile[4][0]
    arrived = (time.time() - time.monotonic() + request.time) * 1e9
    return Told(request.headers["coroscope-parcel"], int(request.headers["coroscope-attempt"]), start, start + duration, arrived)


def all_told(server):
    """In the order of arrival, what was begun twice as often as that."""
    return [told(request) for request in sorted(server.requests, key=lambda request: request.time)]


def arrived(server):
    """The same, each period once."""
    return list({one.parcel: one for one in all_told(server)}.values())


def gaps(found, period_s=1):
    """How many periods are missing between each two."""
    return [round((after.start - before.end) / (period_s * 1.02e9)) for before, after in zip(found, found[1:])]


def check_all(what, found, least, period_s=1):
    live.check(f"{what}: every period, in order", len(found) >= least and not any(gaps(found, period_s)), found)


def parcels(spool):
    return sorted((spool / "otlp").glob("*.parcel"))


def parcel_id(path):
    """Where a parcel's file has its id (userspace/deliver/parcel.c)."""
    return path.read_bytes()[32:64].decode()


def rows(agent, url):
    """What the agent counts of a destination: the last part of a metric's name -> value."""
    ending = f'to="{url}/v1development/profiles"}}'
    return {name.split("{")[0].removeprefix("coroscope_deliver_").removesuffix("_total"): value
            for name, value in agent.metrics().items() if name.startswith("coroscope_deliver_") and name.endswith(ending)}


def settled(agent, url, condition, seconds=30):
    """Those figures, once they are so; at every moment what was packed or found is delivered, refused, lost, or waits."""
    end = time.monotonic() + seconds
    while True:
        seen = rows(agent, url)
        if seen:  # an agent answers before it counts
            kept = seen["delivered"] + seen["refused"] + seen["lost"] + seen["waiting"]
            if seen["parcels"] != kept:
                raise AssertionError(f"the account does not balance: {seen}")
            if condition(seen):
                return seen
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain: {seen}; {agent.text}")
        time.sleep(0.2)


def to(server, *more):
    return ["--to", f"otlp={server if isinstance(server, str) else server.url}", *more]
