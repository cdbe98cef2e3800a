/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay FOLDER: a harness without libFuzzer, for every build: the kept inputs once each, none, and each single byte, which
 * of the harnesses with versions is an undamaged process.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/buf.h"
#include "core/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *folder, const char *name)
{
	_cleanup_buf_ struct cs_buf bytes = {0};
	char path[4096], chunk[4096];
	FILE *file;
	size_t n;
	int err = 0;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (!err && (n = fread(chunk, 1, sizeof(chunk), file)))
		err = cs_buf_append(&bytes, chunk, n);
	fclose(file);
	if (!err)
		LLVMFuzzerTestOneInput((const uint8_t *)bytes.data, bytes.len);
	return err;
}

int main(int argc, char **argv)
{
	DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
	struct dirent *entry;
	int n = 0, err = 0;

	if (!folder)
		return 2;
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (unsigned int i = 0; i < 256; i++)
		LLVMFuzzerTestOneInput(&(const uint8_t){(uint8_t)i}, 1);
	while (!err && (entry = readdir(folder))) {
		if (*entry->d_name == '.')
			continue;
		err = replay_file(argv[1], entry->d_name);
		n++;
	}
	closedir(folder);
	printf("%d inputs\n", n);
	return err || !n;
}
