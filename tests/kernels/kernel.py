#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kernel.py COROSCOPE INTERPRETER KERNEL [FOLDER]: what works on another kernel (a name of tools/kernels), booted in a virtual machine.

Every program is loaded and attached there, and short captures are made (guest.py); judged is here: links, names and accounts, not shares,
since such a machine is slow. Each of VERDICTS is asserted, and written to FOLDER/KERNEL.json, of which tools/kernel_table.py makes the
README's table. What a kernel lacks must be lacking (LACKS), be replaced as `coroscope check` says there, and all else must work.
"""
import base64
import collections
import json
import pathlib
import sys
import zlib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "live"))

import accounts
import live
import machine
import native as native_stacks
import one_instant
import task_tree
import whole_account

KERNEL = sys.argv[3]
FOLDER = pathlib.Path(sys.argv[4]) if len(sys.argv) > 4 else None
KERNELS = HERE.parent.parent / "tools" / "kernels"

# What kernels do not have; the newer lack none of it.
ITERATOR, GROWING, INSTANTS = "a task iterator that reads memory", "tables that grow", "copies at one instant"
LACKS = {"5.10": {ITERATOR, GROWING, INSTANTS}, "6.1": {INSTANTS}, "6.12": {INSTANTS}}
LACKING = LACKS.get(KERNEL, set())
PERF_EVENT = 7  # BPF_PROG_TYPE_PERF_EVENT

Capture = collections.namedtuple("Capture", "stacks account path links programs")


class Seen:
    """What the kernel's run left."""

    def __init__(self, boot, folder):
        self.results, self.console, self.folder = boot.results, boot.console, folder

    def step(self, name):
        for one in self.results.values():
            if one.get("error"):
                print(f"     {one['step']}: {one['error']}")
        live.check(f"{name}: it was done", name in self.results, sorted(self.results))
        return self.results[name]

    def said(self, name, code=live.OK):
        """The output of a command."""
        one = self.step(name)
        live.check(f"{name}: exit status {code}", one["code"] == code, one)
        return one["out"]

    def capture(self, name, account=accounts.audit):
        """A capture that succeeded, its accounts balanced, as stacks."""
        one = self.step(name)
        live.check(f"{name}: record succeeds", one["code"] == live.OK, one["err"])
        path = self.folder / f"{name}.raw"
        path.write_bytes(zlib.decompress(base64.b64decode(one["raw"])))
        account = account(path)
        whole_account.check_said(one["err"])
        report = live.coroscope("report", path, "-f", "collapsed")
        live.check(f"{name}: report succeeds", report.code == live.OK, report.err)
        return Capture(live.stacks(report.out), account, path, one["links"], one["programs"])


def frames(stack):
    """Without the process, its thread, and a mark at the root."""
    return stack.names[2:]


# Verdicts: each a word for the table, or an AssertionError


def judge_check(seen):
    """It names what the kernel lacks, and nothing else."""
    out = seen.said("check", live.FAILURE if ITERATOR in LACKING else live.OK)
    told = {ITERATOR: "wall clock: task iterator without", GROWING: "tables: allocated whole",
            INSTANTS: "busy event loops: tasks are confirmed one by one"}
    for what, text in told.items():
        live.check(f"check: {'tells that there are no' if what in LACKING else 'misses no'} {what}", (text in out) == (what in LACKING), out)
    missing = [line for line in out.splitlines() if line.startswith("MISSING")]
    live.check("check: nothing else is missing", all("wall clock" in line for line in missing), missing)
    live.check("check: it says of a process that its tasks' creations are seen", "task probe: Task.__init__ at" in
               seen.said("check process", live.FAILURE if ITERATOR in LACKING else live.OK), out)
    return "names what is replaced" if LACKING else "nothing is missing"


def judge_cpu(seen):
    found = seen.capture("cpu").stacks
    right = live.weight(found, lambda stack: stack.under("<module>", "main") and frames(stack)[:2] == ["<module>", "main"])
    burning = live.weight(found, lambda stack: stack.under("<module>", "main", "a") or stack.under("<module>", "main", "b"))
    live.check(f"cpu: {right} of {live.weight(found)} samples begin in main", right >= 0.95 * live.weight(found) and right >= 20, found)
    live.check(f"cpu: {burning} are in what burns", burning >= 0.5 * right, found)
    live.check("cpu: both of it are seen", all(live.weight(found, lambda s, name=name: s.has(name)) for name in "ab"), found)
    return "yes"


def judge_native(seen):
    """A program without Python: whole stacks, and whatever is in burn came to it in the program's own order."""
    found = seen.capture("native").stacks
    whole = [stack for stack in found if native_stacks.is_whole(stack)]
    burning = [stack for stack in whole if stack.names[-1] == "burn"]
    live.check("native: at least 99% of the stacks are whole", live.weight(whole) >= 0.99 * live.weight(found) >= 20, found)
    live.check("native: what is not whole says so", all(stack in whole or native_stacks.is_marked(stack) for stack in found), found)
    wrong = [stack for stack in burning if not native_stacks.matches(frames(stack), native_stacks.EXPECTED["deep"])]
    live.check(f"native: {live.weight(burning)} samples in their own order", burning and not wrong, wrong)
    return "yes"


def judge_everything(seen):
    """The largest programs that there are: all processes, native frames, the interpreter's lock, both clocks."""
    capture = seen.capture("everything", whole_account.read)
    mine = [stack for stack in capture.stacks if stack.has("a") or stack.has("b")]
    live.check(f"everything: main is above what burns, {live.weight(mine)} samples", mine and all(s.under("<module>", "main") for s in mine), mine)
    live.check("everything: with what the interpreter calls", live.weight(mine, lambda s: s.under("main", "a", "clock_gettime")), mine)
    account = capture.account
    live.check("everything: native stacks are whole", account["NATIVE_STACKS"] > 20 * account["NATIVE_INCOMPLETE"], account)
    live.check("everything: who held the lock is told", account["WITHOUT_GIL"] > 0, account)
    return "yes"


def is_made(stack):
    """The moment in which parent calls a coroutine function: no task yet."""
    return any(above == "parent" and name.startswith("func_") for above, name in zip(stack.names, stack.names[1:]))


def check_tree(what, every):
    """As on any kernel; a task that is older than the capture, of which there is at most one, has no known creator."""
    found = [stack for stack in every if not is_made(stack)]
    older = [stack for stack in found if stack.has("func_not_awaited") and not stack.has("parent")]
    live.check(f"{what}: a task older than the attach hangs under its loop, for no longer than it lives",
               all(stack.under("<module>", "main", "run", "<task Task-not_awaited>") for stack in older) and live.weight(older) <= live.RATE_HZ, older)
    weights = task_tree.check_links([stack for stack in found if stack not in older])
    live.check(f"{what}: both tasks were seen, {weights}", all(weights), found)
    outermost = [stack for stack in found if "parent" in stack.names and stack.names[stack.names.index("parent") - 1].startswith("<task ")]
    live.check(f"{what}: parent hangs under its thread's frames", all(stack.under("<module>", "main", "run", "parent") for stack in outermost), outermost)
    live.check(f"{what}: and its loop's", any(task_tree.in_loop(stack, "parent") for stack in outermost), outermost)
    live.check(f"{what}: the loop's thread is seen asleep", any(task_tree.in_loop(stack, "EpollSelector.select") for stack in found), found)


def judge_wall(seen):
    capture = seen.capture("wall")
    check_tree("wall", capture.stacks)
    live.check("wall: through the iterator where there is one", ("iter" in capture.links) == (ITERATOR not in LACKING), capture.links)
    return "from user space" if ITERATOR in LACKING else "task iterator"


def judge_no_iterator(seen):
    capture = seen.capture("no iterator")
    check_tree("no iterator", capture.stacks)
    live.check("no iterator: there is none", "iter" not in capture.links, capture.links)
    return "yes"


def judge_now(seen):
    """The task tree and the stacks at this moment."""
    tree, stacks = seen.said("pstree"), seen.said("dump")
    live.check("pstree: it is the program's tree", "parent" in tree and "Task-awaited" in tree and "func_awaited" in tree, tree)
    live.check("dump: it is the program's stack", "main" in stacks and "select" in stacks, stacks)
    return "yes"


def judge_children(seen):
    found = seen.capture("children").stacks
    weights = {name: live.weight(found, lambda stack, name=name: stack.has(name)) for name in ("first", "early", "late", "begun")}
    live.check("children: each is seen, forked or begun", all(weights.values()), weights)
    return "yes"


def judge_cgroup(seen):
    found = seen.capture("cgroup").stacks
    live.check("cgroup: who begins in it is seen", live.weight(found, lambda stack: stack.has("begun")) > 10, found)
    live.check("cgroup: who is not in it is not", not live.weight(found, lambda stack: stack.has("stranger")), found)
    return "yes"


def judge_busy_loop(seen):
    """A loop that never rests: seen at one instant where the kernel can, else what did not change while it was read twice. A machine as slow
    as this may be too late for each copy; then all that is known is that the program was loaded for them."""
    capture = seen.capture("busy loop")
    told = {name: value for name, value in capture.account.items() if name.startswith(("PASSES", "INSTANTS"))}
    live.check("busy loop: it is read", told["PASSES_PER_TASK"] + told["PASSES_IN_TASK"] > 0, told)
    loaded = [kind for kind, _ in capture.programs].count(PERF_EVENT) - 1  # the other one is the CPU clock's
    live.check("busy loop: the program for copies is loaded where it can be", loaded == (INSTANTS not in LACKING), capture.programs)
    copies = [one for one in one_instant.passes(capture.path) if one.kind == one_instant.COHERENCE["IN_TASK"]]
    moment, look = one_instant.look_of(seen.said("busy look"))
    copies += [look] if moment == "instant" else []
    torn = [fault for one in copies for fault in one_instant.faults(one)]
    live.check(f"busy loop: each of {len(copies)} copies saw one instant", not torn, torn[:10])
    if INSTANTS in LACKING:
        live.check("busy loop: there are none", not copies, told)
        return "one by one"
    return "one instant" if copies else "loads; too slow to tell"


def judge_kernel(seen):
    """Nothing that it was made to run made the kernel complain."""
    found = machine.complaints(seen.console)
    live.check("the kernel does not complain", not found, seen.console[-5000:])
    return "silent"


VERDICTS = {"check": judge_check, "cpu": judge_cpu, "native": judge_native, "all at once": judge_everything, "waiting threads, task tree": judge_wall,
            "--no-iterator": judge_no_iterator, "pstree, dump": judge_now, "children (-s)": judge_children, "cgroups (-G)": judge_cgroup,
            "busy event loops": judge_busy_loop, "kernel log": judge_kernel}


def image():
    done = live.run([KERNELS, "--path", KERNEL])
    if done.code:
        raise live.Skip(done.err.strip())
    return done.out.strip()


def boot(folder):
    """Boots the kernel with what guest.py needs."""
    machine.require(machine.QEMU, machine.BUSYBOX, machine.CPIO)
    python, native, guest = live.interpreter(), native_stacks.built(folder), HERE / "guest.py"
    scripts = [live.TARGETS / name for name in ("example.py", "burn_ratio.py", "family.py", "rounds.py")]
    files = [live.COROSCOPE, native, guest, *scripts, *machine.of_python(python), *machine.libraries([live.COROSCOPE, native])]
    return machine.boot(image(), files, [python, "-B", guest, live.COROSCOPE, live.TARGETS, native])


def tell(seen):
    """What the run took, and how far the verifier went."""
    most = max((insns for one in seen.results.values() for _, insns in one.get("programs", ())), default=0)
    times = {name.removeprefix("time of "): round(one["seconds"], 1) for name, one in seen.results.items() if name.startswith("time of ")}
    starts = {name: round(one["start_s"], 1) for name, one in seen.results.items() if "start_s" in one}
    print(f"     {seen.results['kernel']['release']}: seconds by step {times}, until attached {starts}; verifier: at most {most or '?'} instructions")
    return most


def write(release, most, verdicts, why):
    if FOLDER:
        FOLDER.mkdir(parents=True, exist_ok=True)
        line = {"name": KERNEL, "kernel": release, "verified": most, **verdicts, "why": why}
        (FOLDER / f"{KERNEL}.json").write_text(json.dumps(line) + "\n", encoding="utf-8")


def test_verdicts():
    if FOLDER:
        (FOLDER / f"{KERNEL}.json").unlink(missing_ok=True)
    image()
    verdicts, errors = {}, []
    with live.scratch() as folder:
        seen = Seen(boot(folder), folder)
        most = tell(seen)
        for what, judge in VERDICTS.items():
            try:
                verdicts[what] = judge(seen)
            except AssertionError as error:
                verdicts[what] = "no"
                errors.append(str(error))
    write(seen.results["kernel"]["release"], most, verdicts, [error.split("; seen: ")[0] for error in errors])
    live.check("all of it is right", not errors, "\n".join(errors))


if __name__ == "__main__":
    live.judged(test_verdicts)
