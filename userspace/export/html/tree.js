// SPDX-License-Identifier: Apache-2.0
// First part of the page's script: the profile's texts and its trees. Nothing here draws or listens.
// Names are foreign text: they reach the page only through textContent and canvas text, never as markup.
"use strict";
const $ = (id) => document.getElementById(id);
const profile = JSON.parse($("profile").textContent);
const { meta, strings, frames } = profile;
const ROW = 20, PAD = 8, MIN_PX = 0.5, TABLE_STEP = 500, MAX_INVERTED = 2e6;
// By enum cs_frame_kind.
const KINDS = ["process", "thread", "task", "python", "native", "kernel", "mark", "inlined"];
const KIND_TEXT = ["Process", "Thread", "asyncio task", "Python", "Native", "Kernel", "Mark", "Inlined into native"];
const TASK = 2, PYTHON = 3;
// Members of a frame, in the order of export/html_trees.h; those from MARK on are a task's.
const NAME = 0, FILE = 1, LINE = 2, KIND = 3, MARK = 4, CORO = 5, SITE = 6, ID = 7;
// By enum cs_task_mark: what a box's text says, what the legend says, and the class of its colours.
const MARKS = [
	["", "asyncio task", "task"],
	[" (created)", "Created by what it stands below, which does not wait for it (weak link)", "created"],
	[" (finished)", "Finished, but what it created lives on (ghost)", "finished"],
	[" (probable)", "Probable waiter: the link leads through code that is not asyncio's", "probable"],
];
const TREES = { await: "Await tree", creation: "Creation tree", threads: "Threads" };

/* ---- text ---- */

const nameOf = (f) => f < 0 ? "all" : strings[frames[f][NAME]];
const fileOf = (f) => f < 0 ? "" : strings[frames[f][FILE]];
const kindOf = (f) => f < 0 ? 0 : frames[f][KIND];
const lineOf = (f) => f < 0 || state.merge ? 0 : frames[f][LINE];
const markOf = (f) => frames[f]?.[MARK] ?? 0;
const isGroup = (f) => f >= firstGroup;
const place = (f) => fileOf(f) + (lineOf(f) ? ":" + lineOf(f) : "");
const count = (n) => n.toLocaleString("en");

function percent(part, whole) {
	const share = whole ? 100 * part / whole : 0;
	return share.toFixed(share && share < 0.1 ? 3 : 1) + "\u202f%";
}

function time(ns) {
	const units = [[1e9, "s"], [1e6, "ms"], [1e3, "\u00b5s"], [0, "ns"]];
	const [size, unit] = units.find(([at]) => ns >= at);
	const value = ns / (size || 1);
	if (unit === "s" && value >= 120)
		return `${count(Math.floor(value / 60))}\u202fmin ${Math.floor(value % 60)}\u202fs`;
	return `${value >= 100 || !size ? Math.round(value) : value.toPrecision(3)}\u202f${unit}`;
}

function element(tag, text, attributes) {
	const e = document.createElement(tag);
	e.textContent = text ?? "";
	for (const [key, value] of Object.entries(attributes ?? {}))
		e.setAttribute(key, value);
	return e;
}

/* ---- trees: parallel arrays in preorder, so that end[i] skips the subtree of i ---- */

function finishTree({ parent, frame, self, samples, ...rest }) {
	const n = parent.length, depth = new Uint32Array(n), end = new Uint32Array(n), deepest = new Uint32Array(n);
	const total = Float64Array.from(self), hits = Float64Array.from(samples);
	const start = new Float64Array(n), used = new Float64Array(n);
	for (let i = 1; i < n; i++)
		depth[i] = depth[parent[i]] + 1;
	for (let i = n - 1, p; i >= 0; i--) {
		end[i] ||= i + 1;
		deepest[i] ||= depth[i];
		if ((p = parent[i]) < 0)
			break;
		end[p] ||= end[i];
		deepest[p] = Math.max(deepest[p], deepest[i]);
		total[p] += total[i];
		hits[p] += hits[i];
	}
	for (let i = 1; i < n; i++) {
		start[i] = start[parent[i]] + used[parent[i]];
		used[parent[i]] += total[i];
	}
	return { parent, frame, self, samples, total, hits, depth, deepest, start, end, size: n, walls: new Map(), ...rest };
}

// Merge the nodes of base by groupOf (frame -> frame), from the root down or from the leaves up. In the result
// tasks says how many tasks are one box, and place where a node's own time went.
function regroup(base, groupOf, inverted) {
	const parent = [-1], frame = [-1], self = [0], samples = [0], ids = new Map(), tasks = new Map();
	const width = frames.length;
	let cut = false;
	const child = (p, f) => {
		const key = p * width + groupOf[f];
		let id = ids.get(key);
		if (id === undefined) {
			id = parent.length;
			ids.set(key, id);
			parent.push(p), frame.push(groupOf[f]), self.push(0), samples.push(0);
		}
		if (frames[f][KIND] === TASK)
			tasks.set(id, (tasks.get(id) ?? new Set()).add(frames[f][ID] || f));
		return id;
	};
	const placeOf = new Uint32Array(base.size);
	for (let i = 0; i < base.size; i++) {
		let at = 0;
		if (!inverted && i)
			at = child(placeOf[base.parent[i]], base.frame[i]);
		else if (inverted && (base.self[i] || base.samples[i]))
			for (let j = i; j > 0 && !(cut ||= parent.length > MAX_INVERTED); j = base.parent[j])
				at = child(at, base.frame[j]);
		placeOf[i] = at;
		self[at] += base.self[i];
		samples[at] += base.samples[i];
	}
	const { index, ...ordered } = preorder(parent, frame, self, samples);
	return finishTree({
		...ordered, cut, base, place: placeOf.map((i) => index[i]),
		tasks: new Map([...tasks].map(([i, set]) => [index[i], set.size])),
	});
}

// Nodes in any order -> preorder with siblings in the order of their frames, in linear time.
function preorder(parent, frame, self, samples) {
	const none = (size) => new Int32Array(size).fill(-1), n = parent.length;
	const ofFrame = none(frames.length), next = none(n), first = none(n), sibling = none(n);
	for (let i = 1; i < n; i++) {
		next[i] = ofFrame[frame[i]];
		ofFrame[frame[i]] = i;
	}
	for (let f = frames.length - 1; f >= 0; f--)
		for (let i = ofFrame[f]; i >= 0; i = next[i]) {
			sibling[i] = first[parent[i]];
			first[parent[i]] = i;
		}
	const order = [], index = new Int32Array(n);
	for (let i = 0; i >= 0;) {
		index[i] = order.length;
		order.push(i);
		if (first[i] >= 0) {
			i = first[i];
			continue;
		}
		while (i > 0 && sibling[i] < 0)
			i = parent[i];
		i = i > 0 ? sibling[i] : -1;
	}
	return {
		index, parent: order.map((i) => i ? index[parent[i]] : -1), frame: order.map((i) => frame[i]),
		self: order.map((i) => self[i]), samples: order.map((i) => samples[i]),
	};
}

// Frames of one function, whatever their line, are neighbours in the order of frames.
const functionOf = (() => {
	const seen = new Map();
	return frames.map(([name, file, , kind], i) => {
		const key = `${name},${file},${kind}`;
		if (!seen.has(key))
			seen.set(key, i);
		return seen.get(key);
	});
})();

// Tasks that look the same, neighbours too.
const sameName = (() => {
	const same = (a, b) => a && [NAME, FILE, LINE, KIND, MARK].every((k) => a[k] === b[k]);
	let first = 0;
	return frames.map((frame, i) => first = same(frames[i - 1], frame) ? first : i);
})();

// Tasks of one coroutine, created at one place: a frame of their own stands for them, behind all others. One whose
// coroutine was never seen stays with its name.
const firstGroup = frames.length;
const sameCoroutine = (() => {
	const coroutines = new Map(), groups = new Map();
	for (const frame of frames)
		if (frame[CORO] >= 0)
			coroutines.set(frame[ID], frame[CORO]);
	return frames.map((frame, i) => {
		const coro = coroutines.get(frame[ID]);
		if (frame[KIND] !== TASK || coro === undefined)
			return sameName[i];
		const key = `${coro},${frame[SITE]},${frame[MARK]}`;
		if (!groups.has(key)) {
			groups.set(key, firstGroup + groups.size);
			frames.push([...frames[coro].slice(0, KIND), TASK, frame[MARK], coro, frame[SITE], 0]);
		}
		return groups.get(key);
	});
})();

/* ---- the tree that is shown ---- */

const bases = Object.fromEntries(Object.entries(profile.trees).map(([name, nodes]) => [name, finishTree(nodes)]));
let filtered = { key: "", ok: null, bases: {}, trees: {} }; // of the filter that was asked for last

// Only samples of these labels (ok[labels]), and the boxes that they need.
function filterTree({ size, parent, frame, self, samples, parts, waits = [], seen = [] }, ok) {
	const kept = { self: new Float64Array(size), samples: new Float64Array(size) }, needed = new Uint8Array(size);
	parts ??= self.flatMap((ns, i) => ns || samples[i] ? [i, 0, ns, samples[i]] : []);
	for (let k = 0; k < parts.length; k += 4)
		if (ok[parts[k + 1]]) {
			kept.self[parts[k]] += parts[k + 2];
			kept.samples[parts[k]] += parts[k + 3];
			needed[parts[k]] = 1;
		}
	for (let i = size - 1; i > 0; i--)
		if (needed[i])
			needed[parent[i]] = 1;
	const order = [], index = new Int32Array(size).fill(-1);
	for (let i = 0; i < size; i++)
		if (needed[i] || !i)
			index[i] = order.push(i) - 1;
	const fours = (list) => Array.from({ length: list.length / 4 }, (_, k) => list.slice(4 * k, 4 * k + 4));
	return finishTree({
		parent: order.map((i) => i ? index[parent[i]] : -1), frame: order.map((i) => frame[i]),
		self: order.map((i) => kept.self[i]), samples: order.map((i) => kept.samples[i]),
		waits: fours(waits).filter(([, of]) => ok[of]).flatMap(([node, ...rest]) => [index[node], ...rest]),
		seen: seen.filter(([, of]) => ok[of]).map(([node, ...rest]) => [index[node], ...rest]),
	});
}

// Without regrouping; of the whole profile, or of what passes the filter.
function baseOf({ tree: name, ...wanted }) {
	const key = filterKey(wanted);
	if (key !== filtered.key)
		filtered = { key, ok: labelsPassing(wanted), bases: {}, trees: {} };
	return filtered.bases[name] ??= filtered.ok ? filterTree(bases[name], filtered.ok) : bases[name];
}

// frame -> the frame that stands for it.
function groupsOf(merge, group) {
	return sameName.map((same, i) => kindOf(i) === TASK ? (group ? sameCoroutine : sameName)[i] : merge ? functionOf[i] : i);
}

function treeOf(wanted, inverted) {
	const base = baseOf(wanted), { tree: name, merge, group } = wanted;
	return filtered.trees[`${name},${merge},${group},${inverted}`] ??= (() => {
		const groups = groupsOf(merge, group);
		const asItIs = !inverted && groups.every((to, f) => to === f);
		return asItIs ? { ...base, base } : regroup(base, groups, inverted);
	})();
}

/* ---- the clock ---- */

// What "seen" says after a node, its labels and whether it ran: from, length, gap, length and so on, as [from, to].
function moments(numbers) {
	const spans = [];
	for (let k = 0, now = 0; k < numbers.length; k += 2) {
		const from = now + numbers[k];
		now = from + numbers[k + 1];
		spans.push([from, now]);
	}
	return spans;
}

// Moments that overlap or touch as one, in the order of time.
function union(spans) {
	const all = [];
	for (const [from, to] of spans.sort((a, b) => a[0] - b[0])) {
		const last = all.at(-1);
		if (last && from <= last[1])
			last[1] = Math.max(last[1], to);
		else
			all.push([from, to]);
	}
	return all;
}

const lengthOf = (spans) => spans.reduce((sum, [from, to]) => sum + to - from, 0);

// Nanoseconds during which at least one sample at or above node i existed; undefined if the profile does not tell.
function wallOf(t, i) {
	if (t.walls.has(i))
		return t.walls.get(i);
	const at = (node) => t.place ? t.place[node] : node, within = ([node]) => at(node) >= i && at(node) < t.end[i];
	const spans = (t.base.seen ?? []).filter(within).flatMap(([, , , ...numbers]) => moments(numbers));
	t.walls.set(i, spans.length ? lengthOf(union(spans)) * 1e3 : undefined);
	return t.walls.get(i);
}
