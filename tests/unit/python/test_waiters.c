/* SPDX-License-Identifier: Apache-2.0 */
/* From a task up to those that wait for it: the ways that asyncio and programs make, and what is no way. */
#include "core/cleanup.h"
#include "made_waits.h"
#include "test.h"

static uint64_t gather_of_late_39(struct made_waits *waits, uint64_t future)
{
	return MADE_FUNCTION(&waits->calls, "asyncio.tasks", "_gather.<locals>._done_callback",
			     .cells = {future});
}

static uint64_t nested_gather(struct made_waits *waits, uint64_t future)
{
	uint64_t class = made_type(&waits->made, "_GatheringFuture", CS_PYTYPE_HEAP,
				   waits->made.type_future, 0);
	uint64_t inner = made_future_of(&waits->calls, class);

	made_done_callback(&waits->calls, inner, made_gather(waits, future));
	return made_gather(waits, inner);
}

/* A queue that somebody gets from: only the names in its own methods tell how its items reach them. */
static uint64_t made_queue(struct made_waits *waits, uint64_t future)
{
	const uint64_t methods[] = {
		MADE_FUNCTION(&waits->calls, "asyncio.queues", "Queue.put_nowait",
			      .names = {"_put", "_wakeup_next", "_getters"}),
		MADE_FUNCTION(&waits->calls, "asyncio.queues", "Queue.get",
			      .names = {"_unrelated"}),
	};
	const uint64_t unrelated = made_future(&waits->calls);
	/* in two blocks of the deque */
	const uint64_t getters[] = {made_future(&waits->calls), future};
	const uint64_t values[] = {made_deque(&waits->calls, getters, 2, 63), unrelated};
	uint64_t class =
		made_class(&waits->made, "Queue",
			   made_namespace(&waits->made, (const char *const[]){"put_nowait", "get"},
					  methods, 2),
			   0);

	made_waiter(&waits->calls, unrelated);
	return made_instance_of(&waits->made, class,
				(const char *const[]){"_getters", "_unrelated"}, values, 2);
}

static uint64_t as_completed(struct made_waits *waits, uint64_t future)
{
	return MADE_FUNCTION(&waits->calls, "asyncio.tasks", "as_completed.<locals>._on_completion",
			     .cells = {made_queue(waits, future)},
			     .names = {"remove", "put_nowait"});
}

static uint64_t as_completed_iterator(struct made_waits *waits, uint64_t future)
{
	const uint64_t queue = made_queue(waits, future);
	uint64_t class = made_class(&waits->made, "_AsCompletedIterator", 0, 0);
	uint64_t function = MADE_FUNCTION(&waits->calls, "asyncio.tasks",
					  "_AsCompletedIterator._handle_completion",
					  .names = {"_todo", "_done", "put_nowait"});

	return made_method(
		&waits->calls, function,
		made_instance_of(&waits->made, class, (const char *const[]){"_done"}, &queue, 1));
}

static uint64_t chain_future(struct made_waits *waits, uint64_t destination)
{
	return MADE_FUNCTION(&waits->calls, "asyncio.futures",
			     "_chain_future.<locals>._call_set_state", .cells = {destination});
}

static uint64_t threadsafe(struct made_waits *waits, uint64_t future)
{
	const uint64_t callback = chain_future(waits, future);
	uint64_t callbacks = made_list(&waits->made, &callback, 1);

	return chain_future(waits, made_concurrent_future(&waits->calls, callbacks));
}

static uint64_t user_default(struct made_waits *waits, uint64_t future)
{
	return MADE_FUNCTION(&waits->calls, "app", "<lambda>", .defaults = {future});
}

/* What is probable stays so, whatever comes behind. */
static uint64_t user_then_gather(struct made_waits *waits, uint64_t future)
{
	uint64_t between = made_future(&waits->calls);

	made_done_callback(&waits->calls, between, made_gather(waits, future));
	return made_user_closure(waits, between);
}

static uint64_t gather_then_user(struct made_waits *waits, uint64_t future)
{
	uint64_t between = made_future(&waits->calls);

	made_done_callback(&waits->calls, between, made_user_closure(waits, future));
	return made_gather(waits, between);
}

static uint64_t callable(struct made_waits *waits, uint64_t future)
{
	return made_user_object(waits, "__call__", future);
}

/* The callback calls a method, which calls another, which knows the future. */
static uint64_t user_method(struct made_waits *waits, uint64_t future)
{
	static const char *const names[] = {"finish", "_set"};
	const uint64_t functions[] = {
		MADE_FUNCTION(&waits->calls, "app", "Job.finish", .names = {"_set"}),
		MADE_FUNCTION(&waits->calls, "app", "Job._set", .names = {"future"}),
	};
	uint64_t class = made_class(&waits->made, "Job",
				    made_namespace(&waits->made, names, functions, 2), 0);
	uint64_t job =
		made_instance_of(&waits->made, class, (const char *const[]){"future"}, &future, 1);

	return made_method(&waits->calls,
			   MADE_FUNCTION(&waits->calls, "app", "Job.on_done", .names = {"finish"}),
			   job);
}

static uint64_t user_partial(struct made_waits *waits, uint64_t future)
{
	return made_partial(&waits->calls, MADE_FUNCTION(&waits->calls, "app", "done"), &future, 1);
}

static uint64_t user_partial_of_method(struct made_waits *waits, uint64_t future)
{
	uint64_t function = MADE_FUNCTION(&waits->calls, "app", "Job.method");
	uint64_t job = made_user_object(waits, "method", made_future(&waits->calls));

	return made_partial(&waits->calls, made_method(&waits->calls, function, job), &future, 1);
}

static uint64_t user_partial_of_callable(struct made_waits *waits, uint64_t future)
{
	uint64_t job = callable(waits, made_future(&waits->calls));

	return made_partial(&waits->calls, job, &future, 1);
}

static uint64_t user_partial_of_partial(struct made_waits *waits, uint64_t future)
{
	return made_partial(&waits->calls, user_partial(waits, waits->task), &future, 1);
}

static uint64_t anyio(struct made_waits *waits, uint64_t future)
{
	return MADE_FUNCTION(&waits->calls, "anyio._backends._asyncio",
			     "TaskGroup._spawn.<locals>.task_done", .cells = {future});
}

static void every_way_leads_to_the_waiter(void **state)
{
	static const struct {
		const char *name;
		uint64_t (*callback)(struct made_waits *waits, uint64_t future);
		enum cs_wait_how how;
		bool probable;
	} ways[] = {
		{"gather", made_gather, CS_WAIT_GATHER, false},
		{"gather of late 3.9", gather_of_late_39, CS_WAIT_GATHER, false},
		{"nested gather", nested_gather, CS_WAIT_GATHER, false},
		{"wait", made_wait, CS_WAIT_WAIT, false},
		{"wait_for", made_wait_for, CS_WAIT_WAIT_FOR, false},
		{"shield", made_shield, CS_WAIT_SHIELD, false},
		{"TaskGroup", made_task_group, CS_WAIT_TASK_GROUP, false},
		{"as_completed", as_completed, CS_WAIT_AS_COMPLETED, false},
		{"as_completed, iterated", as_completed_iterator, CS_WAIT_AS_COMPLETED, false},
		{"another loop", threadsafe, CS_WAIT_THREADSAFE, false},
		{"anyio", anyio, CS_WAIT_TASK_GROUP, false},
		{"gather, then the program's", gather_then_user, CS_WAIT_GATHER, true},
		{"future.set_result", made_set_result, CS_WAIT_OTHER, true},
		{"closure", made_user_closure, CS_WAIT_OTHER, true},
		{"default", user_default, CS_WAIT_OTHER, true},
		{"closure, then gather", user_then_gather, CS_WAIT_OTHER, true},
		{"__call__", callable, CS_WAIT_OTHER, true},
		{"method", user_method, CS_WAIT_OTHER, true},
		{"partial", user_partial, CS_WAIT_OTHER, true},
		{"partial of a method", user_partial_of_method, CS_WAIT_OTHER, true},
		{"partial of an object", user_partial_of_callable, CS_WAIT_OTHER, true},
		{"partial of a partial", user_partial_of_partial, CS_WAIT_OTHER, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		for (int minor = MADE_FIRST_MINOR; minor <= MADE_LAST_MINOR; minor++) {
			struct made_waits waits;

			made_waits_begin(&waits, minor);
			made_look_through(&waits, ways[i].callback(&waits, waits.future));
			if (waits.n != 1 || waits.cut)
				print_error("%s in 3.%d\n", ways[i].name, minor);
			assert_int_equal(waits.n, 1);
			assert_false(waits.cut);
			assert_int_equal(waits.links[0].waiter, waits.waiter);
			if (waits.links[0].flags != (ways[i].probable ? CS_LINKF_PROBABLE : 0))
				print_error("%s in 3.%d\n", ways[i].name, minor);
			assert_int_equal(waits.links[0].how, ways[i].how);
			assert_int_equal(waits.links[0].flags,
					 ways[i].probable ? CS_LINKF_PROBABLE : 0);
			made_waits_end(&waits);
		}
	}
}

/* That is told by the waiter itself. */
static uint64_t bare_await(struct made_waits *waits, uint64_t future)
{
	uint64_t waiter = made_waiter(&waits->calls, future);

	made_put(&waits->made, waiter, waits->made.interp.info.off.task_fut_waiter, waits->task);
	return made_wakeup(&waits->calls, waiter);
}

static uint64_t task_in_cell(struct made_waits *waits, uint64_t future)
{
	uint64_t other = made_new_task(waits);

	made_waiter(&waits->calls, other);
	return MADE_FUNCTION(&waits->calls, "asyncio.tasks", "cancel_it", .cells = {other});
}

static uint64_t task_in_deque(struct made_waits *waits, uint64_t future)
{
	uint64_t other = made_new_task(waits);

	made_waiter(&waits->calls, other);
	return as_completed(waits, other);
}

static uint64_t list_in_cell(struct made_waits *waits, uint64_t future)
{
	return MADE_FUNCTION(&waits->calls, "asyncio.tasks", "log",
			     .cells = {made_list(&waits->made, &future, 1),
				       made_tuple(&waits->made, &future, 1),
				       made_namespace(&waits->made, (const char *const[]){"future"},
						      &future, 1)},
			     .names = {"future"});
}

static uint64_t not_named(struct made_waits *waits, uint64_t future)
{
	const char *const attr = "future";
	uint64_t function =
		MADE_FUNCTION(&waits->calls, "app", "Server.on_done", .names = {"connections"});
	uint64_t class = made_class(&waits->made, "Server", 0, 0);

	return made_method(&waits->calls, function,
			   made_instance_of(&waits->made, class, &attr, &future, 1));
}

static uint64_t group_in_its_body(struct made_waits *waits, uint64_t future)
{
	return made_task_group(waits, made_object(&waits->made, waits->made.type_none, 32));
}

static uint64_t object_without_call(struct made_waits *waits, uint64_t future)
{
	return made_user_object(waits, "close", future);
}

static uint64_t builtin_of_no_future(struct made_waits *waits, uint64_t future)
{
	return made_builtin_method(&waits->calls, made_list(&waits->made, &future, 1));
}

/* A class of the program may be called as it likes. */
static uint64_t forged_partial(struct made_waits *waits, uint64_t future)
{
	uint64_t partial = made_wait_for(waits, future);

	made_put(&waits->made, partial, waits->made.interp.info.off.object_type,
		 made_type(&waits->made, "method", CS_PYTYPE_HEAP, 0, 0));
	return partial;
}

static uint64_t forged_future(struct made_waits *waits, uint64_t future)
{
	made_put(&waits->made, future, waits->made.interp.info.off.object_type,
		 made_type(&waits->made, "_asyncio.Future", CS_PYTYPE_HEAP, 0, 0));
	return made_gather(waits, future);
}

static uint64_t circle(struct made_waits *waits, uint64_t future)
{
	uint64_t a = made_future(&waits->calls), b = made_future(&waits->calls);

	made_done_callback(&waits->calls, a, made_wait(waits, b));
	made_done_callback(&waits->calls, b, made_wait(waits, a));
	return made_wait(waits, a);
}

/* A function that puts itself on another future has itself in a cell. */
static uint64_t function_that_holds_itself(struct made_waits *waits, uint64_t future)
{
	const struct cs_py_offsets *off = &waits->made.interp.info.off;
	uint64_t function = made_user_closure(waits, future), closure, cell;

	assert_int_equal(
		cs_mem_read_u64(waits->made.ctx.mem, function + off->function_closure, &closure),
		0);
	assert_int_equal(cs_mem_read_u64(waits->made.ctx.mem, closure + off->tuple_items, &cell),
			 0);
	made_put(&waits->made, cell, off->cell_value, function);
	return function;
}

static void what_is_no_way_is_not_followed(void **state)
{
	static const struct {
		const char *name;
		uint64_t (*callback)(struct made_waits *waits, uint64_t future);
	} cases[] = {
		{"waits for something else", made_wait_ended},
		{"bare await", bare_await},
		{"task in a cell", task_in_cell},
		{"task in a deque", task_in_deque},
		{"containers in cells", list_in_cell},
		{"attribute that is not named", not_named},
		{"group in its body", group_in_its_body},
		{"object that cannot be called", object_without_call},
		{"method of no future", builtin_of_no_future},
		{"class called like the interpreter's", forged_partial},
		{"class called like asyncio's", forged_future},
		{"circle", circle},
		{"function that holds itself", function_that_holds_itself},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (int minor = MADE_FIRST_MINOR; minor <= MADE_LAST_MINOR; minor++) {
			struct made_waits waits;

			made_waits_begin(&waits, minor);
			made_look_through(&waits, cases[i].callback(&waits, waits.future));
			if (waits.n || waits.cut)
				print_error("%s in 3.%d\n", cases[i].name, minor);
			assert_int_equal(waits.n, 0);
			assert_false(waits.cut);
			made_waits_end(&waits);
		}
	}
}

static void a_task_without_callbacks_has_none(void **state)
{
	struct made_waits waits;

	made_waits_begin(&waits, 13);
	made_look(&waits, waits.task);
	assert_int_equal(waits.n, 0);
	assert_false(waits.cut);
	made_waits_end(&waits);
}

/* A task has several callbacks, and a future several tasks that wait for it. */
static void all_waiters_are_found(void **state)
{
	for (int minor = MADE_FIRST_MINOR; minor <= MADE_LAST_MINOR; minor++) {
		uint64_t second, third, future;
		struct made_waits waits;

		made_waits_begin(&waits, minor);
		second = made_waiter(&waits.calls, waits.future);
		future = made_future(&waits.calls);
		third = made_waiter(&waits.calls, future);
		made_done_callback(&waits.calls, waits.task, made_gather(&waits, waits.future));
		made_done_callback(&waits.calls, waits.task, made_set_result(&waits, future));
		made_look(&waits, waits.task);
		assert_int_equal(waits.n, 3);
		assert_false(waits.cut);
		assert_int_equal(waits.links[0].waiter, waits.waiter);
		assert_int_equal(waits.links[1].waiter, second);
		assert_int_equal(waits.links[2].waiter, third);
		assert_int_equal(waits.links[2].flags, CS_LINKF_PROBABLE);
		made_waits_end(&waits);
	}
}

/* made_gather(task, made_shield(task)): two callbacks, one waiter. Of two ways to it the certain one counts. */
static void a_waiter_counts_once(void **state)
{
	struct made_waits waits;
	uint64_t outer;

	made_waits_begin(&waits, 12);
	outer = made_future(&waits.calls);
	made_done_callback(&waits.calls, outer, made_gather(&waits, waits.future));
	made_done_callback(&waits.calls, waits.task, made_user_closure(&waits, waits.future));
	made_done_callback(&waits.calls, waits.task, made_shield(&waits, outer));
	made_done_callback(&waits.calls, waits.task, made_gather(&waits, waits.future));
	made_look(&waits, waits.task);
	assert_int_equal(waits.n, 1);
	assert_false(waits.cut);
	assert_int_equal(waits.links[0].waiter, waits.waiter);
	assert_int_equal(waits.links[0].how, CS_WAIT_SHIELD);
	assert_int_equal(waits.links[0].flags, 0);
	made_waits_end(&waits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_way_leads_to_the_waiter),
		cmocka_unit_test(what_is_no_way_is_not_followed),
		cmocka_unit_test(a_task_without_callbacks_has_none),
		cmocka_unit_test(all_waiters_are_found),
		cmocka_unit_test(a_waiter_counts_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
