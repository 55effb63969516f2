/* resolv.conf(5) and hosts(5). */
#include "remote/dnssystem.h"

#include "common/resolvers.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* --- resolvers ------------------------------------------------------------ */

static void log_servers(const struct resolvers *resolvers)
{
	struct buf list;

	buf_init(&list, RESOLVERS_MAX * (NET_TEXT_MAX + 16));
	for (size_t i = 0; i < resolvers->count; i++) {
		buf_puts(&list, i ? ", " : "");
		resolver_print(&resolvers->items[i], &list);
	}
	log_event("resolvers", "from", resolvers->from, "servers",
	    buf_text(&list), NULL);
	buf_clear(&list);
}

/* Once, at the start: DANE cannot work as far as this goes. */
static void log_distrust(const struct resolvers *resolvers)
{
	size_t ntrusted = resolvers_trusted(resolvers);

	if (ntrusted == resolvers->count)
		return;
	log_warn(ntrusted ? "dns-partly-not-validated" : "dns-not-validated",
	    "why",
	    ntrusted ? "not every resolver is on loopback or marked \"trusted\""
		     : "no resolver is on loopback or marked \"trusted\"",
	    "effect",
	    ntrusted ? "no DANE while another resolver answers" : "no DANE",
	    "remedy", "run a validating resolver on 127.0.0.1", NULL);
}

void dns_servers_find(
    const struct conf *conf, const char *file, struct dns_options *options)
{
	struct resolvers found;

	resolvers_find(&conf->resolvers, file, &found);
	log_servers(&found);
	options->nservers = found.count;
	for (size_t i = 0; i < found.count; i++) {
		options->servers[i] = found.items[i].address;
		options->is_trusted[i] = found.items[i].is_trusted;
	}
	options->wants_secure = conf->tls.dane != SWITCH_OFF;
	if (options->wants_secure)
		log_distrust(&found);
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
