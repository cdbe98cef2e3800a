/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cgroup paths. A path is looked through from its root, and of several containers within each other (a node in a container) the
 * innermost counts.
 */
#include "whose/cgroup.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "core/cleanup.h"

#define ID_LEN    64 /* of a container, hexadecimal */
#define TASK_LEN  32 /* of a task of Amazon's ECS, with a dash and a number behind it */
#define UID_LEN   36
#define UID_SHORT 32 /* of a static pod: a digest */
#define MAX_PATH  4096

struct piece {
	const char *at;
	size_t len;
};

/* What one path told. */
struct found {
	struct piece container, runtime, pod, unit;
};

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static size_t hex_len(const char *at, size_t len)
{
	size_t n = 0;

	while (n < len && is_hex(at[n]))
		n++;
	return n;
}

static bool ends_with(struct piece piece, const char *end)
{
	size_t n = strlen(end);

	return piece.len >= n && !memcmp(piece.at + piece.len - n, end, n);
}

static bool begins_with(struct piece piece, const char *begin)
{
	size_t n = strlen(begin);

	return piece.len >= n && !memcmp(piece.at, begin, n);
}

static const char *runtime_of(struct piece prefix, struct piece parent)
{
	static const struct {
		const char *prefix, *name;
	} known[] = {
		{"docker", "docker"},      {"cri-containerd", "containerd"},
		{"nerdctl", "containerd"}, {"crio", "cri-o"},
		{"libpod", "podman"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (begins_with(prefix, known[i].prefix) || begins_with(parent, known[i].prefix))
			return known[i].name;
	return "";
}

/* Is it a whole number behind a digest, as in tasks of Amazon's ECS? */
static bool is_task(struct piece piece)
{
	size_t n = hex_len(piece.at, piece.len), at = n + 1;

	if (n != TASK_LEN || at >= piece.len || piece.at[n] != '-')
		return false;
	while (at < piece.len && piece.at[at] >= '0' && piece.at[at] <= '9')
		at++;
	return at == piece.len;
}

/* [PREFIX-]ID[.scope], the whole of it; conmon watches a container from outside. */
static bool look_for_container(struct piece piece, struct piece parent, struct found *found)
{
	struct piece prefix = {piece.at, 0};
	const char *runtime;

	if (ends_with(piece, ".scope"))
		piece.len -= strlen(".scope");
	if (piece.len > ID_LEN && piece.at[piece.len - ID_LEN - 1] == '-') {
		prefix.len = piece.len - ID_LEN - 1;
		piece = (struct piece){piece.at + prefix.len + 1, ID_LEN};
	}
	if ((piece.len != ID_LEN || hex_len(piece.at, piece.len) != ID_LEN) && !is_task(piece))
		return false;
	if (ends_with(prefix, "conmon"))
		return false;
	runtime = runtime_of(prefix, parent);
	found->container = piece;
	found->runtime = (struct piece){runtime, strlen(runtime)};
	return true;
}

/* podUID, at the beginning or behind a dash; systemd's names have underscores for the dashes in it. */
static void look_for_pod(struct piece piece, struct found *found)
{
	if (ends_with(piece, ".slice"))
		piece.len -= strlen(".slice");
	for (size_t i = 0; i + 3 + UID_SHORT <= piece.len; i++) {
		struct piece uid = {piece.at + i + 3, piece.len - i - 3};
		size_t n = 0;

		if (memcmp(piece.at + i, "pod", 3) || (i && piece.at[i - 1] != '-'))
			continue;
		while (n < uid.len && (is_hex(uid.at[n]) || uid.at[n] == '-' || uid.at[n] == '_'))
			n++;
		if (n == uid.len && (n == UID_LEN || (n == UID_SHORT && hex_len(uid.at, n) == n)))
			found->pod = uid;
	}
}

/* As systemd does: the first that is no slice, if it is a unit; an underscore before it only keeps names apart. */
static void look_for_unit(struct piece piece, struct found *found)
{
	static const char *const kinds[] = {".service", ".scope", ".socket", ".mount", ".swap"};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (ends_with(piece, kinds[i])) {
			size_t skip = *piece.at == '_';

			found->unit = (struct piece){piece.at + skip, piece.len - skip};
		}
}

static void look_at_path(struct piece path, bool of_systemd, struct found *found)
{
	struct piece parent = {"", 0};
	bool among_slices = of_systemd, is_container;

	for (size_t at = 0, to; at < path.len; at = to + 1) {
		struct piece piece = {path.at + at, 0};

		for (to = at; to < path.len && path.at[to] != '/';)
			to++;
		piece.len = to - at;
		/* seen from a cgroup namespace that the process is not in, a path begins with the way out of that */
		if (!piece.len || (piece.len == 2 && begins_with(piece, "..")))
			continue;
		is_container = look_for_container(piece, parent, found);
		look_for_pod(piece, found);
		/* a container's unit only says which container it is */
		if (among_slices && !ends_with(piece, ".slice")) {
			among_slices = false;
			if (!is_container)
				look_for_unit(piece, found);
		}
		parent = piece;
	}
}

/* "NUMBER:CONTROLLERS:PATH"; systemd's are the unified hierarchy's (no controllers) and its own of version 1. */
static void look_at_line(struct piece line, struct found *found)
{
	const char *first = memchr(line.at, ':', line.len), *second;
	size_t left = first ? line.len - (size_t)(first + 1 - line.at) : 0;
	struct piece controllers, path;

	second = first ? memchr(first + 1, ':', left) : NULL;
	if (!second)
		return;
	controllers = (struct piece){first + 1, (size_t)(second - first - 1)};
	path = (struct piece){second + 1, left - controllers.len - 1};
	if (path.len > MAX_PATH)
		return;
	look_at_path(path, !controllers.len || begins_with(controllers, "name=systemd"), found);
}

static int tell(struct cs_facts *facts, enum cs_fact fact, struct piece piece)
{
	return cs_facts_tell(facts, fact, piece.at, piece.len);
}

int cs_cgroup_parse(const char *text, size_t len, struct cs_facts *facts)
{
	struct found found = {0};
	char uid[UID_LEN];
	int err;

	for (size_t at = 0, to; at < len; at = to + 1) {
		for (to = at; to < len && text[to] != '\n';)
			to++;
		look_at_line((struct piece){text + at, to - at}, &found);
	}
	for (size_t i = 0; i < found.pod.len; i++)
		uid[i] = found.pod.at[i] == '_' ? '-' : found.pod.at[i];
	err = tell(facts, CS_FACT_CONTAINER, found.container);
	if (!err)
		err = tell(facts, CS_FACT_CONTAINER_RUNTIME, found.runtime);
	if (!err)
		err = tell(facts, CS_FACT_POD_UID, (struct piece){uid, found.pod.len});
	return err ? err : tell(facts, CS_FACT_UNIT, found.unit);
}
