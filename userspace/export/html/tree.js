// SPDX-License-Identifier: Apache-2.0
// First third of the page's script: the profile's texts and its trees. Nothing here draws or listens.
// Names are foreign text: they reach the page only through textContent and canvas text, never as markup.
"use strict";
const $ = (id) => document.getElementById(id);
const profile = JSON.parse($("profile").textContent);
const { meta, strings, frames } = profile;
const ROW = 20, PAD = 8, MIN_PX = 0.5, TABLE_STEP = 500, MAX_INVERTED = 2e6;
// By enum cs_frame_kind.
const KINDS = ["process", "thread", "task", "python", "native", "kernel", "mark"];
const KIND_TEXT = ["Process", "Thread", "asyncio task", "Python", "Native", "Kernel", "Mark"];
const TASK = 2, PYTHON = 3;

/* ---- text ---- */

const nameOf = (f) => f < 0 ? "all" : strings[frames[f][0]];
const fileOf = (f) => f < 0 ? "" : strings[frames[f][1]];
const kindOf = (f) => f < 0 ? 0 : frames[f][3];
const lineOf = (f) => f < 0 || state.merge ? 0 : frames[f][2];
const isGhost = (f) => kindOf(f) === TASK && /\((created|finished)\)>$/.test(nameOf(f));
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

function finishTree({ parent, frame, self, samples, cut }) {
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
	return { parent, frame, self, samples, total, hits, depth, deepest, start, end, size: n, cut };
}

// Merge the nodes of base by groupOf (frame -> frame), from the root down or from the leaves up.
function regroup(base, groupOf, inverted) {
	const parent = [-1], frame = [-1], self = [0], samples = [0], ids = new Map();
	const width = frames.length;
	let cut = false;
	const child = (p, f) => {
		const key = p * width + f;
		let id = ids.get(key);
		if (id === undefined) {
			id = parent.length;
			ids.set(key, id);
			parent.push(p), frame.push(f), self.push(0), samples.push(0);
		}
		return id;
	};
	const placeOf = new Uint32Array(base.size);
	for (let i = 0; i < base.size; i++) {
		let at = 0;
		if (!inverted && i)
			at = placeOf[i] = child(placeOf[base.parent[i]], groupOf[base.frame[i]]);
		else if (inverted && (base.self[i] || base.samples[i]))
			for (let j = i; j > 0 && !(cut ||= parent.length > MAX_INVERTED); j = base.parent[j])
				at = child(at, groupOf[base.frame[j]]);
		self[at] += base.self[i];
		samples[at] += base.samples[i];
	}
	return finishTree({ ...preorder(parent, frame, self, samples), cut });
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
		parent: order.map((i) => i ? index[parent[i]] : -1), frame: order.map((i) => frame[i]),
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
const sameLine = frames.map((_, i) => i);
const trees = { "false,false": finishTree(profile.nodes) };

function treeOf(merge, inverted) {
	return trees[`${merge},${inverted}`] ??=
		regroup(trees["false,false"], merge ? functionOf : sameLine, inverted);
}
