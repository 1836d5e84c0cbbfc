package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// Every child that dies is reaped, and reported once, to its owner: -w logs
// each orphan once, and the main process's status is its own in the middle of
// a storm.
func TestEveryChildOnce(t *testing.T) {
	t.Run("a storm of orphans", func(t *testing.T) {
		t.Parallel()
		const orphans = 1000
		script := fmt.Sprintf("i=0; while [ $i -lt %d ]; do (: &); i=$((i+1)); done; echo created; while ! [ -e $0 ]; do sleep 0.01; done; exit 7", orphans)
		gate := tempDir(t) + "/gate"
		c := start(t, opts{Env: []string{"SWAPINIT_LOG_FORMAT=json", "SWAPINIT_LOG=warn"}, Args: []string{"-w", "sh", "-c", script, gate}})
		c.awaitOut("created")
		await(t, "the orphans to be reaped", func() bool {
			for _, p := range c.Procs() {
				if p.State == "Z" {
					return false
				}
			}
			return true
		})
		touch(t, gate)
		c.wantStatus(7)
		seen, lost := map[int]int{}, 0
		for line := range strings.Lines(c.Stderr()) {
			var e struct{ Pid, Lost int }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			if e.Pid != 0 {
				seen[e.Pid]++
			}
			lost += e.Lost // lines that nobody had time to write: counted
		}
		if len(seen)+lost != orphans {
			t.Errorf("%d orphans were reported, %d lines lost, want %d", len(seen), lost, orphans)
		}
		for pid, n := range seen {
			if n != 1 {
				t.Errorf("pid %d was reported %d times", pid, n)
			}
		}
	})
	t.Run("the owner gets the status in a storm", func(t *testing.T) {
		t.Parallel()
		for n := range rounds {
			status := 30 + n
			c := shell(t, opts{}, fmt.Sprintf("i=0; while [ $i -lt 50 ]; do (sh -c 'exit 99' &); i=$((i+1)); done; exit %d", status))
			c.wantStatus(status)
		}
	})
	t.Run("swaps in a storm", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{})
		if r := c.Exec("sh", "-c", "setsid sh -c 'while :; do (: &); done' >/dev/null 2>&1 </dev/null &"); r.Code != 0 {
			t.Fatal(r)
		}
		for range 10 {
			c.Swap()
			if r := c.swapWith("-die", "boot"); r.Code != 1 {
				t.Fatalf("swap: %v, want status 1", r)
			}
		}
		c.Signal(syscall.SIGTERM)
		c.wantStatus(0)
	})
	t.Run("statuses of main processes", func(t *testing.T) {
		t.Parallel()
		// Stopped while many end, swapinit finds them all at once.
		c := startWeb(t, opts{Env: []string{"SWAPINIT_SETTLE=1h"}}, "-status", "5")
		if r := c.Verb(append([]string{"swap", "--no-wait", "--"}, server(t)...)...); r.Code != 0 {
			t.Fatal(r)
		}
		c.awaitStates("1:active 2:ready")
		s := c.status()
		first, second := c.hostPid(s.pidOf(1)), c.hostPid(s.pidOf(2))
		c.Signal(syscall.SIGSTOP)
		for _, pid := range []int{second, first} {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		c.Signal(syscall.SIGCONT)
		c.wantStatus(128 + 9)
	})
}
