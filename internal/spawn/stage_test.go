package spawn

import (
	"fmt"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// Pid variables hold the pid of the program itself, where they stood; one that
// is not there yet comes last. Others that look alike are left alone.
func TestPidVars(t *testing.T) {
	s := Spec{
		Path: "/bin/cat", Argv: []string{"cat", "/proc/self/environ"}, Tty: -1,
		Env:     []string{"A=1", "LISTEN_PID=0", "LISTEN_PIDFDID=0", "B=2", "WATCHDOG_PID=", "LISTEN_PID=old", "XLISTEN_PID=0", "WATCHDOG_PID"},
		PidVars: []string{"LISTEN_PID", "WATCHDOG_PID", "SYSTEMD_EXEC_PID", "SYSTEMD_EXEC_PID"},
	}
	out := mustRun(t, s)
	self := mustRun(t, func() Spec { s := sh(`echo $$ $P`); s.PidVars = []string{"P"}; return s }())
	if f := strings.Fields(self); len(f) != 2 || f[0] != f[1] {
		t.Errorf("the shell's pid and its pid variable are %q", self)
	}
	_, pid, _ := strings.Cut(strings.TrimSuffix(out, "\x00"), "SYSTEMD_EXEC_PID=")
	want := fmt.Sprintf("A=1 LISTEN_PID=%[1]s LISTEN_PIDFDID=0 B=2 WATCHDOG_PID=%[1]s LISTEN_PID=%[1]s XLISTEN_PID=0 WATCHDOG_PID SYSTEMD_EXEC_PID=%[1]s ", pid)
	if got := strings.ReplaceAll(out, "\x00", " "); got != want || pid == "" || pid == "0" {
		t.Errorf("environment %q, want %q", got, want)
	}
}

// Ignored signals stay ignored through the exec, and only those.
func TestIgnore(t *testing.T) {
	for _, list := range [][]syscall.Signal{
		{syscall.SIGHUP}, {syscall.SIGINT, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU},
		{syscall.SIGPIPE, syscall.SIGURG, syscall.SIGUSR1, syscall.SIGTERM, 40},
	} {
		var want uint64
		for _, sig := range list {
			want |= 1 << (sig - 1)
		}
		out := mustRun(t, Spec{Path: "/bin/cat", Argv: []string{"cat", "/proc/self/status"}, Tty: -1, Ignore: list})
		if mask := fmt.Sprintf("SigIgn:\t%016x\n", want); !strings.Contains(out, mask) {
			t.Errorf("%v: no %q in %s", list, mask, out)
		}
	}
}

func TestRequestRoundTrip(t *testing.T) {
	s := &Spec{Path: "./x", Argv: []string{"", "a b", ""}, Env: []string{"", "A", "P=1", "P=2", "12:X!=y"}, PidVars: []string{"P", "Q"}, Ignore: []syscall.Signal{1, 64}}
	argv, env := encodeRequest(s, 9)
	got, err := decodeRequest(argv[1:], env, 42)
	want := &request{pipe: 9, ignore: s.Ignore, path: "./x", argv: s.Argv, env: []string{"", "A", "P=42", "P=42", "12:X!=y", "Q=42"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %+v, want %+v", err, got, want)
	}
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add("v1\x005\x001,2\x00/x\x00x", "0:A=b\x001!P=0\x00GOGC=off", 7)
	f.Add("v1\x00-5\x00,\x00/x\x00x", "0\x00:\x00!\x00é:A", 1)
	f.Fuzz(func(t *testing.T, args, env string, pid int) {
		r, err := decodeRequest(strings.Split(args, "\x00"), strings.Split(env, "\x00"), pid)
		if err != nil {
			return
		}
		if r.pipe < 3 || len(r.argv) == 0 {
			t.Fatalf("accepted %+v", r)
		}
		// What was understood can be said again, and means the same.
		argv, environ := encodeRequest(&Spec{Path: r.path, Argv: r.argv, Env: r.env, Ignore: r.ignore, Adopt: r.adopt}, r.pipe)
		again, err := decodeRequest(argv[1:], environ, pid)
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}

func TestMessage(t *testing.T) {
	for _, step := range []string{stepExec, stepShell} {
		for _, errno := range []syscall.Errno{1, syscall.ENOENT, syscall.ETXTBSY, 133, 4095} {
			b := encodeMessage(step, errno)
			if gotStep, gotErrno, _, err := decodeReport(append(encodeMessage(stepBegin, 0), b...)); len(b) != messageSize || err != nil || gotStep != step || gotErrno != errno {
				t.Errorf("%q %d: %q decodes to %q %d, %v", step, errno, b, gotStep, gotErrno, err)
			}
		}
	}
	for report, want := range map[string]string{
		"":                               "",
		"v1 begin 0000\n":                stepBegin,
		"v1 begin 0000\nv1 exec  0002\n": stepExec,
		"v1 begin 0000\nv1 shell 0002\n": stepShell,
	} {
		if step, _, refused, err := decodeReport([]byte(report)); err != nil || step != want || refused != 0 {
			t.Errorf("%q is %q, %v; want %q", report, step, err, want)
		}
	}
	if step, _, refused, err := decodeReport([]byte("v1 begin 0016\n")); step != stepBegin || refused != syscall.EBUSY || err != nil {
		t.Error(step, refused, err)
	}
	for _, report := range []string{
		"v", "v1 exec  0002\n", "v2 begin 0000\n", "v1 begin 0000", "v1 begin 0000\nv1 begin 0000\n",
		"v1 begin 0000\nv1 exec  0000\n", "v1 begin 0000\nv1 exec  0002\nx", "v1 begin 0000\nv1 exec  -002\n", "v1 begin 0000\nv1 exec  0002",
	} {
		if step, errno, _, err := decodeReport([]byte(report)); err == nil {
			t.Errorf("%q is taken for %q %d", report, step, errno)
		}
	}
}

func FuzzDecodeReport(f *testing.F) {
	f.Add([]byte("v1 begin 0000\n"))
	f.Add([]byte("v1 begin 0000\nv1 exec  0002\n"))
	f.Add([]byte("v1 shell 0013\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		step, errno, refused, err := decodeReport(b)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q is more than one line", err)
			}
			return
		}
		var again []byte
		if step != "" {
			again = encodeMessage(stepBegin, refused)
		}
		if step == stepExec || step == stepShell {
			again = append(again, encodeMessage(step, errno)...)
		}
		if string(again) != string(b) {
			t.Fatalf("%q was taken for %q", b, again)
		}
	})
}
