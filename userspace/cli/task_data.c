/* SPDX-License-Identifier: Apache-2.0 */
/* The tasks of processes as JSON and CSV. */
#include "cli/task_data.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/cleanup.h"

static const char *link_text(enum cs_link link)
{
	switch (link) {
	case CS_LINK_AWAIT:
		return "await";
	case CS_LINK_STRONG:
		return "strong";
	case CS_LINK_CREATED:
		return "created";
	default:
		return NULL;
	}
}

/* NULL unless the parent waits. */
static const char *how_text(const struct cs_task_node *node)
{
	return node->how ? cs_wait_how_text(node->how) : NULL;
}

static const char *moment_text(enum cs_coherence coherence)
{
	switch (coherence) {
	case CS_COHERENT_QUIET:
		return "rest";
	case CS_COHERENT_IN_TASK:
		return "instant";
	default:
		return "task";
	}
}

static const char *id_of(const struct cs_task_table *table, int node)
{
	return node < 0 ? NULL : table->nodes[node].id;
}

/* JSON */

static json_t *mark_json(const char *mark)
{
	return json_pack("{s:s, s:s, s:i}", "name", mark, "file", "", "line", 0);
}

/* NULL for a frame that is not to be shown: appending it does nothing. */
static json_t *frame_json(const struct cs_task_table *table, const struct cs_py_frame *frame)
{
	const struct cs_snapshot *snapshot = table->snapshot;
	const struct cs_frame *f;
	int64_t index =
		cs_symbols_python(snapshot->symbols, (uint32_t)snapshot->target->pid, frame);

	if (index < 0)
		return NULL;
	f = cs_profile_get_frame(snapshot->profile, (uint32_t)index);
	return json_pack("{s:s, s:s, s:i}", "name", cs_profile_str(snapshot->profile, f->name),
			 "file", cs_profile_str(snapshot->profile, f->file), "line", (int)f->line);
}

static json_t *frames_json(const struct cs_task_table *table, const struct cs_frames *frames)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < frames->n; i++)
		json_array_append_new(array, frame_json(table, &frames->items[i]));
	return array;
}

static json_t *coroutines_json(const struct cs_task_table *table, const struct cs_task_node *node)
{
	const struct cs_task *task = node->task;
	json_t *array = node->ghost ? json_array() : frames_json(table, &task->frames);

	if (node->ghost)
		return array;
	if (task->flags & CS_TASKF_MOVED)
		json_array_append_new(array, mark_json("[changed while it was read]"));
	if (task->flags & CS_TASKF_CHAIN_CUT)
		json_array_append_new(array, mark_json("[truncated]"));
	if (task->flags & CS_TASKF_CHAIN_UNREADABLE)
		json_array_append_new(array, mark_json("[unreadable]"));
	return array;
}

static json_t *waiters_json(const struct cs_task_table *table, const struct cs_task_node *node)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < node->nwaiters; i++) {
		const struct cs_task_waiter *it = &table->waiters[node->first_waiter + i];

		json_array_append_new(array, json_pack("{s:s, s:s, s:b}", "id",
						       table->nodes[it->waiter].id, "how",
						       cs_wait_how_text(it->how), "probable",
						       (int)it->probable));
	}
	return array;
}

static json_t *seconds_json(const struct cs_since_span *span)
{
	return span->exact || span->ns ? json_real((double)span->ns / 1e9) : json_null();
}

static json_t *task_json(const struct cs_task_table *table, const struct cs_task_node *node)
{
	const struct cs_task *task = node->task;
	struct cs_frames creation = cs_task_creation(table, node);
	json_t *links = json_pack(
		"{s:s?, s:s?, s:s?, s:b, s:i, s:b, s:o}", "parent", id_of(table, node->parent),
		"link", link_text(node->link), "how", how_text(node), "probable",
		(int)node->probable, "parents", (int)task->nawaiters, "waiters_cut",
		!!(task->flags & CS_TASKF_WAITERS_CUT), "waiters", waiters_json(table, node));
	json_t *stacks =
		json_pack("{s:o, s:s?, s:s?, s:o}", "coroutines", coroutines_json(table, node),
			  "awaits", node->ghost ? NULL : task->leaf, "creator",
			  id_of(table, node->creator), "creation", frames_json(table, &creation));
	json_t *times =
		json_pack("{s:o, s:b, s:o, s:b}", "age", seconds_json(&node->age), "age_exact",
			  (int)node->age.exact, "waited", seconds_json(&node->waited),
			  "waited_exact", (int)node->waited.exact);
	json_t *all = json_pack("{s:s, s:s?, s:s, s:i}", "id", node->id, "name", task->name,
				"state", cs_task_state_text(node), "thread", (int)task->tid);

	if (json_object_update_new(all, links) || json_object_update_new(all, stacks) ||
	    json_object_update_new(all, times)) {
		json_decref(all);
		return NULL;
	}
	return all;
}

json_t *cs_task_data_json(const struct cs_task_table *table)
{
	const struct cs_interp *interp = &table->snapshot->target->interp;
	json_t *tasks = json_array();
	char version[48];

	for (int i = 0; i < table->n; i++) {
		if (json_array_append_new(tasks, task_json(table, &table->nodes[i]))) {
			json_decref(tasks);
			return NULL;
		}
	}
	snprintf(version, sizeof(version), "%d.%d.%d", interp->major, interp->minor, interp->micro);
	return json_pack("{s:i, s:s, s:s, s:i, s:o}", "pid", (int)interp->pid, "python", version,
			 "moment", moment_text(table->snapshot->coherence), "missing",
			 (int)table->snapshot->ndropped, "tasks", tasks);
}

/* CSV */

/* Append a field, with a comma unless it is the first of its row. */
static int field(struct cs_buf *out, const char *text, size_t len)
{
	_cleanup_buf_ struct cs_buf safe = {0};
	int err = 0;

	if (out->len && out->data[out->len - 1] != '\n')
		err = cs_buf_append_str(out, ",");
	if (!err)
		err = cs_buf_append_escaped(&safe, text, len, "");
	if (err || !safe.len)
		return err;
	/* a carriage return or newline is escaped by now */
	if (!memchr(safe.data, ',', safe.len) && !memchr(safe.data, '"', safe.len))
		return cs_buf_append(out, safe.data, safe.len);
	err = cs_buf_append_str(out, "\"");
	for (size_t i = 0; i < safe.len && !err; i++)
		err = cs_buf_append(out, safe.data[i] == '"' ? "\"\"" : &safe.data[i],
				    safe.data[i] == '"' ? 2 : 1);
	return err ? err : cs_buf_append_str(out, "\"");
}

static int text_field(struct cs_buf *out, const char *text)
{
	return field(out, text ? text : "", text ? strlen(text) : 0);
}

static int number_field(struct cs_buf *out, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	return text_field(out, text);
}

static int bool_field(struct cs_buf *out, bool value)
{
	return text_field(out, value ? "true" : "false");
}

/* Two fields: seconds, empty if not known, and whether they are exact. */
static int span_fields(struct cs_buf *out, const struct cs_since_span *span)
{
	char text[32] = "";
	int err;

	if (span->exact || span->ns)
		snprintf(text, sizeof(text), "%.6f", (double)span->ns / 1e9);
	err = text_field(out, text);
	return err ? err : bool_field(out, span->exact);
}

static int waiters_field(const struct cs_task_table *table, const struct cs_task_node *node,
			 struct cs_buf *out)
{
	_cleanup_buf_ struct cs_buf ids = {0};
	int err = 0;

	for (uint32_t i = 0; i < node->nwaiters && !err; i++)
		err = cs_buf_printf(&ids, "%s%s", i ? " " : "",
				    table->nodes[table->waiters[node->first_waiter + i].waiter].id);
	return err ? err : field(out, ids.data, ids.len);
}

static int stack_fields(const struct cs_task_table *table, const struct cs_task_node *node,
			struct cs_buf *out)
{
	_cleanup_buf_ struct cs_buf coroutines = {0}, creation = {0};
	struct cs_frames frames = cs_task_creation(table, node);
	int err = cs_task_append_coroutines(table, node, UINT32_MAX, &coroutines);

	if (!err)
		err = cs_task_append_frames(table, &frames, UINT32_MAX, &creation);
	if (!err)
		err = field(out, creation.data, creation.len);
	return err ? err : field(out, coroutines.data, coroutines.len);
}

static int append_row(const struct cs_task_table *table, const struct cs_task_node *node,
		      struct cs_buf *out)
{
	const struct cs_task *task = node->task;
	int err = number_field(out, (uint64_t)table->snapshot->target->pid);

	if (err || (err = text_field(out, node->id)) || (err = text_field(out, task->name)) ||
	    (err = text_field(out, cs_task_state_text(node))) ||
	    (err = number_field(out, task->tid)) ||
	    (err = text_field(out, id_of(table, node->parent))) ||
	    (err = text_field(out, link_text(node->link))) ||
	    (err = text_field(out, how_text(node))) || (err = bool_field(out, node->probable)) ||
	    (err = number_field(out, task->nawaiters)) || (err = waiters_field(table, node, out)) ||
	    (err = text_field(out, id_of(table, node->creator))) ||
	    (err = span_fields(out, &node->age)) || (err = span_fields(out, &node->waited)) ||
	    (err = stack_fields(table, node, out)))
		return err;
	return cs_buf_append_str(out, "\n");
}

int cs_task_data_csv_header(struct cs_buf *out)
{
	return cs_buf_append_str(
		out, "pid,id,name,state,thread,parent,link,how,probable,parents,waiters,creator,"
		     "age,age_exact,waited,waited_exact,creation,coroutines\n");
}

int cs_task_data_csv(const struct cs_task_table *table, struct cs_buf *out)
{
	int err = 0;

	for (int i = 0; i < table->n && !err; i++)
		err = append_row(table, &table->nodes[i], out);
	return err;
}
