/* The machine itself: its name, clock, spool and secret files. */
#include "dnscheck/checks.h"
#include "dnscheck/files.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define TEXT(...) finding_text(&run->findings, __VA_ARGS__)

enum {
	SEGMENT_MB = 64,   /* the spool grows by as much */
	ROOM_MIN_MB = 256, /* below: the next busy hour may fill it */
	INODES_MIN = 1000,
	CLOCK_ERROR_MAX_US = 60 * 1000000,
};
/* No machine that runs this is older. */
static const int64_t built_s = 1767225600; /* 2026-01-01 */

static void check_name(struct run *run, void *arg)
{
	const struct hostname *host = &run->files->host;
	struct finding f = { .code = "node-name-ok",
		.subject = host->name,
		.found = host->how };

	(void)arg;
	if (!host->is_full && !run->conf->localname_is_found)
		f.found =
		    TEXT("not a full name, but not used as one: the local "
			 "name is configured (%s)",
			run->conf->localname);
	if (!host->is_full && run->conf->localname_is_found) {
		f.code = "node-name-bare";
		f.status = FINDING_FAIL;
		f.expected = "a full name, such as mail.example.com";
		f.remedy = TEXT("the administrator of this machine gives it a "
				"full name (hostnamectl set-hostname "
				"NAME.DOMAIN), or sets localname in %s",
		    run_where(run, NULL));
	}
	run_found(run, NULL, &f);
}

static void check_clock(struct run *run, void *arg)
{
	const struct files *files = run->files;
	struct finding f = { .code = "node-clock-ok",
		.subject = "clock",
		.found = "kept by a time service" };

	(void)arg;
	if (files->now_s < built_s) {
		f.code = "node-clock-wrong";
		f.status = FINDING_FAIL;
		f.found = "it shows a day before this program was made";
		f.expected = "the time of day";
	} else if (!files->clock_is_known) {
		f.code = "node-clock-unknown";
		f.status = FINDING_SKIP;
		f.found = "the kernel does not say";
	} else if (!files->clock_is_kept ||
		   files->clock_error_us > CLOCK_ERROR_MAX_US) {
		f.code = "node-clock-free";
		f.status = FINDING_WARN;
		f.found = "the kernel knows of no time service that keeps it";
		f.expected = "right to a minute: Date:, DKIM, TLS and DNSSEC "
			     "depend on it";
	}
	if (f.status != FINDING_OK && f.status != FINDING_SKIP)
		f.remedy = "the administrator of this machine runs a time "
			   "service (chrony, systemd-timesyncd; in a "
			   "container: its host)";
	run_found(run, NULL, &f);
}

static void check_spool_space(struct run *run)
{
	const struct files *files = run->files;
	uint64_t mb = files->spool_free >> 20;
	bool is_short = mb < ROOM_MIN_MB, is_full = mb < 2 * SEGMENT_MB;
	struct finding f = { .code = "node-spool-ok",
		.subject = run->conf->spool };

	f.found = TEXT("%llu MB free of %llu", (unsigned long long)mb,
	    (unsigned long long)(files->spool_size >> 20));
	if (is_short) {
		f.code = is_full ? "node-spool-full" : "node-spool-short";
		f.status = is_full ? FINDING_FAIL : FINDING_WARN;
		f.expected = TEXT("%d MB free at least", ROOM_MIN_MB);
		f.remedy = TEXT("make room on that file system, or move the "
				"spool: spool in %s",
		    run_where(run, NULL));
	} else if (files->inodes > 0 && files->inodes_free < INODES_MIN) {
		f.code = "node-spool-inodes";
		f.status = FINDING_FAIL;
		f.found = TEXT("%llu inodes free of %llu",
		    (unsigned long long)files->inodes_free,
		    (unsigned long long)files->inodes);
		f.expected = TEXT("%d inodes free at least", INODES_MIN);
		f.remedy = "remove small files from that file system, or make "
			   "one with more inodes for the spool";
	}
	run_found(run, NULL, &f);
}

static void check_spool(struct run *run, void *arg)
{
	struct finding f = { .code = "node-spool-unknown",
		.status = FINDING_SKIP,
		.subject = run->conf->spool };
	char reason[100];

	(void)arg;
	if (run->files->spool_error == 0) {
		check_spool_space(run);
		return;
	}
	f.found = TEXT(
	    "%s", strerror_r(run->files->spool_error, reason, sizeof(reason)));
	f.remedy = "nothing when Outpost has not been started yet: it makes "
		   "the folder; else run this as the spool's owner or root";
	run_found(run, NULL, &f);
}

static void check_secret(struct run *run, void *arg)
{
	const struct secret_file *s = arg;
	unsigned mode = s->mode & 07777;
	struct finding f = { .code = "node-secret-ok", .subject = s->path };
	char reason[100];

	f.found = TEXT("%s, mode %04o", s->what, mode);
	if (s->error) {
		bool is_gone = s->error == ENOENT || s->error == ENOTDIR;

		f.code =
		    is_gone ? "node-secret-missing" : "node-secret-unknown";
		f.status = is_gone ? FINDING_FAIL : FINDING_SKIP;
		f.found = TEXT("%s: %s", s->what,
		    strerror_r(s->error, reason, sizeof(reason)));
		f.expected = "a file";
		f.remedy = is_gone ? TEXT("make the file, or change the "
					  "setting in %s",
					 run_where(run, s->place))
				   : "run this as root";
	} else if (mode & (S_IRWXO | S_IWGRP)) {
		f.code = "node-secret-mode";
		f.status = FINDING_FAIL;
		f.expected = "readable by its owner (and a group) only";
		f.remedy = TEXT("chmod o=,g-w '%s'; if others could read it, "
				"renew what is in it",
		    s->path);
	}
	run_found(run, NULL, &f);
}

void node_plan(struct run *run)
{
	if (run->options->mode != RUN_NODE || run->options->is_elsewhere)
		return;
	run_add(run, check_name, NULL);
	run_add(run, check_clock, NULL);
	run_add(run, check_spool, NULL);
	for (size_t i = 0; i < run->files->nsecrets; i++)
		run_add(run, check_secret, &run->files->secrets[i]);
}
