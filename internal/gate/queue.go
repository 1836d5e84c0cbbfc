package gate

import "sync"

// queue does jobs one after the other in a goroutine that is there while there are
// any. Whoever adds one does not wait.
type queue struct {
	mu   sync.Mutex
	jobs []func()
	busy bool
}

// add has job done after those before it.
func (q *queue) add(job func()) {
	q.mu.Lock()
	q.jobs = append(q.jobs, job)
	if !q.busy {
		q.busy = true
		go q.work()
	}
	q.mu.Unlock()
}

func (q *queue) work() {
	for {
		q.mu.Lock()
		if len(q.jobs) == 0 {
			q.busy = false
			q.mu.Unlock()
			return
		}
		job := q.jobs[0]
		q.jobs = q.jobs[1:]
		q.mu.Unlock()
		job()
	}
}
