//go:build linux

package e2e

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// cookbookJobs: each job is done once, by one of several generations of the worker.
func cookbookJobs(t *testing.T, r *cookbookRun) {
	t.Helper()
	const jobs = 300
	r.exec("redis-cli", "-h", "queue", "del", "jobs", "done")
	push := []string{"redis-cli", "-h", "queue", "rpush", "jobs"}
	for n := range jobs {
		push = append(push, strconv.Itoa(n))
	}
	r.exec(push...)
	for range 2 {
		r.swaps()
	}
	var lines []string
	dockerEventually(t, "all jobs are done", func() bool {
		lines = strings.Fields(r.exec("redis-cli", "-h", "queue", "lrange", "done", "0", "-1"))
		return len(lines) >= 2*jobs
	})
	done, by := make([]int, jobs), map[string]int{}
	for pair := range slices.Chunk(lines, 2) {
		if n, err := strconv.Atoi(pair[0]); err == nil && n < jobs && len(pair) == 2 {
			done[n]++
			by[pair[1]]++
		}
	}
	for n, times := range done {
		if times != 1 {
			t.Errorf("job %d was done %d times", n, times)
		}
	}
	if len(by) < 2 {
		t.Errorf("done by generations %v: none was swapped meanwhile", by)
	}
	t.Logf("%d jobs by generations %v", jobs, by)
}

// cookbookJobsInOrder: and in their order.
func cookbookJobsInOrder(t *testing.T, r *cookbookRun) {
	t.Helper()
	cookbookJobs(t, r)
	lines := strings.Fields(r.exec("redis-cli", "-h", "queue", "lrange", "done", "0", "-1"))
	last := -1
	for pair := range slices.Chunk(lines, 2) {
		if n, _ := strconv.Atoi(pair[0]); n != last+1 {
			t.Fatalf("job %d was done after job %d", n, last)
		}
		last++
	}
}
