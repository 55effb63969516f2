/* MTA-STS policies by HTTPS, several at once, with libcurl on our loop; and
 * reports about TLS the other way, by POST (RFC 8460 section 5.2).
 *
 * The addresses come with the question: no name is looked up here. One request,
 * no redirect, no proxy, no cookie, TLS 1.2 or later with a certificate for
 * mta-sts.DOMAIN, 64 KiB of text/plain, half a minute: RFC 8461 section 3.3.
 */
#include "remote/fetch.h"

#include "common/deadline.h"
#include "common/net.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

enum {
	AT_ONCE = 8,
	TRANSFERS_MAX = 500,
	CONNECT_S = 15,
	TOTAL_S = 30,
	HEADER_MAX = 32768,
};

struct transfer {
	TAILQ_ENTRY(transfer) entry;
	struct fetcher *fetcher;
	uint64_t id;
	CURL *easy; /* NULL: not begun */
	struct curl_slist *resolve, *headers;
	struct buf body; /* what comes; of a post nothing is kept */
	char *post;	 /* NULL: a policy is fetched */
	size_t npost;
	size_t header_bytes;
	bool is_too_long;
	char error[CURL_ERROR_SIZE];
	char url[1200];
};

TAILQ_HEAD(transfers, transfer);

struct fetcher {
	struct child *child;
	const struct castore *ca;
	CURLM *multi;
	struct timer timer;
	struct wire *resolver; /* NULL: not there */
	struct transfers waiting, running;
	size_t nwaiting, nrunning;
	uint64_t done, failed;
};

static void transfer_free(struct transfer *t)
{
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->resolve);
	curl_slist_free_all(t->headers);
	buf_clear(&t->body);
	free(t->post);
	free(t);
}

/* --- the end of one ------------------------------------------------------- */

static void send_answer(const struct fetcher *fetcher, bool is_post,
    uint64_t id, const struct fetch_answer *a)
{
	struct buf payload;

	if (!fetcher->resolver)
		return;
	buf_init(&payload, FETCH_TEXT_MAX + 2000);
	if (is_post)
		outcome_put(&payload, &a->outcome);
	else
		fetch_answer_put(&payload, a);
	wire_send(fetcher->resolver, is_post ? MSG_TLS_POSTED : MSG_FETCHED, id,
	    buf_span(&payload));
	buf_clear(&payload);
}

static void note(const struct fetcher *fetcher)
{
	struct buf payload;

	if (!fetcher->child->supervisor)
		return;
	buf_init(&payload, 512);
	put_span(&payload, span_of(log_text("policies %llu, failed %llu",
			       (unsigned long long)fetcher->done,
			       (unsigned long long)fetcher->failed)));
	wire_send(fetcher->child->supervisor, MSG_NOTE, 0, buf_span(&payload));
	buf_clear(&payload);
}

static bool is_plain_text(const char *type)
{
	size_t n = sizeof("text/plain") - 1;

	return type && span_has_prefix_nocase(span_of(type), "text/plain") &&
	       (type[n] == '\0' || type[n] == ';' || type[n] == ' ');
}

/* 0, or -1 with *why. */
static int judge(struct transfer *t, CURLcode code, struct outcome *why)
{
	const char *type = NULL;
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &type);
	if (t->is_too_long)
		return outcome_temp(
		    why, "4.7.5", "%s: more than 64 KiB", t->url);
	if (code != CURLE_OK)
		return outcome_temp(why, "4.7.5", "%s: %s", t->url,
		    t->error[0] ? t->error : curl_easy_strerror(code));
	if (status >= 300 && status < 400)
		return outcome_temp(why, "4.7.5",
		    "%s: redirected (%ld), which is not followed", t->url,
		    status);
	if (t->post && status > 200 && status < 300)
		return outcome_ok(why);
	if (status != 200)
		return outcome_temp(
		    why, "4.7.5", "%s: HTTP status %ld", t->url, status);
	if (!t->post && !is_plain_text(type))
		return outcome_temp(why, "4.7.5", "%s: not text/plain", t->url);
	outcome_ok(why);
	return 0;
}

static void begin_more(struct fetcher *fetcher);

static void finish(struct transfer *t, CURLcode code)
{
	struct fetcher *fetcher = t->fetcher;
	struct fetch_answer a = { 0 };

	if (judge(t, code, &a.outcome) == 0)
		a.text = buf_span(&t->body);
	if (a.outcome.verdict == VERDICT_OK)
		fetcher->done++;
	else
		fetcher->failed++;
	log_detail("fetched", "url", t->url, "bytes", log_text("%zu", a.text.n),
	    "why", a.outcome.verdict == VERDICT_OK ? NULL : a.outcome.detail,
	    NULL);
	send_answer(fetcher, t->post, t->id, &a);
	curl_multi_remove_handle(fetcher->multi, t->easy);
	TAILQ_REMOVE(&fetcher->running, t, entry);
	fetcher->nrunning--;
	transfer_free(t);
}

static void take_finished(struct fetcher *fetcher)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(fetcher->multi, &left))) {
		CURLcode code = message->data.result;
		char *t = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
		finish((struct transfer *)(void *)t, code);
	}
	begin_more(fetcher);
	note(fetcher);
}

/* --- libcurl on the loop -------------------------------------------------- */

static void on_socket(int fd, uint32_t events, void *arg)
{
	struct fetcher *fetcher = arg;
	int running, what = 0;

	if (events & EPOLLIN)
		what |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		what |= CURL_CSELECT_OUT;
	if (events & (EPOLLERR | EPOLLHUP))
		what |= CURL_CSELECT_ERR;
	curl_multi_socket_action(fetcher->multi, fd, what, &running);
	take_finished(fetcher);
}

static void on_timer(void *arg)
{
	struct fetcher *fetcher = arg;
	int running;

	curl_multi_socket_action(
	    fetcher->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	take_finished(fetcher);
}

static int watch_socket(
    CURL *easy, curl_socket_t fd, int what, void *arg, void *is_watched)
{
	struct fetcher *fetcher = arg;
	struct loop *loop = fetcher->child->loop;
	uint32_t events = 0;

	(void)easy;
	if (what & CURL_POLL_IN)
		events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		events |= EPOLLOUT;
	if (what == CURL_POLL_REMOVE) {
		loop_remove(loop, fd);
		return 0;
	}
	if (is_watched)
		return loop_change(loop, fd, events);
	curl_multi_assign(fetcher->multi, fd, fetcher);
	return loop_add(loop, fd, events, on_socket, fetcher);
}

static int watch_time(CURLM *multi, long timeout_ms, void *arg)
{
	struct fetcher *fetcher = arg;
	struct loop *loop = fetcher->child->loop;

	(void)multi;
	if (timeout_ms < 0)
		loop_timer_cancel(loop, &fetcher->timer);
	else
		loop_timer_set(loop, &fetcher->timer,
		    now_monotonic_ms() + (uint64_t)timeout_ms, on_timer,
		    fetcher);
	return 0;
}

/* --- one request ---------------------------------------------------------- */

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	if (t->post)
		return size * n;
	buf_put(&t->body, data, size * n);
	t->is_too_long = t->body.overflow;
	return t->is_too_long ? 0 : size * n;
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	(void)data;
	t->header_bytes += size * n;
	return t->header_bytes > HEADER_MAX ? 0 : size * n;
}

static CURLcode use_ca(CURL *easy, void *context, void *arg)
{
	const struct fetcher *fetcher = arg;

	(void)easy;
	SSL_CTX_set1_cert_store(context, castore_x509(fetcher->ca));
	return CURLE_OK;
}

static void add_address(
    struct buf *entry, struct span bytes, uint16_t port, bool is_first)
{
	union net_address address;
	char ip[NET_TEXT_MAX];

	if (net_from_bytes(bytes, port, &address) < 0)
		return;
	net_print_ip(&address, ip);
	buf_printf(
	    entry, bytes.n == 16 ? "%s[%s]" : "%s%s", is_first ? "" : ",", ip);
}

/* "+": forgotten again after a minute. */
static int set_addresses(struct transfer *t, const char *prefix,
    struct span host, uint16_t port, const struct span *addresses, unsigned n)
{
	struct buf entry;

	buf_init(&entry, 2000);
	buf_printf(&entry, "+%s%.*s:%u:", prefix, (int)host.n, host.p, port);
	for (unsigned i = 0; i < n; i++)
		add_address(&entry, addresses[i], port, i == 0);
	if (!entry.overflow)
		t->resolve = curl_slist_append(NULL, buf_text(&entry));
	buf_clear(&entry);
	return t->resolve ? 0 : -1;
}

/* RFC 8460 sections 5.2 and 6.3. */
static int set_post(struct transfer *t)
{
	CURL *e = t->easy;
	int bad = 0;

	t->headers =
	    curl_slist_append(NULL, "Content-Type: application/tlsrpt+gzip");
	bad |= !t->headers;
	bad |= curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
	bad |= curl_easy_setopt(e, CURLOPT_POSTFIELDS, t->post);
	bad |= curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, (long)t->npost);
	return bad;
}

static int set_options(struct transfer *t)
{
	CURL *e = t->easy;
	int bad = t->post ? set_post(t) : 0;

	bad |= curl_easy_setopt(e, CURLOPT_URL, t->url);
	bad |= curl_easy_setopt(e, CURLOPT_PRIVATE, t);
	bad |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->error);
	bad |= curl_easy_setopt(e, CURLOPT_RESOLVE, t->resolve);
	bad |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https");
	bad |= curl_easy_setopt(e, CURLOPT_PROXY, "");
	bad |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	bad |= curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	bad |= curl_easy_setopt(e, CURLOPT_USERAGENT, "Outpost");
	bad |= curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);
	bad |= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	bad |= curl_easy_setopt(e, CURLOPT_TIMEOUT, (long)TOTAL_S);
	bad |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	bad |= curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	bad |= curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	bad |= curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	bad |= curl_easy_setopt(e, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	bad |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	bad |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	/* no file is opened for it: the CAs are in memory */
	bad |= curl_easy_setopt(e, CURLOPT_CAINFO, NULL);
	bad |= curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	bad |= curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, use_ca);
	bad |= curl_easy_setopt(e, CURLOPT_SSL_CTX_DATA, t->fetcher);
	return bad ? -1 : 0;
}

static void fail(
    struct fetcher *fetcher, bool is_post, uint64_t id, const char *why)
{
	struct fetch_answer a = { 0 };

	outcome_temp(&a.outcome, "4.3.0", "%s", why);
	send_answer(fetcher, is_post, id, &a);
}

static void begin_transfer(struct transfer *t)
{
	struct fetcher *fetcher = t->fetcher;

	t->easy = curl_easy_init();
	if (t->easy && set_options(t) == 0 &&
	    curl_multi_add_handle(fetcher->multi, t->easy) == CURLM_OK) {
		TAILQ_INSERT_TAIL(&fetcher->running, t, entry);
		fetcher->nrunning++;
		return;
	}
	fail(fetcher, t->post, t->id, "libcurl does not take the request");
	transfer_free(t);
}

static void begin_more(struct fetcher *fetcher)
{
	struct transfer *t;

	while (fetcher->nrunning < AT_ONCE &&
	       (t = TAILQ_FIRST(&fetcher->waiting)) != NULL) {
		TAILQ_REMOVE(&fetcher->waiting, t, entry);
		fetcher->nwaiting--;
		begin_transfer(t);
	}
}

/* --- outpost-resolve ------------------------------------------------------ */

static void give_up_all(struct fetcher *fetcher)
{
	struct transfer *t;

	while ((t = TAILQ_FIRST(&fetcher->waiting)) != NULL) {
		TAILQ_REMOVE(&fetcher->waiting, t, entry);
		transfer_free(t);
	}
	while ((t = TAILQ_FIRST(&fetcher->running)) != NULL) {
		curl_multi_remove_handle(fetcher->multi, t->easy);
		TAILQ_REMOVE(&fetcher->running, t, entry);
		transfer_free(t);
	}
	fetcher->nwaiting = fetcher->nrunning = 0;
}

static void on_closed(struct wire *wire, const char *why, void *arg)
{
	struct fetcher *fetcher = arg;

	log_event("resolver-gone", "why", why, NULL);
	fetcher->resolver = NULL;
	wire_free(wire);
	give_up_all(fetcher);
}

/* It goes into a URL. */
static bool is_host_name(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') ||
			(s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-' ||
			s.p[i] == '_' || (s.p[i] == '.' && i > 0)))
			return false;
	return s.n > 0;
}

static void enqueue(struct transfer *t)
{
	TAILQ_INSERT_TAIL(&t->fetcher->waiting, t, entry);
	t->fetcher->nwaiting++;
	begin_more(t->fetcher);
}

static void add_transfer(
    struct fetcher *fetcher, uint64_t id, const struct fetch_query *q)
{
	struct transfer *t =
	    fetcher->nwaiting < TRANSFERS_MAX ? calloc(1, sizeof(*t)) : NULL;

	if (!t || set_addresses(t, "mta-sts.", q->domain, q->port, q->addresses,
		      q->naddresses) < 0) {
		fail(fetcher, false, id,
		    "too many policies are fetched at once");
		free(t);
		return;
	}
	t->fetcher = fetcher;
	t->id = id;
	buf_init(&t->body, FETCH_TEXT_MAX);
	snprintf(t->url, sizeof(t->url),
	    q->port == 443 ? "https://mta-sts.%.*s/.well-known/mta-sts.txt"
			   : "https://mta-sts.%.*s:%u/.well-known/mta-sts.txt",
	    (int)q->domain.n, q->domain.p, q->port);
	enqueue(t);
}

static void on_fetch(struct wire *wire, struct message *message, void *arg)
{
	struct fetcher *fetcher = arg;
	struct reader r = reader_of(message->payload);
	struct fetch_query q;

	fetch_query_get(&r, &q);
	if (reader_is_done(&r) && is_host_name(q.domain))
		add_transfer(fetcher, message->id, &q);
	else
		on_closed(wire, "a question that cannot be read", fetcher);
}

static void add_post(
    struct fetcher *fetcher, uint64_t id, const struct tls_post *p)
{
	struct transfer *t =
	    fetcher->nwaiting < TRANSFERS_MAX ? calloc(1, sizeof(*t)) : NULL;

	if (t)
		t->post = malloc(p->body.n);
	if (!t || !t->post ||
	    set_addresses(
		t, "", p->host, p->port, p->addresses, p->naddresses) < 0) {
		fail(fetcher, true, id, "too many reports are sent at once");
		if (t)
			free(t->post);
		free(t);
		return;
	}
	t->fetcher = fetcher;
	t->id = id;
	t->npost = p->body.n;
	memcpy(t->post, p->body.p, p->body.n);
	buf_init(&t->body, 1);
	snprintf(t->url, sizeof(t->url), "%.*s", (int)p->uri.n, p->uri.p);
	enqueue(t);
}

static void on_post(struct wire *wire, struct message *message, void *arg)
{
	struct fetcher *fetcher = arg;
	struct reader r = reader_of(message->payload);
	struct tls_post p;

	tls_post_get(&r, &p);
	if (reader_is_done(&r) && is_host_name(p.host) && p.naddresses > 0 &&
	    p.body.n > 0)
		add_post(fetcher, message->id, &p);
	else
		on_closed(wire, "a report that cannot be read", fetcher);
}

static const struct wire_rule rules[] = {
	{ MSG_FETCH, 1200, on_fetch },
	{ MSG_TLS_POST, TLS_POST_MAX + 2000, on_post },
	{ 0 },
};

void fetcher_connect(struct fetcher *fetcher, int fd)
{
	if (fetcher->resolver)
		on_closed(fetcher->resolver, "another one came", fetcher);
	fetcher->resolver = wire_new(
	    fetcher->child->loop, fd, "resolver", rules, on_closed, fetcher);
	if (!fetcher->resolver)
		fatal(EXIT_TRY_LATER, "resolver: %s", strerror(errno));
}

struct fetcher *fetcher_new(struct child *child, const struct castore *ca)
{
	struct fetcher *fetcher = calloc(1, sizeof(*fetcher));

	if (!fetcher || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    !(fetcher->multi = curl_multi_init())) {
		free(fetcher);
		return NULL;
	}
	fetcher->child = child;
	fetcher->ca = ca;
	TAILQ_INIT(&fetcher->waiting);
	TAILQ_INIT(&fetcher->running);
	curl_multi_setopt(
	    fetcher->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETDATA, fetcher);
	curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERFUNCTION, watch_time);
	curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERDATA, fetcher);
	return fetcher;
}
