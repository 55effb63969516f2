/* outpost dnscheck spf IP SENDER HELO */
#include "dnscheck/spf.h"

#include <stdio.h>
#include <sys/socket.h>

static void print(const struct spf_report *report, const char *ip)
{
	printf("%s\n", spf_result_name(report->result));
	if (report->result != SPF_FAIL)
		printf("%s\n", report->why);
	else if (report->explanation[0])
		printf("%s\n", report->explanation);
	else
		printf("%s is not permitted to send for %s (%s)\n", ip,
		    report->domain, report->why);
	printf("look-ups: %u of %d, without records: %u of %d\n",
	    report->lookups, SPF_LOOKUPS_MAX, report->voids, SPF_VOIDS_MAX);
	if (report->trail.len > 0)
		fwrite(report->trail.data, 1, report->trail.len, stdout);
	if (report->trail.overflow)
		puts("...");
}

int spf_command(struct run *run)
{
	const struct run_options *o = run->options;
	union net_address address;
	char ip[NET_TEXT_MAX];
	struct spf_report report;
	struct spf_query query;

	if (net_parse(span_of(o->spf_ip), 0, &address) < 0 ||
	    net_bytes(&address).n == 0 || address.in.sin_port != 0) {
		fprintf(stderr,
		    "outpost dnscheck: spf: the first argument is an address, "
		    "not %s\n",
		    log_escape(span_of(o->spf_ip)));
		return 2;
	}
	net_print_ip(&address, ip);
	query = (struct spf_query){ .dns = spf_dns_of(run->ask),
		.ip = net_bytes(&address),
		.sender = span_of(o->spf_sender),
		.helo = span_of(o->spf_helo),
		.receiver = o->localname ? o->localname : run->conf->localname,
		.now = now_utc(),
		.deadline =
		    deadline_min(run->deadline, deadline_in_ms(SPF_LIMIT_MS)) };
	spf_check(&query, &report);
	print(&report, ip);
	spf_report_clear(&report);
	return report.result == SPF_FAIL || report.result == SPF_TEMPERROR ||
	       report.result == SPF_PERMERROR;
}
