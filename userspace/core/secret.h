/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets, which come from files. */
#pragma once

#define CS_SECRET_BYTES 8192

/* The text of a file without spaces around it. Returns 0, -errno, or -EINVAL: none, too long, or more than one line. */
int cs_secret_read(const char *path, char text[CS_SECRET_BYTES]);
