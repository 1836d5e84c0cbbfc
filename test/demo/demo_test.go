package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/swapinit/swapinit/test/build"
	"github.com/swapinit/swapinit/test/load"
)

// programs builds the demonstration and what it shows, and returns its command line.
func programs(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	if err := build.Swapinit(filepath.Join(dir, "swapinit")); err != nil {
		t.Fatal(err)
	}
	for name, pkg := range map[string]string{"server": "./test/server", "demo": "./test/demo"} {
		c := exec.Command("go", "build", "-o", filepath.Join(dir, name), pkg)
		c.Dir, c.Env = build.Root(), append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return []string{filepath.Join(dir, "demo"), "-swapinit", filepath.Join(dir, "swapinit"), "-server", filepath.Join(dir, "server")}
}

var short = []string{"-duration", "3s", "-every", "500ms"}

// row is the one of a name in the table: deploys, requests and failures.
func row(t *testing.T, out, name string) (numbers [3]int) {
	t.Helper()
	m := regexp.MustCompile(`(?m)^`+name+` +(\d+) +(\d+) +(\d+) +[0-9.]+m?s$`).FindAllStringSubmatch(out, -1)
	if len(m) != 1 {
		t.Fatalf("the table has %d rows for %s:\n%s", len(m), name, out)
	}
	for i := range numbers {
		numbers[i], _ = strconv.Atoi(m[0][i+1])
	}
	return numbers
}

// wantRounds holds what was printed to what each round must have.
func wantRounds(t *testing.T, out string) {
	t.Helper()
	for name, loses := range map[string]bool{"stopped and started": true, "one shared socket": false, "swapinit": false} {
		n := row(t, out, name)
		if n[0] < 1 || n[1] < 1 {
			t.Errorf("%s: %d deploys, %d requests", name, n[0], n[1])
		}
		if name == "swapinit" && n[2] != 0 || loses && n[2] == 0 {
			t.Errorf("%s: %d failed", name, n[2])
		}
	}
	if !regexp.MustCompile(`(?m)^ *[0-9.]+ s +\d+ requests  0 failed  [1-9]\d* swaps  slowest answer`).MatchString(out) ||
		!regexp.MustCompile(`\nswapinit: \d+ requests, 0 failed, [1-9]\d* swaps\n$`).MatchString(out) {
		t.Errorf("no live line, or no last line:\n%s", out)
	}
}

func TestRun(t *testing.T) {
	command := append(programs(t), short...)
	c := exec.CommandContext(t.Context(), command[0], command[1:]...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wantRounds(t, string(out))
}

// A user namespace in which no pid namespace can be made: the same with ordinary processes.
func TestRunWithoutPrivileges(t *testing.T) {
	const forbid = `echo 0 >/proc/sys/user/max_pid_namespaces && exec "$@"`
	deny := []string{"unshare", "-Ur", "sh", "-c", forbid, "sh"}
	if out, err := exec.Command(deny[0], append(deny[1:], "true")...).CombinedOutput(); err != nil {
		if strings.Contains(os.Getenv("SWAPINIT_TEST_REQUIRE"), "namespaces") {
			t.Fatalf("namespaces are required: %v: %s", err, out)
		}
		t.Skipf("no user namespaces: %v: %s", err, out)
	}
	command := append(append(deny, programs(t)...), short...)
	out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.HasPrefix(string(out), "No namespaces here (") || !strings.Contains(string(out), "ordinary processes") {
		t.Errorf("it does not say what it does instead:\n%s", out)
	}
	wantRounds(t, string(out))
}

// Ctrl-C ends it, with the numbers so far, and nothing is left.
func TestInterrupted(t *testing.T) {
	command := append(programs(t), "-duration", "1h", "-every", "1s")
	c := exec.CommandContext(t.Context(), command[0], command[1:]...)
	tmp := t.TempDir()
	c.Env = append(os.Environ(), "TMPDIR="+tmp)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = time.Minute
	pipe, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(pipe)
	var out strings.Builder
	for told := false; ; {
		line, err := in.ReadString('\n')
		out.WriteString(line)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
		if !told && strings.Contains(line, " requests  ") && !strings.Contains(line, " 0 restarts") {
			told = true
			if err := c.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.Wait(); err != nil {
		t.Errorf("%v: %s", err, stderr.String())
	}
	if n := row(t, out.String(), "stopped and started"); n[0] < 1 || n[1] < 1 {
		t.Errorf("%d deploys, %d requests", n[0], n[1])
	}
	if !strings.HasSuffix(out.String(), "\nInterrupted.\n") || strings.Contains(out.String(), "2/3") {
		t.Errorf("it has not ended there:\n%s", out.String())
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// The exit status is about swapinit's round.
func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		way              way
		requests, failed int
		interrupted, bad bool
	}{
		{ways[2], 10, 0, false, false},
		{ways[2], 10, 1, false, true},
		{ways[2], 10, 1, true, true},
		{ways[2], 0, 0, false, true},
		{ways[2], 0, 0, true, false},
		{ways[0], 10, 5, true, false},
	} {
		err := verdict([]result{{c.way, load.Count{Requests: c.requests, Failed: c.failed}}}, c.interrupted)
		if (err != nil) != c.bad {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
