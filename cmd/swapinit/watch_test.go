//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/control"
)

// watched is a control server that answers the first two requests and passes the
// third, and all later ones, to then.
func watched(t *testing.T, then func(*control.Server, *control.Call)) string {
	t.Helper()
	s, err := control.Listen(filepath.Join(t.TempDir(), "s"), os.Getpid(), os.Getuid())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	var asked atomic.Int64
	s.Serve(func(c *control.Call) {
		n := int(asked.Add(1))
		if c.Verb != control.VerbStatus {
			t.Errorf("asked for %s", c.Verb)
		}
		if n > 2 {
			then(s, c)
			return
		}
		c.Done(&control.Reply{OK: true, Status: &control.Status{LastSwap: &control.LastSwap{Generation: n, OK: true}}})
	}, func(l string) { t.Log(l) })
	return s.Address()
}

const (
	watchHead = "GEN  STATE  PID  UPTIME  READY\n\nlast swap: generation "
	watchJSON = `{"v":1,"pid":0,"ready":false,"generations":[],"endpoints":[],"sides":[],"swap":null,"last_swap":{"generation":%d,"ok":true,"reason":"",` +
		`"outcome":"","outcome_at":"","ago_ms":0,"began":"","ended":"","pid":0,"stages":[]}}` + "\n"
)

const watchEnd = "\nthe init has ended\n"

func watchFrame(n int) string {
	page := fmt.Sprint(watchHead, n, ", ok")
	return "\x1b[H\x1b[K" + strings.ReplaceAll(page, "\n", "\n\x1b[K") + "\n\x1b[J"
}

// A terminal with fewer lines than there are shows the first.
func TestWatchFrame(t *testing.T) {
	s := &control.Status{LastSwap: &control.LastSwap{Generation: 1, OK: true}}
	for rows, want := range map[int]int{0: 3, 1: 3, 2: 1, 3: 2, 4: 3, 50: 3} {
		v := verbRun{size: func() (int, int) { return 80, rows }}
		got := v.frame(s)
		if n := strings.Count(got, "\x1b[K"); n != want || n != strings.Count(got, "\n") || !strings.HasPrefix(watchFrame(1), strings.TrimSuffix(got, "\x1b[J")) {
			t.Errorf("%d rows: %q", rows, got)
		}
	}
}

// Tables one after the other, until the init has ended.
func TestWatch(t *testing.T) {
	for _, c := range []struct {
		args   []string
		redraw bool
		want   string
	}{
		{[]string{"status", "--watch"}, false, watchHead + "1, ok\n\n" + watchHead + "2, ok\n" + watchEnd},
		{[]string{"status", "--watch"}, true, watchFrame(1) + watchFrame(2) + watchEnd},
		{[]string{"status", "--json", "--watch"}, true, fmt.Sprintf(watchJSON, 1) + fmt.Sprintf(watchJSON, 2)},
	} {
		t.Run(fmt.Sprint(c.args, c.redraw), func(t *testing.T) {
			t.Parallel()
			addr := watched(t, func(s *control.Server, c *control.Call) { go s.Close() })
			var out, errs bytes.Buffer
			v := verbRun{out: &out, err: &errs, redraw: c.redraw, every: time.Millisecond, env: func(string) string { return addr }}
			if status := v.run(c.args[0], c.args[1:]); status != 0 || errs.Len() > 0 || out.String() != c.want {
				t.Errorf("status %d, stderr %q, stdout %q, want %q", status, &errs, &out, c.want)
			}
		})
	}
}

// A signal ends it at once and well, also while the init does not answer.
func TestWatchIsTold(t *testing.T) {
	guard := make(chan os.Signal, 8) // the test itself must survive
	signal.Notify(guard, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(guard)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		addr := watched(t, func(*control.Server, *control.Call) { syscall.Kill(os.Getpid(), sig) })
		status, out, errs := verb(addr, false, "status", "--watch")
		if status != 0 || errs != "" || strings.Count(out, watchHead) != 2 {
			t.Errorf("%v: status %d, stdout %q, stderr %q", sig, status, out, errs)
		}
	}
}

// What is not the end of the init is an error as without --watch.
func TestWatchFails(t *testing.T) {
	addr := watched(t, func(_ *control.Server, c *control.Call) { c.Done(&control.Reply{Error: "no\x1b"}) })
	if status, out, errs := verb(addr, false, "status", "--watch"); status != 1 || strings.Count(out, watchHead) != 2 || errs != "swapinit: status failed: no\\x1b\n" {
		t.Errorf("status %d, stdout %q, stderr %q", status, out, errs)
	}
	for _, addr := range []string{"/no/such/socket", "@no such name", "off", "nonsense"} {
		if status, out, errs := verb(addr, false, "status", "--watch"); status != 125 || out != "" || !strings.HasPrefix(errs, "swapinit: ") {
			t.Errorf("%s: status %d, stdout %q, stderr %q", addr, status, out, errs)
		}
	}
	addr = initWith(t, func(c *control.Call) { c.Done(&control.Reply{OK: true}) })
	if status, _, errs := verb(addr, false, "status", "--watch"); status != 1 || errs != "swapinit: the init sent no status\n" {
		t.Errorf("status %d, stderr %q", status, errs)
	}
}

func TestEnded(t *testing.T) {
	for err, want := range map[error]bool{
		nil:             false,
		control.ErrGone: true,
		&control.NoInit{Reason: "x", Err: syscall.ECONNREFUSED}:                      true,
		&control.NoInit{Reason: "x", Err: syscall.ENOENT}:                            true,
		&control.NoInit{Reason: "x", Err: &os.PathError{Err: syscall.EPIPE}}:         true,
		&control.NoInit{Reason: "x", Err: syscall.ETIMEDOUT}:                         false,
		&control.NoInit{Reason: "x", Err: syscall.EACCES}:                            false,
		&control.NoInit{Reason: "x"}:                                                 false,
		fmt.Errorf("the init did not answer within 10s: %w", os.ErrDeadlineExceeded): false,
	} {
		if got := ended(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}
