/* SPDX-License-Identifier: Apache-2.0 */
/* The person behind sudo. */
#pragma once

/* Make a file that this process has just created theirs (SUDO_UID, SUDO_GID), if there is one and we are root. */
void cs_give_to_user(int fd);
