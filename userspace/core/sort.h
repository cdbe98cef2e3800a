/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting of many addresses. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Sort n words, ascending. spare: room for as many more, whose contents are lost. Ten thousand addresses take a tenth of the time of qsort(),
 * which calls a function for each comparison; of a handful qsort() is as good, and needs no room.
 */
void cs_sort_words(uint64_t *words, uint64_t *spare, size_t n);
