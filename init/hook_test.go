package pid1

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/swapinit/swapinit/swap"
)

func TestPreSwap(t *testing.T) {
	if !alone(t) {
		return
	}
	i := reaping(t)
	dir := t.TempDir()
	i.launcher.environ = []string{"PATH=" + os.Getenv("PATH"), "DIR=" + dir}
	for _, c := range []struct {
		name, script string
		limit        time.Duration
		want         []string
		err          string
	}{
		{"silent", `:`, 0, nil, ""},
		{"names a command", `echo command=no; echo text; printf 'command=/bin/server "a b" \173generation\175\n\n  \n'`, time.Minute, []string{"/bin/server", "a b", "{generation}"}, ""},
		{"names it without a newline", `printf command=x`, 0, []string{"x"}, ""},
		{"names it too early", `echo command=x; echo done`, 0, nil, ""},
		{"writes megabytes", `head -c 5000000 /dev/zero | tr '\0' x; echo; echo command=y`, 0, []string{"y"}, ""},
		{"writes megabytes in a line", `printf command=; head -c 5000000 /dev/zero | tr '\0' x`, 0, nil, ""},
		{"fails", `echo command=x; exit 3`, 0, nil, "the pre-swap hook exited with status 3"},
		{"is killed", `kill -9 $$`, 0, nil, "the pre-swap hook was ended by KILL"},
		{"hangs", `echo command=x; sleep 1000 & wait`, 50 * time.Millisecond, nil, "the pre-swap hook did not end within 50ms"},
		{"leaves a daemon", `setsid sleep 1000 & echo $! > $DIR/daemon; echo command=z`, 0, []string{"z"}, ""},
		{"names nothing", `echo command=`, 0, nil, "it names no command"},
		{"names it badly", `echo "command='a b"`, 0, nil, `cannot use the last line of the pre-swap hook, "command='a b": `},
		{"looks around", `test "$SWAPINIT_GENERATION" = 2 && test -z "$SWAPINIT_WORKER$SWAPINIT_READY_FD$SWAPINIT_CHANNEL_FD$NOTIFY_SOCKET"`, 0, nil, ""},
	} {
		i.set.PreSwap, i.set.HookTimeout = []string{"/bin/sh", "-c", c.script}, c.limit
		got, err := i.hooks.before(2)
		if !slices.Equal(got, c.want) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("it %s: %q, %v, want %q, %q", c.name, got, err, c.want, c.err)
		}
	}
	i.set.PreSwap = []string{"/no/such/hook"}
	if _, err := i.hooks.before(2); err == nil || !strings.HasPrefix(err.Error(), "cannot start the pre-swap hook: cannot find command") {
		t.Errorf("a missing one: %v", err)
	}
	// All that is left is the daemon; its pipe has gone without it.
	i.sweepers.killing.Store(true)
	i.sweepAll()
	(<-i.posted)()
	if !childless() {
		t.Error("somebody is left")
	}
}

// What a hook has written is in the pipe when it has ended, and nowhere else if the
// reader had no turn yet.
func TestOutputOfAHookIsReadToItsEnd(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o := &output{read: read, write: write, done: make(chan struct{})}
	close(o.done) // the reader has seen nothing
	if _, err := write.WriteString("command=x\n"); err != nil {
		t.Fatal(err)
	}
	if got := o.lastLine(); got != "command=x" {
		t.Errorf("%q", got)
	}
}

// How it went is posted, and no descriptor stays.
func TestPrepare(t *testing.T) {
	if !alone(t) {
		return
	}
	i := reaping(t)
	i.set.PreSwap = []string{"/bin/sh", "-c", "exit 3"}
	pipes := func() (n int) {
		list, _ := os.ReadDir("/proc/self/fd")
		for _, fd := range list {
			if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(to, "pipe:") {
				n++
			}
		}
		return n
	}
	before := pipes()
	for range 5 {
		i.prepare(1, 2)
	}
	if after := pipes(); after != before {
		t.Errorf("%d pipes, before there were %d", after, before)
	}
	if len(i.posted) != 5 {
		t.Errorf("%d events, want 5", len(i.posted))
	}
}

// Hooks after a swap run one after the other, in order, and their processes are
// not taken for the generation's.
func TestPostSwap(t *testing.T) {
	if !alone(t) {
		return
	}
	i := reaping(t)
	file := filepath.Join(t.TempDir(), "file")
	i.launcher.environ = []string{"PATH=" + os.Getenv("PATH"), "FILE=" + file}
	i.hooks.after(2, true)
	if i.hooks.running {
		t.Error("a hook that is not set runs")
	}
	i.set.PostSwap = []string{"/bin/sh", "-c", `echo "$SWAPINIT_RESULT:$SWAPINIT_GENERATION" >> $FILE; sleep 0.0$SWAPINIT_GENERATION; echo end >> $FILE`}
	i.hooks.after(2, true)
	i.hooks.after(0, false)
	i.hooks.after(3, false)
	for i.hooks.running {
		(<-i.posted)()
	}
	data, _ := os.ReadFile(file)
	if want := "ok:2\nend\nfailed:\nend\nfailed:3\nend\n"; string(data) != want {
		t.Errorf("%q, want %q", data, want)
	}
	// However many swaps there are, few wait.
	i.hooks.running = true
	for range 3 * hooksMax {
		i.hooks.after(2, true)
	}
	if len(i.hooks.waiting) != hooksMax {
		t.Errorf("%d wait, want %d", len(i.hooks.waiting), hooksMax)
	}
	// None when the container stops.
	i.machine.Step(0, &swap.ContainerEvent{Kind: swap.Stop})
	if i.hooks.next(); i.hooks.running {
		t.Error("a hook is run although the container stops")
	}
}

// A hook that hangs is ended with its group.
func TestHelperKillsTheGroup(t *testing.T) {
	if !alone(t) {
		return
	}
	i := reaping(t)
	dir := t.TempDir()
	i.launcher.environ = []string{"PATH=" + os.Getenv("PATH"), "DIR=" + dir}
	stop := make(chan struct{})
	go func() {
		for {
			if _, err := os.Stat(dir + "/child"); err == nil {
				close(stop)
				return
			}
			<-time.After(time.Millisecond)
		}
	}()
	err := i.launcher.run(&helper{name: "it", command: []string{"/bin/sh", "-c", `(trap "" TERM; echo > $DIR/child; sleep 1000) & wait`}, stdout: -1, stderr: -1, stop: stop})
	if err == nil {
		t.Error("it has succeeded")
	}
	eventually(t, "the end of its child", childless)
	// A setting that cannot be used is an error like others.
	i.launcher.environ = []string{"X={fd.nope}"}
	if err := i.launcher.run(&helper{command: []string{"/bin/true"}, stdout: -1, stderr: -1}); err == nil {
		t.Error("a bad environment is no error")
	}
	_ = syscall.Rmdir(dir)
}
