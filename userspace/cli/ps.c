/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coroscope ps: every asyncio task of a process, a line for each, and below it where it was
 * created if that was seen.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/task_command.h"
#include "core/cleanup.h"

#define MAX_NAME    40
#define MAX_WAITERS 3
#define MAX_FRAMES  16

/* Print a cell, padded to so many characters, and at least two blanks behind it. */
static void print_cell(struct cs_buf *text, int width)
{
	int n = 0;

	for (size_t i = 0; i < text->len; i++)
		n += ((unsigned char)text->data[i] & 0xc0) != 0x80;
	printf("%s%*s", cs_buf_str(text), n < width ? width - n + 2 : 2, "");
	text->len = 0;
}

/* "Task-1, Task-2 (gather) +3"; "-" for nobody. */
static int append_waiters(const struct cs_task_table *table, const struct cs_task_node *node,
			  struct cs_buf *out)
{
	uint32_t shown = node->nwaiters < MAX_WAITERS ? node->nwaiters : MAX_WAITERS;
	int err = shown ? 0 : cs_buf_append_str(out, "-");

	for (uint32_t i = 0; i < shown && !err; i++) {
		const struct cs_task_waiter *it = &table->waiters[node->first_waiter + i];

		if (i)
			err = cs_buf_append_str(out, ", ");
		if (!err)
			err = cs_task_append_short_name(&table->nodes[it->waiter], MAX_NAME, out);
		if (!err && it->how != CS_WAIT_AWAIT)
			err = cs_buf_printf(out, " (%s%s)", cs_wait_how_text(it->how),
					    it->probable ? "?" : "");
	}
	if (!err && shown < node->nwaiters)
		err = cs_buf_printf(out, " +%" PRIu32, node->nwaiters - shown);
	return err;
}

/* "?" for not known, "-" for nobody. */
static int append_creator(const struct cs_task_table *table, const struct cs_task_node *node,
			  struct cs_buf *out)
{
	const struct cs_task_node *creator =
		node->creator < 0 ? NULL : &table->nodes[node->creator];
	int err;

	if (!creator)
		return cs_buf_append_str(out, cs_task_creation_known(node) ? "-" : "?");
	err = cs_task_append_short_name(creator, MAX_NAME, out);
	return err || !creator->task->finished ? err : cs_buf_append_str(out, " (finished)");
}

static int print_creation(const struct cs_task_table *table, const struct cs_task_node *node)
{
	struct cs_frames frames = cs_task_creation(table, node);
	_cleanup_buf_ struct cs_buf text = {0};
	int err = cs_task_append_frames(table, &frames, MAX_FRAMES, &text);

	if (!err && text.len)
		printf("    created at %s\n", cs_buf_str(&text));
	return err;
}

static int print_task(const struct cs_task_table *table, const struct cs_task_node *node)
{
	_cleanup_buf_ struct cs_buf text = {0};
	int err;

	printf("%-20s", node->id);
	err = cs_task_append_short_name(node, MAX_NAME, &text);
	print_cell(&text, 16);
	printf("%-13s", cs_task_state_text(node));
	if (!err)
		err = cs_task_append_span(&node->age, &text);
	print_cell(&text, 7);
	if (!err && node->task->state == CS_TASK_WAITING)
		err = cs_task_append_span(&node->waited, &text);
	else if (!err)
		err = cs_buf_append_str(&text, "-");
	print_cell(&text, 7);
	if (!err)
		err = append_waiters(table, node, &text);
	print_cell(&text, 18);
	if (!err)
		err = append_creator(table, node, &text);
	print_cell(&text, 16);
	if (!err)
		err = cs_task_append_coroutines(table, node, MAX_FRAMES, &text);
	printf("%s\n", cs_buf_str(&text));
	return err ? err : print_creation(table, node);
}

static int print_process(const struct cs_task_table *table)
{
	int err = 0;

	cs_task_print_header(table);
	printf("%-20s%-18s%-13s%-9s%-9s%-20s%-18s%s\n", "ID", "NAME", "STATE", "AGE", "WAITED",
	       "WAITERS", "CREATOR", "COROUTINES");
	for (int i = 0; i < table->nalive && !err; i++)
		err = print_task(table, &table->nodes[i]);
	return err;
}

int cs_cli_ps(int argc, char **argv)
{
	static const struct cs_task_command command = {
		.name = "ps",
		.doc = "Prints a process's asyncio tasks, suspended ones included: what each does, who waits for it, who created it, and how long it has waited.",
		.print = print_process,
	};

	return cs_task_command_run(&command, argc, argv);
}
