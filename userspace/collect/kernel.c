/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the running kernel. */
#include "collect/kernel.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "core/cleanup.h"

/*
 * The iterator needs bpf_copy_from_user_task (5.18). Probing by loading does not answer for sleepable programs, but
 * the kernel's type information lists the helpers it has.
 */
bool cs_kernel_walks_threads(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	const struct btf_enum *value;
	const struct btf_type *type;
	bool found = false;
	int id;

	id = btf ? btf__find_by_name_kind(btf, "bpf_func_id", BTF_KIND_ENUM) : -ENOENT;
	type = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;
	value = type ? btf_enum(type) : NULL;
	for (int i = 0; type && i < btf_vlen(type) && !found; i++) {
		const char *name = btf__name_by_offset(btf, value[i].name_off);

		found = name && strcmp(name, "BPF_FUNC_copy_from_user_task") == 0;
	}
	btf__free(btf);
	return found;
}

/* Until 6.1 (commit 96da3f7d489d) the verifier refuses a perf event's program that has such a table. */
bool cs_kernel_grows_tables(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	_cleanup_close_ int table = bpf_map_create(BPF_MAP_TYPE_HASH, NULL, sizeof(uint32_t),
						   sizeof(uint32_t), 1, &opts);
	const struct bpf_insn program[] = {
		{.code = BPF_DW | BPF_IMM, /* and BPF_LD, which is 0 as well */
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_PSEUDO_MAP_FD,
		 .imm = table},
		{0}, /* the upper half of the constant */
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	_cleanup_close_ int fd = -1;

	if (table < 0)
		return false;
	fd = bpf_prog_load(BPF_PROG_TYPE_PERF_EVENT, NULL, "GPL", program, ARRAY_SIZE(program),
			   NULL);
	return fd >= 0;
}
