package e2e

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// settings are all settings of the contract's section 3.
var settings = strings.Fields(`
	SWAPINIT_LISTEN SWAPINIT_EXPORT SWAPINIT_SWAP_SIGNALS SWAPINIT_SWAP_COMMAND SWAPINIT_TARGET_FILE SWAPINIT_DIR
	SWAPINIT_ENV_FILE SWAPINIT_READY SWAPINIT_READY_TIMEOUT SWAPINIT_WATCHDOG SWAPINIT_SETTLE SWAPINIT_STOP_SIGNAL
	SWAPINIT_RETIRE_SIGNAL SWAPINIT_RETIRE_TIMEOUT SWAPINIT_STOP_SIGNALS SWAPINIT_STOP_TIMEOUT SWAPINIT_LEFTOVER_TIMEOUT
	SWAPINIT_STOP_DELAY SWAPINIT_SIGNAL_MAP SWAPINIT_KILL_GROUP SWAPINIT_EXIT_MAP SWAPINIT_MAX_GENERATIONS SWAPINIT_USER
	SWAPINIT_CONTROL SWAPINIT_LOG SWAPINIT_LOG_FORMAT SWAPINIT_COLOR`)

// A bad value is one line that names the variable and the value, and nothing
// is started.
func TestBadSettings(t *testing.T) {
	cases := []struct{ name, value string }{
		{"SWAPINIT_LISTEN", "nonsense"}, {"SWAPINIT_LISTEN", "tcp://127.0.0.1"}, {"SWAPINIT_LISTEN", ":99999"}, {"SWAPINIT_LISTEN", ":0"},
		{"SWAPINIT_LISTEN", "sctp://127.0.0.1:1"}, {"SWAPINIT_LISTEN", "unix://"}, {"SWAPINIT_LISTEN", "unix:///tmp/x?mode=999"},
		{"SWAPINIT_LISTEN", ":8080?nope=1"}, {"SWAPINIT_LISTEN", ":8080?backlog=x"}, {"SWAPINIT_LISTEN", ":8080,:8080"},
		{"SWAPINIT_LISTEN", "a=:1001,a=:1002"}, {"SWAPINIT_LISTEN", ":1001?fd=0,:1002?fd=0"}, {"SWAPINIT_LISTEN", ":8080?fd=5"},
		{"SWAPINIT_EXPORT", "launchd"}, {"SWAPINIT_SWAP_SIGNALS", "NOPE"}, {"SWAPINIT_SWAP_SIGNALS", "KILL"}, {"SWAPINIT_SWAP_SIGNALS", "TERM"},
		{"SWAPINIT_SWAP_COMMAND", "'open"}, {"SWAPINIT_READY", "maybe"}, {"SWAPINIT_READY", "delay:soon"}, {"SWAPINIT_READY", "exec:"},
		{"SWAPINIT_READY", "http://"}, {"SWAPINIT_READY_TIMEOUT", "60"}, {"SWAPINIT_READY_TIMEOUT", "-1s"}, {"SWAPINIT_WATCHDOG", "x"},
		{"SWAPINIT_SETTLE", "1 fortnight"}, {"SWAPINIT_STOP_SIGNAL", "NOPE"}, {"SWAPINIT_STOP_SIGNAL", "65"}, {"SWAPINIT_RETIRE_SIGNAL", "0"},
		{"SWAPINIT_RETIRE_TIMEOUT", "x"}, {"SWAPINIT_STOP_SIGNALS", "HUP"}, {"SWAPINIT_STOP_SIGNALS", "NOPE"}, {"SWAPINIT_STOP_TIMEOUT", "x"},
		{"SWAPINIT_LEFTOVER_TIMEOUT", "x"}, {"SWAPINIT_STOP_DELAY", "x"}, {"SWAPINIT_SIGNAL_MAP", "INT"}, {"SWAPINIT_SIGNAL_MAP", "NOPE=TERM"},
		{"SWAPINIT_SIGNAL_MAP", "INT=NOPE"}, {"SWAPINIT_KILL_GROUP", "perhaps"}, {"SWAPINIT_EXIT_MAP", "143"}, {"SWAPINIT_EXIT_MAP", "143=256"},
		{"SWAPINIT_EXIT_MAP", "x=0"}, {"SWAPINIT_MAX_GENERATIONS", "1"}, {"SWAPINIT_MAX_GENERATIONS", "x"}, {"SWAPINIT_USER", "no-such-user"},
		{"SWAPINIT_CONTROL", "sometimes"}, {"SWAPINIT_LOG", "loud"}, {"SWAPINIT_LOG_FORMAT", "xml"}, {"SWAPINIT_COLOR", "blue"},
		{"SWAPINIT_NONSENSE", "1"},
	}
	for _, tc := range cases {
		t.Run(strings.TrimPrefix(tc.name, "SWAPINIT_")+"="+tc.value, func(t *testing.T) {
			t.Parallel()
			c := start(t, opts{Plain: true, Env: []string{tc.name + "=" + tc.value}, Args: []string{"echo", "started"}})
			c.wantStatus(125)
			oneLine(t, c.Stderr(), "swapinit: ", tc.name)
			// Of a list the message may name the bad element only.
			if !strings.ContainsAny(tc.value, ",=") {
				oneLine(t, c.Stderr(), tc.value)
			}
			c.wantNever("started")
		})
	}
}

// So is one that only its use shows to be bad.
func TestUnusableSettings(t *testing.T) {
	dir := tempDir(t)
	empty := write(t, filepath.Join(dir, "empty"), "# a comment alone\n")
	gone := dir + "/nonexist"
	for _, tc := range []struct{ name, value, want string }{
		{"DIR", "/etc/passwd", "not a directory; want the path of a directory"},
		{"DIR", gone, "no such file or directory; want the path of a directory"},
		{"ENV_FILE", gone, "no such file or directory; want the path of a file"},
		{"TARGET_FILE", empty, "no command in it; want a file with one command on one line"},
		{"CONTROL", gone + "/x", "; want auto, off, an absolute path or @name"},
		{"METRICS", gone + "/x", "does not exist: make it in the image or mount it"},
		{"LISTEN", "tcp4://10.9.8.7:80", "cannot assign requested address: no interface here has this address: use one"},
		{"LISTEN", "unix:" + gone + "/y.sock", "does not exist: make it in the image or mount it"},
	} {
		t.Run(tc.name+"="+tc.value, func(t *testing.T) {
			t.Parallel()
			c := start(t, opts{Plain: true, Env: []string{"SWAPINIT_" + tc.name + "=" + tc.value}, Args: []string{"echo", "started"}})
			c.wantStatus(125)
			oneLine(t, c.Stderr(), "swapinit: cannot use SWAPINIT_"+tc.name+`="`+tc.value+`": `, tc.want)
			c.wantNever("started")
		})
	}
}

// Every good value is accepted, the default as well.
func TestGoodSettings(t *testing.T) {
	dir := tempDir(t)
	target := write(t, filepath.Join(dir, "target"), "# a comment\nsh -c 'exit 7'\n")
	env := write(t, filepath.Join(dir, "env"), "A=1\n")
	cases := []struct{ name, value string }{
		{"SWAPINIT_LISTEN", "tcp://127.0.0.1:8080"}, {"SWAPINIT_LISTEN", "a=unix://" + dir + "/a.sock?mode=0600 b=udp://127.0.0.1:53"},
		{"SWAPINIT_LISTEN", "tcp4://127.0.0.1:8080?backlog=4096&fd=0"}, {"SWAPINIT_EXPORT", ""}, {"SWAPINIT_EXPORT", "systemd"},
		{"SWAPINIT_EXPORT", "systemd,server-starter,einhorn"}, {"SWAPINIT_SWAP_SIGNALS", ""}, {"SWAPINIT_SWAP_SIGNALS", "HUP USR1"},
		{"SWAPINIT_SWAP_COMMAND", "sh -c 'exit \"1\"'"}, {"SWAPINIT_TARGET_FILE", target}, {"SWAPINIT_TARGET_FILE", dir + "/absent"},
		{"SWAPINIT_DIR", dir}, {"SWAPINIT_ENV_FILE", env}, {"SWAPINIT_READY", "auto"}, {"SWAPINIT_READY", "fd"}, {"SWAPINIT_READY", "notify"},
		{"SWAPINIT_READY", "listen"}, {"SWAPINIT_READY", "none"}, {"SWAPINIT_READY", "delay:5s"}, {"SWAPINIT_READY", "exec:test -e /x"},
		{"SWAPINIT_READY", "tcp://127.0.0.1:9"}, {"SWAPINIT_READY", "http://127.0.0.1:9/health"}, {"SWAPINIT_READY_TIMEOUT", "1m30s"},
		{"SWAPINIT_WATCHDOG", "30s"}, {"SWAPINIT_SETTLE", "0"}, {"SWAPINIT_STOP_SIGNAL", "SIGQUIT"}, {"SWAPINIT_STOP_SIGNAL", "RTMIN+3"},
		{"SWAPINIT_STOP_SIGNAL", "3"}, {"SWAPINIT_RETIRE_SIGNAL", "winch"}, {"SWAPINIT_RETIRE_TIMEOUT", "0"}, {"SWAPINIT_STOP_SIGNALS", "TERM,INT"},
		{"SWAPINIT_STOP_TIMEOUT", "10s"}, {"SWAPINIT_LEFTOVER_TIMEOUT", "1h"}, {"SWAPINIT_STOP_DELAY", "1ms"}, {"SWAPINIT_SIGNAL_MAP", "INT=TERM,USR1="},
		{"SWAPINIT_KILL_GROUP", "true"}, {"SWAPINIT_KILL_GROUP", "false"}, {"SWAPINIT_EXIT_MAP", "143=0"}, {"SWAPINIT_MAX_GENERATIONS", "2"},
		{"SWAPINIT_CONTROL", "off"}, {"SWAPINIT_CONTROL", dir + "/control"}, {"SWAPINIT_CONTROL", "@e2e-good-settings"}, {"SWAPINIT_LOG", "error"},
		{"SWAPINIT_LOG", "warn"}, {"SWAPINIT_LOG_FORMAT", "json"}, {"SWAPINIT_COLOR", "never"}, {"SWAPINIT_COLOR", "always"},
	}
	for _, s := range settings { // an empty value is as if unset
		cases = append(cases, struct{ name, value string }{s, ""})
	}
	for _, tc := range cases {
		t.Run(strings.TrimPrefix(tc.name, "SWAPINIT_")+"="+tc.value, func(t *testing.T) {
			t.Parallel()
			c := start(t, opts{Env: []string{tc.name + "=" + tc.value}, Args: []string{"sh", "-c", "exit 7"}})
			c.wantStatus(7)
			if c.Stderr() != "" {
				t.Errorf("said %q", c.Stderr())
			}
		})
	}
}

func TestUnknownSettingNamesTheNearest(t *testing.T) {
	t.Parallel()
	for wrong, right := range map[string]string{
		"SWAPINIT_LISEN": "SWAPINIT_LISTEN", "SWAPINIT_STOP_SIGNL": "SWAPINIT_STOP_SIGNAL", "SWAPINIT_READYTIMEOUT": "SWAPINIT_READY_TIMEOUT",
		"SWAPINIT_EXITMAP": "SWAPINIT_EXIT_MAP",
	} {
		c := start(t, opts{Plain: true, Env: []string{wrong + "=1"}, Args: []string{"true"}})
		c.wantStatus(125)
		oneLine(t, c.Stderr(), wrong, right)
	}
}

func TestSwapSignals(t *testing.T) {
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_SWAP_SIGNALS="}})
		c.Signal(syscall.SIGHUP)
		c.awaitOut("gen 1: got HUP")
		c.Signal(syscall.SIGUSR2)
		c.awaitOut("gen 1: got USR2")
		c.Swap()
		c.awaitStates("2:active")
		c.wantNever("gen 3")
	})
	t.Run("others", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_SWAP_SIGNALS=USR1,RTMIN+1"}})
		c.Signal(syscall.SIGHUP)
		c.awaitOut("gen 1: got HUP")
		c.Signal(syscall.SIGUSR1)
		c.awaitStates("2:active")
		c.Signal(syscall.Signal(35))
		c.awaitStates("3:active")
		c.wantNever("got USR1")
	})
}

func TestSwapCommand(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_SWAP_COMMAND=" + binary(t, "server") + " -say 'the  second' # not a comment"}})
	if r := c.Verb("swap"); r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
	c.awaitStates("2:active")
	if got := c.get("/"); !strings.Contains(got, "the  second") {
		t.Errorf("served by %q", got)
	}
	c.Swap("--", binary(t, "server"), "-say", "the third")
	c.awaitStates("3:active")
	if got := c.get("/"); !strings.Contains(got, "the third") {
		t.Errorf("served by %q", got)
	}
}

func TestTargetFile(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	target := filepath.Join(dir, "target")
	env := webEnv("SWAPINIT_TARGET_FILE=" + target)
	c := start(t, opts{Env: env, Args: server(t, "-say", "original")}) // absent: the command line's
	c.awaitOut("gen 1: ready")
	c.wantAnswer("original")

	write(t, target, "# deployed by hand\n"+binary(t, "server")+" -say \"by hand\" # the new one\n")
	c.Swap()
	c.awaitStates("2:active")
	c.wantAnswer("by hand")

	// A bad file fails the swap.
	for _, bad := range []string{"'open quote", "one\ntwo\n", "", "# nothing\n"} {
		write(t, target, bad)
		r := c.Verb("swap")
		if r.Code != 1 {
			t.Errorf("%q: %v, want status 1", bad, r)
		}
		oneLine(t, r.Stderr, target)
	}
	c.wantNever("gen 2: got")

	// A failed swap with a new command does not write it, a successful one does.
	before := read(target)
	if r := c.Verb(append([]string{"swap", "--"}, server(t, "-die", "boot")...)...); r.Code != 1 {
		t.Errorf("swap: %v", r)
	}
	if got := read(target); got != before {
		t.Errorf("a failed swap wrote %q", got)
	}
	odd := "it's \"odd\" #1 $HOME \\ é"
	c.Swap("--", binary(t, "server"), "-say", odd)
	if strings.Contains(read(target), "-die") || !strings.Contains(read(target), "odd") {
		t.Errorf("the target file has %q", read(target))
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left in the folder: %v, %v", entries, err)
	}
	c.wantAnswer(odd)
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)

	// A restarted container resumes it.
	c = start(t, opts{Env: env, Args: server(t, "-say", "original")})
	c.awaitOut("gen 1: ready")
	c.wantAnswer(odd)
}

// Race 21: a directory behind a symlink, and the environment file, are looked
// at anew.
func TestDirAndEnvFileAreReadAnew(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	current, envFile := filepath.Join(dir, "current"), filepath.Join(dir, "env")
	for _, release := range []string{"r1", "r2"} {
		if err := os.Mkdir(filepath.Join(dir, release), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to string) {
		t.Helper()
		if err := os.Symlink(to, current+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(current+".new", current); err != nil {
			t.Fatal(err)
		}
	}
	link("r1")
	write(t, envFile, "# settings\nCOLOUR=red\nexport QUOTED=\"a b\"\n")
	c := startWeb(t, opts{Env: []string{"SWAPINIT_DIR=" + current, "SWAPINIT_ENV_FILE=" + envFile, "COLOUR=none", "OTHER=kept"}})
	want := func(dirName, colour string) {
		t.Helper()
		s := c.state()
		if s.Dir != filepath.Join(dir, dirName) {
			t.Errorf("directory %q, want %q", s.Dir, dirName)
		}
		if got, _ := s.env("COLOUR"); got != colour {
			t.Errorf("COLOUR is %q, want %q", got, colour)
		}
		if got, _ := s.env("QUOTED"); got != "a b" {
			t.Errorf("QUOTED is %q", got)
		}
		if got, _ := s.env("OTHER"); got != "kept" {
			t.Errorf("OTHER is %q", got)
		}
	}
	want("r1", "red")
	if got := c.status().Generations[0].Dir; got != filepath.Join(dir, "r1") {
		t.Errorf("status shows %q, want the real path", got)
	}
	link("r2")
	write(t, envFile, "COLOUR=blue\nQUOTED='a b'\n")
	c.Swap()
	c.awaitStates("2:active")
	want("r2", "blue")

	for name, breakIt := range map[string]func(){
		"malformed environment file": func() { write(t, envFile, "no equals sign\n") },
		"no environment file":        func() { _ = os.Remove(envFile) },
		"no directory":               func() { write(t, envFile, "COLOUR=blue\n"); link("absent") },
	} {
		breakIt()
		r := c.Verb("swap")
		if r.Code != 1 {
			t.Errorf("%s: %v, want status 1", name, r)
		}
		oneLine(t, r.Stderr)
	}
	c.awaitStates("2:active")
	c.wantNever("gen 2: got")
}

// At first a missing file is swapinit's own error.
func TestEnvFileAndDirAtStart(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	malformed := write(t, filepath.Join(dir, "env"), "GOOD=1\nno equals sign\n")
	for _, setting := range []string{"SWAPINIT_ENV_FILE=/nonexistent/env", "SWAPINIT_ENV_FILE=" + malformed, "SWAPINIT_DIR=/nonexistent/dir"} {
		c := start(t, opts{Plain: true, Env: []string{setting}, Args: []string{"echo", "started"}})
		c.wantStatus(125)
		_, value, _ := strings.Cut(setting, "=")
		oneLine(t, c.Stderr(), value)
		c.wantNever("started")
	}
}

func TestUser(t *testing.T) {
	needNamespaces(t)
	needUser(t, 65534)
	for _, tc := range []struct{ value, want string }{
		{"1234", "1234 0"}, {"1234:4321", "1234 4321"}, {"nobody", "65534 65534"}, {"nobody:4321", "65534 4321"},
	} {
		t.Run(tc.value, func(t *testing.T) {
			t.Parallel()
			c := shell(t, opts{Env: []string{"SWAPINIT_USER=" + tc.value}}, "echo $(id -u) $(id -g); sleep 1000")
			c.awaitOut(tc.want)
			if got := strings.Fields(c.field("Uid"))[0]; got != "0" {
				t.Errorf("swapinit runs as %s", got)
			}
			c.Signal(syscall.SIGTERM)
			c.wantStatus(128 + 15)
		})
	}
	// Opened anew, as nginx and apache do that log to /dev/stderr.
	stdio := opts{Env: []string{"SWAPINIT_USER=65534"}, Args: []string{"/bin/sh", "-c", "echo fine >/dev/stdout && echo fine >/dev/stderr"}}
	t.Run("stdio is a pipe", func(t *testing.T) {
		t.Parallel()
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer read.Close()
		o := stdio
		o.Stdout, o.Stderr = write, write
		c := start(t, o)
		write.Close()
		if all, err := io.ReadAll(read); err != nil || string(all) != "fine\nfine\n" {
			t.Errorf("%q %v", all, err)
		}
		c.wantStatus(0)
	})
	t.Run("stdio is the terminal", func(t *testing.T) {
		t.Parallel()
		p := newTerminal(t)
		c := start(t, p.config(stdio))
		c.wantStatus(0)
		p.await("fine\r\nfine\r\n")
	})
	t.Run("stdio is a file", func(t *testing.T) {
		t.Parallel()
		c := shell(t, opts{Env: stdio.Env}, "echo fine")
		c.wantStatus(0)
		if st, err := os.Stat(c.out); err != nil || st.Sys().(*syscall.Stat_t).Uid != uint32(os.Getuid()) {
			t.Errorf("it was given away: %+v %v", st, err)
		}
	})
	t.Run("a server and its swap", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_USER=65534"}}, "-ready", "notify")
		c.Swap()
		c.awaitStates("2:active")
	})
}

func TestMaxGenerations(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_MAX_GENERATIONS=2", "SWAPINIT_RETIRE_TIMEOUT=1h"}}, "-stop", "ignore")
	c.Swap()
	c.awaitStates("1:draining 2:active")
	first := c.status().pidOf(1)
	c.Swap()
	c.awaitStates("2:draining 3:active")
	if got := c.status().pidOf(1); got != 0 || first == 0 {
		t.Errorf("generation 1 has pid %d, had %d", got, first)
	}
}

func TestControlSetting(t *testing.T) {
	t.Run("off", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_CONTROL=off"}})
		if _, set := c.state().env("SWAPINIT_CONTROL"); set {
			t.Error("the child has SWAPINIT_CONTROL")
		}
		if r := c.Verb("status"); r.Code != 125 {
			t.Errorf("status: %v, want status 125", r)
		}
		c.Signal(syscall.SIGHUP)
		c.awaitOut("gen 1: done")
	})
	t.Run("a path", func(t *testing.T) {
		t.Parallel()
		socket := filepath.Join(tempDir(t), "control")
		c := startWeb(t, opts{Env: []string{"SWAPINIT_CONTROL=" + socket}})
		if got, _ := c.state().env("SWAPINIT_CONTROL"); got != socket {
			t.Errorf("the child has SWAPINIT_CONTROL=%q", got)
		}
		c.Swap()
		c.awaitStates("2:active")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(0)
		if _, err := os.Lstat(socket); !os.IsNotExist(err) {
			t.Errorf("the socket is left behind: %v", err)
		}
	})
	t.Run("an abstract name", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_CONTROL=@e2e-name"}})
		if got, _ := c.state().env("SWAPINIT_CONTROL"); got != "@e2e-name" {
			t.Errorf("the child has SWAPINIT_CONTROL=%q", got)
		}
		c.Swap()
		c.awaitStates("2:active")
	})
}
