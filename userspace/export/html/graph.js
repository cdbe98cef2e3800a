// SPDX-License-Identifier: Apache-2.0
// Third part of the page's script: the graph on the canvas, its pointer and its keys. It draws what `state`
// and `tree` (page.js) say; boxes narrower than MIN_PX are skipped with all that hangs below them, so a frame
// costs what is seen, not what the profile holds.
/* ---- drawing ---- */

const canvas = $("graph"), ctx = canvas.getContext("2d"), font = getComputedStyle(document.body).fontFamily;
const PAINTS = ["paper", "text", "neutral", "neutral-text", "native", "inlined", "kernel", "mark", "task", "task-text",
	"tiny", "select", "match", "probable"];
let colours = {}, hatches = []; // of the theme; hatches by mark
let view = { from: 0, to: 1 }, rows = 1; // what of the tree is in sight, in its nanoseconds, and its depth
let drawn = null, pending = 0, printing = false;

function readColours() {
	const style = getComputedStyle(document.documentElement);
	const get = (name) => style.getPropertyValue("--g-" + name).trim();
	colours = { cache: new Map() };
	for (const name of PAINTS)
		colours[name] = get(name);
	colours.light = parseFloat(get("light"));
	colours.sat = parseFloat(get("sat"));
	const light = "rgb(255 255 255 / .1)";
	hatches = [hatch(light, 3), hatch(colours.task + "38", 3), hatch(get("neutral"), 1, true), hatch(light, 3, true)];
}

// Diagonal lines, or crossing ones.
function hatch(colour, thick, crossed) {
	const tile = document.createElement("canvas"), c = tile.getContext("2d");
	tile.width = tile.height = 10;
	c.strokeStyle = colour;
	c.lineWidth = thick;
	for (const x of [-10, 0, 10]) {
		c.moveTo(x - 2, 12), c.lineTo(x + 12, -2);
		if (crossed)
			c.moveTo(x - 2, -2), c.lineTo(x + 12, 12);
	}
	c.stroke();
	return ctx.createPattern(tile, "repeat");
}

// A warm colour that depends on the name alone, so that a function looks the same in every profile.
function warm(name) {
	let h = 2166136261;
	for (let i = 0; i < name.length; i++)
		h = Math.imul(h ^ name.charCodeAt(i), 16777619) >>> 0;
	return `hsl(${20 + h % 31} ${colours.sat}% ${colours.light - 6 + (h >>> 8) % 13}%)`;
}

function fillOf(f) {
	let fill = colours.cache.get(f);
	if (!fill) {
		const kind = KINDS[kindOf(f)];
		fill = kind === "python" ? warm(nameOf(f)) : colours[kind] ?? colours.neutral;
		colours.cache.set(f, fill);
	}
	return fill;
}

const isHollow = (f) => ["created", "finished"].includes(MARKS[markOf(f)][2]);

function inkOf(f) {
	const kind = kindOf(f);
	if (kind === TASK)
		return isHollow(f) ? colours["neutral-text"] : colours["task-text"];
	return kind < TASK || KINDS[kind] === "mark" ? colours["neutral-text"] : colours.text;
}

// The rows that the zoomed subtree needs, and the height to scroll through.
function fit() {
	rows = tree.deepest[state.zoom] + 1;
	$("space").style.height = rows * ROW + 2 * PAD + "px";
}

function sizeCanvas() {
	const ratio = window.devicePixelRatio || 1, box = $("scroll");
	const width = box.clientWidth;
	const height = printing ? Math.min(rows * ROW + 2 * PAD, 12000) : box.clientHeight;
	if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
		canvas.width = Math.round(width * ratio);
		canvas.height = Math.round(height * ratio);
		canvas.style.height = height + "px";
	}
	ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
	return { width: width - 2 * PAD, height };
}

function topOf(depth, height) {
	const scrolled = printing ? 0 : $("scroll").scrollTop;
	if (state.view !== "flame")
		return PAD + depth * ROW - scrolled;
	return Math.max(rows * ROW + 2 * PAD, height) - PAD - (depth + 1) * ROW - scrolled;
}

function draw() {
	pending = 0;
	if (!isGraph())
		return;
	const { width, height } = sizeCanvas(), scale = width / (view.to - view.from || 1);
	const slivers = [];
	ctx.fillStyle = colours.paper;
	ctx.fillRect(0, 0, width + 2 * PAD, height);
	ctx.textBaseline = "middle";
	for (let i = 0; i < tree.size;) {
		const left = (tree.start[i] - view.from) * scale, right = left + tree.total[i] * scale;
		const y = topOf(tree.depth[i], height), below = state.view === "flame" ? y + ROW < 0 : y > height;
		if (below || right < 0 || left > width) {
			i = tree.end[i];
		} else if (right - left < MIN_PX) {
			drawSliver(i, Math.floor(left), y, slivers);
			i = tree.end[i];
		} else {
			const x = Math.max(left, 0), w = Math.min(right, width) - x;
			if (y > -ROW && y < height && w > 0)
				drawBox(i, PAD + x, y, Math.max(w - 1, MIN_PX));
			i++;
		}
	}
}

// Whether node i or one below it matches the search.
function holdsMatch(i) {
	let low = 0, high = found.nodes.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if (found.nodes[middle] < i)
			low = middle + 1;
		else
			high = middle;
	}
	return found.nodes[low] < tree.end[i];
}

// A subtree too narrow for boxes, as one column of its height: nothing looks empty that is not. Of those
// that start in one pixel of a row only the ones that add to it are drawn.
function drawSliver(i, x, y, slivers) {
	const depth = tree.depth[i], deepest = tree.deepest[i], last = slivers[depth], match = holdsMatch(i);
	if (last?.x === x && last.deepest >= deepest && last.match >= match)
		return;
	slivers[depth] = { x, deepest, match };
	const height = (deepest - depth) * ROW;
	ctx.fillStyle = match ? colours.match : colours.tiny;
	ctx.fillRect(PAD + x, state.view === "flame" ? y - height : y, 1, height + ROW - 1);
}

function drawBox(i, x, y, w) {
	const f = tree.frame[i], ancestor = i < state.zoom && tree.end[i] > state.zoom;
	const hit = found.frames?.[f], dim = found.frames && !hit;
	ctx.globalAlpha = dim ? 0.3 : ancestor ? 0.5 : 1;
	if (kindOf(f) === TASK && w > 3)
		drawTask(f, x, y, w);
	else {
		ctx.fillStyle = fillOf(f);
		ctx.fillRect(x, y, w, ROW - 1);
	}
	if (dim || ancestor)
		ctx.globalAlpha = 0.7;
	if (w > 26)
		drawLabel(i, x, y, w, dim || ancestor ? colours["neutral-text"] : inkOf(f));
	ctx.globalAlpha = 1;
	if (hit)
		outline(x, y, w, colours.match, 2);
	if (i === selected || i === hovered)
		outline(x, y, w, colours.select, i === selected ? 2 : 1);
}

function outline(x, y, w, colour, thick) {
	ctx.strokeStyle = colour;
	ctx.lineWidth = thick;
	ctx.strokeRect(x + thick / 2, y + thick / 2, Math.max(w - thick, 0.5), ROW - 1 - thick);
}

// Tasks have a shape of their own: rounded and hatched. Weak links and ghosts are hollow with a broken edge.
function drawTask(f, x, y, w) {
	const [, , look] = MARKS[markOf(f)], hollow = isHollow(f);
	ctx.beginPath();
	ctx.roundRect(x + 0.75, y + 0.75, Math.max(w - 1.5, 1), ROW - 2.5, 7);
	ctx.fillStyle = hollow ? colours.paper : colours[look];
	ctx.fill();
	ctx.fillStyle = hatches[markOf(f)];
	ctx.fill();
	if (!hollow)
		return;
	ctx.setLineDash(look === "created" ? [5, 3] : [1.5, 2.5]);
	ctx.strokeStyle = look === "created" ? colours.task : colours["neutral-text"];
	ctx.lineWidth = 1.5;
	ctx.stroke();
	ctx.setLineDash([]);
}

function clip(text, room) {
	const full = ctx.measureText(text).width;
	if (full <= room)
		return { text, width: full };
	let cut = text.slice(0, Math.floor(text.length * room / full));
	while (cut && ctx.measureText(cut + "\u2026").width > room)
		cut = cut.slice(0, -1);
	return { text: cut ? cut + "\u2026" : "", width: room };
}

// What a box says: of several tasks also how many they are.
function labelOf(i) {
	const f = tree.frame[i], n = tree.tasks?.get(i) ?? 1;
	return nameOf(f) + (n > 1 ? ` \u00d7${count(n)}` : "") + (isGroup(f) ? MARKS[markOf(f)][0] : "");
}

function drawLabel(i, x, y, w, ink) {
	const f = tree.frame[i];
	const indent = kindOf(f) === TASK ? 9 : 5, room = w - 2 * indent;
	ctx.font = `${kindOf(f) < PYTHON ? 650 : 400} 12px ${font}`;
	ctx.fillStyle = ink;
	const full = labelOf(i).slice(0, 400), short = /^<task (.+)>$/.exec(full)?.[1];
	const name = clip(short && ctx.measureText(full).width > room ? short : full, room);
	ctx.fillText(name.text, x + indent, y + ROW / 2);
	const rest = room - name.width - 8, where = place(f).split("/").pop();
	if (where && rest > 60) {
		const alpha = ctx.globalAlpha;
		ctx.font = `400 11px ${font}`;
		ctx.globalAlpha = alpha * 0.62;
		ctx.fillText(clip(where, rest).text, x + indent + name.width + 8, y + ROW / 2 + 0.5);
		ctx.globalAlpha = alpha;
	}
}

const between = (a, b, share) => a + (b - a) * share;
const redraw = () => pending ||= requestAnimationFrame(draw);

function animate() {
	const goal = { from: tree.start[state.zoom], to: tree.start[state.zoom] + tree.total[state.zoom] };
	const origin = { ...view }, began = performance.now();
	const still = drawn !== tree || matchMedia("(prefers-reduced-motion: reduce)").matches;
	drawn = tree;
	const step = (now) => {
		const t = still ? 1 : Math.min(1, (now - began) / 160), ease = 1 - (1 - t) ** 3;
		if (animate.last !== step)
			return;
		view = { from: between(origin.from, goal.from, ease), to: between(origin.to, goal.to, ease) };
		draw();
		if (t < 1)
			requestAnimationFrame(step);
	};
	animate.last = step;
	step(began);
}

/* ---- pointer and keys ---- */

function nodeAt(event) {
	const box = canvas.getBoundingClientRect(), width = canvas.clientWidth - 2 * PAD;
	const at = view.from + (event.clientX - box.left - PAD) / width * (view.to - view.from);
	const y = event.clientY - box.top, height = canvas.clientHeight;
	for (let i = 0; i < tree.size;) {
		const top = topOf(tree.depth[i], height);
		if (at < tree.start[i] || at >= tree.start[i] + tree.total[i])
			i = tree.end[i];
		else if (y >= top && y < top + ROW)
			return i;
		else
			i++;
	}
	return -1;
}

function numbersOf(i) {
	const cells = (ns, n) => [time(ns), percent(ns, tree.total[0]), `${count(n)} ${n === 1 ? "sample" : "samples"}`];
	const total = cells(tree.total[i], tree.hits[i]), wall = wallOf(tree, i);
	const clock = wall === undefined ? [] : [["Wall of the tree", time(wall)]];
	if (state.view === "inverted" && i) {
		let leaf = i;
		while (tree.depth[leaf] > 1)
			leaf = tree.parent[leaf];
		const what = leaf === i ? "Self" : `Self time of ${nameOf(tree.frame[leaf])} through here`;
		return [[what, ...total], ...clock];
	}
	return [["Total", ...total], ...clock, ["Self", ...cells(tree.self[i], tree.samples[i])]];
}

// What there is to say about a box beside its numbers, one line each.
function detailsOf(i) {
	const f = tree.frame[i], [, , , kind, mark, , site] = frames[f] ?? [];
	if (f < 0)
		return ["Everything in this profile"];
	const lines = [[KIND_TEXT[kind], place(f)].filter(Boolean).join(" \u00b7 ")];
	if (mark)
		lines.push(MARKS[mark][1]);
	if (site >= 0)
		lines.push(`Created in ${nameOf(site)} (${place(site)})`);
	return lines;
}

function showTip(event) {
	if (hovered < 0)
		$("tip").hidden = true;
	else
		showTipOf(event, labelOf(hovered), detailsOf(hovered), numbersOf(hovered));
}

// A title, lines and a table, beside the pointer.
function showTipOf(event, title, lines, rows) {
	const tip = $("tip"), table = element("table");
	for (const row of rows) {
		const tr = table.appendChild(element("tr"));
		tr.append(...row.map((text) => element("td", text)));
	}
	tip.hidden = false;
	tip.replaceChildren(element("strong", title), ...lines.map((line) => element("em", line)), table);
	const x = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
	const under = event.clientY + 18, over = event.clientY - tip.offsetHeight - 10;
	tip.style.left = Math.max(4, x) + "px";
	tip.style.top = Math.max(4, under + tip.offsetHeight > innerHeight ? over : under) + "px";
}

function showStatus() {
	const i = selected >= 0 ? selected : state.zoom, f = tree.frame[i];
	const numbers = numbersOf(i).map(([what, ns, ...rest]) => `${what} ${ns}` + (rest.length ? ` (${rest.join(", ")})` : ""));
	const text = [labelOf(i), place(f), ...(f < 0 ? [] : detailsOf(i).slice(1)), ...numbers];
	if (tree.size === 1)
		text.splice(0, text.length, isFiltered(state) ? "Nothing in this tree matches the filter." : "There are no samples in this tree.");
	if (tree.cut)
		text.unshift(`Callers beyond ${count(MAX_INVERTED)} boxes are left out of this view`);
	$("status").textContent = text.filter(Boolean).join("  \u00b7  ");
}

function showPath() {
	const path = [];
	for (let i = state.zoom; i >= 0; i = tree.parent[i])
		path.unshift(i);
	$("path").hidden = !isGraph();
	$("path").replaceChildren();
	for (const i of path) {
		const b = element("button", labelOf(i), { type: "button" });
		b.onclick = () => change({ zoom: i });
		if (i === state.zoom)
			b.setAttribute("aria-current", "location");
		$("path").append(...(i ? [element("i", "\u203a")] : []), b);
	}
	$("path").scrollLeft = $("path").scrollWidth;
}

// Select a node and make it visible, at least minPx wide if need be by zooming to it.
function reveal(i, minPx) {
	let zoom = state.zoom;
	while (i < zoom || i >= tree.end[zoom])
		zoom = tree.parent[zoom];
	if (tree.total[i] / (tree.total[zoom] || 1) * canvas.clientWidth < minPx)
		zoom = i;
	selected = i;
	if (zoom !== state.zoom)
		change({ zoom });
	const y = topOf(tree.depth[i], canvas.clientHeight);
	if (y < 0 || y + ROW > canvas.clientHeight)
		$("scroll").scrollTop += y - canvas.clientHeight / 2;
	showStatus();
	redraw();
}

// The neighbour of node i: its widest child, its parent, or the next box of its row.
function neighbour(i, direction) {
	if (direction === "in") {
		let best = -1;
		for (let j = i + 1; j < tree.end[i]; j = tree.end[j])
			if (best < 0 || tree.total[j] > tree.total[best])
				best = j;
		return best;
	}
	if (direction === "out")
		return tree.parent[i];
	let j = direction === "next" ? tree.end[i] : i - 1;
	while (j > 0 && j < tree.size && tree.depth[j] !== tree.depth[i])
		j += direction === "next" ? 1 : -1;
	return j > 0 && j < tree.size ? j : -1;
}

function graphKey(event) {
	const [down, up] = state.view === "flame" ? ["out", "in"] : ["in", "out"];
	const direction = { ArrowDown: down, ArrowUp: up, ArrowLeft: "previous", ArrowRight: "next" }[event.key];
	if (direction) {
		const to = selected < 0 ? state.zoom : neighbour(selected, direction);
		if (to >= 0)
			reveal(to, 0);
	} else if (event.key === "Enter" && selected >= 0) {
		change({ zoom: selected });
	} else {
		return;
	}
	event.preventDefault();
}

function reset() {
	selected = -1;
	$("search").value = "";
	change({ ...NO_FILTER, zoom: 0, query: "", from: 0, to: 0 });
}
