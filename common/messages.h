/* Every message between programs: its type, and the typed contents that
 * several programs put and get. The payload's layout stands behind each type;
 * "outcome", "envelope"... are the put/get functions of that name.
 *
 * ids: where a request has an answer, the answer carries the request's id.
 * Times are UTC seconds unless the name says otherwise.
 */
#ifndef COMMON_MESSAGES_H
#define COMMON_MESSAGES_H

#include "common/buf.h"
#include "common/outcome.h"

enum message_type {
	/* supervisor -> child (descriptor 3 of every child) */
	MSG_CONFIG = 1, /* fd: the whole configuration as text (conf_print);
			 * payload: span path of the file it came from;
			 * id: stands for the files that the child reads before
			 * its sandbox; when a later one differs, it ends for
			 * another */
	MSG_LISTENER,	/* id: enum listener_kind; payload: u32 index of the
			 * conf listen block; fds: socket[, certificate, key] */
	MSG_PEER,	/* id: enum role, above PEER_ROLE_BITS the stream's
			 * number; fd: a stream to that program */
	MSG_RUN,	/* all of the above has been sent: begin */
	MSG_STOP,	/* finish what is in hand, then exit 0;
			 * payload: u32 grace_ms */
	MSG_OUTBOUND,	/* to the runner: u8 on, span scope ("" all,
			 * "line:NAME", "destination:NAME") */
	MSG_LOG_LEVEL,	/* u8 enum log_level. From the front command to the
			 * supervisor: and u32 seconds; to the runner: and span
			 * scope, u32 seconds */
	/* child -> supervisor */
	MSG_READY,     /* serving */
	MSG_NOTE,      /* span: one line for "outpost status" */
	MSG_PEER_LOST, /* id: as in MSG_PEER; it broke: a new one, please */

	/* inject, smtpd, runner -> queued: one message. id: the client's own
	 * transaction number, unique among its open ones */
	MSG_SUBMIT = 20,  /* envelope */
	MSG_SUBMIT_DATA,  /* bytes of the message, CRLF line ends */
	MSG_SUBMIT_END,	  /* u64 total bytes of data sent */
	MSG_SUBMIT_ABORT, /* forget it; no answer */
	/* queued -> client */
	MSG_ACCEPTED, /* u64 message id: it is on disk */
	MSG_REFUSED,  /* outcome: nothing of it is kept */

	/* runner -> queued */
	MSG_WINDOW = 30, /* u32 n: announce up to n more new deliveries */
	MSG_DUE,     /* due_query: answer with MSG_WAITING each, MSG_DUE_END */
	MSG_CLAIM,   /* u64 message, u16 delivery, u8 enum claim_for */
	MSG_UNCLAIM, /* u64 message, u16 delivery: not begun after all */
	MSG_OUTCOME, /* attempt */
	/* queued -> runner */
	MSG_WAITING,  /* waiting; id 0: newly accepted, else the MSG_DUE's */
	MSG_DUE_END,  /* u64 next_due_ms (UTC; 0: nothing), u8 has_more */
	MSG_MORE_DUE, /* window used up, others wait in the index: ask */
	MSG_CHANGED,  /* u64 message, u16 delivery: held, released, re-timed or
		       * gone: forget it unless claimed, ask again if due */
	MSG_JOB,      /* job; its claim is on disk. fd: large body, read-only */
	MSG_GONE,     /* the claim cannot be had: no longer there or not due */
	MSG_RECORDED, /* the outcome is on disk */

	/* runner -> queued: kept across restarts; value at most
	 * SCHEDULE_MEMORY_MAX */
	MSG_REMEMBER = 45, /* span key, span value */
	/* queued -> runner: all of it, when it connects */
	MSG_REMEMBERED, /* span key, span value */

	/* runner -> resolve and back */
	MSG_RESOLVE = 50, /* resolve_query */
	MSG_RESOLVED,	  /* resolve_answer */
	/* resolve -> fetch and back */
	MSG_FETCH,   /* fetch_query */
	MSG_FETCHED, /* fetch_answer */

	/* runner <-> spawner */
	MSG_LINE_START = 60, /* id: line number; span group name */
	MSG_LINE_STARTED,    /* id; u32 pid; fd: stream to the line */
	MSG_LINE_ENDED,	     /* id; u32 wait status */
	MSG_LINE_FAILED,     /* id; outcome: fork or socket failed */

	/* runner -> line */
	MSG_SESSION = 70, /* id: session; session: where the next jobs go */
	MSG_DELIVER,	  /* id: job number; job. fd: large body */
	MSG_SESSION_END,  /* no more jobs for it: finish, QUIT */
	MSG_RULES = 79,	  /* replyrules_put: from the next session on */
	/* line -> runner */
	MSG_RESULT = 73,  /* id: job number; result: exactly one per job */
	MSG_SESSION_DONE, /* id: session; session_report. All jobs given for
			   * it have been answered before this */
	MSG_LINE_STATE,	  /* u8 enum line_state, span peer */
	MSG_HOST_TRIED,	  /* id: session; host_tried: one per connection */
	MSG_TICKET,	  /* id: session; ticket */
	MSG_TRANSCRIPT,	  /* id: session; transcript. Also runner -> queued */

	/* queue tool -> queued (control socket) */
	MSG_LIST = 80, /* list_query; answers MSG_ITEM..., MSG_LIST_END */
	MSG_SHOW,      /* u64 message; answers MSG_ITEM..., MSG_ATTEMPT...,
			* MSG_ENVELOPE, MSG_LIST_END */
	MSG_GET_BODY,  /* u64 message; answers MSG_SUBMIT_DATA...,
			* MSG_LIST_END */
	MSG_CHANGE,    /* change; answers MSG_CHANGE_DONE. Also from the
			* runner: CHANGE_RETRY when a destination is back */
	MSG_STATS,     /* answers MSG_STATS_DONE */
	/* queued -> queue tool */
	MSG_ITEM,	 /* item: one recipient of one delivery */
	MSG_ATTEMPT,	 /* u64 at, attempt */
	MSG_ENVELOPE,	 /* u64 accepted_at, envelope */
	MSG_LIST_END,	 /* cursor (u64 message, u16 delivery, u16 recipient),
			  * u8 has_more */
	MSG_CHANGE_DONE, /* u32 messages changed, cursor, u8 has_more */
	MSG_STATS_DONE,	 /* spool_stats */
	MSG_FAILED,	 /* outcome: the request could not be done */

	/* front command -> supervisor or runner (control sockets) */
	MSG_STATUS = 110, /* answers MSG_STATUS_LINE..., MSG_END */
	MSG_STATUS_LINE,  /* span: JSON object, one line */
	MSG_END,
	MSG_DO_STOP,	    /* answers MSG_END when all is down */
	MSG_DO_RELOAD,	    /* answers MSG_END or MSG_FAILED */
	MSG_DO_OUTBOUND,    /* as MSG_OUTBOUND; answers MSG_END */
	MSG_LINES,	    /* answers MSG_LINE..., MSG_END */
	MSG_LINE,	    /* line_info */
	MSG_DO_LINES = 125, /* span group, u32 lines, above 0: until the next
			     * reload; answers MSG_END or MSG_FAILED */

	/* supervisor -> child, before MSG_CONFIG and at every reload */
	MSG_LOG = 130, /* u8 is_syslog, u8 enum log_level, zone (date_zone_put);
			* fd: where lines go; none: to standard error */
	/* supervisor -> runner: a relay's login; nobody else gets these */
	MSG_SECRET, /* relay_secret, after MSG_CONFIG: one for each relay */
	MSG_TOKEN,  /* relay_secret: what its token-command printed */
	/* runner -> supervisor */
	MSG_WANT_TOKEN, /* span relay: answered by MSG_TOKEN */

	/* dnscheck -> probe, and back with the same id (messages_probe.h) */
	MSG_PROBE = 140, /* probe */
	MSG_PROBED,	 /* probed */

	/* front command -> runner */
	MSG_SITES = 150, /* span name, empty: all; answers MSG_STATUS_LINE...,
			  * MSG_END */
	MSG_WHY, /* u64 message, u16 delivery: what it waits for; answers
		  * MSG_STATUS_LINE, MSG_END */

	/* what TLS came to, for reports (messages_tlsrpt.h, RFC 8460).
	 * runner -> queued; neither is answered */
	MSG_TLS_COUNTS = 150, /* u16 n, n times tls_count */
	MSG_TLS_MARK,	      /* tls_domain: where its report stands */
	/* runner, front command -> queued */
	MSG_TLS_READ,	/* tls_read; answers MSG_TLS_DOMAIN, MSG_TLS_ROW...,
			 * MSG_END */
	MSG_TLS_DOMAIN, /* tls_domain */
	MSG_TLS_ROW,	/* tls_count */
	/* front command -> runner */
	MSG_TLS_SEND, /* tls_send; answers MSG_STATUS_LINE..., MSG_END */
	/* runner -> resolve -> fetch, and back with the same id */
	MSG_TLS_POST,	/* tls_post */
	MSG_TLS_POSTED, /* outcome */
};

enum listener_kind {
	LISTENER_SMTP = 1, /* to smtpd */
	LISTENER_SUBMIT,   /* to queued: RUNTIME/submit.sock, mode 0666 */
	LISTENER_QUEUE,	   /* to queued: RUNTIME/queue.sock, mode 0666; changes
			    * only from root, the spool's owner, or own mail */
	LISTENER_RUNNER,   /* to runner: RUNTIME/runner.sock, mode 0666 */
};

enum role {
	ROLE_SUPERVISOR = 0,
	ROLE_QUEUED,
	ROLE_RUNNER,
	ROLE_RESOLVE,
	ROLE_REMOTE, /* the spawner */
	ROLE_SMTPD,
	ROLE_FETCH,
	ROLE_COUNT
};
enum { PEER_ROLE_BITS = 8 };

/* Bounds that every program keeps. */
enum {
	ADDRESS_MAX = 1000,	  /* bytes of one address, as we accept it */
	RCPTS_PER_DELIVERY = 100, /* default and highest */
	RCPTS_PER_MESSAGE_MAX = 50000,
	DATA_CHUNK_MAX = 65536,	  /* bytes in one MSG_SUBMIT_DATA */
	INLINE_BODY_MAX = 262144, /* larger bodies live in spool/large and
				   * travel as descriptors */
	REPLY_MAX = 1000,	  /* bytes of a reply text that are kept */
	LOCALNAME_MAX = 255,
	SCHEDULE_MEMORY_MAX = 2048,
	TLS_TEXT_MAX = 600, /* bytes of what a result says of TLS */
};

#include "common/messages_control.h"
#include "common/messages_mail.h"
#include "common/messages_session.h"
#include "common/messages_tlsrpt.h"

#endif
