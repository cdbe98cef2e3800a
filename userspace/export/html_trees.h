/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profile's trees in the page's JSON: "spans" (html_spans.h); "strings"; "frames" as [name, file, line, kind], in the order of their
 * text, tasks with [..., mark, coroutine, creation site, task] (frames, -1 if not known); "tree", the one shown first; and "trees" by
 * name, each as parallel arrays in preorder, siblings in the order of their frames. Node 0 is the root of all. The samples that end in a
 * node are told apart by their labels: "parts" is [node, labels, self, samples, ...], which is left out if all have the same; "waits"
 * is [node, labels, sum, longest, ...] of each place where tasks were suspended; "seen" is [node, labels, ran (1) or waited (0), from,
 * length, gap, length, ...] in microseconds since the first moment of all, when they existed.
 */
#pragma once

#include "export/html_json.h"
#include "profile/profile.h"

/* Appends these members of an object that is open, without a comma behind them. Returns 0 or -ENOMEM; json's error is its own. */
int cs_html_trees(struct cs_json *json, const struct cs_profile *profile);
