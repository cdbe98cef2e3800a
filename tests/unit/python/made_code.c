/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up code objects. */
#include "made_code.h"

#include <string.h>

#include "test.h"

#define CODE_BYTES 256

uint64_t made_linetable(struct made *made, size_t len)
{
	uint64_t obj = made_object(made, made->type_bytes, 64);

	made_put(made, obj, made->interp.info.off.object_var_size, len);
	memcpy((char *)(uintptr_t)obj + made->interp.info.off.bytes_data, "LINES", 5);
	return obj;
}

uint64_t made_code_of(struct made *made, uint64_t name, uint64_t file, uint64_t lines)
{
	const struct cs_py_offsets *off = &made->interp.info.off;
	uint64_t code = made_object(made, made->type_code, CODE_BYTES);

	made_put(made, code, off->code_name, name);
	if (off->code_qualname)
		made_put(made, code, off->code_qualname, name);
	made_put(made, code, off->code_filename, file);
	made_put(made, code, off->code_linetable, lines);
	made_put32(made, code, off->code_firstlineno, 42);
	return code;
}

uint64_t made_code(struct made *made, const char *name, const char *file)
{
	return made_code_of(made, made_str(made, name), made_str(made, file),
			    made_linetable(made, 5));
}
