package pid1

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/spawn"
)

func TestDefaultCommand(t *testing.T) {
	i := testInit(t)
	dir := t.TempDir()
	i.launcher.dir = dir
	check := func(number int, current []string, want ...string) {
		t.Helper()
		got, err := i.launcher.defaultCommand(number, current)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("generation %d: %q, %v, want %q", number, got, err, want)
		}
	}
	if _, err := i.launcher.defaultCommand(1, nil); err == nil {
		t.Error("no command at all, and no error")
	}
	i.set.Command = []string{"line"}
	check(1, nil, "line")
	check(2, nil, "line")
	i.set.SwapCommand = []string{"swap", "to"}
	check(1, nil, "line")
	check(2, nil, "swap", "to")
	check(3, []string{"named"}, "named")
	i.set.TargetFile = "target" // relative to the directory of the start
	check(3, []string{"named"}, "named")
	if err := os.WriteFile(dir+"/target", []byte("# text\nfile 'a b'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	check(1, nil, "file", "a b")
	check(3, []string{"named"}, "file", "a b")
	if err := os.WriteFile(dir+"/target", []byte("two\nlines\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := i.launcher.defaultCommand(3, []string{"named"}); err == nil || !strings.Contains(err.Error(), `SWAPINIT_TARGET_FILE="target"`) {
		t.Errorf("a malformed target file: %v", err)
	}
	// Whoever came first in a directory like /tmp must not name the command.
	if os.Geteuid() == 0 {
		if err := errors.Join(os.Chmod(dir, 0o777|os.ModeSticky), os.Chown(dir+"/target", 65534, 65534)); err != nil {
			t.Fatal(err)
		}
		if _, err := i.launcher.defaultCommand(4, nil); err == nil || !strings.Contains(err.Error(), `SWAPINIT_TARGET_FILE="target": `+dir+"/target belongs to uid 65534") {
			t.Errorf("a stranger's target file: %v", err)
		}
	}
}

func TestReadFile(t *testing.T) {
	i := testInit(t)
	dir := t.TempDir()
	fifo, big := dir+"/fifo", dir+"/big"
	if err := errors.Join(syscall.Mkfifo(fifo, 0o600), os.WriteFile(big, nil, 0o600), os.Truncate(big, maxFile+1)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{fifo, dir, "/dev/null", big, dir + "/missing"} {
		// Of the fifo the test would hang.
		if _, err := i.launcher.readFile("SWAPINIT_X", name); err == nil || !strings.HasPrefix(err.Error(), "cannot use SWAPINIT_X=") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := i.launcher.readFile("SWAPINIT_X", dir+"/missing"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestResolveDir(t *testing.T) {
	i := testInit(t)
	i.launcher.dir = t.TempDir()
	i.launcher.childDir = i.launcher.dir
	if got, err := i.launcher.resolveDir(); got != i.launcher.dir || err != nil {
		t.Errorf("unset: %q, %v", got, err)
	}
	i.set.Dir = "current"
	if _, err := i.launcher.resolveDir(); err == nil || !strings.Contains(err.Error(), `SWAPINIT_DIR="current"`) {
		t.Errorf("missing: %v", err)
	}
	real, err := filepath.EvalSymlinks(i.launcher.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, release := range []string{"r1", "r2"} {
		_ = os.Remove(i.launcher.dir + "/current")
		if err := errors.Join(os.Mkdir(i.launcher.dir+"/"+release, 0o700), os.Symlink(release, i.launcher.dir+"/current")); err != nil {
			t.Fatal(err)
		}
		if got, err := i.launcher.resolveDir(); got != real+"/"+release || err != nil {
			t.Errorf("%q, %v, want %s", got, err, release)
		}
	}
}

func TestExitStatus(t *testing.T) {
	_, missing := spawn.LookPath("no-such-program", "/bin", "/")
	_, plain := spawn.LookPath("/etc/passwd", "", "/")
	for _, c := range []struct {
		err  error
		want int
	}{{missing, 127}, {plain, 126}, {errors.Join(missing), 127}, {errors.New("other"), 125}} {
		if got := exitStatus(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

// What does not keep a swap from succeeding is not said to.
func TestRehearse(t *testing.T) {
	i := testInit(t)
	i.set.Command, i.set.PostSwap, i.set.CanaryCheck = []string{"/bin/sh"}, []string{"/no/hook"}, []string{"/no/check"}
	for _, stages := range [][]config.Stage{nil, {{Share: 100, For: time.Second}}} {
		i.set.Canary = stages
		next, after := i.launcher.rehearse(2, 1, nil)
		if len(next) != len(stages) || len(next) > 0 && !strings.Contains(next[0], "SWAPINIT_CANARY_CHECK: ") {
			t.Errorf("%d stages: the next start: %q", len(stages), next)
		}
		if len(after) != 1 || !strings.Contains(after[0], "/no/hook") {
			t.Errorf("after it: %q", after)
		}
	}
}

// A start that fails of a setting names it.
func TestBlame(t *testing.T) {
	l := &launcher{set: &config.Settings{Dir: "app", User: "0"}}
	for stage, want := range map[string]string{
		"chdir": `cannot use SWAPINIT_DIR="app": cannot change to directory "/x": operation not permitted; want the path of a directory`,
		"user":  `cannot use SWAPINIT_USER="0": cannot become user "/x": operation not permitted; want a user that swapinit can become, or none`,
		"exec":  `cannot execute "/x": operation not permitted`,
	} {
		err := &spawn.Error{Stage: stage, Path: "/x", Err: syscall.EPERM}
		if got := l.blame(err); got.Error() != want || exitStatus(got) != err.ExitStatus() {
			t.Errorf("%s: %v, status %d", stage, got, exitStatus(got))
		}
		if got := (&launcher{set: &config.Settings{}}).blame(err); got != error(err) {
			t.Errorf("%s: blamed on a setting that is not set: %v", stage, got)
		}
	}
}
