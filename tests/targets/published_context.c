/* SPDX-License-Identifier: Apache-2.0 */
/*
 * published_context [LIBRARY [SECONDS]]: threads that publish their spans as OTEP 4947 has it. What burns CPU is named after the span that is published
 * meanwhile: work_3 runs in span 3 and nowhere else, and bare_* where nothing is. With LIBRARY the variable is in it, which is loaded after so
 * many seconds. Built with -DLIBRARY it is that library.
 */
#define _GNU_SOURCE
#include <stdint.h>

__attribute__((visibility("default"))) __thread void *otel_thread_ctx_v1;

#ifdef LIBRARY

#ifdef LARGE
/* more than the loader has room for beside the thread pointer */
__attribute__((visibility("default"))) __thread char otel_large[8192];
#endif

__attribute__((visibility("default"))) void **publisher_slot(void)
{
	return &otel_thread_ctx_v1;
}

#else

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define THREADS   3
#define SPANS     16
#define SLICE     2000 /* turns of a loop: some microseconds */

static void **(*slot_of_thread)(void);

static void **own_slot(void)
{
	return &otel_thread_ctx_v1;
}

struct record {
	uint8_t trace_id[16], span_id[8];
	volatile uint8_t valid;
	uint8_t flags;
	uint16_t bytes;
	uint8_t attributes[612];
};
_Static_assert(sizeof(struct record) == 640, "as in the specification");

/* The compiler must not move what is published across what is done meanwhile. */
#define BARRIER() __asm__ volatile("" ::: "memory")

static volatile uint64_t sink;

#define BURN(turns)                                  \
	do {                                         \
		for (int i_ = 0; i_ < (turns); i_++) \
			sink += (uint64_t)i_;        \
	} while (0)

#define WORK(n)                                                            \
	__attribute__((noinline, noclone)) static void work_##n(int turns) \
	{                                                                  \
		BURN(turns);                                               \
		BARRIER();                                                 \
	}
#define EACH(X) \
	X(1)    \
	X(2)    \
	X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16)
#define NAME(n) work_##n,

EACH(WORK)

static void (*const works[SPANS])(int) = {EACH(NAME)};

__attribute__((noinline, noclone)) static void bare_null(int turns)
{
	BURN(turns);
	BARRIER();
}

__attribute__((noinline, noclone)) static void bare_invalid(int turns)
{
	BURN(turns);
	BARRIER();
}

static void put(uint8_t *dst, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		dst[i] = (uint8_t)(value >> (56 - 8 * i));
}

static int add_attribute(struct record *record, int at, uint8_t key, const char *text)
{
	size_t n = strlen(text);

	record->attributes[at] = key;
	record->attributes[at + 1] = (uint8_t)n;
	memcpy(record->attributes + at + 2, text, n);
	return at + 2 + (int)n;
}

/* Span n: 1000 n of the trace 7, n; each third one's root is not known, the others' is 500 n. */
static void fill(struct record *record, unsigned int n)
{
	char root[17];
	int at = 0;

	put(record->trace_id, 7);
	put(record->trace_id + 8, n);
	put(record->span_id, 1000ull * n);
	snprintf(root, sizeof(root), "%016llx", n % 3 ? 500ull * n : 0ull);
	at = add_attribute(record, at, 1, "GET");
	at = add_attribute(record, at, 2, "ffffffffffffffff"); /* the last one counts */
	at = add_attribute(record, at, 0, "/users/{id}");
	at = add_attribute(record, at, 2, root);
	record->bytes = (uint16_t)at;
}

static void publish(struct record *record)
{
	BARRIER();
	*slot_of_thread() = record;
	BARRIER();
}

/* In one of the two ways that the format has: another record, or this one, which is no record meanwhile. */
static void begin_span(struct record records[2], struct record **now, unsigned int n)
{
	if (*now && n % 2) {
		(*now)->valid = 0;
		BARRIER();
		fill(*now, n);
		BARRIER();
		(*now)->valid = 1;
		return;
	}
	publish(NULL);
	*now = *now == records ? records + 1 : records;
	(*now)->valid = 0;
	fill(*now, n);
	(*now)->valid = 1;
	publish(*now);
}

static void *run(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	struct record *records = aligned_alloc(8, 2 * sizeof(*records)), *now = NULL;

	memset(records, 0, 2 * sizeof(*records));
	for (;;) {
		unsigned int what = (unsigned int)rand_r(&seed), n = what / 16 % SPANS;
		int turns = SLICE * (1 + (int)(what / 1024 % 40));

		if (!slot_of_thread || what % 16 == 0) {
			if (slot_of_thread)
				publish(NULL);
			now = NULL;
			bare_null(turns);
		} else if (what % 16 == 1 && now) {
			now->valid = 0;
			BARRIER();
			bare_invalid(turns);
		} else {
			begin_span(records, &now, n + 1);
			works[n](turns);
			BARRIER();
		}
		if (what % 64 == 2)
			usleep(100);
	}
	return NULL;
}

/* "threadlocal.attribute_key_map": three keys, of which the third is the local root's. */
static void publish_keys(void)
{
	static const char *const keys[] = {"http.route", "http.method",
					   "datadog.local_root_span_id"};
	struct {
		char signature[8];
		uint32_t version, size;
		uint64_t published_ns, payload;
	} * header;
	static uint8_t payload[256];
	static const char name[] = "threadlocal.attribute_key_map";
	uint8_t list[128], pair[200];
	int n = 0, m = 0, len = 0;
	int fd = memfd_create("OTEL_CTX", MFD_CLOEXEC);

	for (size_t i = 0; i < 3; i++) {
		size_t text = strlen(keys[i]);

		list[n++] = 0x0a; /* an item: */
		list[n++] = (uint8_t)(text + 2);
		list[n++] = 0x0a; /* a string */
		list[n++] = (uint8_t)text;
		memcpy(list + n, keys[i], text);
		n += (int)text;
	}
	pair[m++] = 0x0a;
	pair[m++] = sizeof(name) - 1;
	memcpy(pair + m, name, sizeof(name) - 1);
	m += (int)sizeof(name) - 1;
	pair[m++] = 0x12;
	pair[m++] = (uint8_t)(n + 2);
	pair[m++] = 0x2a; /* a list */
	pair[m++] = (uint8_t)n;
	memcpy(pair + m, list, (size_t)n);
	m += n;
	payload[len++] = 0x12; /* an attribute of the process */
	payload[len++] = (uint8_t)m;
	memcpy(payload + len, pair, (size_t)m);
	len += m;
	if (m > 127 || fd < 0 || ftruncate(fd, 4096))
		abort();
	header = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	memcpy(header->signature, "OTEL_CTX", 8);
	header->version = 2;
	header->size = (uint32_t)len;
	header->payload = (uint64_t)payload;
	header->published_ns = 1;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	publish_keys();
	if (argc < 2)
		slot_of_thread = own_slot;
	for (uintptr_t i = 1; i <= THREADS; i++)
		pthread_create(&thread, NULL, run, (void *)i);
	puts("ready");
	fflush(stdout);
	if (argc > 1) {
		void *library;

		sleep(argc > 2 ? (unsigned int)atoi(argv[2]) : 0);
		library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
		if (!library) {
			fprintf(stderr, "%s\n", dlerror());
			return 1;
		}
		*(void **)&slot_of_thread = dlsym(library, "publisher_slot");
	}
	for (;;)
		pause();
}

#endif
