// SPDX-License-Identifier: Apache-2.0
// Last part of the page's script: what the user chose (`state`, mirrored by the URL hash), search,
// header, and the wiring. One way through: an event calls change(), which updates the state and shows all anew.

/* ---- state and URL ---- */

const GRAPHS = ["icicle", "flame", "inverted"];
// from and to: of the timeline, in microseconds; both 0: all of it.
const state = { view: "icicle", tree: profile.tree, zoom: 0, query: "", merge: false, group: false, sort: "", ...NO_FILTER, order: "", align: false, from: 0, to: 0 };
let tree = treeOf(state, false);
let selected = -1, hovered = -1, found = { nodes: [], at: -1 };
let tableRows = TABLE_STEP;
const isTable = () => state.view in TABLES, isGraph = () => GRAPHS.includes(state.view);

function hashOf() {
	const p = new URLSearchParams();
	if (state.view !== "icicle") p.set("view", state.view);
	if (state.tree !== profile.tree) p.set("tree", state.tree);
	if (state.merge) p.set("merge", "1");
	if (state.group) p.set("group", "1");
	if (state.zoom) p.set("zoom", state.zoom);
	if (state.query) p.set("q", state.query);
	if (state.sort) p.set("sort", state.sort);
	for (const name of [...Object.keys(FILTERS), "order"])
		if (state[name]) p.set(name, state[name]);
	if (state.align) p.set("align", "1");
	if (state.to) p.set("from", state.from), p.set("to", state.to);
	return p.toString() && "#" + p;
}

// The tree of the state. The indices of another tree mean nothing in it.
function useTree() {
	const wanted = treeOf(state, state.view === "inverted");
	if (wanted !== tree)
		state.zoom = 0, selected = hovered = -1;
	tree = wanted;
}

function readHash() {
	const p = new URLSearchParams(location.hash.slice(1));
	const view = p.get("view"), sort = p.get("sort") ?? "";
	state.view = [...GRAPHS, ...Object.keys(TABLES), "timeline"].includes(view) ? view : "icicle";
	state.tree = Object.hasOwn(bases, p.get("tree") ?? "") ? p.get("tree") : profile.tree;
	state.merge = p.get("merge") === "1";
	state.group = p.get("group") === "1";
	state.query = p.get("q") ?? "";
	state.sort = Object.values(TABLES).some((t) => t.columns.some((c) => c.id === sort.replace("-", ""))) ? sort : "";
	for (const name of Object.keys(FILTERS))
		state[name] = p.get(name) ?? "";
	state.order = p.get("order") in ORDERS ? p.get("order") : "";
	state.align = p.get("align") === "1";
	[state.from, state.to] = Number(p.get("from")) < Number(p.get("to")) ? [Number(p.get("from")), Number(p.get("to"))] : [0, 0];
	useTree();
	const zoom = Number(p.get("zoom"));
	state.zoom = Number.isInteger(zoom) && zoom > 0 && zoom < tree.size ? zoom : 0;
}

// Change the state, show it, and put it into the URL: zooms and jumps as history entries, the rest in place.
function change(patch, jump) {
	const before = { ...state };
	Object.assign(state, patch);
	useTree();
	if (state.zoom !== before.zoom || jump)
		location.hash = hashOf();
	else
		history.replaceState(null, "", hashOf() || "#");
	show(before.view !== state.view);
}

function show(viewChanged) {
	for (const b of $("views").children)
		b.setAttribute("aria-pressed", b.dataset.view === state.view);
	for (const b of $("trees").children)
		b.setAttribute("aria-pressed", b.dataset.tree === state.tree);
	$("merge").checked = state.merge;
	$("group").checked = state.group;
	if ($("search").value.trim() !== state.query)
		$("search").value = state.query;
	$("scroll").hidden = !isGraph();
	$("table").hidden = !isTable();
	document.body.dataset.view = state.view;
	$("timeline").hidden = state.view !== "timeline";
	$("reset").disabled = !state.zoom && !state.query && !isFiltered(state) && !state.to;
	$("tip").hidden = true;
	search();
	showFilters();
	showAccounts();
	showFacts();
	showWidths();
	showLegend();
	showPath();
	showStatus();
	if (isTable())
		return showTable();
	if (state.view === "timeline")
		return showTimeline();
	fit();
	if (viewChanged)
		$("scroll").scrollTop = state.view === "flame" ? $("scroll").scrollHeight : 0;
	animate();
}

/* ---- search ---- */

function matcher(query) {
	const regex = /^\/(.+)\/$/.exec(query);
	if (regex) {
		const re = new RegExp(regex[1], "i");
		return (text) => re.test(text);
	}
	const plain = query.toLowerCase();
	return (text) => text.toLowerCase().includes(plain);
}

function search() {
	const old = found;
	found = { nodes: [], at: -1, frames: null };
	let share = 0, message = "";
	$("search").removeAttribute("aria-invalid");
	try {
		const test = state.query && matcher(state.query);
		if (test)
			found.frames = frames.map((_, f) => test(nameOf(f)) || test(place(f)));
		if (test) // and what stands for a task that matches
			sameCoroutine.forEach((to, f) => found.frames[to] ||= found.frames[f]);
	} catch {
		$("search").setAttribute("aria-invalid", "true");
		message = "Not a valid pattern";
	}
	for (let i = 1, counted = 0; found.frames && i < tree.size; i++) {
		if (!found.frames[tree.frame[i]])
			continue;
		found.nodes.push(i);
		if (i >= counted) {
			share += tree.total[i];
			counted = tree.end[i];
		}
	}
	found.at = found.nodes.indexOf(old.nodes[old.at]);
	$("matches").replaceChildren(message);
	if (found.frames)
		$("matches").replaceChildren(element("b", count(found.nodes.length)),
			` ${found.nodes.length === 1 ? "match" : "matches"} \u00b7 ${percent(share, tree.total[0])} of the total`);
}

function nextMatch(step) {
	const n = found.nodes.length;
	if (!n || !isGraph())
		return;
	found.at = found.at < 0 ? (step > 0 ? 0 : n - 1) : (found.at + step + n) % n;
	reveal(found.nodes[found.at], 3);
}

/* ---- header ---- */

const counters = new Map();
for (const [name, text, value, loss] of meta.counters ?? [])
	counters.set(name, { text: `${count(value)} ${text}`, value, loss });
const counter = (name) => counters.get(name)?.value ?? 0;
// What each kind of due moment must add up to (include/coroscope/status.h).
const ACCOUNTS = [
	["CPU ticks due", ["TICKS", "IDLE_ASLEEP", "MISSED"],
		["SAMPLES", "IDLE", "IDLE_ASLEEP", "OTHER", "RING_FULL", "NESTED", "MISSED"]],
	["visits to sleeping threads due", ["WALL_THREADS"],
		["WALL_SAMPLES", "WALL_SAME", "WALL_RUNNING", "WALL_TORN", "WALL_RING_FULL"]],
	["passes over tasks due", ["PASSES", "PASSES_MISSED"],
		["PASSES_QUIET", "PASSES_IN_TASK", "PASSES_PER_TASK", "PASSES_FAILED", "PASSES_MISSED"]],
	["blocks", ["OFF_BLOCKS"], ["OFF_SAMPLES", "OFF_SHORT", "OFF_THINNED", "OFF_NESTED", "OFF_RING_FULL"]],
];

function accountLine([title, due, parts]) {
	const sum = (names) => names.reduce((total, name) => total + counter(name), 0);
	const line = element("div"), left = sum(due) - sum(parts);
	line.append(element("b", count(sum(due))), ` ${title} = `);
	const items = parts.filter(counter).map((name) => counters.get(name));
	if (left)
		items.push({ loss: true, text: `${count(left)} not accounted for` });
	items.forEach((c, i) => line.append(i ? " + " : "", element("span", c.text, { class: c.loss ? "loss" : "" })));
	return sum(due) ? line : null;
}

function showAccounts() {
	const lines = ACCOUNTS.map(accountLine).filter(Boolean), inLines = ACCOUNTS.flatMap((a) => a[2]);
	const losses = [...counters].filter(([, c]) => c.loss);
	const other = losses.filter(([name]) => !inLines.includes(name));
	$("due").replaceChildren(...lines);
	if (other.length)
		$("due").append(element("div", other.map(([, c]) => c.text).join(" \u00b7 "), { class: "loss" }));
	if (isFiltered(state))
		$("due").append(element("div", "These accounts are of the whole capture, not of what matches the filter."));
	if (!meta.counters)
		$("due").textContent = "This capture holds no accounts: how much it lost is not known.";
	$("accounts").hidden = !counters.size;
	$("accounts-summary").textContent = `All counters (${losses.length || "no"} kinds of loss)`;
	$("counters").replaceChildren(...[...counters.values()].map((c) => element("li", c.text, { class: c.loss ? "loss" : "" })));
}

function showFacts() {
	const hz = (n) => `${n >= 100 ? Math.round(n) : Number(n.toPrecision(3))}\u202fHz`;
	const perCpu = (counter("TICKS") + counter("IDLE_ASLEEP") - counter("RING_FULL") - counter("NESTED")) / (meta.duration_ns / 1e9) / meta.ncpu;
	const ends = ["", " (interrupted)", " (targets ended)", " (capture file full)"];
	const started = new Date(meta.start_ns / 1e6).toISOString().replace("T", " ").slice(0, 19) + " UTC";
	const lost = counter("RING_FULL") + counter("NESTED") + counter("MISSED");
	const due = counter("TICKS") + counter("IDLE_ASLEEP") + counter("MISSED");
	const facts = [
		["Host", meta.host || "unknown"],
		["Started", meta.start_ns ? started : "unknown"],
		["Duration", meta.duration_ns ? time(meta.duration_ns) + (!meta.partial && ends[meta.end_reason] || "") : "unknown"],
		["Mode", meta.off_cpu ? "Off CPU: blocked only" : meta.wall ? "Wall clock: running and waiting" : "CPU: running only"],
		...(meta.off_cpu ? [] : [
			["Rate requested", meta.interval_ns ? hz(1e9 / meta.interval_ns) : "unknown"],
			["Rate achieved", perCpu > 0 && isFinite(perCpu) ? `${hz(perCpu)} on ${count(meta.ncpu)} CPUs` : "unknown"],
		]),
		[meta.off_cpu ? "Blocks" : "Samples", count(baseOf(state).hits[0])],
		[meta.off_cpu ? "Blocked time" : !meta.wall ? "CPU time" : state.tree === "threads" ? "Sum of thread time" : "Sum of task time", time(baseOf(state).total[0])],
	];
	const wall = wallOf(tree, 0);
	if (wall !== undefined)
		facts.push(["Wall of the tree", time(wall)]);
	if (lost)
		facts.push(["CPU ticks lost", `${count(lost)} (${percent(lost, due)})`]);
	$("facts").replaceChildren(...facts.map(([name, value]) => {
		const div = element("div", "", name === "CPU ticks lost" ? { class: "loss" } : {});
		div.append(element("dt", name), element("dd", value));
		return div;
	}));
}

function showHeader() {
	const command = meta.command || "Profile";
	document.title = `${command} \u2013 coroscope`;
	$("title").replaceChildren(command, element("span", "  \u00b7  coroscope"));
	$("title").title = command;
	$("partial").hidden = !meta.partial;
	$("notes").hidden = !meta.notes.length;
	$("notes").open = meta.notes.length < 4;
	$("notes-summary").textContent = `Notes (${meta.notes.length})`;
	$("note-list").replaceChildren(...meta.notes.map((note) => element("li", note)));
}

/* ---- filters ---- */

const MAX_COMPLETIONS = 500;

function makeFilters() {
	for (const [name, { text, hint, values }] of Object.entries(FILTERS)) {
		const label = element("label", text + " ", { class: "check", title: `${hint}. A part of it will do, or /regex/` });
		const input = label.appendChild(element("input", "", { type: "search", id: "filter-" + name, placeholder: "any", list: "all-" + name, spellcheck: "false", autocomplete: "off" }));
		const list = label.appendChild(element("datalist", "", { id: "all-" + name }));
		list.append(...[...values].sort().slice(0, MAX_COMPLETIONS).map((value) => element("option", "", { value })));
		let typing = 0;
		input.oninput = () => {
			clearTimeout(typing);
			typing = setTimeout(() => change({ [name]: input.value.trim() }), 120);
		};
		$("share").before(label);
	}
}

// One value tells nothing apart, except an endpoint from all that is none.
function showFilters() {
	const least = { service: 2 };
	for (const [name, { values }] of Object.entries(FILTERS)) {
		const input = $("filter-" + name);
		input.parentNode.hidden = values.size < (least[name] ?? 1) && !state[name];
		input.setAttribute("aria-invalid", !isPattern(state[name]));
		if (input.value.trim() !== state[name])
			input.value = state[name];
	}
	$("filters").hidden = [...$("filters").querySelectorAll("label")].every((label) => label.hidden);
	const whole = bases[state.tree].total[0], part = baseOf(state).total[0];
	const wrong = Object.keys(FILTERS).some((name) => !isPattern(state[name]));
	$("share").textContent = wrong ? "Not a valid pattern" : isFiltered(state) ? `${time(part)} of ${time(whole)} (${percent(part, whole)})` : "";
}

function showWidths() {
	if (state.view === "timeline")
		return $("widths").replaceChildren(LANE_TEXT);
	const task = "every suspended task that waits for no other counts its whole interval, as does every thread";
	const widths = meta.off_cpu ? "the time that threads were off the CPU, summed over all of them" :
		!meta.wall ? "CPU time, summed over all threads" :
		state.tree === "threads" ? "the time of all threads, running or waiting" :
		`the sum of task time: ${task}, so a tree can be wider than the clock`;
	const wall = "Wall of the tree is the time on the clock in which at least one of its samples existed; a sample stands for the interval that it ends.";
	$("widths").textContent = `Widths are ${widths}. ` + (wallOf(tree, 0) === undefined ? "" : wall);
}

function showLegend() {
	const used = new Set(frames.map((f) => f[3])), items = [];
	const warmth = [22, 48].map((hue) => `hsl(${hue} ${colours.sat}% ${colours.light}%)`).join();
	const item = (text, background, style) => {
		const li = element("li"), swatch = li.appendChild(element("i", "", { class: style ?? "" }));
		if (background)
			swatch.style.background = background;
		li.append(text);
		items.push(li);
	};
	if (state.view === "timeline") {
		for (const [text, look] of LANE_LOOKS)
			item(text, "", "lane-" + look);
		return $("legend").replaceChildren(...items);
	}
	if (used.has(0) || used.has(1))
		item("Process, thread", colours.neutral);
	const marks = new Set(frames.map((f) => f[MARK]));
	MARKS.forEach(([, text, look], mark) => marks.has(mark) && item(text, "", "task " + look));
	for (let kind = PYTHON; kind < KINDS.length; kind++)
		if (used.has(kind))
			item(KIND_TEXT[kind], colours[KINDS[kind]] ?? `linear-gradient(90deg, ${warmth})`);
	item("Too narrow to draw", colours.tiny);
	$("legend").replaceChildren(...items);
}

function setTheme(theme) {
	document.documentElement.dataset.theme = theme;
	readColours();
	showLegend();
	redraw();
}

function storedTheme() {
	try {
		return localStorage.getItem("coroscope-theme");
	} catch {
		return null; // storage is off for this page: the system's theme then
	}
}

function toggleTheme() {
	const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
	setTheme(theme);
	try {
		localStorage.setItem("coroscope-theme", theme);
	} catch {
		// not remembered, still switched
	}
}

/* ---- wiring ---- */

function listen() {
	let typing = 0;
	for (const b of $("views").children)
		b.onclick = () => change({ view: b.dataset.view });
	for (const name of Object.keys(TREES).filter((name) => bases[name])) {
		const b = $("trees").appendChild(element("button", TREES[name], { type: "button", "data-tree": name }));
		b.onclick = () => change({ tree: name });
	}
	$("views").querySelector("[data-view=timeline]").hidden = !spans.length;
	makeFilters();
	listenToTimeline();
	$("trees").hidden = Object.keys(bases).length < 2;
	$("grouping").hidden = !frames.some((f) => f[KIND] === TASK);
	$("group").onchange = () => change({ group: $("group").checked });
	$("merge").onchange = () => change({ merge: $("merge").checked });
	$("theme").onclick = toggleTheme;
	$("reset").onclick = reset;
	$("more").onclick = () => { tableRows += TABLE_STEP; showTable(); };
	const apply = () => { clearTimeout(typing); change({ query: $("search").value.trim() }); };
	$("search").oninput = () => { clearTimeout(typing); typing = setTimeout(apply, 120); };
	$("search").onkeydown = (event) => {
		if (event.key === "Enter") {
			apply();
			nextMatch(event.shiftKey ? -1 : 1);
		}
	};
	canvas.onmousemove = (event) => { hovered = nodeAt(event); showTip(event); redraw(); };
	canvas.onmouseleave = () => { hovered = -1; $("tip").hidden = true; redraw(); };
	canvas.onclick = (event) => { const i = nodeAt(event); if (i >= 0) { selected = i; change({ zoom: i }); } };
	canvas.onkeydown = graphKey;
	$("scroll").onscroll = redraw;
	new ResizeObserver(redraw).observe($("scroll"));
	addEventListener("resize", redraw);
	addEventListener("hashchange", () => {
		const before = state.view;
		if (location.hash === hashOf())
			return;
		readHash();
		show(state.view !== before);
	});
	addEventListener("keydown", pageKey);
	listenToPrinter();
}

// The keys that work anywhere but in a field; Escape works there too.
function pageKey(event) {
	const typed = event.target.matches("input:not([type=checkbox]), select") || event.ctrlKey || event.metaKey || event.altKey;
	if (event.key === "Escape") {
		reset();
	} else if (typed) {
		return;
	} else if (event.key === "/") {
		event.preventDefault();
		$("search").focus();
		$("search").select();
	} else if (event.key === "f" && !$("filters").hidden) {
		event.preventDefault();
		$("filters").querySelector("label:not([hidden]) input").focus();
	} else if (event.key === "l" && spans.length) {
		change({ view: state.view === "timeline" ? "icicle" : "timeline" });
	} else if (state.view === "timeline" && timelineKey(event)) {
		event.preventDefault();
	} else if (event.key === "g" && !$("grouping").hidden) {
		change({ group: !state.group });
	} else if (event.key === "t") {
		const names = Object.keys(TREES).filter((name) => bases[name]);
		change({ tree: names[(names.indexOf(state.tree) + 1) % names.length] });
	}
}

// On paper: light, and the whole height of the graph.
function listenToPrinter() {
	let screenTheme = "light";
	addEventListener("beforeprint", () => {
		screenTheme = document.documentElement.dataset.theme;
		printing = true;
		setTheme("light");
		draw();
	});
	addEventListener("afterprint", () => {
		printing = false;
		setTheme(screenTheme);
		draw();
	});
}

setTheme(storedTheme() ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
showHeader();
listen();
readHash();
show(true);
