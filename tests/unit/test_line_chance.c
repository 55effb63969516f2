/* A server that refuses, closes and resets at random, and writes down what it
 * has accepted: what the line reports must agree, recipient by recipient.
 *
 * delivered: accepted exactly once; uncertain: at most once; anything else:
 * never. SEEDS=n and SEED=first change how much is tried.
 */
#include "line_driver.h"

#include <netinet/tcp.h>
#include <sys/mman.h>

enum { JOBS = 25, RCPTS = 3 };

struct ledger {
	unsigned accepted[JOBS][RCPTS];
	unsigned connections;
};

/* --- the server ----------------------------------------------------------- */

struct chance {
	struct server s;
	struct ledger *ledger;
	bool has_pipelining, has_chunking, has_mail, is_over;
	unsigned risk; /* one in so many steps goes wrong */
	bool taken[JOBS][RCPTS];
	unsigned ntaken;
};

static bool happens(struct chance *c)
{
	return rand() % c->risk == 0;
}

/* Something ends the connection, or a refusal: false, and what was said. */
static bool goes_well(struct chance *c)
{
	if (!happens(c))
		return true;
	switch (rand() % 5) {
	case 0:
		server_send(&c->s, "421 4.3.2 enough\r\n");
		c->is_over = true;
		break;
	case 1:
		server_close(&c->s, rand() % 2);
		c->is_over = true;
		break;
	case 2:
		server_send(&c->s, "550 5.7.1 no\r\n");
		break;
	default:
		server_send(&c->s, "450 4.7.1 later\r\n");
	}
	return false;
}

static void forget_envelope(struct chance *c)
{
	memset(c->taken, 0, sizeof(c->taken));
	c->ntaken = 0;
	c->has_mail = false;
}

static void accept_content(struct chance *c)
{
	bool is_taken = c->ntaken > 0;

	if (!is_taken) {
		/* as Exim: the sender stays */
		server_send(&c->s, "554 5.5.1 no recipients\r\n");
		return;
	}
	if (!goes_well(c)) {
		forget_envelope(c);
		return;
	}
	for (int i = 0; i < JOBS; i++)
		for (int k = 0; k < RCPTS; k++)
			c->ledger->accepted[i][k] += c->taken[i][k];
	forget_envelope(c);
	if (happens(c)) {
		server_close(&c->s, rand() % 2);
		c->is_over = true;
		return;
	}
	server_send(&c->s, "250 2.0.0 accepted\r\n");
}

static void on_data(struct chance *c)
{
	char line[4096];

	if (c->ntaken == 0 && rand() % 2) {
		server_send(&c->s, "503 5.5.1 RCPT first\r\n");
		return;
	}
	if (!goes_well(c))
		return;
	server_send(&c->s, "354 go\r\n");
	do
		if (!server_line(&c->s, line, sizeof(line))) {
			c->is_over = true;
			return;
		}
	while (strcmp(line, ".") != 0);
	accept_content(c);
}

static void on_bdat(struct chance *c, const char *line)
{
	size_t n = strtoul(line + 5, NULL, 10);

	while (c->s.n < n)
		if (server_fill(&c->s) == 0) {
			c->is_over = true;
			return;
		}
	server_drop(&c->s, n);
	accept_content(c);
}

static void on_rcpt(struct chance *c, const char *line)
{
	int i, k;

	if (!c->has_mail) {
		server_send(&c->s, "503 5.5.1 MAIL first\r\n");
		return;
	}
	if (!goes_well(c))
		return;
	if (sscanf(line, "RCPT TO:<m%dr%d@", &i, &k) != 2)
		die("odd recipient", line);
	c->taken[i][k] = true;
	c->ntaken++;
	server_send(&c->s, "250 ok\r\n");
}

static void on_command(struct chance *c, const char *line)
{
	if (strncmp(line, "EHLO", 4) == 0) {
		server_send(&c->s, c->has_pipelining
				       ? "250-x\r\n250-PIPELINING\r\n"
				       : "250-x\r\n");
		server_send(&c->s,
		    c->has_chunking ? "250 CHUNKING\r\n" : "250 DSN\r\n");
	} else if (strncmp(line, "MAIL", 4) == 0 && c->has_mail) {
		server_send(&c->s, "503 5.5.1 nested MAIL\r\n");
	} else if (strncmp(line, "MAIL", 4) == 0) {
		if (!goes_well(c))
			return;
		c->has_mail = true;
		server_send(&c->s, "250 ok\r\n");
	} else if (strncmp(line, "RCPT", 4) == 0) {
		on_rcpt(c, line);
	} else if (strncmp(line, "DATA", 4) == 0) {
		on_data(c);
	} else if (strncmp(line, "BDAT", 4) == 0) {
		on_bdat(c, line);
	} else if (strncmp(line, "RSET", 4) == 0) {
		forget_envelope(c);
		server_send(&c->s, "250 reset\r\n");
	} else if (strncmp(line, "QUIT", 4) == 0) {
		c->is_over = true;
	} else {
		die("odd command", line);
	}
}

static void serve_one(struct chance *c)
{
	char line[4096];

	c->has_pipelining = rand() % 4 != 0;
	c->has_chunking = rand() % 2;
	c->is_over = false;
	c->ledger->connections++;
	forget_envelope(c);
	if (!goes_well(c))
		c->is_over = true;
	else
		server_send(&c->s, "220 chance\r\n");
	while (!c->is_over && server_line(&c->s, line, sizeof(line)))
		on_command(c, line);
	if (c->s.fd >= 0)
		server_close(&c->s, false);
}

static void chance_run(int listener, struct ledger *ledger, unsigned seed)
{
	static struct chance c;
	int one = 1;

	alarm(LIMIT_S);
	signal(SIGPIPE, SIG_IGN);
	/* resets make writes fail: no news */
	if (!freopen("/dev/null", "w", stderr))
		_exit(1);
	srand(seed);
	c.ledger = ledger;
	c.risk = 5 + seed % 60;
	for (;;) {
		c.s.fd = accept(listener, NULL, NULL);
		setsockopt(c.s.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c.s.n = 0;
		serve_one(&c);
	}
}

/* --- the check ------------------------------------------------------------ */

static void give_jobs(struct drive *d, unsigned seed)
{
	for (unsigned i = 0; i < JOBS; i++) {
		char rcpts[200] = "";

		for (unsigned k = 0; k < 1 + (i + seed) % RCPTS; k++)
			snprintf(rcpts + strlen(rcpts),
			    sizeof(rcpts) - strlen(rcpts), "%sm%ur%u@x.test",
			    k > 0 ? " " : "", i, k);
		drive_deliver(d, i, rcpts, "Subject: x\r\n\r\n.hi\r\n");
	}
	drive_end(d);
}

static void check(const struct drive *d, const struct ledger *ledger,
    unsigned totals[5], unsigned seed)
{
	for (size_t k = 0; k < d->result.nrecipients; k++) {
		unsigned result = d->result.recipients[k].result;
		unsigned times = ledger->accepted[d->number][k];
		bool is_right = result == RCPT_DELIVERED   ? times == 1
				: result == RCPT_UNCERTAIN ? times <= 1
							   : times == 0;

		totals[result]++;
		if (is_right)
			continue;
		fprintf(stderr, "seed %u, m%ur%zu: result %u, accepted %u\n",
		    seed, (unsigned)d->number, k, result, times);
		fail();
	}
}

static void run_seed(unsigned seed, unsigned totals[5])
{
	struct ledger *ledger = mmap(NULL, sizeof(*ledger),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool is_answered[JOBS] = { false };
	struct drive d;
	int listener, status;

	memset(&d, 0, sizeof(d));
	listener = drive_listen(&d.port);
	d.server = fork();
	if (d.server == 0)
		chance_run(listener, ledger, seed);
	close(listener);
	drive_line(&d);
	drive_session(&d, 4);
	give_jobs(&d, seed);
	while (drive_receive(&d) == MSG_RESULT) {
		assert_true(d.number < JOBS && !is_answered[d.number]);
		is_answered[d.number] = true;
		check(&d, ledger, totals, seed);
	}
	for (unsigned i = 0; i < JOBS; i++)
		assert_true(is_answered[i]);
	kill(d.server, SIGKILL);
	waitpid(d.server, &status, 0);
	wire_free(d.wire);
	waitpid(d.line, &status, 0);
	assert_int_equal(status, 0);
	result_free(&d.result);
	free(d.text);
	munmap(ledger, sizeof(*ledger));
}

static void test_chance(void **state)
{
	const char *first = getenv("SEED"), *count = getenv("SEEDS");
	unsigned from = first ? (unsigned)atoi(first) : 1;
	unsigned n = count ? (unsigned)atoi(count) : 60;
	unsigned totals[5] = { 0 };

	(void)state;
	for (unsigned seed = from; seed < from + n; seed++)
		run_seed(seed, totals);
	printf("untouched %u, delivered %u, deferred %u, failed %u, "
	       "uncertain %u\n",
	    totals[0], totals[1], totals[2], totals[3], totals[4]);
	assert_true(totals[RCPT_DELIVERED] > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
