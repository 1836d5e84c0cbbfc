package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The predecessor gets its stop signal when all its connections are idle, and
// not before.
func TestSteerDrainUntilIdle(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered(soonIdle), "-stop", "exit")
	quiet := c.keep()
	request := c.busy()
	c.awaitStatus("its connections", func(s status) bool { return s.connections(1) == "2 1 0" })
	c.Swap("--", binary(t, "server"))
	c.wantOnly(2)
	c.steady(1, "draining")
	if got := quiet.get("/"); got != "generation 1\n" {
		t.Errorf("a kept connection is answered by %q", got)
	}
	request.finish()
	c.awaitOut("gen 1: got TERM")
	c.awaitStates("2:active")
	if text, err := quiet.try("/"); err == nil {
		t.Errorf("answered by a server that is gone: %q", text)
	}
}

func TestSteerDrainUntilGone(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_DRAIN=gone", "SWAPINIT_IDLE_AFTER=1ms"), "-stop", "exit")
	quiet := c.keep()
	c.Swap("--", binary(t, "server"))
	c.awaitStatus("the connection to be idle", func(s status) bool { return s.connections(1) == "1 1 0" })
	c.steady(1, "draining")
	if got := quiet.get("/"); got != "generation 1\n" {
		t.Errorf("a kept connection is answered by %q", got)
	}
	_ = quiet.conn.Close()
	c.awaitOut("gen 1: got TERM")
	c.awaitStates("2:active")
}

// Without a drain the stop signal comes at once, and the rest is the server's
// own graceful shutdown.
func TestSteerDrainOff(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_DRAIN=off"))
	request := c.busy()
	c.Swap()
	c.awaitOut("gen 1: got TERM")
	c.wantOnly(2)
	c.wantNever("gen 1: done")
	request.finish()
	c.awaitOut("gen 1: done")
}

// A client that never ends is cut off at the deadline.
func TestSteerDrainTimeout(t *testing.T) {
	for _, mode := range []string{"idle", "gone"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			c := startWeb(t, steered("SWAPINIT_DRAIN="+mode, "SWAPINIT_DRAIN_TIMEOUT=400ms"), "-stop", "exit")
			request := c.busy()
			c.Swap("--", binary(t, "server"))
			c.awaitOut("gen 1: got TERM")
			request.wantCut()
			c.awaitStates("2:active")
			c.wantOnly(2)
		})
	}
}

// 0 is no deadline, not one that has passed.
func TestSteerDrainWithoutTimeout(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_DRAIN_TIMEOUT=0"), "-stop", "exit")
	request := c.busy()
	c.Swap("--", binary(t, "server"))
	c.steady(1, "draining")
	request.finish()
	c.awaitOut("gen 1: got TERM")
}

// Whether a connection to a path is idle nobody can see: the predecessor drains
// until they are closed.
func TestSteerDrainOfAPath(t *testing.T) {
	t.Parallel()
	sock := filepath.Join(tempDir(t), "a.sock")
	c := startWeb(t, steered("SWAPINIT_LISTEN=web=tcp://"+web+" unix://"+sock), "-stop", "exit")
	quiet := c.open("unix", sock)
	quiet.get("/")
	c.Swap("--", binary(t, "server"))
	if got := c.ask1("unix", sock); got != "generation 2\n" {
		t.Errorf("a new connection is answered by %q", got)
	}
	c.steady(1, "draining")
	if got := quiet.get("/"); got != "generation 1\n" {
		t.Errorf("a kept connection is answered by %q", got)
	}
	_ = quiet.conn.Close()
	c.awaitOut("gen 1: got TERM")
	c.awaitStates("2:active")
}

// A container that is stopped does not wait for a drain.
func TestSteerStopWhileDraining(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered(), "-stop", "exit", "-status", "11")
	request := c.busy()
	c.Swap("--", binary(t, "server"), "-stop", "exit", "-status", "22")
	c.steady(1, "draining")
	c.Signal(syscall.SIGTERM)
	c.wantStatus(22)
	c.wantOrder("gen 1: got TERM")
	request.wantCut()
}

// status --watch prints one status after the other until the init is gone.
func TestSteerWatch(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered())
	out := tempDir(t) + "/status"
	if r := c.Exec("sh", "-c", binary(t, "swapinit")+" status --watch --json >"+out+" 2>&1 &"); r.Code != 0 {
		t.Fatal(r)
	}
	await(t, "the first status", func() bool { return strings.Count(read(out), "\n") > 0 })
	c.Swap()
	await(t, "a status after the swap", func() bool {
		lines := strings.Split(strings.TrimSpace(read(out)), "\n")
		var s status
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &s); err != nil {
			return false
		}
		return s.shares() == "2:100"
	})
}

// status counts the connections of every generation.
func TestSteerStatusCounts(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_KEEP=1h", soonIdle))
	c.keep()
	c.keep()
	request := c.busy()
	c.Swap()
	c.keep()
	c.awaitStatus("the counts", func(s status) bool { return s.connections(1) == "3 2 0" && s.connections(2) == "1 1 0" })
	request.finish()
}
