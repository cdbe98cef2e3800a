#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opens pages of made-up profiles from disk in headless Chromium and uses them as a person would.

    html_page.py MAKE_PAGE [SCREENSHOT_DIR]

MAKE_PAGE is the program of tests/unit/export_html. Needs only Python's standard library and chromium
(exit code 77 without it). Chromium is driven through its DevTools protocol on a pair of pipes, so that
no port is opened.
"""
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-sync", "--disable-component-update", "--hide-scrollbars", "--remote-debugging-pipe"]
KEYS = {"Enter": (13, "\r"), "Escape": (27, ""), "ArrowDown": (40, ""), "ArrowRight": (39, ""), "/": (191, "/"),
        "+": (187, "+")}


class Browser:
    """One page of one Chromium. Messages are JSON ended by a zero byte; its ends are descriptors 3 and 4."""

    def __init__(self, chromium, profile_dir):
        to_read, self.to = os.pipe()
        self.fro, from_write = os.pipe()
        command = [chromium, *FLAGS, f"--user-data-dir={profile_dir}", "about:blank"]
        script = f'exec "$@" 3<&{to_read} 4>&{from_write}'
        self.process = subprocess.Popen(["bash", "-c", script, "chromium", *command],
                                        pass_fds=(to_read, from_write), stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        self.next_id, self.pending, self.session, self.events = 0, b"", None, []
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def call(self, method, **params):
        self.next_id += 1
        message = {"id": self.next_id, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") != self.next_id:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']['message']}")
            else:
                return answer["result"]

    def receive(self):
        while b"\0" not in self.pending:
            part = os.read(self.fro, 1 << 20)
            if not part:
                raise RuntimeError("chromium ended")
            self.pending += part
        message, self.pending = self.pending.split(b"\0", 1)
        return json.loads(message)

    def eval(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def open(self, url, width=1400, height=900, theme="light"):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": theme}, {"name": "prefers-reduced-motion", "value": "reduce"}])
        self.call("Page.navigate", url="about:blank")
        self.events.clear()
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && !!document.documentElement.dataset.theme")

    def is_true(self, condition):
        """False also while the page gives way to another: then nobody answers."""
        try:
            return self.eval(condition)
        except RuntimeError as error:
            if "navigated or closed" not in str(error):
                raise
            return False

    def until(self, condition, seconds=20):
        end = time.monotonic() + seconds
        while not self.is_true(condition):
            if time.monotonic() > end:
                raise AssertionError(f"never became true: {condition}")
            time.sleep(0.05)

    def key(self, name):
        code, text = KEYS[name] if name in KEYS else (ord(name.upper()), name)
        event = {"key": name, "windowsVirtualKeyCode": code, "text": text}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **event)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name, windowsVirtualKeyCode=code)

    def mouse(self, x, y, click=False):
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drag(self, x, y, to_x):
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", buttons=1, clickCount=1)
        for part in (0.5, 1):
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + (to_x - x) * part, y=y, button="left", buttons=1)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=to_x, y=y, button="left", clickCount=1)

    def screenshot(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def problems(self):
        """Exceptions, console errors, and requests for anything but the file itself."""
        found = []
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"].get("exception", {}).get("description", "exception"))
            elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(params["entry"]["text"])
            elif method == "Network.requestWillBeSent" and not params["request"]["url"].startswith(("file:", "about:")):
                found.append("request for " + params["request"]["url"])
        return found

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
        except (RuntimeError, OSError):
            pass
        self.process.wait(timeout=20)


def text(browser, element):
    return browser.eval(f"document.getElementById('{element}').textContent")


def check(what, ok, seen=None):
    print(("ok   " if ok else "FAIL ") + what + ("" if ok else f": {seen!r}"))
    if not ok:
        raise AssertionError(what)


def graph_box(browser, depth, part=0.5):
    """Page coordinates inside the row at this depth, at this part of its width."""
    box = browser.eval("(({x, y, width}) => [x, y, width])(document.getElementById('graph').getBoundingClientRect())")
    return box[0] + 8 + (box[2] - 16) * part, box[1] + 8 + 20 * depth + 10


def ink(browser):
    """How many different colours the canvas shows: an empty one has 1."""
    return browser.eval("""(() => {
        const c = document.getElementById('graph'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        const seen = new Set();
        for (let i = 0; i < d.length; i += 4) seen.add(d[i] << 16 | d[i + 1] << 8 | d[i + 2]);
        return seen.size; })()""")


def test_service(browser, url, shots):
    browser.open(url)
    check("no problem on load", not browser.problems(), browser.problems())
    check("title names the command", browser.eval("document.title").startswith("python3 -m shop"))
    check("the graph is drawn", ink(browser) > 20, ink(browser))
    check("accounts add up", "4,000 CPU ticks due = " in text(browser, "due"), text(browser, "due"))
    check("losses are named", "18 task readings lost" in text(browser, "due"), text(browser, "due"))
    check("nothing unaccounted", "not accounted" not in text(browser, "due"), text(browser, "due"))
    check("widths are explained", "sum of task time" in text(browser, "widths"))
    check("not partial", browser.eval("document.getElementById('partial').hidden"))
    shots(browser, "icicle-light")

    browser.mouse(*graph_box(browser, 1))
    check("tooltip names the box", "shop (4711)" in text(browser, "tip"), text(browser, "tip"))
    check("tooltip has self and total", all(w in text(browser, "tip") for w in ("Total", "Self", "100.0", "samples")))
    browser.mouse(*graph_box(browser, 2, 0.2), click=True)
    check("a click zooms", "zoom=" in browser.eval("location.hash"), browser.eval("location.hash"))
    check("the path shows where", "MainThread" in text(browser, "path"), text(browser, "path"))
    zoomed = browser.eval("location.hash")
    browser.key("ArrowDown")
    browser.key("Enter")
    check("keys zoom further", browser.eval("location.hash") not in ("", zoomed), browser.eval("location.hash"))
    browser.eval("history.back()")
    browser.until(f"location.hash === {json.dumps(zoomed)}")

    browser.key("/")
    for c in "fetch":
        browser.key(c)
    browser.key("Enter")
    check("a search counts", "matches" in text(browser, "matches") and "%" in text(browser, "matches"), text(browser, "matches"))
    check("Enter selects a match", "fetch" in text(browser, "status"), text(browser, "status"))
    shots(browser, "search")
    state, seen = browser.eval("location.href"), (text(browser, "path"), text(browser, "matches"))
    browser.open(state, theme="dark")
    check("a reload shows the same", (text(browser, "path"), text(browser, "matches")) == seen, text(browser, "matches"))
    browser.key("Escape")
    check("Escape resets", browser.eval("location.hash") in ("", "#"), browser.eval("location.hash"))
    shots(browser, "icicle-dark")

    browser.open(url + "#view=flame&q=/client\\.py:4[01]/", theme="dark")
    check("a regex finds file:line", text(browser, "matches").startswith("4 matches"), text(browser, "matches"))
    shots(browser, "flame-regex-dark")
    browser.open(url + "#q=/(/")
    check("a wrong regex is said", "Not a valid" in text(browser, "matches"), text(browser, "matches"))
    browser.open(url + "#view=inverted&merge=1")
    check("bottom-up has the same total", "Total" in text(browser, "status"), text(browser, "status"))
    shots(browser, "inverted")
    browser.open(url + "#view=table")
    check("the table has rows", browser.eval("document.querySelectorAll('#rows tr').length") > 30)
    first = browser.eval("document.querySelector('#rows tr').textContent")
    check("largest self first", first.startswith("schedule11.0"), first)
    browser.eval("document.querySelector('#heads th button').click()")
    check("a head sorts", browser.eval("document.querySelector('#heads th').getAttribute('aria-sort')") == "ascending")
    shots(browser, "table")
    browser.eval("document.getElementById('theme').click()")
    browser.eval("window.old = 1; location.reload()")
    browser.until("!window.old && document.readyState === 'complete'")
    check("the theme is remembered", browser.eval("document.documentElement.dataset.theme") == "dark")
    browser.eval("localStorage.clear()")
    check("it prints", len(browser.call("Page.printToPDF", printBackground=True)["data"]) > 10000)
    check("printing gives the theme back", browser.eval("document.documentElement.dataset.theme") == "dark")
    check("no problem in use", not browser.problems(), browser.problems())


def test_large(browser, url, shots):
    began = time.monotonic()
    browser.open(url)
    check("100,000 nodes open quickly", time.monotonic() - began < 10, time.monotonic() - began)
    check("partial is said", not browser.eval("document.getElementById('partial').hidden"))
    check("CPU widths are said", "CPU time" in text(browser, "widths"))
    took = browser.eval("(async () => { const t = performance.now(); for (let i = 0; i < 10; i++) {"
                        " dispatchEvent(new Event('resize')); await new Promise(requestAnimationFrame); }"
                        " return (performance.now() - t) / 10; })()")
    check("a frame is drawn in 200 ms", took < 200, took)
    print(f"     {took:.1f} ms a frame")
    shots(browser, "large")
    began = time.monotonic()
    browser.open(url + "#view=inverted", theme="dark")
    check("bottom-up of it opens", ink(browser) > 20 and time.monotonic() - began < 30, time.monotonic() - began)
    shots(browser, "large-inverted-dark")
    check("no problem", not browser.problems(), browser.problems())


def fact(browser, name):
    """One of the page's key figures, without its narrow blanks; None if it is not there."""
    value = browser.eval(f"[...document.querySelectorAll('#facts div')].find((d) => d.firstChild.textContent === {json.dumps(name)})"
                         "?.lastChild.textContent ?? null")
    return value and value.replace("\u202f", " ")


def boxes(browser):
    """Labels of all task boxes on display, root first."""
    return browser.eval("[...Array(tree.size).keys()].filter((i) => kindOf(tree.frame[i]) === TASK).map(labelOf)")


def cells(browser):
    return browser.eval("[...document.querySelectorAll('#rows tr')].map((tr) => [...tr.cells].map((td) => td.textContent.replace(/\u202f/g, ' ')))")


def open_at(browser, label):
    """Zoom to the first box with this label; what the status line says of it."""
    browser.eval(f"change({{ zoom: [...Array(tree.size).keys()].find((i) => labelOf(i) === {json.dumps(label)}) }})")
    return text(browser, "status").replace("\u202f", " ")


def test_trees(browser, url, shots):
    browser.open(url)
    buttons = browser.eval("[...document.querySelectorAll('#trees button')].map((b) => [b.textContent, b.getAttribute('aria-pressed')])")
    check("three trees, await first", buttons == [["Await tree", "true"], ["Creation tree", "false"], ["Threads", "false"]], buttons)
    check("sum of task time", fact(browser, "Sum of task time") == "2 min 10 s", fact(browser, "Sum of task time"))
    check("wall of the tree", fact(browser, "Wall of the tree") == "1.90 s", fact(browser, "Wall of the tree"))
    seen = boxes(browser)
    check("every name has a box", len(seen) == 2 + 3 + 127, len(seen))
    check("two of one name share it", "<task twins> \u00d72" in seen, seen)
    check("in the await tree all fetches wait below Task-1", "<task refiller>" not in seen, seen)
    shots(browser, "tasks-await")

    browser.key("t")
    check("t goes to the creation tree", "tree=creation" in browser.eval("location.hash"), browser.eval("location.hash"))
    check("where some hang below another creator", "<task refiller>" in boxes(browser), boxes(browser))
    browser.eval("[...document.querySelectorAll('#trees button')].at(-1).click()")
    check("threads have no tasks", boxes(browser) == [] and fact(browser, "Sum of task time") is None, boxes(browser))
    check("widths are explained for threads", "time of all threads" in text(browser, "widths"), text(browser, "widths"))
    check("their time is called otherwise", fact(browser, "Sum of thread time") == "1.90 s", fact(browser, "Sum of thread time"))
    browser.eval("window.old = 1; location.reload()")
    browser.until("!window.old && document.readyState === 'complete'")
    check("a reload shows the same tree", browser.eval("state.tree") == "threads" and boxes(browser) == [])
    browser.key("t")
    check("t goes round", browser.eval("state.tree") == "await" and len(boxes(browser)) == 132, browser.eval("location.hash"))
    check("no problem", not browser.problems(), browser.problems())


def test_groups(browser, url, shots):
    browser.open(url)
    browser.key("g")
    seen = boxes(browser)
    check("one box for a coroutine and creation site", sorted(seen) == sorted(
        ["main", "fetch \u00d764", "fetch \u00d764", "drain (created)", "drain (probable)", "main (finished)", "drain"]), seen)
    status = open_at(browser, "fetch \u00d764")
    check("a group has both totals", "Total 64.0 s" in status and "Wall of the tree 1.00 s" in status, status)
    check("and where it was created", "Created in main (/srv/app/main.py:12)" in status, status)
    status = open_at(browser, "main")
    check("the wall of both", "Total 2 min 8 s" in status and "Wall of the tree 1.50 s" in status, status)
    check("a weak link is said", "which does not wait for it (weak link)" in open_at(browser, "drain (created)"))
    check("a ghost is said", "(ghost)" in open_at(browser, "main (finished)"))
    check("a probable link is said", "Probable waiter" in open_at(browser, "drain (probable)"))
    legend = browser.eval("[...document.querySelectorAll('#legend i.task')].map((i) => i.className.split(' ')[1])")
    check("each has its colours in the legend", legend == ["task", "created", "finished", "probable"], legend)
    browser.open(url + "#group=1&q=Task-17")
    check("a search for one task finds its group", text(browser, "matches").startswith("1 match"), text(browser, "matches"))
    browser.open(url + "#group=1&view=inverted")
    check("bottom-up counts too", "fetch \u00d764" in boxes(browser), boxes(browser))
    shots(browser, "tasks-groups")
    browser.mouse(*browser.eval("(({x, y, width, height}) => [x + width / 2, y + height / 2])(document.getElementById('grouping').getBoundingClientRect())"),
                  click=True)
    check("a click ungroups", browser.eval("location.hash") == "#view=inverted", browser.eval("location.hash"))
    check("no problem", not browser.problems(), browser.problems())


def colours_of(browser, label):
    """The colours of a task's box, zoomed to: of its right end, where its text does not reach."""
    open_at(browser, label)
    x, y = graph_box(browser, browser.eval("tree.depth[state.zoom]"), 1)
    return tuple(browser.eval(f"""(() => {{
        const c = document.getElementById('graph'), box = c.getBoundingClientRect(), seen = new Set();
        const d = c.getContext('2d').getImageData({x} - 80 - box.x, {y} - 10 - box.y, 60, 20).data;
        for (let i = 0; i < d.length; i += 4) seen.add([d[i] >> 5, d[i + 1] >> 5, d[i + 2] >> 5].join());
        return [...seen].sort(); }})()"""))


def test_marks_look_different(browser, url, shots):
    for theme in ("light", "dark"):
        browser.open(url, theme=theme)
        looks = [colours_of(browser, name) for name in
                 ("<task Task-12>", "<task log (created)>", "<task gone (finished)>", "<task far (probable)>")]
        check(f"weak, ghost and probable tasks look different, {theme}", len(set(looks)) == 4, looks)
        shots(browser, f"tasks-marks-{theme}")
    check("no problem", not browser.problems(), browser.problems())


def test_waits(browser, url, shots):
    browser.open(url + "#view=waits&group=1")
    heads = browser.eval("[...document.querySelectorAll('#heads th')].map((th) => th.textContent)")
    check("heads", heads == ["Task", "Waits in", "File", "Sum of task time", "Longest wait", "Tasks", "Created in"], heads)
    rows = cells(browser)
    check("groups that wait longest in sum come first", [row[0] for row in rows[:2]] == ["fetch", "fetch"] and len(rows) == 5, rows)
    check("one row says all", ["fetch", "sleep", "asyncio/tasks.py:656", "64.0 s", "250 ms", "64", "refill (app/main.py:30)"] in rows, rows)
    check("an awaitable that is no Python is named", rows[2][1] == "drain \u203a custom_future", rows[2])
    shots(browser, "waits-groups")
    browser.eval("[...document.querySelectorAll('#heads button')].find((b) => b.textContent === 'Longest wait').click()")
    check("sorted by the longest wait", [row[4] for row in cells(browser)] == ["1.00 s", "250 ms", "60.0 ms", "50.0 ms", "40.0 ms"], cells(browser))
    browser.eval("document.querySelector('#rows button').click()")
    check("a row leads to its box", browser.eval("state.view") == "icicle" and "sleep" in text(browser, "status"), text(browser, "status"))
    check("which is the group's", "fetch \u00d764" in text(browser, "path"), text(browser, "path"))
    browser.open(url + "#view=waits")
    check("without groups a row for each name", len(cells(browser)) == 3 + 127 and cells(browser)[0][0] == "<task twins>", cells(browser)[:2])
    browser.open(url + "#view=waits&q=Task-17")
    check("a search narrows the table", [row[0] for row in cells(browser)] == ["<task Task-17>"], cells(browser))
    browser.open(url + "#view=waits&tree=threads")
    check("a tree without tasks says so", "no suspended tasks" in text(browser, "caption"), text(browser, "caption"))
    check("no problem", not browser.problems(), browser.problems())


def test_many(browser, url, shots):
    for options in ("", "#group=1", "#view=waits", "#tree=creation&view=inverted"):
        began = time.monotonic()
        browser.open(url + options)
        took = time.monotonic() - began
        check(f"10,000 tasks open quickly {options}", took < 6, took)
        print(f"     {took:.2f} s")
    browser.open(url + "#group=1")
    check("as two boxes", boxes(browser).count("fetch \u00d75,000") == 2, boxes(browser))
    shots(browser, "many-groups")
    check("no problem", not browser.problems(), browser.problems())


def type_into(browser, element, value):
    browser.eval(f"document.getElementById('{element}').select()")
    browser.call("Input.insertText", text=value)
    browser.until(f"document.getElementById('{element}').value.trim() === (new URLSearchParams(location.hash.slice(1)).get('{element.split('-')[-1]}') ?? '')")


def numbers(browser):
    """What is shown: samples, sum of task time, wall of the tree, and the leaves of the graph."""
    leaves = browser.eval("[...Array(tree.size).keys()].filter((i) => i && tree.end[i] === i + 1).map(labelOf)")
    return fact(browser, "Samples"), fact(browser, "Sum of task time"), fact(browser, "Wall of the tree"), leaves


def test_filters(browser, url, shots):
    browser.open(url)
    whole = numbers(browser)
    check("without a filter all is shown", whole[:3] == ("146", "1.46 s", "500 ms") and len(whole[3]) == 7, whole)
    offered = browser.eval("[...document.querySelectorAll('#all-endpoint option')].map((o) => o.value)")
    check("endpoints are offered", offered == ["GET /cart", "GET /items"], offered)
    browser.key("f")
    check("f goes to the filters", browser.eval("document.activeElement.id") == "filter-endpoint", browser.eval("document.activeElement.id"))
    type_into(browser, "filter-endpoint", "GET /items")
    seen = numbers(browser)
    check("by endpoint the totals are its own", seen == ("36", "360 ms", "200 ms", ["gather", "parse", "query", "render"]), seen)
    check("and its share is said", text(browser, "share").replace("\u202f", " ") == "360 ms of 1.46 s (24.7 %)", text(browser, "share"))
    check("accounts are said to be of all", "whole capture" in text(browser, "due"), text(browser, "due"))
    shots(browser, "spans-endpoint")
    browser.eval("window.old = 1; location.reload()")
    browser.until("!window.old && document.readyState === 'complete'")
    check("a reload shows the same", numbers(browser) == seen, numbers(browser))
    browser.eval("change({ view: 'waits' })")
    check("waits are its own", [row[1:5] for row in cells(browser)] == [["gather", "", "160 ms", "160 ms"], ["query", "", "140 ms", "90.0 ms"]], cells(browser))
    browser.eval("change({ view: 'inverted', merge: true })")
    check("and bottom-up", "Total 360 ms" in text(browser, "status").replace("\u202f", " "), text(browser, "status"))
    browser.key("Escape")
    browser.eval("document.activeElement.blur()")
    browser.key("Escape")
    check("Escape shows all again", numbers(browser)[:3] == whole[:3] and not browser.eval("document.getElementById('filter-endpoint').value"), numbers(browser))
    for filters, expected in (("service=jobs", ("20", "200 ms", "200 ms", ["work"])),
                              ("service=shop", ("126", "1.26 s", "500 ms", ["gather", "idle", "parse", "price", "query", "render"])),
                              ("trace=000000000000000000000000000000bb", ("40", "400 ms", "400 ms", ["price", "render"])),
                              ("trace=bb", ("40", "400 ms", "400 ms", ["price", "render"])),
                              ("span=00000000000000a1", ("36", "360 ms", "200 ms", ["gather", "parse", "query", "render"])),
                              ("span=00000000000000a3", ("11", "110 ms", "110 ms", ["parse", "query"])),
                              ("endpoint=/items|cart/", ("76", "760 ms", "400 ms", ["gather", "parse", "price", "query", "render"])),
                              ("endpoint=GET /items&span=b1", ("0", "0 ns", None, []))):
        browser.open(f"{url}#{filters}")
        check(f"{filters}", numbers(browser) == expected, numbers(browser))
    check("that nothing matches is said", "matches the filter" in text(browser, "status"), text(browser, "status"))
    browser.open(url + "#endpoint=/(/")
    check("a wrong pattern is said, and filters nothing", text(browser, "share") == "Not a valid pattern" and numbers(browser) == whole, text(browser, "share"))
    browser.open(url + "#span=00000000000000a3&q=query")
    check("a search is of what matches", "1 match \u00b7 81.8" in text(browser, "matches"), text(browser, "matches"))
    check("no problem", not browser.problems(), browser.problems())


def lanes(browser):
    """Of each lane its text, its depth, and what its bar looks like."""
    return browser.eval("""[...document.querySelectorAll('#lanes .lane')].map((li) => [
        li.querySelector('.what').textContent, parseInt(li.querySelector('.what').style.paddingLeft) / 14,
        li.querySelector('.length').textContent.replace(/\u202f/g, ' '), li.querySelector('.bar')?.className ?? ''])""")


def centre(browser, selector, part=0.5):
    return browser.eval(f"(({{x, y, width, height}}) => [x + width * {part}, y + height / 2])(document.querySelector({json.dumps(selector)}).getBoundingClientRect())")


def test_timeline(browser, url, shots):
    browser.open(url)
    browser.key("l")
    check("l shows the timeline", browser.eval("location.hash") == "#view=timeline", browser.eval("location.hash"))
    seen = lanes(browser)
    check("a lane for each span, below its parent", [lane[:3] for lane in seen] == [
        ["GET /items Task-1", 0, "220 ms"], ["SELECT eu query-eu", 1, "60.0 ms"], ["\u2715 error SELECT us query-us", 1, "120 ms"],
        ["GET price", 2, "2.00 ms"], ["GET /cart", 0, "\u2265 390 ms"], ["span 00000000000000c1 thread MainThread", 0, "\u2265 190 ms"]], seen)
    check("of two siblings the failed one looks different", seen[1][3] == "bar" and seen[2][3] == "bar error", seen)
    check("and open ends look open", seen[4][3] == seen[5][3] == "bar open-from open-to", seen)
    edges = browser.eval("[...document.querySelectorAll('#lanes .bar')].map((b) => getComputedStyle(b).borderTopColor)")
    check("in colour too", edges[1] != edges[2] and edges[0] == edges[1], edges)
    doers = browser.eval("[...document.querySelectorAll('#lanes .doer')].map((d) => d.textContent)")
    check("several tasks of a span are named", doers == ["Task-2", "Task-3"], doers)
    pieces = browser.eval("""[...document.querySelectorAll('[data-span="0"] .track i')].map((i) => [i.className, Math.round(parseFloat(i.style.width) / parseFloat(document.querySelector('[data-span="0"] .bar').style.width) * 220)])""")
    check("what ran and what waited is drawn", pieces == [["bar", 220], ["waited", 160], ["ran", 40]], pieces)
    check("how many there are is said", text(browser, "lanes-caption").startswith("6 of 6 spans of 3 traces."), text(browser, "lanes-caption"))
    shots(browser, "timeline")
    browser.mouse(*centre(browser, "[data-span='2'] .bar"))
    tip = text(browser, "tip").replace("\u202f", " ")
    check("a lane tells all when pointed at", all(part in tip for part in (
        "SELECT us", "Outcomeerror", "Length120 ms", "postgres.query", "EndpointGET /items", "Tasksquery-us", "00000000000000a3", "Seen running20.0 ms", "Seen waiting90.0 ms")), tip)
    shots(browser, "timeline-tip")
    browser.mouse(*centre(browser, "[data-span='0'] .bar"))
    check("also what began before the first sample", "Begin\u221210.0 ms" in text(browser, "tip").replace("\u202f", " "), text(browser, "tip"))
    ticks = browser.eval("[...document.querySelectorAll('#axis span')].map((t) => t.textContent.replace(/\u202f/g, ' '))")
    check("the clock begins with the first sample", ticks == ["0", "100 ms", "200 ms", "300 ms", "400 ms"], ticks)
    for _ in range(3):
        browser.key("ArrowDown")
    check("keys move through lanes", browser.eval("document.activeElement.dataset.span") == "2", browser.eval("document.activeElement.outerHTML"))
    check("and tell all in the status line", "Outcome error" in text(browser, "status"), text(browser, "status"))
    browser.key("Enter")
    browser.until("state.view === 'icicle'")
    check("a lane leads to its flame graph", numbers(browser)[1:] == ("110 ms", "110 ms", ["parse", "query"]), numbers(browser))
    browser.eval("history.back()")
    browser.until("state.view === 'timeline' && !state.span")
    browser.mouse(*centre(browser, "[data-span='0'] .bar"), click=True)
    browser.until("state.view === 'icicle'")
    check("a click too, with what is below it", numbers(browser)[1] == "360 ms", numbers(browser))
    browser.key("l")
    check("the other lanes of its trace stay in sight", [lane[0][:4] for lane in lanes(browser)] == ["GET ", "SELE", "\u2715 er", "GET "], lanes(browser))
    browser.open(url + "#view=timeline&span=00000000000000a3")
    check("but stand back", browser.eval("[...document.querySelectorAll('#lanes .lane')].map((l) => l.classList.contains('other'))") == [True, True, False, False])
    browser.open(url + "#view=timeline&order=errors")
    browser.mouse(*centre(browser, ".trace:nth-child(6) button"), click=True)
    browser.until("state.trace")
    check("a trace's head leads to the trace", len(lanes(browser)) == 1 and "GET /cart" in lanes(browser)[0][0], lanes(browser))
    browser.open(url + "#view=timeline&endpoint=GET /items&q=eu")
    check("search and filter narrow the lanes", len(lanes(browser)) == 4 and text(browser, "matches") == "1 trace", text(browser, "matches"))
    browser.open(url + "#view=timeline&align=1", theme="dark")
    starts = browser.eval("[0, 4, 5].map((i) => document.querySelector(`[data-span='${i}'] .bar`).style.left)")
    check("aligned traces begin together", len(set(starts)) == 1, starts)
    shots(browser, "timeline-aligned-dark")
    check("no problem", not browser.problems(), browser.problems())


def test_timeline_zoom(browser, url, shots):
    browser.open(url + "#view=timeline")
    (left, y), (right, _) = centre(browser, "#axis", 0), centre(browser, "#axis", 1)
    whole = browser.eval("clock")
    browser.drag(left + (right - left) * 0.25, y + 120, left + (right - left) * 0.5)
    browser.until("state.to")
    shown, length = browser.eval("clock"), whole["to"] - whole["from"]
    check("dragging chooses a part of the time", abs(shown["from"] - whole["from"] - length / 4) < length / 100 and
          abs(shown["to"] - whole["from"] - length / 2) < length / 100, (whole, shown))
    check("and follows no link", browser.eval("state.view") == "timeline" and not browser.eval("state.span"))
    check("traces outside of it are left out, and counted", "Outside of this part of the time: 1 trace." in text(browser, "lanes-caption"), text(browser, "lanes-caption"))
    shots(browser, "timeline-zoomed")
    browser.eval("window.old = 1; location.reload()")
    browser.until("!window.old && document.readyState === 'complete'")
    check("a reload shows the same part", browser.eval("clock") == shown, browser.eval("clock"))
    browser.key("ArrowDown")
    browser.key("+")
    nearer = browser.eval("clock")
    check("+ zooms further, and the lane keeps the focus", nearer["to"] - nearer["from"] < (shown["to"] - shown["from"]) * 0.6 and
          browser.eval("document.activeElement.dataset.span") == "0", nearer)
    browser.key("ArrowRight")
    check("arrows move in time", browser.eval("clock.from") > nearer["from"], browser.eval("clock"))
    browser.key("0")
    check("0 shows all", browser.eval("clock") == whole and browser.eval("location.hash") == "#view=timeline", browser.eval("clock"))
    check("no problem", not browser.problems(), browser.problems())


def test_many_spans(browser, url, shots):
    for options in ("", "#view=timeline", "#view=timeline&order=errors&align=1", "#endpoint=GET /odd"):
        began = time.monotonic()
        browser.open(url + options)
        took = time.monotonic() - began
        check(f"25,000 spans open {options}", took < 30, took)
        print(f"     {took:.2f} s")
    check("an endpoint's samples are all there, spans or no", fact(browser, "Samples") == "12,500", fact(browser, "Samples"))
    browser.open(url + "#view=timeline")
    caption = text(browser, "lanes-caption").replace("\u202f", " ")
    check("what is left out is said", "200 of 20,000 spans" in caption and "5,000 more spans found no room in this page (0 ns" in caption, caption)
    browser.eval("document.getElementById('more-lanes').click()")
    check("more are shown on demand", len(lanes(browser)) == 400, len(lanes(browser)))
    shots(browser, "timeline-many")
    check("no problem", not browser.problems(), browser.problems())


def test_hostile(browser, url, shots):
    for view in ("icicle", "table", "waits", "icicle&group=1", "waits&group=1", "timeline", "timeline&align=1", "icicle&span=1", "timeline&endpoint=script"):
        browser.open(f"{url}#view={view}&q=script")
        check(f"{view}: names stay text", browser.eval("window.broken === undefined"))
        check(f"{view}: no element came from a name", browser.eval("document.scripts.length") == 2)
        check(f"{view}: the name is shown as it is", "</script><script>" in text(browser, "title"))
        check(f"{view}: no problem", not browser.problems(), browser.problems())
    shots(browser, "hostile")


def main():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        print("SKIP: needs a Chromium browser (Debian: apt install chromium)")
        return 77
    make_page = os.path.abspath(sys.argv[1])
    shot_dir = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        browser = Browser(chromium, os.path.join(scratch, "chromium"))
        try:
            for name, test in (("service", test_service), ("large", test_large), ("hostile", test_hostile), ("tasks", test_trees),
                               ("tasks", test_groups), ("tasks", test_marks_look_different), ("tasks", test_waits), ("many", test_many),
                               ("spans", test_filters), ("spans", test_timeline), ("spans", test_timeline_zoom), ("manyspans", test_many_spans)):
                page = pathlib.Path(scratch, name + ".html")
                page.write_bytes(subprocess.run([make_page, name], check=True, stdout=subprocess.PIPE).stdout)
                test(browser, page.as_uri(), lambda b, shot: shot_dir and b.screenshot(shot_dir / f"{shot}.png"))
        finally:
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
