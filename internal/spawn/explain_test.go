package spawn

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// stranger is a uid that nobody has: what counts for its limits and rights is
// what the tests do.
const stranger = 61234

func TestScripts(t *testing.T) {
	dir := t.TempDir()
	plain := write(t, filepath.Join(dir, "plain"), `echo "$0|$1|$#"; exit 3`+"\n", 0o755)
	empty := write(t, filepath.Join(dir, "empty"), "", 0o755)
	long := write(t, filepath.Join(dir, "long"), "exit 4 # "+strings.Repeat("x", 1000), 0o755)
	write(t, filepath.Join(dir, "-c"), "exit 5\n", 0o755)
	bothWays(t, func(t *testing.T, through func(Spec) Spec) {
		s := through(Spec{Path: plain, Argv: []string{"argv0", "a b"}, Tty: -1})
		if out, ws, err := run(t, s); err != nil || ws.ExitStatus() != 3 || out != plain+"|a b|1\n" {
			t.Errorf("a script without #!: %v, status %d, %q", err, ws.ExitStatus(), out)
		}
		for path, status := range map[string]int{empty: 0, long: 4, "-c": 5, "./-c": 5} {
			if out, ws, err := run(t, through(Spec{Path: path, Dir: dir, Tty: -1})); err != nil || ws.ExitStatus() != status {
				t.Errorf("%s: %v, status %d, %q; want status %d", path, err, ws.ExitStatus(), out, status)
			}
		}
	})
}

// Each failure is told apart, and is the same with and without the stage.
func TestFailures(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		return write(t, filepath.Join(dir, name), content, mode)
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	// The beginning of an ELF file with a machine that nobody has.
	foreign := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00\xff\xfe" + strings.Repeat("\x00", 44)
	noX := file("no-x", "exit 0\n", 0o644)
	deep := file("deep", "#!"+file("inner", "#!/no/such/inner\n", 0o755)+"\n", 0o755)

	for _, c := range []struct {
		name   string
		spec   Spec
		stage  string
		status int
		is     error
		text   string
	}{
		{"missing", Spec{Path: dir + "/none"}, "lookup", 127, syscall.ENOENT, "cannot find command"},
		{"below a file", Spec{Path: noX + "/none"}, "lookup", 127, syscall.ENOTDIR, "cannot find command"},
		{"missing in dir", Spec{Path: "./none", Dir: dir}, "lookup", 127, syscall.ENOENT, "cannot find command"},
		{"not executable", Spec{Path: noX}, "exec", 126, syscall.EACCES, "cannot execute"},
		{"directory", Spec{Path: dir}, "exec", 126, syscall.EISDIR, "is a directory"},
		{"directory in dir", Spec{Path: ".", Dir: dir}, "exec", 126, syscall.EISDIR, "is a directory"},
		{"loop", Spec{Path: loop}, "exec", 126, syscall.ELOOP, "too many levels"},
		{"long name", Spec{Path: "/" + strings.Repeat("x", 300)}, "exec", 126, syscall.ENAMETOOLONG, "name too long"},
		{"interpreter", Spec{Path: file("interp", "#! /no/such/interp -x\n", 0o755)}, "exec", 126, nil, `its interpreter "/no/such/interp" does not exist`},
		{"interpreter in dir", Spec{Path: "./interp", Dir: dir}, "exec", 126, nil, `its interpreter "/no/such/interp"`},
		{"windows", Spec{Path: file("windows", "#!/bin/sh\r\nexit 0\r\n", 0o755)}, "exec", 126, nil, "Windows line ends"},
		{"interpreter's", Spec{Path: deep}, "exec", 126, nil, "lacks something itself"},
		{"loader", Spec{Path: file("loader", noLoader(t), 0o755)}, "exec", 126, nil, "dynamic loader"},
		{"foreign binary", Spec{Path: file("foreign", foreign, 0o755)}, "exec", 126, syscall.ENOEXEC, "another machine"},
		{"too big", Spec{Path: "/bin/true", Argv: []string{"true", strings.Repeat("x", 200_000)}}, "exec", 126, syscall.E2BIG, "too long"},
		{"no dir", Spec{Path: "/bin/true", Dir: dir + "/none"}, "chdir", 125, syscall.ENOENT, dir + "/none"},
		{"neither", Spec{Path: "/none", Dir: dir + "/none"}, "chdir", 125, syscall.ENOENT, dir + "/none"},
		{"dir is a file", Spec{Path: "/bin/true", Dir: noX}, "chdir", 125, syscall.ENOTDIR, "cannot change to directory"},
		{"dir loops", Spec{Path: "/bin/true", Dir: loop}, "chdir", 125, syscall.ELOOP, "cannot change to directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.spec.Tty = -1
			bothWays(t, func(t *testing.T, through func(Spec) Spec) {
				before := openFiles(t)
				out, _, err := run(t, through(c.spec))
				fails(t, err, c.stage, c.status, c.is, c.text)
				if out != "" {
					t.Errorf("it printed %q", out)
				}
				if after := openFiles(t); after != before {
					t.Errorf("%d files open, before it were %d", after, before)
				}
			})
		})
	}
}

// noLoader is a program with a dynamic loader that does not exist.
func noLoader(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"/bin/true", "/bin/sh", "/bin/cat"} {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		s := string(data)
		for _, loader := range []string{"/lib64/ld-linux", "/lib/ld-linux", "/lib/ld-musl"} {
			if i := strings.Index(s, loader); i >= 0 && i < 4096 {
				return s[:i] + "/no_" + s[i+4:]
			}
		}
	}
	t.Skip("no dynamic program at hand")
	return ""
}

func TestFailuresOfUsers(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(dir, "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	// The path to t.TempDir is not open to strangers; /proc/self/fd leads there.
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	private := write(t, filepath.Join(dir, "private"), "#!/bin/sh\n", 0o700)
	user := &User{Uid: stranger, Gid: stranger}
	bothWays(t, func(t *testing.T, through func(Spec) Spec) {
		_, _, err := run(t, through(Spec{Path: "/bin/true", Dir: closed, User: user, Tty: -1}))
		fails(t, err, "chdir", 125, syscall.EACCES, "cannot change to directory")
		_, _, err = run(t, through(Spec{Path: private, User: user, Tty: -1}))
		fails(t, err, "exec", 126, syscall.EACCES, "for user 61234")
	})
}

// limitProcesses lets the uids that we become have no process at all. Root
// itself is exempt from RLIMIT_NPROC.
func limitProcesses(t *testing.T) {
	t.Helper()
	needRoot(t)
	const nproc = 6 // which package syscall does not name
	var old syscall.Rlimit
	if err := syscall.Getrlimit(nproc, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(nproc, &syscall.Rlimit{Cur: 0, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setrlimit(nproc, &old); err != nil {
			t.Error(err)
		}
	})
}

// A limit is no fault of the program. The kernel reports this one at the
// execve, once the user has a process already: here one that waits.
func TestLimit(t *testing.T) {
	needRoot(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	null := uintptr(devNull(t))
	user := &User{Uid: stranger, Gid: stranger}
	first, err := Fork(Spec{Path: "/bin/cat", User: user, Tty: -1, Files: []uintptr{r.Fd(), null, null}})
	if err != nil {
		t.Fatal(err)
	}
	defer wait(first)
	defer w.Close()
	limitProcesses(t)
	bothWays(t, func(t *testing.T, through func(Spec) Spec) {
		_, _, err := run(t, through(Spec{Path: "/bin/true", User: user, Tty: -1}))
		fails(t, err, "fork", 125, syscall.EAGAIN, "the process table or --pids-limit is full")
	})
}

// The first process of a user gets through the execve, and then the runtime of
// the stage can not have its threads and dies without a word of ours.
func TestLimitOfThreads(t *testing.T) {
	limitProcesses(t)
	s := Spec{Path: "/bin/true", User: &User{Uid: stranger + 1, Gid: stranger}, Tty: -1, PidVars: []string{"P"}}
	_, _, err := run(t, s)
	fails(t, err, "fork", 125, nil, "ended before its program began: it was killed, or the process table or --pids-limit is full")
}

// Without a report the child died before it began. The report is played.
func TestDiedEarly(t *testing.T) {
	for report, text := range map[string]string{"": "ended before its program began", "rubbish": "malformed"} {
		pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := syscall.Write(pair[1], []byte(report)); err != nil {
			t.Fatal(err)
		}
		syscall.Close(pair[1])
		c := &Child{Listener: -1, spec: &Spec{Path: "/x"}, report: os.NewFile(uintptr(pair[0]), "")}
		fails(t, c.Exec(), "fork", 125, nil, text)
	}
}
