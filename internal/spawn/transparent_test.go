package spawn

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The probes are no Go programs, which would change half of what is looked at,
// and the first is no shell either: that blocks signals while it waits.
var probes = map[string][]string{
	"cat": {"/bin/cat", "/proc/self/limits", "/proc/self/oom_score_adj", "/proc/self/timerslack_ns", "/proc/self/cgroup",
		"/proc/self/coredump_filter", "/proc/self/personality", "/proc/self/status", "/proc/self/stat", "/proc/self/environ"},
	"sh": {"/bin/sh", "-c", `umask; pwd; ls /proc/$$/fd; cat /proc/self/attr/current; true`},
}

// comparable drops what differs between any two processes.
func comparable(out string) string {
	var keep []string
	for _, line := range strings.FieldsFunc(out, func(r rune) bool { return r == '\n' || r == 0 }) {
		name, _, _ := strings.Cut(line, ":")
		_, stat, isStat := strings.Cut(line, " (cat) ")
		switch {
		case isStat: // from the third field of proc_pid_stat(5) on
			f := strings.Fields(stat)
			line = fmt.Sprint("session ", f[3], " tty ", f[4], " priority ", f[15], " nice ", f[16], " policy ", f[37:39])
		case strings.HasPrefix(name, "Vm"), strings.HasPrefix(name, "Rss"), strings.HasSuffix(name, "ctxt_switches"):
			continue
		case name == "Pid", name == "Tgid", name == "PPid", name == "NSpid", name == "NStgid", name == "NSpgid", name == "SigQ", name == "State", name == "FDSize":
			continue
		case strings.HasPrefix(line, "P="):
			continue
		}
		keep = append(keep, line)
	}
	return strings.Join(keep, "\n")
}

// lacking lists the lines of a that b has not.
func lacking(a, b string) (list []string) {
	has := strings.Split(b, "\n")
	for _, line := range strings.Split(a, "\n") {
		if !slices.Contains(has, line) {
			list = append(list, line)
		}
	}
	return list
}

// settings makes a process unlike the defaults in everything that a shell can
// reach, and goes on as its arguments.
const settings = `
umask 027; ulimit -S -n 300; ulimit -c 0; ulimit -S -s 4096; ulimit -S -u 5000
echo 250 >/proc/self/oom_score_adj; cd "$DIR"
%s
exec nice -n 5 "$@"`

// TestTransparent compares a program that is started by a shell with one that
// is started by us, which the same shell has started.
func TestTransparent(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := func(traps string, argv ...string) string {
		t.Helper()
		cmd := exec.Command("/bin/sh", append([]string{"-c", fmt.Sprintf(settings, traps), "sh"}, argv...)...)
		cmd.Env = []string{"PATH=" + defaultPath, "DIR=" + dir, "GODEBUG=inittrace=1", "GOMAXPROCS=3",
			"GORACE=atexit_sleep_ms=0", "P=0", "EMPTY=", "LINES=a\nb", "UNICODE=Ω"}
		if argv[0] == exe {
			cmd.Env = append(cmd.Env, "SPAWN_TEST=launch")
		}
		// Only stdout: GODEBUG makes a runtime of Go print on stderr.
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%q: %v", argv, err)
		}
		return comparable(string(out))
	}
	for _, c := range []struct{ name, how, traps string }{
		{"direct", "direct", ""},
		{"stage", "stage", ""},
		{"stage twice", "twice", ""},
		{"ignored", "stage", "trap '' HUP INT TSTP TTIN TTOU"},
		{"ignored twice", "twice", "trap '' HUP INT TSTP TTIN TTOU"},
		// More can not be learned: the runtime handles the others before any
		// code of ours runs.
		{"ignored two", "stage", "trap '' HUP TTIN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var all strings.Builder
			for name, probe := range probes {
				want := start(c.traps, probe...)
				got := start(c.traps, append([]string{exe, c.how}, probe...)...)
				if got != want {
					t.Errorf("%s: with us %q, without us %q", name, lacking(got, want), lacking(want, got))
				}
				all.WriteString(want + "\n")
			}
			want := all.String()
			for _, part := range []string{
				"SigBlk:\t0000000000000000", "SigCgt:\t0000000000000000", "0027\n" + dir + "\n0\n1\n2\n", "Max open files            300 ",
				"\n250\n", " nice ", "Groups:", "Seccomp:", "UNICODE=Ω",
			} {
				if !strings.Contains(want, part) {
					t.Errorf("the comparison is void, without us there is no %q:\n%s", part, want)
				}
			}
			if ignored := !strings.Contains(want, "SigIgn:\t0000000000000000"); ignored != (c.traps != "") {
				t.Errorf("the comparison is void, signals ignored: %v", ignored)
			}
		})
	}
}

// The stage leaves no trace in the environment, and the environment is passed
// on to the letter: order, duplicates, entries that are none.
func TestEnvironment(t *testing.T) {
	env := []string{"Z=1", "A=first", "A=second", "EMPTY=", "NOEQUALS", "=odd", "", "GODEBUG=inittrace=1", "0:B=c", "LONG=" + strings.Repeat("x", 100_000), "Z=2"}
	bothWays(t, func(t *testing.T, through func(Spec) Spec) {
		s := through(Spec{Path: "/bin/cat", Argv: []string{"cat", "/proc/self/environ"}, Env: append([]string(nil), env...), Tty: -1})
		got := mustRun(t, s)
		want := strings.Join(env, "\x00") + "\x00"
		if s.PidVars != nil {
			i := strings.LastIndex(got, "FORCE_STAGE=")
			if i < 0 {
				t.Fatalf("no pid variable in %q", got)
			}
			got = got[:i]
		}
		if got != want {
			t.Errorf("environment %q, want %q", got, want)
		}
	})
}
