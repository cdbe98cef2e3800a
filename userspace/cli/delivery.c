/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles on their way to one destination. */
#include "cli/delivery.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "core/log.h"

static void tell(void *ctx, enum cs_sender_event event, const char *text)
{
	static const enum cs_log_level levels[] = {
		[CS_SENDER_WAITS] = CS_LOG_WARN,    [CS_SENDER_AGAIN] = CS_LOG_INFO,
		[CS_SENDER_REFUSED] = CS_LOG_ERROR, [CS_SENDER_PARTLY] = CS_LOG_WARN,
		[CS_SENDER_LOST] = CS_LOG_ERROR,
	};

	cs_log(levels[event], "%s", text);
}

static const char *why_no_folder(int err)
{
	return err == -EPERM   ? "it must be ours, and nobody else may write to it"
	       : err == -EBUSY ? "another process delivers from it"
	       : err == -EFBIG ? "the profile alone is larger than --max-size"
			       : strerror(-err);
}

int cs_delivery_open(struct cs_delivery *delivery, const struct cs_destination *to,
		     const volatile sig_atomic_t *stop)
{
	int err;

	*delivery = (struct cs_delivery){.to = to};
	if (!to->backend)
		return 0;
	delivery->options = (struct cs_sender_options){
		.backend = to->backend,
		.pack = {.service = to->service,
			 .tags = to->tags,
			 .ntags = to->ntags,
			 .version = CS_VERSION},
		.transport = to->transport,
		.spool = to->spool,
		.limits = to->limits,
		.memory_bytes = to->memory_bytes ? to->memory_bytes : to->limits.bytes,
		.tell = tell,
	};
	delivery->options.transport.stop = stop;
	if (to->spool && mkdir(to->spool_parent, 0700) && errno != EEXIST)
		return cs_err_r(-errno, "cannot make %s: %s", to->spool_parent, strerror(errno));
	err = cs_sender_new(&delivery->options, &delivery->sender);
	if (err == -EINVAL)
		cs_err("'%s' is no URL of http or https without a name and password in it: those belong into --header-file",
		       to->where);
	else if (err)
		cs_err("cannot deliver to %s%s%s: %s", to->where, to->spool ? " from " : "",
		       to->spool ? to->spool : "", why_no_folder(err));
	return err;
}

void cs_delivery_end(struct cs_delivery *delivery)
{
	if (delivery->sender && delivery->to->spool)
		cs_sender_end(delivery->sender);
}

void cs_delivery_close(struct cs_delivery *delivery)
{
	cs_sender_free(TAKE_PTR(delivery->sender));
}

int cs_delivery_put(struct cs_delivery *delivery, const struct cs_profile *profile)
{
	const struct cs_destination *to = delivery->to;
	const struct cs_directory_limits limits = {to->limits.bytes, to->limits.age_ns};
	int err;

	if (to->backend)
		return cs_sender_put(delivery->sender, profile);
	err = cs_directory_write(to->where, &limits, profile, &delivery->files);
	if (err)
		cs_err("cannot write to %s: %s", to->where, why_no_folder(err));
	return err;
}
