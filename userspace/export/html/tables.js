// SPDX-License-Identifier: Apache-2.0
// Fourth part of the page's script: the views that are tables. Functions with their time, and the longest waits of tasks.

/* ---- functions ---- */

const FUNCTION_COLUMNS = [
	{ id: "name", text: "Function", value: (r) => nameOf(r.frame), isText: true,
		find: (r) => change({ view: "icicle", query: nameOf(r.frame) }) },
	{ id: "place", text: "File", value: (r) => place(r.frame), isText: true },
	{ id: "self", text: "Self", value: (r) => r.self, cell: (r) => time(r.self) },
	{ id: "selfshare", text: "Self %", value: (r) => r.self, cell: (r) => percent(r.self, tree.total[0]) },
	{ id: "total", text: "Total", value: (r) => r.total, cell: (r) => time(r.total) },
	{ id: "totalshare", text: "Total %", value: (r) => r.total, cell: (r) => percent(r.total, tree.total[0]) },
	{ id: "samples", text: "Self samples", value: (r) => r.samples, cell: (r) => count(r.samples) },
];

// Self and total per frame. A frame that recurs in one stack counts once: its outermost node adds to its total.
function totals() {
	const byFrame = new Map(), until = new Map();
	for (let i = 1; i < tree.size; i++) {
		const f = tree.frame[i], r = byFrame.get(f) ?? { frame: f, self: 0, total: 0, samples: 0 };
		byFrame.set(f, r);
		r.self += tree.self[i];
		r.samples += tree.samples[i];
		if (i >= (until.get(f) ?? 0)) {
			r.total += tree.total[i];
			until.set(f, tree.end[i]);
		}
	}
	return [...byFrame.values()].filter((r) => !found.frames || found.frames[r.frame]);
}

/* ---- waits ---- */

const WAIT_COLUMNS = [
	{ id: "task", text: "Task", value: (r) => taskText(r), isText: true, find: (r) => change({ view: "icicle", zoom: nodeOf(r) }) },
	{ id: "where", text: "Waits in", value: (r) => whereText(r), isText: true },
	{ id: "file", text: "File", value: (r) => place(r.python), cell: (r) => short(place(r.python)), isText: true },
	{ id: "sum", text: "Sum of task time", value: (r) => r.sum, cell: (r) => time(r.sum) },
	{ id: "longest", text: "Longest wait", value: (r) => r.longest, cell: (r) => time(r.longest) },
	{ id: "tasks", text: "Tasks", value: (r) => r.tasks.size, cell: (r) => count(r.tasks.size) },
	{ id: "created", text: "Created in", value: (r) => siteText(r, place), cell: (r) => siteText(r, (f) => short(place(f))), isText: true },
	{ id: "process", text: "Process", value: (r) => nameOf(r.process), isText: true },
];

const taskText = (r) => nameOf(r.frame) + (isGroup(r.frame) ? MARKS[markOf(r.frame)][0] : "");
const whereText = (r) => nameOf(r.python) + (r.leaf === r.python ? "" : " \u203a " + nameOf(r.leaf));

// A path by its last two parts.
const short = (path) => path.split("/").slice(-2).join("/");

function siteText(r, placeOf) {
	const site = frames[r.frame]?.[SITE] ?? -1;
	return site < 0 ? "" : `${nameOf(site)} (${placeOf(site)})`;
}

// The frame of this kind that is nearest to the node's root side, the node included; -1 if there is none.
function nearest(base, node, kind) {
	let i = node;
	while (i > 0 && kindOf(base.frame[i]) !== kind)
		i = base.parent[i];
	return i > 0 ? base.frame[i] : -1;
}

// The box of the tree on display that holds most of a row's time.
function nodeOf(r) {
	const shown = treeOf(state, false);
	return shown.place ? shown.place[r.node] : r.node;
}

// One row for the same task (or group) in the same place.
function waits() {
	const base = baseOf(state), groups = groupsOf(state.merge, state.group), rows = new Map();
	const { waits: list = [] } = base, stands = (f) => f < 0 ? f : groups[f];
	for (let k = 0; k < list.length; k += 4) {
		const [node, , sum, longest] = list.slice(k, k + 4), task = nearest(base, node, TASK);
		const frame = stands(task), leaf = stands(base.frame[node]), python = stands(nearest(base, node, PYTHON));
		const process = nearest(base, node, 0), key = [process, frame, leaf, python].join();
		const r = rows.get(key) ?? { frame, leaf, python, process, node, most: sum, sum: 0, longest: 0, tasks: new Set() };
		rows.set(key, r);
		r.sum += sum;
		r.longest = Math.max(r.longest, longest);
		r.tasks.add(frames[task]?.[ID] || task);
		if (sum > r.most)
			r.node = node, r.most = sum;
	}
	const found_ = (r) => [r.frame, r.leaf, r.python].some((f) => found.frames[f]);
	return [...rows.values()].filter((r) => !found.frames || found_(r));
}

/* ---- either ---- */

const TABLES = {
	table: {
		columns: FUNCTION_COLUMNS, sort: "self", rows: totals,
		caption: () => `${state.merge ? "functions" : "functions and lines"}. Total counts a function once per stack, however often it recurs.`,
	},
	waits: {
		columns: WAIT_COLUMNS, sort: "sum", rows: waits,
		caption: () => baseOf(state).waits?.length ?
			"places where tasks wait. A task that waits for another task is counted at that other one. " +
			"Longest is what one task was seen to wait without a break, at most." :
			`places where tasks wait: ${isFiltered(state) ? "what matches the filter" : "this tree"} has no suspended tasks.`,
	},
};

const sortOf = ({ columns, sort }) => columns.some((c) => c.id === state.sort.replace("-", "")) ? state.sort : sort;

// How to sort rows: text from A and numbers from the largest, or with "-" the other way round.
function order(columns, sort) {
	const sign = sort.startsWith("-") ? -1 : 1, { value, isText } = columns.find((c) => c.id === sort.replace("-", ""));
	const compare = (a, b) => isText ? (a > b) - (a < b) : b - a;
	return (a, b) => sign * compare(value(a), value(b)) || a.frame - b.frame;
}

function showTable() {
	const shown = TABLES[state.view], sort = sortOf(shown), rows = shown.rows().sort(order(shown.columns, sort));
	// a column that says nothing anywhere, or the same everywhere although it is no number, is left out
	const says = ({ id, value }) => id !== "process" && id !== "created" || new Set(rows.map(value)).size > 1;
	const columns = shown.columns.filter(says);
	$("heads").replaceChildren(...columns.map((c) => tableHead(c, sort)));
	$("rows").replaceChildren(...rows.slice(0, tableRows).map((r) => tableRow(columns, r)));
	$("caption").textContent = `${count(Math.min(tableRows, rows.length))} of ${count(rows.length)} ${shown.caption()}`;
	$("more").hidden = rows.length <= tableRows;
}

function tableHead({ id, text, isText }, sort) {
	const th = element("th", "", { scope: "col", class: isText ? "text" : "" });
	const b = th.appendChild(element("button", text, { type: "button" }));
	if (sort.replace("-", "") === id)
		th.setAttribute("aria-sort", sort.startsWith("-") === !isText ? "ascending" : "descending");
	b.onclick = () => change({ sort: sort === id ? "-" + id : id });
	return th;
}

function tableRow(columns, r) {
	const tr = element("tr");
	for (const c of columns) {
		const text = (c.cell ?? c.value)(r), td = tr.appendChild(element("td", c.find ? "" : text));
		if (c.isText)
			td.className = "text", td.title = c.value(r);
		if (c.find)
			td.appendChild(element("button", text, { type: "button", title: "Find it" })).onclick = () => c.find(r);
	}
	return tr;
}
