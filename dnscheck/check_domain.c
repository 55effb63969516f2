/* Sender domains: those of the configuration, or the one that was given. */
#include "dnscheck/domain.h"

#include "common/address.h"
#include "dnscheck/checks.h"
#include "dnscheck/names.h"
#include "dnscheck/need.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT(...) finding_text(&run->findings, __VA_ARGS__)

/* --- which ones ----------------------------------------------------------- */

static struct domain *find(struct domains *d, const char *name)
{
	for (size_t i = 0; i < d->count; i++)
		if (strcmp(d->items[i].name, name) == 0)
			return &d->items[i];
	return NULL;
}

/* text: a domain, or an address. Without anything to look up: left out. */
static void add(struct domains *d, const char *text, const char *line)
{
	const char *at = text ? strrchr(text, '@') : NULL;
	struct domain *known;
	struct buf ascii;

	if (!text)
		return;
	buf_init(&ascii, DOMAIN_NAME_MAX - 1);
	if (domain_to_ascii(span_of(at ? at + 1 : text), &ascii, NULL) < 0 ||
	    ascii.overflow || !names_is_host(buf_text(&ascii)) ||
	    names_is_private(buf_text(&ascii))) {
		buf_clear(&ascii);
		return;
	}
	known = find(d, buf_text(&ascii));
	if (known && (!line || !known->line || strcmp(known->line, line) != 0))
		known->line = NULL;
	if (!known && d->count < DOMAINS_MAX) {
		known = &d->items[d->count++];
		snprintf(
		    known->name, sizeof(known->name), "%s", buf_text(&ascii));
		known->line = line;
	}
	buf_clear(&ascii);
}

static void add_configured(
    struct domains *d, const struct run_options *o, const struct conf *conf)
{
	add(d, o->localname ? o->localname : conf->localname, NULL);
	add(d, conf->defaults.sender_domain, NULL);
	if (conf->postmaster && strchr(conf->postmaster, '@'))
		add(d, conf->postmaster, NULL);
	for (size_t i = 0; i < conf->nsenders; i++) {
		const struct conf_sender *sender = &conf->senders[i];

		if (strchr(sender->pattern, '@') && !sender->relay)
			add(d, sender->pattern,
			    sender->pattern[0] == '@' ? sender->line : NULL);
	}
}

/* --- selectors ------------------------------------------------------------ */

/* "NAME" or "NAME=FILE" */
static int add_selector(struct domains *d, struct span item, struct buf *error)
{
	struct span file = item, name = span_cut(&file, '=');
	struct selector *s = &d->selectors[d->nselectors];
	const char *why = "";
	char path[4096];

	if (d->nselectors == SELECTORS_MAX || name.n == 0 ||
	    name.n >= sizeof(s->name) || !domain_is_valid(name, 1)) {
		buf_printf(error,
		    "--selector: %s is not allowed; NAME[=KEY-FILE],... and %d "
		    "of them at most",
		    log_escape(item), SELECTORS_MAX);
		return -1;
	}
	snprintf(s->name, sizeof(s->name), "%.*s", (int)name.n, name.p);
	d->nselectors++;
	if (file.n == 0)
		return 0;
	s->key = need(malloc(sizeof(*s->key)));
	snprintf(path, sizeof(path), "%.*s", (int)file.n, file.p);
	if (file.n < sizeof(path) && dkim_key_load(path, s->key, &why) == 0)
		return 0;
	buf_printf(error, "--selector: %s: %s", log_escape(file), why);
	return -1;
}

static int add_selectors(struct domains *d, const char *list, struct buf *error)
{
	struct span rest = span_of(list);

	while (rest.n > 0)
		if (add_selector(d, span_cut(&rest, ','), error) < 0)
			return -1;
	return 0;
}

struct domains *domains_new(const struct run_options *options,
    const struct conf *conf, struct buf *error)
{
	struct domains *d = need(calloc(1, sizeof(*d)));

	if (options->domain) {
		add(d, options->domain, NULL);
		if (d->count == 0)
			buf_printf(error, "DOMAIN: %s is no full domain name",
			    log_escape(span_of(options->domain)));
	} else {
		add_configured(d, options, conf);
	}
	if (error->len == 0 && add_selectors(d, options->selectors, error) == 0)
		return d;
	domains_free(d);
	return NULL;
}

void domains_free(struct domains *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->nselectors; i++)
		free(d->selectors[i].key);
	free(d);
}

bool domain_has_place(const struct domain *domain, const struct place *place)
{
	return !place->is_relayed &&
	       (!domain->line || strcmp(domain->line, place->line) == 0);
}

/* --- what the checks share ------------------------------------------------ */

struct domain_text domain_text(
    struct run *run, const char *name, const char *version)
{
	struct domain_text t = { .answer =
				     ask(run->ask, span_of(name), ASK_TXT) };
	const struct ask_record *r = ask_first(t.answer, ASK_TXT);
	size_t n = strlen(version);

	if (t.answer->status != ASK_FOUND)
		return t;
	for (; r; r = ask_next(t.answer, r)) {
		if (!span_has_prefix_nocase(r->data, version) ||
		    (r->data.n > n && !strchr(" ;\t", r->data.p[n])))
			continue;
		if (t.count++ == 0)
			t.first = r->data;
	}
	return t;
}

const char *domain_txt_record(
    struct run *run, const char *owner, struct span text)
{
	const char *kept;
	struct buf out;

	buf_init(&out, FINDING_TEXT_MAX);
	buf_printf(&out, "%s. IN TXT", owner);
	for (size_t i = 0; i < text.n; i += 255) {
		buf_puts(&out, " \"");
		for (size_t j = i; j < text.n && j < i + 255; j++) {
			unsigned char c = (unsigned char)text.p[j];

			if (c == '"' || c == '\\')
				buf_printf(&out, "\\%c", c);
			else if (c < 0x20 || c > 0x7e)
				buf_printf(&out, "\\%03u", c);
			else
				buf_putc(&out, (char)c);
		}
		buf_putc(&out, '"');
	}
	kept = out.overflow ? "" : TEXT("%s", buf_text(&out));
	buf_clear(&out);
	return kept;
}

void domain_unknown(struct run *run, const char *code,
    const struct ask_answer *answer, struct finding *f)
{
	f->code = code;
	f->status = FINDING_SKIP;
	f->found = TEXT("%s %s: %s (%s)", ask_type_name(answer->type),
	    answer->name.p, ask_status_name(answer->status), answer->why.p);
	f->remedy = "see the findings of the resolvers; then run this again";
}

const char *domain_publisher(struct run *run, const char *name)
{
	return TEXT("who runs %s publishes this", names_zone(run, name));
}

void domain_plan(struct run *run)
{
	static void (*const checks[])(struct run *, void *) = { check_domain_mx,
		check_domain_spf, check_domain_dkim, check_domain_dmarc,
		check_domain_sts, check_domain_caa, check_domain_bimi };
	struct domains *d = run->domains;

	if (run->options->mode != RUN_NODE && run->options->mode != RUN_DOMAIN)
		return;
	for (size_t i = 0; i < d->count; i++)
		for (size_t j = 0; j < sizeof(checks) / sizeof(*checks); j++)
			run_add(run, checks[j], &d->items[i]);
}
