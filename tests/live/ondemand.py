#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ondemand.py COROSCOPE: `record --agent`: the agent captures for root what record captures itself, and nobody who asks holds it up or ends it."""
import array
import contextlib
import os
import re
import signal
import socket
import subprocess
import time

import live
import receiver
from agent_process import Agent
from delivered import TREE, files, packed, pprof_profile, pprof_stacks, under

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
BEFORE = "what was there before"


class Asked(Agent):
    """An agent that may be asked, whose budgets are no matter; for processes that are given."""

    def __init__(self, folder, *arguments, pids=(), cpu="100%"):
        self.socket = folder / "run" / "agent.sock"
        super().__init__("-p", ",".join(str(pid) for pid in pids), "--socket", self.socket, "--cpu-budget", cpu, "--memory-budget", "1G",
                         "--to", f"dir={folder / 'files'}", *arguments)
        self.says("a profile every ")

    def command(self, *arguments):
        return [live.COROSCOPE, "record", f"--agent={self.socket}", *map(str, arguments)]

    def record(self, *arguments):
        return live.run(self.command(*arguments))

    @contextlib.contextmanager
    def client(self, *arguments):
        """One that is captured for."""
        had = self.text.count("asks for a capture of")
        client = subprocess.Popen(self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            live.until(lambda: self.text.count("asks for a capture of") > had, 20)
            yield client
        finally:
            client.kill()
            client.wait()
            client.stdout.close()
            client.stderr.close()

    def becomes_free(self):
        """What it was asked for last is over: what is no request is refused as such, and not because it is busy."""
        live.until(lambda: "busy" not in say(self, b"?\n"), 30)

    def works(self, folder):
        """It still does what it is for."""
        self.becomes_free()
        path = folder / "works.collapsed"
        done = self.record("-d", 1, "-o", path)
        live.check("it goes on, and captures for the next one", done.code == live.OK and path.read_text(encoding="utf-8"), done)


def lineages(weighed):
    """
    Names from the first task on of what is not rare. Only those below the loop's own task: of what was there when it began record does not know
    who created it, and the agent, which was there before, does.
    """
    found = {}
    for names, weight in weighed:
        tasks = [re.sub(r"Task-\d+", "Task-N", name) for name in names]
        first = next((i for i, name in enumerate(tasks) if name.startswith("<task ")), None)
        key = tuple(tasks[first:]) if first is not None else ()
        found[key] = found.get(key, 0) + weight
    return {key for key, weight in found.items() if key and key[0] == "<task Task-N>" and weight > 0.05 * sum(found.values())}


def collapsed(path):
    return [(stack.names, stack.count) for stack in live.stacks(path.read_text(encoding="utf-8"))]


def pprof(path):
    profile = pprof_profile(path)
    return list(zip(pprof_stacks(path), [packed(receiver.fields(sample)[2])[2] for sample in profile[2]]))


def html(path, tree="await"):
    data = live.page_data(path.read_text(encoding="utf-8"))
    nodes = data["trees"][tree]
    weighed = []
    for node, weight in enumerate(nodes["self"]):
        names = []
        while weight and node > 0:
            names.insert(0, data["strings"][data["frames"][nodes["frame"][node]][0]])
            node = nodes["parent"][node]
        weighed.append((names, weight))
    return weighed


def test_same_tree():
    readers = {"x.collapsed": collapsed, "x.pb.gz": pprof, "x.html": html}
    with live.example(live.interpreter("3.12")) as program, live.scratch() as folder, Asked(folder, pids=[program.pid]) as agent:
        for name, read in readers.items():
            live.record("-p", program.pid, "-d", 3, "-o", folder / name)
            own = lineages(read(folder / name))
            done = agent.record("-p", program.pid, "-d", 3, "-o", folder / f"agent-{name}")
            live.check(f"{name}: it succeeds, and says what record says", done.code == live.OK and "due ticks " in done.err
                       and 2.8 < live.seconds(done) < 4 and f"wrote {folder}/agent-{name}: " in done.err, done)
            asked = lineages(read(folder / f"agent-{name}"))
            live.check(f"{name}: the task tree is the same", len(own) >= 2 and own == asked, (own, asked))
        for tree in ("creation", "threads"):
            own, asked = (lineages(html(folder / name, tree)) for name in ("x.html", "agent-x.html"))
            live.check(f"the page has the same {tree} tree", own == asked and bool(own) == (tree == "creation"), (own, asked))
        own, asked = (live.page_data((folder / name).read_text(encoding="utf-8"))["trees"]["await"]["waits"][3::4] for name in ("x.html", "agent-x.html"))
        live.check("it has the same longest wait", live.near(max(asked), max(own), 0.15), (own, asked))


def test_no_gap():
    """What was asked for is one of the agent's own periods: those before and after it are delivered, and nothing is left out."""
    with live.example(live.interpreter("3.12")) as program, live.scratch() as folder, \
            Asked(folder, "--period", "2s", pids=[program.pid]) as agent:
        live.until(lambda: len(files(folder / "files")) >= 1, 30)
        done = agent.record("-d", 4, "-o", folder / "x.pb.gz")
        live.check("it succeeds", done.code == live.OK, done)
        have = len(files(folder / "files"))
        live.until(lambda: len(files(folder / "files")) >= have + 2, 30)
        periods = [(one[9][0], one[10][0]) for one in map(pprof_profile, files(folder / "files"))]
        asked = pprof_profile(folder / "x.pb.gz")
        live.check("it is delivered as well", periods.count((asked[9][0], asked[10][0])) == 1, (periods, asked[9], asked[10]))
        live.check("it is as long as asked for", 3.9e9 < asked[10][0] < 4.8e9, asked[10])
        gaps = [later[0] - earlier[0] - earlier[1] for earlier, later in zip(periods, periods[1:])]
        live.check("each begins where the last one ends", len(gaps) >= 3 and all(abs(gap) < 0.3e9 for gap in gaps), (periods, gaps))
        live.check("all have the tree", all(under(pprof_stacks(path), TREE) for path in files(folder / "files")
                                            if pprof_profile(path)[10][0] > 1.5e9))


def test_its_own_time():
    """A thread that only sleeps is told of once a second: a capture has all of its own visits, and none of the time before it."""
    with live.program(live.interpreter("3.12"), "-c", "import time\nwhile True: time.sleep(1000)") as program, live.scratch() as folder, \
            Asked(folder, "-r", 49, pids=[program.pid]) as agent:
        shares = []
        for _ in range(4):
            done = agent.record("-d", 1.4, "-o", folder / "x.collapsed")
            shares.append(sum(count for names, count in collapsed(folder / "x.collapsed") if "<module>" in " ".join(names)) / 49 / live.seconds(done))
        live.check("each has the time that it took, of a thread that sleeps", all(0.8 < share < 1.15 for share in shares), shares)


def test_part():
    """Only what was asked for, of an agent that profiles more."""
    python = live.interpreter("3.12")
    with live.example(python) as program, live.example(python) as other, live.scratch() as folder, \
            Asked(folder, pids=[program.pid, other.pid]) as agent:
        done = agent.record("-d", 2, "-f", "collapsed")
        shown = {stack.frames[0].rpartition("[")[2] for stack in live.stacks(done.out)}
        live.check("to a pipe, of all", done.code == live.OK and shown == {f"{program.pid}]", f"{other.pid}]"}, done)
        done = agent.record("-p", program.pid, "-d", 2, "-f", "collapsed", "--tree", "creation", "--task", "not_aw", "--lines", "first")
        found = live.stacks(done.out)
        live.check("of one process, the tasks that match", found and all(
            stack.frames[0].endswith(f"[{program.pid}]") and stack.has("<task Task-not_awaited>") for stack in found), done)
        live.check("by first lines", all(any(re.match(r"parent \(.*example\.py:11\)", text) for text in stack.frames) for stack in found), found)
        live.check("the summary says so", re.search(
            rf"only process {program.pid}, tasks matching not_aw: \d+\.\d% of the time in samples\n", done.err) and f"[{other.pid}]" not in done.err, done)
        done = agent.record("-p", os.getpid(), "-d", 2, "-o", folder / "x.html")
        live.check("a process that it does not profile is refused", done.code == live.NOTHING and live.one_line(done)
                   and "not among those that this agent profiles" in done.err, done)
        with agent.client("-p", other.pid, "-d", 60, "-o", folder / "y.html") as client:
            began = time.monotonic()
            live.stop(other)
            _, said = client.communicate(timeout=30)
        live.check("it ends with its target", client.returncode == live.OK and "(ended with its target)" in said
                   and time.monotonic() - began < 10, said)


def test_options():
    with live.scratch() as folder:
        for words in (["-r", "99"], ["-F", "99"], ["--mode", "cpu"], ["--native", "on"], ["-s"], ["--comm", "x"], ["--ring-size", "1M"],
                      ["--slow-callback", "1s"], ["--unfold"], ["-d", "1h"], ["-d", "10ms"], ["-f", "raw"], ["-o", "x.raw"],
                      ["--task", "a{9}"], ["--thread", "x" * 256], ["-p", "1", "-a"], ["--", "true"]):
            done = live.coroscope("record", f"--agent={folder}/none", *words)
            live.check(f"{words[:2]} is refused in one line", done.code == live.USAGE and live.one_line(done), done)
        done = live.coroscope("record", f"--agent={folder}/none", "-d", "1", "-o", folder / "x.html")
        live.check("without an agent that is said", done.code == live.FAILURE and live.one_line(done)
                   and f"no agent answers at {folder}/none (No such file or directory)" in done.err, done)


def test_other_users():
    with live.example(live.interpreter("3.12")) as program, live.scratch() as folder, Asked(folder, pids=[program.pid]) as agent:
        live.check("the socket is root's alone", agent.socket.stat().st_mode & 0o777 == 0o600 and agent.socket.parent.stat().st_mode & 0o777 == 0o700)
        done = live.run([*NOBODY, *agent.command("-d", 1, "-o", folder / "x.html")])
        live.check("another user does not reach it", done.code == live.PERMISSION and "run as root" in done.err, done)
        agent.socket.parent.chmod(0o755)
        agent.socket.chmod(0o666)
        done = live.run([*NOBODY, *agent.command("-d", 1, "-o", folder / "x.html")])
        live.check("one who does is refused", done.code == live.PERMISSION and "only root may ask for a capture" in done.err, done)
        live.check("and that is in its log", "of user 65534 asks for a capture: only root may" in agent.text, agent.text)
        agent.works(folder)


def test_one_at_a_time():
    with live.example(live.interpreter("3.12")) as program, live.scratch() as folder, Asked(folder, pids=[program.pid]) as agent:
        path = folder / "x.collapsed"
        path.write_text(BEFORE, encoding="utf-8")
        with agent.client("-d", 60, "-o", path) as client:
            done = agent.record("-d", 1, "-o", folder / "y.html")
            live.check("a second one hears that it is busy", done.code == live.FAILURE and live.one_line(done) and "busy" in done.err, done)
            client.kill()
            agent.says("does not wait for its capture any more")
        live.check("the file of a killed client is as it was", path.read_text(encoding="utf-8") == BEFORE)
        agent.becomes_free()
        with agent.client("-d", 60, "-o", path) as client:
            time.sleep(2)
            client.send_signal(signal.SIGINT)
            _, said = client.communicate(timeout=30)
        live.check("Ctrl-C still writes the output", client.returncode == live.OK and "(interrupted)" in said
                   and path.read_text(encoding="utf-8") != BEFORE, said)
        agent.becomes_free()
        with agent.client("-d", 60, "-o", path) as client:
            client.send_signal(signal.SIGSTOP)
            have = len(files(folder / "files"))
            time.sleep(1)
            client.kill()
            live.until(lambda: len(files(folder / "files")) > have, 20)
        agent.works(folder)


def say(agent, data, passed=()):
    """To the agent; what it answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as guest, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        guest.settimeout(20)
        guest.connect(str(agent.socket))
        guest.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", passed))] if passed else [])
        return guest.recv(4096).decode()
    return ""


def test_garbage():
    with live.example(live.interpreter("3.12")) as program, live.scratch() as folder, Asked(folder, pids=[program.pid]) as agent:
        reader, writer = os.pipe()
        with open(folder / "x", "wb") as output:
            good = (b'{"version":1,"duration_ns":1000000000,"format":"html","tree":"await","first_lines":false,"pids":[],'
                    b'"thread":"","task":"","endpoint":"","whose":["","","","",""],"span":"","trace":""}\n')
            for what, data, passed in (("random bytes", os.urandom(30000), ()), ("a line without a file", good, ()), ("a pipe to write to", good, (writer,)),
                                       ("two files", good, (output.fileno(), writer)), ("two requests", good + good, (output.fileno(),)),
                                       ("no JSON", b"{{{{\n", (output.fileno(),)), ("another version's", good.replace(b":1,", b":2,", 1), (output.fileno(),)),
                                       ("a line that never ends", b"[" * 20000, (output.fileno(),)), ("half a line", good[:50], (output.fileno(),))):
                answer = say(agent, data, passed)
                live.check(f"{what}: refused with a sentence", answer.startswith("1\n") and answer.count("\n") == 2, answer)
            live.check("nothing was written", not os.fstat(output.fileno()).st_size)
        os.close(reader)
        os.close(writer)
        agent.works(folder)
        live.check("it kept none of the files", not any(str(folder / "x") in name for name in live.open_files(agent.process.pid)))


def test_no_room():
    with live.example(live.interpreter("3.12")) as program, live.scratch() as folder, live.small_disk("16k") as disk, \
            Asked(folder, pids=[program.pid]) as agent:
        done = agent.record("-d", 1, "-o", disk / "x.html")
        live.check("a full disk is said", done.code == live.FAILURE and live.one_line(done) and "No space left on device" in done.err, done)
        agent.works(folder)


def test_cut_short():
    """What the agent owes others goes first: its budget, and its configuration."""
    with live.target(live.interpreter("3.12"), "burn_task.py") as program, live.scratch() as folder:
        with Asked(folder, "--rate", "999", pids=[program.pid], cpu="0.5%") as agent, agent.client("-d", 120, "-o", folder / "x.html") as client:
            _, said = client.communicate(timeout=60)
        live.check("a budget that needs a lower rate ends it", client.returncode == live.OK
                   and "the capture on demand ended early: its rate was too high for the agent's budgets" in said, said)
        config, asked = folder / "agent.yaml", folder / "run" / "agent.sock"
        config.write_text("rate: 20\n", encoding="utf-8")
        with Asked(folder, "--config", config, pids=[program.pid]) as agent, agent.client("-d", 120, "-o", folder / "x.html") as client:
            time.sleep(1)
            config.write_text("rate: 30\n", encoding="utf-8")
            agent.process.send_signal(signal.SIGHUP)
            _, said = client.communicate(timeout=30)
            live.check("so does another configuration of the capture", client.returncode == live.OK and " at 20 Hz" in said
                       and "the capture on demand ended early: the agent's configuration was read again" in said, said)
            agent.works(folder)
        config.write_text(f"socket: {asked}\npid: {program.pid}\n", encoding="utf-8")
        with Agent("--config", config, heeds_guests=True) as agent:
            agent.says("a profile every ")
            live.until(asked.exists, 10)
            config.write_text(f"socket: {asked}.2\npid: {program.pid}\n", encoding="utf-8")
            agent.process.send_signal(signal.SIGHUP)
            agent.says("the configuration was read again")
            done = live.coroscope("record", f"--agent={asked}.2", "-d", 1, "-f", "collapsed")
            live.check("it can be asked elsewhere, and no more where it was", done.code == live.OK and done.out and not asked.exists(), done)


def test_agent_ends():
    with live.example(live.interpreter("3.12")) as program, live.scratch() as folder:
        with Asked(folder, pids=[program.pid]) as agent:
            with Agent("-p", program.pid, "--socket", agent.socket) as second:
                live.check("a second agent at one socket is refused", second.process.wait(30) == live.FAILURE
                           and "another agent answers there" in second.text, second.text)
            with agent.client("-d", 60, "-o", folder / "x.html") as client:
                agent.end(signal.SIGKILL)
                _, said = client.communicate(timeout=30)
            live.check("an agent that is killed is said", client.returncode == live.FAILURE and "ended the connection without an answer" in said
                       and said.count("\n") == 1, said)
            done = agent.record("-d", 1, "-o", folder / "x.html")
            live.check("its socket is there, and dead", agent.socket.exists() and done.code == live.FAILURE and "Connection refused" in done.err, done)
        with Asked(folder, pids=[program.pid]) as agent:
            with agent.client("-d", 60, "-o", folder / "x.collapsed") as client:
                time.sleep(2)
                code = agent.end()
                _, said = client.communicate(timeout=30)
            live.check("one that is told to end writes what it has", client.returncode == code == live.OK
                       and "the capture on demand ended early: the agent ended" in said and lineages(collapsed(folder / "x.collapsed")), said)
        live.check("and takes its socket with it", not agent.socket.exists())


live.main(test_options, live.at_once(test_same_tree, test_no_gap, test_its_own_time, test_part, test_other_users),
          live.at_once(test_one_at_a_time, test_garbage, test_no_room, test_cut_short, test_agent_ends))
