// SPDX-License-Identifier: Apache-2.0
// Second part of the page's script: the spans, whose each sample is, and the filters by them. Nothing here draws or listens.

// Members as html_spans.h tells them. root and parent: index of a span, -1 if there is none, or the id of one that is not here.
const SPAN = ["id", "root", "parent", "trace", "pid", "service", "endpoint", "name", "resource", "ownService", "type", "thread",
	"task", "outcome", "from", "to"];
const SPAN_TEXTS = ["trace", "service", "endpoint", "name", "resource", "ownService", "type", "task"];
const LABELS = ["service", "endpoint", "span", "task", "thread", "first"], LABEL_TEXTS = ["service", "endpoint", "task", "thread"];
const OUTCOMES = ["not known", "no error", "error"], ERROR = 2; // by enum cs_outcome

function named(names, asText) {
	return (row) => Object.fromEntries(names.map((name, k) => [name, asText.includes(name) ? profile.spans.texts[row[k]] : row[k]]));
}

const spans = profile.spans.rows.map(named(SPAN, SPAN_TEXTS)).map((span, index) => ({ ...span, index, children: [] }));
const labels = profile.spans.labels.map(named(LABELS, LABEL_TEXTS));
const [LEFT_OUT, LEFT_OUT_NS, NO_ROOM] = profile.spans.left;

// A span hangs below its parent, or below its local root where the parent is not here. Foreign ids may make rings: they end.
for (const span of spans) {
	const to = [span.parent, span.root].find((at) => at >= 0 && at !== span.index);
	let above = spans[to];
	while (above && above !== span)
		above = above.above;
	span.above = above ? undefined : spans[to];
	span.above?.children.push(span);
}

/* ---- filters ---- */

// By name in the state and the URL: what they are called, and what a span or labels have to match.
const FILTERS = {
	endpoint: { text: "Endpoint", hint: "Resource of the local root, where its type is web" },
	service: { text: "Service", hint: "Name of the service, else of the program" },
	trace: { text: "Trace id", hint: "Hexadecimal digits" },
	span: { text: "Span id", hint: "Hexadecimal digits: the span and those below it" },
};
const NO_FILTER = Object.fromEntries(Object.keys(FILTERS).map((name) => [name, ""]));
const filterKey = (wanted) => isFiltered(wanted) ? JSON.stringify(Object.keys(FILTERS).map((name) => wanted[name])) : "";
const isFiltered = (wanted) => Object.keys(FILTERS).some((name) => wanted[name]);

for (const [name, filter] of Object.entries(FILTERS)) {
	const of = name === "span" ? spans.map((s) => s.id) : [...spans, ...labels].map((s) => s[name]);
	filter.values = new Set(of.filter(Boolean));
}

// A value that there is means itself; other text is searched for in all. Throws if it is no valid pattern.
function filterTest(name, wanted) {
	return !wanted ? () => true : FILTERS[name].values.has(wanted) ? (value) => value === wanted : matcher(wanted);
}

const isPattern = (text) => {
	try {
		return matcher(text) && true;
	} catch {
		return false;
	}
};

const validOnly = (wanted) => Object.fromEntries(Object.keys(FILTERS).map((name) => [name, isPattern(wanted[name]) ? wanted[name] : ""]));

// By index of a span: whether it passes the filter. Below a span that passes by its id all do.
function spansPassing(wanted) {
	const [endpoint, service, trace, id] = Object.entries(validOnly(wanted)).map(([name, text]) => filterTest(name, text));
	const byId = spans.map((span) => id(span.id) || typeof span.root === "string" && id(span.root));
	const todo = spans.filter((span) => byId[span.index]);
	while (todo.length)
		for (const child of todo.pop().children)
			if (!byId[child.index]) {
				byId[child.index] = true;
				todo.push(child);
			}
	return spans.map((s) => endpoint(s.endpoint) && service(s.service) && trace(s.trace) && byId[s.index]);
}

// By index of labels, as filterTree wants it; null: all.
function labelsPassing(wanted) {
	const { endpoint, service, trace, span } = validOnly(wanted);
	const [isEndpoint, isService] = [filterTest("endpoint", endpoint), filterTest("service", service)];
	const passing = (trace || span) && spansPassing({ ...NO_FILTER, trace, span });
	if (!isFiltered(wanted))
		return null;
	return labels.map((of) => isEndpoint(of.endpoint) && isService(of.service) && (!passing || of.span >= 0 && passing[of.span]));
}
