// SPDX-License-Identifier: Apache-2.0
// Fifth part of the page's script: the view with a lane for each span. Lanes are elements, so that keys and readers of screens
// find them; what lies closer together than a bar can show is drawn as one piece.

const LANE_STEP = 200, MAX_DOERS = 8, PIECES = 1000; // pieces: of one lane's width
const LANE_TEXT = "A lane is a span: from its begin to its end where these were seen. An open end (a line that fades) was not: it stands where a " +
	"sample first met the span, or one below it, and where one last met the span, which is longer than that (\u2265). Samples stand for the time since the one before.";
// What the legend says, and the class of its look.
const LANE_LOOKS = [["Seen running", "ran"], ["Seen waiting", "waited"], ["Within the span, no sample", "bar"], ["Begin or end not seen", "bar bar open-from open-to"],
	["\u2715 Ended in an error", "bar bar error"]];
const ORDERS = {
	"": (a, b) => a.from - b.from,
	longest: (a, b) => b.to - b.from - (a.to - a.from),
	errors: (a, b) => b.errors - a.errors || a.from - b.from,
};
let laneRows = LANE_STEP, clock = { from: 0, to: 1 }, dragged = null;

/* ---- lanes ---- */

// What samples saw of each span, by index: moments of running and of waiting, by who did it, and when it was first met. Of one tree:
// they tell the same time.
const seenOf = (() => {
	let all;
	return (span) => {
		all ??= (bases.await ?? bases[profile.tree]).seen?.reduce((of, [, l, ran, ...numbers]) => {
			const { span, task, thread, first } = labels[l];
			if (span >= 0)
				(of[span] ??= []).push({ who: doerName(task, thread), first, ran, moments: moments(numbers) });
			return of;
		}, []) ?? [];
		return all[span.index] ?? [];
	};
})();

const doerName = (task, thread) => task ? task + (thread ? ` (thread ${thread})` : "") : thread ? `thread ${thread}` : "";
const least = (list) => list.reduce((a, b) => Math.min(a, b), Infinity), most = (list) => list.reduce((a, b) => Math.max(a, b), -Infinity);

// A span with what is shown of it. Times are in microseconds.
function laneOf(span) {
	const doers = new Map();
	for (const { who, first, ran, moments } of seenOf(span)) {
		const doer = doers.get(who) ?? { who, first: Infinity, last: -Infinity, ran: [], waited: [] };
		doers.set(who, doer);
		for (const moment of moments) // may be more than a call has room for arguments
			doer[ran ? "ran" : "waited"].push(moment);
		doer.first = Math.min(doer.first, first ?? Infinity);
		doer.last = Math.max(doer.last, moments.at(-1)[1]);
	}
	if (!doers.size && span.task)
		doers.set(span.task, { who: span.task, first: Infinity, last: -Infinity, ran: [], waited: [] });
	return { span, doers: [...doers.values()].sort((a, b) => (a.who > b.who) - (a.who < b.who)) };
}

const within = (moments, from, to) => union(moments.filter((m) => m[1] >= from && m[0] <= to).map((m) => [Math.max(m[0], from), Math.min(m[1], to)]));

// Where a lane begins and ends; both are undefined if nothing tells. When it was met, or a span below it met or begun, it had begun, whatever
// else is told of its begin (that may be when it was taken up again); but of the span below it may have ended before. A sample stands for the time before it, but never for time before the lane's begin, nor,
// of several who did it, for time before this one was first met.
function settle(lane, children) {
	const { from, to } = lane.span, several = lane.doers.length > 1;
	const below = least(children.map((child) => child.from ?? Infinity));
	const first = Math.min(least(lane.doers.map((of) => of.first)), below), last = most([...lane.doers.map((of) => of.last), first]);
	lane.openFrom = from === null || first < from, lane.openTo = to === null;
	const begin = lane.openFrom ? (isFinite(first) ? first : to) : from, end = to ?? (isFinite(last) ? last : from);
	lane.from = begin ?? undefined;
	lane.to = Math.max(end ?? 0, begin ?? 0);
	for (const doer of lane.doers)
		for (const kind of ["ran", "waited"])
			doer[kind] = within(doer[kind], several ? Math.max(begin, doer.first) : begin, lane.to);
	for (const kind of ["ran", "waited"])
		lane[kind] = union(lane.doers.flatMap((doer) => doer[kind].map((moment) => [...moment])));
}

// All lanes, by trace: a trace's spans in the order in which they are shown, each below the one that it hangs below.
const traces = (() => {
	let all;
	const build = () => {
		const lanes = spans.map(laneOf), groups = new Map(), above = (lane) => lane.span.above;
		const begin = (a, b) => (a.from ?? Infinity) - (b.from ?? Infinity) || a.span.index - b.span.index;
		const order = [], todo = spans.filter((span) => !span.above);
		while (todo.length) {
			const span = todo.pop();
			order.push(span);
			todo.push(...span.children);
		}
		for (const span of order.reverse())
			settle(lanes[span.index], span.children.map((child) => lanes[child.index]));
		const keyOf = ({ trace, root, index }) => trace || `${typeof root === "string" || root >= 0 ? root : index}`;
		for (const lane of lanes.filter((l) => !above(l)).sort(begin)) {
			const key = keyOf(lane.span), group = groups.get(key) ?? { trace: lane.span.trace, lanes: [] };
			groups.set(key, group);
			const down = [{ lane, depth: 0 }];
			while (down.length) {
				const next = down.pop();
				next.lane.depth = next.depth;
				group.lanes.push(next.lane);
				const children = next.lane.span.children.map((child) => lanes[child.index]).sort(begin);
				down.push(...children.reverse().map((child) => ({ lane: child, depth: next.depth + 1 })));
			}
		}
		return [...groups.values()].map(spanOfGroup);
	};
	return () => all ??= build();
})();

function spanOfGroup(group) {
	const timed = group.lanes.filter((lane) => lane.from !== undefined);
	const from = least(timed.map((lane) => lane.from)), to = most(timed.map((lane) => lane.to));
	const errors = group.lanes.filter((lane) => lane.span.outcome === ERROR).length;
	const open = group.lanes.some((lane) => lane.openFrom || lane.openTo);
	return { ...group, from: timed.length ? from : 0, to: timed.length ? to : 0, errors, open };
}

/* ---- text ---- */

const laneName = ({ span }) => span.resource || span.name || (span.root === span.index ? span.endpoint : "") || `span ${span.id}`;
const micros = (us) => time(us * 1e3);
const clockText = (us) => (us < 0 ? "\u2212" : "") + micros(Math.abs(us)); // since the first sample's time began

function lengthText(lane) {
	if (lane.from === undefined)
		return "";
	if (lane.to === lane.from && (lane.openFrom || lane.openTo))
		return lane.ran.length + lane.waited.length ? "met once" : lane.openFrom ? "not met" : "no end seen";
	return (lane.openFrom || lane.openTo ? "\u2265 " : "") + micros(lane.to - lane.from);
}

// Everything that there is to say about a lane, as [what, text].
function laneFacts(lane) {
	const { span } = lane, at = (us, open, text) => us === undefined ? "not known" : `${clockText(us)}${open ? ` (${text})` : ""}`;
	const idOf = (other) => other === -1 ? "not known" : typeof other === "string" ? other : spans[other].id;
	const facts = [
		["Outcome", OUTCOMES[span.outcome]], ["Length", lengthText(lane)],
		["Begin", at(lane.from, lane.openFrom, "not seen; first met here")], ["End", at(lane.to, lane.openTo, "not seen; last met here")],
		["Seen running", micros(lengthOf(lane.ran))], ["Seen waiting", micros(lengthOf(lane.waited))],
		["Name", span.name], ["Resource", span.resource], ["Type", span.type], ["Endpoint", span.endpoint],
		["Service", [...new Set([span.service, span.ownService])].filter(Boolean).join(" \u203a ")],
		["Process", `${span.pid}`], ["Thread", span.thread ? `${span.thread}` : ""], ["Tasks", doersText(lane)],
		["Span id", span.id], ["Local root", idOf(span.root)], ["Trace id", span.trace],
	];
	return facts.filter(([, text]) => text);
}

function doersText({ doers }) {
	const more = doers.length - MAX_DOERS;
	return doers.slice(0, MAX_DOERS).map((doer) => doer.who).join(", ") + (more > 0 ? ` and ${count(more)} more` : "");
}

/* ---- drawing ---- */

const shareOf = (us) => (us - clock.from) / (clock.to - clock.from || 1);

// A piece of a track, or null if it is out of sight.
function piece(from, to, look) {
	const left = Math.max(shareOf(from), 0), right = Math.min(shareOf(to), 1);
	if (right < 0 || left > 1 || right < left)
		return null;
	const e = element("i", "", { class: look + (shareOf(from) < 0 ? " cut-from" : "") + (shareOf(to) > 1 ? " cut-to" : "") });
	e.style.left = 100 * left + "%";
	e.style.width = 100 * (right - left) + "%";
	return e;
}

// Pieces that one could not see between are one: as many as there may be, a lane costs no more than its width.
function pieces(moments, offset, look) {
	const gap = (clock.to - clock.from) / PIECES, joined = [];
	for (const [from, to] of moments) {
		const last = joined.at(-1);
		if (last && from - last[1] < gap)
			last[1] = to;
		else
			joined.push([from, to]);
	}
	return joined.map(([from, to]) => piece(from - offset, to - offset, look)).filter(Boolean);
}

function track(lane, doer, offset) {
	const e = element("span", "", { class: "track" }), { span } = lane;
	if (!doer && lane.from !== undefined) {
		const look = ["bar", lane.openFrom ? "open-from" : "", lane.openTo ? "open-to" : "", span.outcome === ERROR ? "error" : ""];
		e.append(...[piece(lane.from - offset, lane.to - offset, look.filter(Boolean).join(" "))].filter(Boolean));
	}
	e.append(...pieces((doer ?? lane).waited, offset, "waited"), ...pieces((doer ?? lane).ran, offset, "ran"));
	return e;
}

function laneElement(lane, offset, passes) {
	const { span, doers } = lane, li = element("li", "", { class: passes ? "lane" : "lane other" });
	const button = li.appendChild(element("button", "", { type: "button", "data-span": span.index, tabindex: "-1" }));
	const what = element("span", "", { class: "what" });
	what.style.paddingLeft = Math.min(lane.depth, 12) * 14 + "px";
	if (span.outcome === ERROR)
		what.append(element("strong", "\u2715 error", { class: "error" }), " ");
	what.append(element("b", laneName(lane)));
	if (doers.length === 1)
		what.append(" ", element("em", doers[0].who));
	button.append(what, element("span", lengthText(lane), { class: "length" }), track(lane, null, offset));
	for (const doer of doers.length > 1 ? doers.slice(0, MAX_DOERS) : []) {
		const row = element("span", doer.who, { class: "what doer" });
		row.style.paddingLeft = Math.min(lane.depth, 12) * 14 + 14 + "px";
		button.append(row, element("span", "", { class: "length" }), track(lane, doer, offset));
	}
	if (doers.length > MAX_DOERS)
		button.append(element("span", `and ${count(doers.length - MAX_DOERS)} more`, { class: "what doer" }));
	button.onclick = () => dragged?.moved || change({ view: "icicle", span: span.id, zoom: 0 }, true);
	button.onmousemove = (event) => dragged || showTipOf(event, laneName(lane), ["Click: the flame graph of this span"], laneFacts(lane));
	button.onmouseleave = () => { $("tip").hidden = true; };
	button.onfocus = () => { $("status").textContent = [laneName(lane), ...laneFacts(lane).map(([fact, text]) => `${fact} ${text}`)].join("  \u00b7  "); };
	return li;
}

function traceElement(group) {
	const li = element("li", "", { class: "trace" }), n = group.lanes.length;
	const b = li.appendChild(element("button", group.trace ? `Trace ${group.trace}` : "No trace id", { type: "button", title: "Only this trace" }));
	b.disabled = !group.trace || state.trace === group.trace;
	b.onclick = () => change({ trace: group.trace, from: 0, to: 0 }, true);
	li.append(` ${count(n)} ${n === 1 ? "span" : "spans"}`);
	if (group.to > group.from)
		li.append(` \u00b7 ${group.open ? "\u2265 " : ""}${micros(group.to - group.from)}`);
	if (group.errors)
		li.append(" \u00b7 ", element("strong", `\u2715 ${count(group.errors)} ${group.errors === 1 ? "error" : "errors"}`, { class: "error" }));
	return li;
}

// Ticks at 1, 2 or 5 times a power of ten.
function showAxis() {
	const width = clock.to - clock.from, rough = width / 8 || 1, power = 10 ** Math.floor(Math.log10(rough));
	const step = [1, 2, 5, 10].map((n) => n * power).find((size) => size >= rough);
	const ticks = [];
	for (let at = Math.ceil(clock.from / step) * step; shareOf(at) < 0.96 && ticks.length < 20; at += step) {
		const tick = element("span", Math.abs(at) < step / 2 ? "0" : clockText(at));
		tick.style.left = 100 * shareOf(at) + "%";
		ticks.push(tick);
	}
	$("axis").replaceChildren(...ticks);
}

// Traces that the filter and the search leave, in their order.
function tracesShown(passes) {
	const test = state.query && isPattern(state.query) ? matcher(state.query) : () => true;
	const found = (lane) => passes[lane.span.index] && [laneName(lane), lane.span.name, lane.span.endpoint, lane.span.id, ...lane.doers.map((d) => d.who)].some(test);
	return traces().filter((group) => group.lanes.some(found)).sort(ORDERS[state.order]);
}

// From the first to the last of what is shown, with a margin for open ends. Times far outside of the capture are not believed.
function wholeClock(groups) {
	const length = meta.duration_ns / 1e3 || Infinity, far = (us) => Math.min(Math.max(us, -length), 2 * length);
	let from = state.align ? 0 : Infinity, to = -Infinity;
	for (const group of groups) {
		from = state.align ? 0 : Math.min(from, far(group.from));
		to = Math.max(to, far(state.align ? group.to - group.from : group.to));
	}
	if (!groups.length || !isFinite(to - from))
		return { from: 0, to: 1 };
	const margin = Math.max((to - from) / 60, 1);
	return { from: from - margin, to: to + margin };
}

// As many traces as there are rows for; the last one perhaps in part. Returns [trace, lanes].
function someOf(groups) {
	const some = [];
	for (let left = laneRows, i = 0; left > 0 && i < groups.length; i++) {
		some.push([groups[i], groups[i].lanes.slice(0, left)]);
		left -= groups[i].lanes.length;
	}
	return some;
}

function showTimeline() {
	const passes = spansPassing(state), all = tracesShown(passes);
	const groups = all.filter((g) => !state.to || state.align || g.from <= state.to && g.to >= state.from), some = someOf(groups);
	// without a choice the time of the lanes that are shown: of a long capture its first traces would be nothing but dots
	clock = state.to ? { from: state.from, to: state.to } : wholeClock(some.map(([group]) => group));
	const items = some.flatMap(([group, lanes]) =>
		[traceElement(group), ...lanes.map((lane) => laneElement(lane, state.align ? group.from : 0, passes[lane.span.index]))]);
	const total = groups.reduce((n, { lanes }) => n + lanes.length, 0), shown = Math.min(total, laneRows);
	$("order").value = state.order;
	$("align").checked = state.align;
	$("whole").hidden = !state.to;
	showAxis();
	$("lanes").replaceChildren(...items);
	$("lanes").querySelector("[data-span]")?.setAttribute("tabindex", "0");
	$("lanes-caption").textContent = captionOf(shown, total, groups.length, all.length);
	$("more-lanes").hidden = shown >= total;
	if (state.query)
		$("matches").replaceChildren(isPattern(state.query) ? `${count(all.length)} ${all.length === 1 ? "trace" : "traces"}` : "Not a valid pattern");
	$("status").textContent = all.length ? "" : isFiltered(state) || state.query ? "No span matches." : "There are no spans in this profile.";
}

function captionOf(shown, total, ngroups, nall) {
	const number = (n, what) => `${count(n)} ${what}${n === 1 ? "" : "s"}`;
	const parts = [`${count(shown)} of ${number(total, "span")} of ${number(ngroups, "trace")}.`];
	if (ngroups < nall)
		parts.push(`Outside of this part of the time: ${number(nall - ngroups, "trace")}.`);
	if (LEFT_OUT)
		parts.push(`${number(LEFT_OUT, "more span")} found no room in this page (${time(LEFT_OUT_NS)} of the time): those without an error, with the least time.`);
	if (NO_ROOM)
		parts.push(`${count(NO_ROOM)} times there was no room in the profile for one more.`);
	return `${parts.join(" ")} Drag over the lanes to zoom in time; + and \u2212 too.`;
}

/* ---- pointer and keys ---- */

function setClock(from, to) {
	if (to - from >= 1)
		change({ from: Math.round(from), to: Math.max(Math.round(to), Math.round(from) + 1) });
}

// By a factor, around the middle or the lane that has the focus.
function zoomClock(factor) {
	const i = document.activeElement?.dataset.span, bar = i && document.activeElement.querySelector(".bar")?.style;
	const middle = bar ? clock.from + (parseFloat(bar.left) + parseFloat(bar.width) / 2) / 100 * (clock.to - clock.from) : (clock.from + clock.to) / 2;
	const half = (clock.to - clock.from) * factor / 2;
	refocused(() => setClock(middle - half, middle + half));
}

// Lanes are made anew: the one that had the focus gets it back.
function refocused(action) {
	const i = document.activeElement?.dataset.span;
	action();
	if (i)
		focusLane($("lanes").querySelector(`[data-span="${i}"]`));
}

function focusLane(button) {
	if (!button)
		return;
	$("lanes").querySelector("[data-span][tabindex='0']")?.setAttribute("tabindex", "-1");
	button.setAttribute("tabindex", "0");
	button.focus();
}

function timelineKey(event) {
	const lanes = [...$("lanes").querySelectorAll("[data-span]")], at = lanes.indexOf(document.activeElement);
	const width = clock.to - clock.from, pan = (by) => refocused(() => setClock(clock.from + by * width, clock.to + by * width));
	const action = {
		ArrowDown: () => focusLane(lanes[at < 0 ? 0 : Math.min(at + 1, lanes.length - 1)]),
		ArrowUp: () => focusLane(lanes[Math.max(at - 1, 0)]),
		ArrowLeft: () => pan(-0.25), ArrowRight: () => pan(0.25),
		"+": () => zoomClock(0.5), "=": () => zoomClock(0.5), "-": () => zoomClock(2),
		0: () => refocused(() => change({ from: 0, to: 0 })),
	}[event.key];
	action?.();
	return !!action;
}

// Dragging over the tracks chooses a part of the time.
function dragClock(event) {
	const box = $("axis").getBoundingClientRect(), at = (x) => Math.min(Math.max((x - box.left) / box.width, 0), 1);
	const mark = $("range");
	if (event.type === "mousedown") {
		dragged = event.button === 0 && event.clientX >= box.left && event.clientX <= box.right ? { from: event.clientX, moved: false } : null;
	} else if (dragged && event.type === "mousemove" && event.buttons) {
		dragged.moved ||= Math.abs(event.clientX - dragged.from) > 4;
		mark.hidden = !dragged.moved;
		$("tip").hidden ||= dragged.moved;
		const [left, right] = [at(dragged.from), at(event.clientX)].sort((a, b) => a - b);
		mark.style.left = box.left + left * box.width + "px";
		mark.style.width = (right - left) * box.width + "px";
	} else if (dragged && event.type === "mouseup") {
		const [left, right] = [at(dragged.from), at(event.clientX)].sort((a, b) => a - b), width = clock.to - clock.from;
		mark.hidden = true;
		if (dragged.moved)
			setClock(clock.from + left * width, clock.from + right * width);
		setTimeout(() => { dragged = null; }); // after the click that this may end in
	}
}

function listenToTimeline() {
	$("order").onchange = () => change({ order: $("order").value });
	$("whole").onclick = () => change({ from: 0, to: 0 });
	$("align").onchange = () => change({ align: $("align").checked, from: 0, to: 0 });
	$("more-lanes").onclick = () => { laneRows += LANE_STEP; showTimeline(); };
	$("timeline").onmousedown = dragClock;
	addEventListener("mousemove", dragClock);
	addEventListener("mouseup", dragClock);
}
