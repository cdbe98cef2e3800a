/* SPDX-License-Identifier: Apache-2.0 */
/* A context as it is published, in this process's own memory: whole, being written, and forged. */
#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "process_context.pb-c.h"
#include "unit/whose/check_fact.h"
#include "whose/process_context.h"

struct header {
	char signature[8];
	uint32_t version, size;
	uint64_t published_ns, payload;
};

static size_t pack(const char *key, const char *text, uint8_t *out)
{
	uint8_t packed[512];
	Context__Value value = CONTEXT__VALUE__INIT;
	Context__KeyValue pair = CONTEXT__KEY_VALUE__INIT, *pairs[2];
	Context__KeyValue first = CONTEXT__KEY_VALUE__INIT;
	Context__Resource resource = CONTEXT__RESOURCE__INIT;
	Context__ProcessContext context = CONTEXT__PROCESS_CONTEXT__INIT;

	value.text = (char *)text;
	pair.key.data = (uint8_t *)key;
	pair.key.len = strlen(key);
	pair.value.len = context__value__pack(&value, packed);
	pair.value.data = packed;
	/* an integer: field 3 of OpenTelemetry's AnyValue */
	first.key.data = (uint8_t *)"service.version";
	first.key.len = 15;
	first.value.data = (uint8_t *)"\x18\x07";
	first.value.len = 2;
	pairs[0] = &first;
	pairs[1] = &pair;
	resource.attributes = pairs;
	resource.n_attributes = 2;
	context.resource = &resource;
	return context__process_context__pack(&context, out);
}

static void test_parse(void **state)
{
	uint8_t bytes[1024];
	size_t len = pack("service.name", "shop", bytes);

	for (size_t cut = 0; cut <= len; cut++) {
		_cleanup_facts_ struct cs_facts facts = {0};
		_cleanup_free_ uint8_t *copy = malloc(cut + !cut);

		memcpy(copy, bytes, cut);
		assert_int_equal(cs_process_context_parse(copy, cut, &facts), 0);
		assert_fact(&facts, VERSION, NULL);
		if (cut == len)
			assert_fact(&facts, SERVICE, "shop");
	}
	for (size_t at = 0; at < len; at++)
		for (int value = 0; value < 256; value++) {
			_cleanup_facts_ struct cs_facts facts = {0};
			uint8_t was = bytes[at];

			bytes[at] = (uint8_t)value;
			assert_int_equal(cs_process_context_parse(bytes, len, &facts), 0);
			bytes[at] = was;
		}
}

/* Values within values, as deep as there are bytes: nothing here reads them as such. */
static void test_deep(void **state)
{
	_cleanup_facts_ struct cs_facts facts = {0};
	_cleanup_free_ uint8_t *bytes = calloc(1, CS_CONTEXT_BYTES + 1);

	for (size_t left = CS_CONTEXT_BYTES, at = 0; left > 4; left -= 4, at += 4) {
		bytes[at] = 0x0a;
		bytes[at + 1] = (uint8_t)((left - 4) & 0x7f) | 0x80;
		bytes[at + 2] = (uint8_t)((left - 4) >> 7 & 0x7f) | 0x80;
		bytes[at + 3] = (uint8_t)((left - 4) >> 14);
	}
	assert_int_equal(cs_process_context_parse(bytes, CS_CONTEXT_BYTES, &facts), 0);
	assert_int_equal(cs_process_context_parse(bytes, CS_CONTEXT_BYTES + 1, &facts), 0);
	assert_fact(&facts, SERVICE, NULL);
}

/* The keys of attributes of published spans: a list, among those of the process or of the resource. */
static size_t pack_keys(bool of_process, uint8_t *out)
{
	static const char *const keys[] = {"first", "", "third", "first"};
	Context__Value values[4], *items[4];
	Context__Texts texts = CONTEXT__TEXTS__INIT;
	Context__List list = CONTEXT__LIST__INIT;
	Context__KeyValue pair = CONTEXT__KEY_VALUE__INIT, *pairs[1] = {&pair};
	Context__Resource resource = CONTEXT__RESOURCE__INIT;
	Context__ProcessContext context = CONTEXT__PROCESS_CONTEXT__INIT;
	uint8_t packed[256];

	for (int i = 0; i < 4; i++) {
		context__value__init(&values[i]);
		values[i].text = (char *)keys[i];
		items[i] = &values[i];
	}
	texts.items = items;
	texts.n_items = 4;
	list.texts = &texts;
	pair.key.data = (uint8_t *)"threadlocal.attribute_key_map";
	pair.key.len = strlen((char *)pair.key.data);
	pair.value.len = context__list__pack(&list, packed);
	pair.value.data = packed;
	resource.attributes = context.attributes = pairs;
	resource.n_attributes = !of_process;
	context.n_attributes = of_process;
	context.resource = &resource;
	return context__process_context__pack(&context, out);
}

static void test_keys(void **state)
{
	uint8_t bytes[512];
	unsigned int n;
	size_t len;

	for (int of_process = 0; of_process < 2; of_process++) {
		len = pack_keys(of_process, bytes);
		assert_int_equal(cs_process_context_parse_key(bytes, len, "first", &n), 0);
		assert_int_equal(n, 0);
		assert_int_equal(cs_process_context_parse_key(bytes, len, "third", &n), 0);
		assert_int_equal(n, 2);
		assert_int_equal(cs_process_context_parse_key(bytes, len, "fourth", &n), -ENOENT);
	}
	len = pack("service.name", "shop", bytes);
	assert_int_equal(cs_process_context_parse_key(bytes, len, "first", &n), -ENOENT);
	len = pack_keys(true, bytes);
	for (size_t cut = 0; cut < len; cut++)
		cs_process_context_parse_key(bytes, cut, "third", &n);
	for (size_t at = 0; at < len; at++)
		for (int value = 0; value < 256; value++) {
			uint8_t was = bytes[at];

			bytes[at] = (uint8_t)value;
			cs_process_context_parse_key(bytes, len, "third", &n);
			bytes[at] = was;
		}
}

static void expect(const char *service)
{
	_cleanup_facts_ struct cs_facts facts = {0};

	assert_int_equal(cs_process_context_read(getpid(), &facts), 0);
	assert_fact(&facts, SERVICE, service);
}

static void test_published(void **state)
{
	_cleanup_close_ int fd = memfd_create("OTEL_CTX", MFD_CLOEXEC);
	uint8_t payload[1024];
	struct header *header;

	expect(NULL);
	assert_int_equal(ftruncate(fd, 4096), 0);
	header = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(header, MAP_FAILED);
	expect(NULL);
	header->version = 2;
	header->size = (uint32_t)pack("service.name", "shop", payload);
	header->payload = (uintptr_t)payload;
	header->published_ns = 7;
	expect(NULL);
	memcpy(header->signature, "OTEL_CTX", 8);
	expect("shop");
	header->published_ns = 0; /* it is being written */
	expect(NULL);
	header->published_ns = 8;
	header->version = 3;
	expect(NULL);
	header->version = 2;
	header->size = CS_CONTEXT_BYTES + 1;
	expect(NULL);
	header->size = 16;
	header->payload = 8;
	expect(NULL);
	header->payload = UINT64_MAX - 4;
	expect(NULL);
	header->size = (uint32_t)pack("service.name", "other", payload);
	header->payload = (uintptr_t)payload;
	expect("other");
	munmap(header, 4096);
	expect(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_published),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
