/* resolv.conf(5) and hosts(5). */
#include "remote/dnssystem.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { DNS_PORT = 53 };

/* --- resolvers ------------------------------------------------------------ */

static void add_server(struct dns_options *options, struct span text)
{
	if (options->nservers < DNS_SERVERS_MAX &&
	    net_parse(text, DNS_PORT, &options->servers[options->nservers]) ==
		0)
		options->nservers++;
	else
		log_warn(
		    "resolver-left-out", "address", log_escape(text), NULL);
}

static void read_resolv_conf(const char *file, struct dns_options *options)
{
	FILE *in = fopen(file, "re");
	char line[512], address[256];

	if (!in) {
		log_warn("resolv-conf-not-read", "file", file, "why",
		    strerror(errno), NULL);
		return;
	}
	for (int n = 0; n < 1000 && fgets(line, sizeof(line), in); n++)
		if (sscanf(line, " nameserver %255s", address) == 1)
			add_server(options, span_of(address));
	fclose(in);
}

static void log_servers(const struct dns_options *options, const char *from)
{
	struct buf list;
	char text[NET_TEXT_MAX];

	buf_init(&list, DNS_SERVERS_MAX * NET_TEXT_MAX);
	for (size_t i = 0; i < options->nservers; i++) {
		net_print(&options->servers[i], text);
		buf_printf(&list, i ? " %s" : "%s", text);
	}
	log_event("resolvers", "from", from, "servers", buf_text(&list), NULL);
	buf_clear(&list);
}

void dns_servers_find(const struct strings *configured, const char *file,
    struct dns_options *options)
{
	const char *from = configured->count ? "configuration" : file;

	options->nservers = 0;
	for (size_t i = 0; i < configured->count; i++)
		add_server(options, span_of(configured->items[i]));
	if (options->nservers == 0)
		read_resolv_conf(file, options);
	if (options->nservers == 0) {
		from = "default";
		add_server(options, SPAN_LITERAL("127.0.0.1"));
	}
	log_servers(options, from);
}

/* --- hosts ---------------------------------------------------------------- */

struct hosts_entry {
	char *name;
	uint8_t nbytes;
	unsigned char bytes[16];
};

struct hosts {
	size_t count;
	struct hosts_entry *entries;
};

static void add_host(
    struct hosts *hosts, const union net_address *address, char *name)
{
	struct hosts_entry *grown, *e;
	struct span bytes = net_bytes(address);

	if (hosts->count == HOSTS_ENTRIES_MAX)
		return;
	grown = reallocarray(
	    hosts->entries, hosts->count + 1, sizeof(*hosts->entries));
	if (!grown)
		return;
	hosts->entries = grown;
	e = &grown[hosts->count];
	e->name = strdup(name);
	if (!e->name)
		return;
	for (char *p = e->name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	e->nbytes = (uint8_t)bytes.n;
	memcpy(e->bytes, bytes.p, bytes.n);
	hosts->count++;
}

static char *next_word(char **rest)
{
	char *word;

	while ((word = strsep(rest, " \t")) != NULL && !*word)
		;
	return word;
}

static void add_line(struct hosts *hosts, char *line)
{
	char *rest = line, *word;
	union net_address address;

	line[strcspn(line, "#\r\n")] = '\0';
	word = next_word(&rest);
	if (!word || net_parse(span_of(word), 0, &address) < 0)
		return;
	while ((word = next_word(&rest)) != NULL)
		add_host(hosts, &address, word);
}

struct hosts *hosts_load(const char *file)
{
	struct hosts *hosts = calloc(1, sizeof(*hosts));
	FILE *in = hosts ? fopen(file, "re") : NULL;
	char line[2048];

	if (!in)
		return hosts;
	for (int n = 0; n < HOSTS_LINES_MAX && fgets(line, sizeof(line), in);
	     n++)
		add_line(hosts, line);
	fclose(in);
	return hosts;
}

void hosts_free(struct hosts *hosts)
{
	if (!hosts)
		return;
	for (size_t i = 0; i < hosts->count; i++)
		free(hosts->entries[i].name);
	free(hosts->entries);
	free(hosts);
}

static void add_record(struct dns_answer *a, const struct hosts_entry *e)
{
	struct dns_record *r = &a->records[a->nrecords++];

	r->nbytes = e->nbytes;
	memcpy(r->bytes, e->bytes, sizeof(r->bytes));
}

struct dns_answer *hosts_find(
    const struct hosts *hosts, const char *name, enum dns_type type)
{
	uint8_t nbytes = type == DNS_A ? 4 : 16;
	struct dns_answer *a = NULL;

	for (size_t i = 0; i < hosts->count; i++) {
		const struct hosts_entry *e = &hosts->entries[i];

		if (e->nbytes != nbytes || strcmp(e->name, name) != 0)
			continue;
		if (!a)
			a = dns_answer_new(DNS_FOUND);
		if (a && !a->records)
			a->records =
			    calloc(DNS_RECORDS_MAX, sizeof(*a->records));
		if (a && a->records && a->nrecords < DNS_RECORDS_MAX)
			add_record(a, e);
	}
	return a;
}
