package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A container that only starts and stops says nothing; a swap says a few
// lines, and never on standard output.
func TestInfoIsSilentWithoutSwaps(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{}, "-ready", "none")
	c.Signal(syscall.SIGUSR1)
	c.awaitOut("got USR1")
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
	if got := c.Stderr(); got != "" {
		t.Errorf("said %q", got)
	}
}

func TestTextLog(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{})
	c.Swap()
	c.swapWith("-die", "boot")
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
	if c.Stderr() == "" {
		t.Fatal("nothing was said about a swap")
	}
	for line := range strings.Lines(c.Stderr()) {
		if !strings.HasPrefix(line, "swapinit: ") || strings.Contains(line, "\x1b") {
			t.Errorf("line %q", line)
		}
	}
	for line := range strings.Lines(c.Stdout()) {
		if strings.Contains(line, "swapinit:") {
			t.Errorf("%q on standard output", line)
		}
	}
}

func TestJSONLog(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_LOG_FORMAT=json", "SWAPINIT_LOG=debug"}})
	c.Swap()
	c.swapWith("-die", "boot", "-say", "quote \" newline \n escape \x1b end")
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
	lines, generations := 0, 0
	for line := range strings.Lines(c.Stderr()) {
		var e struct {
			Time       time.Time
			Level      string
			Event      string
			Generation int
			Message    string
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if e.Time.IsZero() || e.Level == "" || e.Event == "" {
			t.Errorf("line %q", line)
		}
		lines++
		if e.Generation > 0 {
			generations++
		}
	}
	if lines == 0 || generations == 0 {
		t.Errorf("%d lines, %d of a generation", lines, generations)
	}
}

func TestLogLevels(t *testing.T) {
	t.Parallel()
	length := map[string]int{}
	for _, level := range []string{"error", "warn", "info", "debug"} {
		c := startWeb(t, opts{Env: []string{"SWAPINIT_LOG=" + level}})
		c.Swap()
		c.awaitStates("2:active")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(0)
		length[level] = strings.Count(c.Stderr(), "\n")
	}
	if length["error"] != 0 || length["warn"] != 0 || length["info"] == 0 || length["debug"] <= length["info"] {
		t.Errorf("lines of a successful swap: %v", length)
	}
	c := startWeb(t, opts{Args: []string{"-v"}})
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
	if c.Stderr() == "" {
		t.Error("-v says no more than the default")
	}
}

func TestColour(t *testing.T) {
	for _, tc := range []struct {
		name string
		env  []string
		tty  bool
		want bool
	}{
		{"a terminal", nil, true, true},
		{"no terminal", nil, false, false},
		{"NO_COLOR", []string{"NO_COLOR=1"}, true, false},
		{"never", []string{"SWAPINIT_COLOR=never"}, true, false},
		{"always", []string{"SWAPINIT_COLOR=always"}, false, true},
		{"TERM=dumb", []string{"TERM=dumb"}, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := newTerminal(t)
			o := opts{Env: append([]string{"TERM=xterm"}, tc.env...)}
			if tc.tty {
				o.Stderr = p.slave
			}
			c := startWeb(t, o)
			c.swapWith("-die", "boot")
			c.Signal(syscall.SIGTERM)
			c.wantStatus(0)
			said := func() string { return c.Stderr() + p.String() }
			await(t, "the log", func() bool { return strings.Contains(said(), "swapinit") })
			if got := strings.Contains(said(), "\x1b["); got != tc.want {
				t.Errorf("coloured: %t, want %t in %q", got, tc.want, said())
			}
		})
	}
}

// A stderr that is closed, broken, full, or read by nobody never stops or
// kills swapinit.
func TestBadStderr(t *testing.T) {
	work := func(t *testing.T, c *container) {
		t.Helper()
		c.awaitOut("gen 1: ready")
		for range 30 {
			c.Swap()
			if r := c.swapWith("-die", "boot"); r.Code != 1 {
				t.Fatalf("swap: %v", r)
			}
		}
		c.Signal(syscall.SIGTERM)
		c.wantStatus(0)
	}
	env := webEnv("SWAPINIT_LOG=debug")
	quiet := "exec \"$@\" 2>/dev/null" // the server's own words are not what is tested
	t.Run("closed", func(t *testing.T) {
		t.Parallel()
		c := start(t, opts{Env: env, Bare: true, Args: append([]string{"/bin/sh", "-c", "exec \"$@\" 2>&-", "sh", binary(t, "swapinit")}, server(t)...)})
		work(t, c)
	})
	t.Run("all three closed", func(t *testing.T) {
		t.Parallel()
		out := filepath.Join(tempDir(t), "out")
		c := start(t, opts{Env: env, Bare: true, Args: append([]string{"/bin/sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh", binary(t, "swapinit"),
			"sh", "-c", "exec \"$@\" >>" + out, "sh"}, server(t)...)})
		c.out = out
		work(t, c)
	})
	t.Run("a broken pipe", func(t *testing.T) {
		t.Parallel()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
		o := opts{Env: env, Args: append([]string{"sh", "-c", quiet, "sh"}, server(t)...)}
		o.Stderr = w
		c := start(t, o)
		_ = w.Close()
		work(t, c)
	})
	t.Run("a pipe that nobody reads", func(t *testing.T) {
		t.Parallel()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		full := make([]byte, 1<<20)
		raw, err := w.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Control(func(fd uintptr) {
			_ = syscall.SetNonblock(int(fd), true)
			for n := len(full); n > 0; n /= 2 { // to the last byte
				for {
					if _, err := syscall.Write(int(fd), full[:n]); err != nil {
						break
					}
				}
			}
			_ = syscall.SetNonblock(int(fd), false)
		}); err != nil {
			t.Fatal(err)
		}
		o := opts{Env: env, Args: append([]string{"sh", "-c", quiet, "sh"}, server(t)...)}
		o.Stderr = w
		work(t, start(t, o))
	})
	t.Run("a full device", func(t *testing.T) {
		t.Parallel()
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			skip(t, "namespaces", "%v", err)
		}
		defer full.Close()
		o := opts{Env: env, Args: append([]string{"sh", "-c", quiet, "sh"}, server(t)...)}
		o.Stderr = full
		work(t, start(t, o))
	})
}
