/* The threads of a run. */
#include "dnscheck/jobs.h"

#include "dnscheck/need.h"

#include <pthread.h>
#include <stdlib.h>

/* OpenSSL and libidn2 stay far below it. */
enum { STACK_BYTES = 512 * 1024 };

struct job {
	struct job *next;
	void (*check)(struct run *run, void *arg);
	void *arg;
};

struct jobs {
	struct run *run;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job *first, **last;
	size_t nadded, nwaiting, nbusy, nidle;
	size_t nthreads;
	pthread_t threads[JOBS_THREADS_MAX];
	bool is_over;
};

struct jobs *jobs_new(struct run *run)
{
	struct jobs *jobs = need(calloc(1, sizeof(*jobs)));

	jobs->run = run;
	jobs->last = &jobs->first;
	pthread_mutex_init(&jobs->lock, NULL);
	pthread_cond_init(&jobs->changed, NULL);
	return jobs;
}

/* Held by the lock, which is let go while the check runs. */
static void work_once(struct jobs *jobs)
{
	struct job *job = jobs->first;

	jobs->first = job->next;
	if (!jobs->first)
		jobs->last = &jobs->first;
	jobs->nwaiting--;
	jobs->nbusy++;
	pthread_mutex_unlock(&jobs->lock);
	job->check(jobs->run, job->arg);
	free(job);
	pthread_mutex_lock(&jobs->lock);
	jobs->nbusy--;
	pthread_cond_broadcast(&jobs->changed);
}

static void *worker(void *arg)
{
	struct jobs *jobs = arg;

	pthread_mutex_lock(&jobs->lock);
	while (!jobs->is_over) {
		if (jobs->first) {
			work_once(jobs);
			continue;
		}
		jobs->nidle++;
		pthread_cond_wait(&jobs->changed, &jobs->lock);
		jobs->nidle--;
	}
	pthread_mutex_unlock(&jobs->lock);
	return NULL;
}

/* One more thread, when nobody is free. Without it the others take over. */
static void hire(struct jobs *jobs)
{
	pthread_attr_t attr;

	if (jobs->nidle >= jobs->nwaiting ||
	    jobs->nthreads == JOBS_THREADS_MAX || pthread_attr_init(&attr) != 0)
		return;
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (pthread_create(
		&jobs->threads[jobs->nthreads], &attr, worker, jobs) == 0)
		jobs->nthreads++;
	pthread_attr_destroy(&attr);
}

void run_add(
    struct run *run, void (*check)(struct run *run, void *arg), void *arg)
{
	struct jobs *jobs = run->jobs;
	struct job *job = need(calloc(1, sizeof(*job)));

	*job = (struct job){ .check = check, .arg = arg };
	pthread_mutex_lock(&jobs->lock);
	if (jobs->nadded < JOBS_MAX) {
		jobs->nadded++;
		jobs->nwaiting++;
		*jobs->last = job;
		jobs->last = &job->next;
		job = NULL;
		hire(jobs);
		pthread_cond_broadcast(&jobs->changed);
	}
	pthread_mutex_unlock(&jobs->lock);
	if (job)
		findings_drop(&run->findings);
	free(job);
}

void jobs_finish(struct jobs *jobs)
{
	pthread_mutex_lock(&jobs->lock);
	while (jobs->nwaiting + jobs->nbusy > 0) {
		if (jobs->first)
			work_once(jobs);
		else
			pthread_cond_wait(&jobs->changed, &jobs->lock);
	}
	pthread_mutex_unlock(&jobs->lock);
}

void jobs_free(struct jobs *jobs)
{
	if (!jobs)
		return;
	pthread_mutex_lock(&jobs->lock);
	jobs->is_over = true;
	pthread_cond_broadcast(&jobs->changed);
	pthread_mutex_unlock(&jobs->lock);
	for (size_t i = 0; i < jobs->nthreads; i++)
		pthread_join(jobs->threads[i], NULL);
	pthread_mutex_destroy(&jobs->lock);
	pthread_cond_destroy(&jobs->changed);
	free(jobs);
}
