package e2e

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// The flags as users of tini and dumb-init type them.
func TestFlags(t *testing.T) {
	const termMe = "kill -TERM $$"
	cases := []struct {
		name   string
		env    []string
		args   []string
		status int
	}{
		{"none", nil, []string{"true"}, 0},
		{"tini: -e 143", nil, []string{"-e", "143", "--", "sh", "-c", termMe}, 0},
		{"tini: -e again", nil, []string{"-e", "7", "-e", "143", "--", "sh", "-c", termMe}, 0},
		{"tini: -e7", nil, []string{"-e7", "sh", "-c", "exit 7"}, 0},
		{"tini: -e of another status", nil, []string{"-e", "7", "sh", "-c", "exit 8"}, 8},
		{"SWAPINIT_EXIT_MAP", []string{"SWAPINIT_EXIT_MAP=143=0,7=70"}, []string{"sh", "-c", termMe}, 0},
		{"SWAPINIT_EXIT_MAP again", []string{"SWAPINIT_EXIT_MAP=143=0,7=70"}, []string{"sh", "-c", "exit 7"}, 70},
		{"-e wins over the map", []string{"SWAPINIT_EXIT_MAP=7=70"}, []string{"-e", "7", "sh", "-c", "exit 7"}, 0},
		{"-s", nil, []string{"-s", "true"}, 0},
		{"-w", nil, []string{"-w", "true"}, 0},
		{"-v", nil, []string{"-v", "true"}, 0},
		{"-vvv", nil, []string{"-vvv", "--", "true"}, 0},
		{"-gv", nil, []string{"-gv", "true"}, 0},
		{"-g -s -v", nil, []string{"-g", "-s", "-v", "sh", "-c", "exit 3"}, 3},
		{"dumb-init: -c", nil, []string{"-c", "true"}, 0},
		{"dumb-init: --single-child", nil, []string{"--single-child", "sh", "-c", "exit 3"}, 3},
		{"dumb-init: --verbose", nil, []string{"--verbose", "true"}, 0},
		{"dumb-init: -r", nil, []string{"-r", "15:3", "true"}, 0},
		{"dumb-init: --rewrite 15:3", nil, []string{"--rewrite", "15:3", "--", "true"}, 0},
		{"dumb-init: --rewrite=15:3", nil, []string{"--rewrite=15:3", "true"}, 0},
		{"-r with names, to 0", nil, []string{"-r", "USR1:0", "-r", "SIGHUP:SIGTERM", "true"}, 0},
		{"-p", nil, []string{"-p", "SIGTERM", "true"}, 0},
		{"-p KILL", nil, []string{"-p", "KILL", "--", "true"}, 0},
		{"a verb after --", nil, []string{"--", "swap"}, 127},
		{"a verb after a flag and --", nil, []string{"-g", "--", "status"}, 127},
		{"no command", nil, nil, 125},
		{"no command after --", nil, []string{"--"}, 125},
		{"no command after a flag", nil, []string{"-g"}, 125},
		{"unknown flag", nil, []string{"-Z", "true"}, 125},
		{"unknown long flag", nil, []string{"--nope", "true"}, 125},
		{"-e too large", nil, []string{"-e", "256", "true"}, 125},
		{"-e no number", nil, []string{"-e", "x", "true"}, 125},
		{"-p no signal", nil, []string{"-p", "NOPE", "true"}, 125},
		{"-r no pair", nil, []string{"-r", "15", "true"}, 125},
		{"-e without its value", nil, []string{"-e"}, 125},
		{"not found", nil, []string{"/nonexistent/program"}, 127},
		{"not in PATH", nil, []string{"no-such-program"}, 127},
		{"a directory", nil, []string{"/usr"}, 126},
		{"not executable", nil, []string{"/etc/passwd"}, 126},
		{"the empty command", nil, []string{""}, 127},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, opts{Plain: true, Env: tc.env, Args: tc.args})
			c.wantStatus(tc.status)
			if tc.status >= 125 && tc.status <= 127 {
				oneLine(t, c.Stderr(), "swapinit: ")
			}
			if c.Stdout() != "" {
				t.Errorf("printed %q on standard output", c.Stdout())
			}
		})
	}
}

// Rewrites by flag, by variable, and which wins.
func TestSignalRewrite(t *testing.T) {
	cases := []struct {
		name      string
		env, args []string
		send      []syscall.Signal
		want      []string // in this order
		never     string
	}{
		{"flag, numbers", nil, []string{"-r", "10:12"}, []syscall.Signal{syscall.SIGUSR1}, []string{"got USR2"}, "got USR1"},
		{"flag, names", nil, []string{"--rewrite", "USR1:WINCH"}, []syscall.Signal{syscall.SIGUSR1}, []string{"got WINCH"}, "got USR1"},
		{"flag, drop", nil, []string{"-r", "USR1:0"}, []syscall.Signal{syscall.SIGUSR1, syscall.SIGWINCH}, []string{"got WINCH"}, "got USR1"},
		{"map", []string{"SWAPINIT_SIGNAL_MAP=INT=QUIT,USR1="}, nil, []syscall.Signal{syscall.SIGUSR1, syscall.SIGINT}, []string{"got QUIT"}, "got USR1"},
		{"flag wins", []string{"SWAPINIT_SIGNAL_MAP=INT=QUIT"}, []string{"-r", "INT:WINCH"}, []syscall.Signal{syscall.SIGINT}, []string{"got WINCH"}, "got QUIT"},
		{"flag adds", []string{"SWAPINIT_SIGNAL_MAP=INT=QUIT"}, []string{"-r", "USR1:WINCH"},
			[]syscall.Signal{syscall.SIGINT, syscall.SIGUSR1}, []string{"got QUIT", "got WINCH"}, "got INT"},
		{"not chained", []string{"SWAPINIT_SIGNAL_MAP=INT=QUIT,QUIT=WINCH"}, nil, []syscall.Signal{syscall.SIGINT}, []string{"got QUIT"}, "got WINCH"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := startWeb(t, opts{Env: tc.env, Args: tc.args})
			for i, sig := range tc.send {
				c.Signal(sig)
				if i < len(tc.send)-len(tc.want) {
					continue // dropped: what comes after it shows that it did not come
				}
				c.awaitOut(tc.want[i-(len(tc.send)-len(tc.want))])
			}
			c.wantNever(tc.never)
			c.Signal(syscall.SIGTERM)
			c.wantStatus(0)
			c.wantNever(tc.never)
		})
	}
}

// What a signal means to swapinit is decided before it is rewritten.
func TestRewriteDoesNotChangeTheMeaning(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_SIGNAL_MAP=TERM=USR1,INT=TERM,HUP=WINCH"}}, "-on", "USR1", "-status", "5")
	c.Signal(syscall.SIGINT) // forwarded as TERM: no stop of the container
	c.awaitOut("gen 1: got TERM")
	c.Signal(syscall.SIGHUP) // a swap, and not forwarded
	c.awaitStates("2:active")
	c.wantNever("got WINCH")
	c.wantOrder("gen 2: ready", "gen 1: got USR1") // the stop signal is TERM's replacement
	c.Signal(syscall.SIGTERM)
	c.wantStatus(5)
	c.wantOrder("gen 2: got USR1")
}

func TestInformation(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"-V"}, {"--version"}, {"help"}, {"-h"}, {"--help"}, {"help", "swap"}, {"help", "help"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			// A broken environment must not stand in the way of help.
			c := start(t, opts{Plain: true, Args: args})
			c.wantStatus(0)
			if !strings.Contains(c.Stdout(), "swapinit") || c.Stderr() != "" {
				t.Errorf("stdout %q, stderr %q", c.Stdout(), c.Stderr())
			}
		})
	}
}

// Help names every flag, verb and setting.
func TestHelpIsComplete(t *testing.T) {
	t.Parallel()
	c := start(t, opts{Plain: true, Args: []string{"help"}})
	c.wantStatus(0)
	words := []string{"-g", "-e", "-p", "-s", "-w", "-v", "-r", "-c", "-V", "-h", "swap", "status", "health", "version", "--no-wait", "--timeout", "--json"}
	for _, s := range settings {
		words = append(words, s)
	}
	for _, w := range words {
		if !strings.Contains(c.Stdout(), w) {
			t.Errorf("help does not mention %s", w)
		}
	}
}

// What is nearly a verb starts no second init where there is one to talk to.
func TestMistypedVerb(t *testing.T) {
	t.Parallel()
	c := start(t, opts{Args: server(t)})
	c.awaitOut("gen 1: ready")
	for word, verb := range map[string]string{"stauts": "status", "swapp": "swap", "rolback": "rollback"} {
		r := c.Verb(word, "--json")
		if r.Code != 2 || r.Stdout != "" {
			t.Errorf("%s: %v", word, r)
		}
		oneLine(t, r.Stderr, `"`+word+`"`, "did you mean "+verb+"?")
	}
	for _, word := range []string{"reload", "nosuchcommand"} {
		r := c.Verb(word)
		if r.Code != 2 || r.Stdout != "" {
			t.Errorf("%s: %v", word, r)
		}
		oneLine(t, r.Stderr, `"`+word+`" is neither a verb nor a command`, "accepted verbs: swap, restart, ")
	}
	// A command, found or not, remains one.
	command := write(t, c.file("stauts"), "#!/bin/sh\necho ran; exit 9\n")
	if err := os.Chmod(command, 0o755); err != nil {
		t.Fatal(err)
	}
	for want, words := range map[int][]string{9: {"stauts"}, 127: {"./stauts"}} {
		if r := c.execEnv([]string{"PATH=" + c.dir}, append([]string{binary(t, "swapinit")}, words...)...); r.Code != want {
			t.Errorf("%q: %v, want %d", words, r, want)
		}
	}
	if r := c.Verb("--", "stauts"); r.Code != 127 {
		t.Errorf("after --: %v", r)
	}
	// Without an init to talk to it is a command that does not exist, and a question.
	for word, verb := range map[string]string{"stauts": "status", "gaet": "gate"} {
		alone := start(t, opts{Args: []string{word}})
		alone.wantStatus(127)
		oneLine(t, alone.Stderr(), `cannot find command "`+word+`"`, "did you mean the verb "+verb+"?")
	}
	alone := start(t, opts{Plain: true, Env: []string{"SWAPINIT_CONTROL=@nobody"}, Args: []string{"stauts"}})
	alone.wantStatus(127)
	for _, other := range []opts{
		{Args: []string{"nosuchcommand"}}, {Args: []string{"--", "stauts"}},
		{Args: []string{"stauts"}, Env: []string{"SWAPINIT_TARGET_FILE=" + write(t, c.file("target"), "nosuchcommand\n")}},
	} {
		alone := start(t, other)
		alone.wantStatus(127)
		if strings.Contains(alone.Stderr(), "did you mean") {
			t.Errorf("%q: %s", other.Args, alone.Stderr())
		}
	}
}

func TestKillGroup(t *testing.T) {
	for _, tc := range []struct {
		name      string
		env, args []string
		group     bool
	}{
		{"-g", nil, []string{"-g"}, true},
		{"SWAPINIT_KILL_GROUP", []string{"SWAPINIT_KILL_GROUP=true"}, nil, true},
		{"neither", nil, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := startWeb(t, opts{Env: tc.env, Args: tc.args}, "-strays", "1", "-stray-same-group")
			c.Signal(syscall.SIGUSR1)
			c.awaitOut("gen 1: got USR1")
			c.Signal(syscall.SIGWINCH)
			c.awaitOut("gen 1: got WINCH")
			if tc.group {
				c.awaitOut("stray got USR1")
				c.awaitOut("stray got WINCH")
			}
			c.Signal(syscall.SIGTERM)
			c.wantStatus(0)
			if !tc.group {
				c.wantNever("stray got USR1")
			}
		})
	}
}

func TestVerbUsage(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{})
	for _, args := range [][]string{
		{"swap", "--nope"}, {"swap", "--timeout"}, {"swap", "--timeout", "soon"}, {"swap", "now"},
		{"status", "--nope"}, {"status", "extra"}, {"health", "extra"}, {"health", "--nope"}, {"help", "swpa"}, {"metrics", "extra"},
	} {
		if r := c.Verb(args...); r.Code != 2 || r.Stderr == "" || r.Stdout != "" {
			t.Errorf("%q: %v, want status 2 and a message", args, r)
		}
	}
	c.awaitStates("1:active")
}

func TestVerbWithoutInit(t *testing.T) {
	t.Parallel()
	c := start(t, opts{Bare: true, Args: []string{"/bin/sleep", "1000"}})
	for _, args := range [][]string{{"swap"}, {"status"}, {"status", "--json"}, {"health"}} {
		r := c.Verb(args...)
		if r.Code != 125 {
			t.Errorf("%q: %v, want status 125", args, r)
		}
		oneLine(t, r.Stderr)
		r = c.execEnv(append(c.env, "SWAPINIT_CONTROL=/nonexistent/socket"), append([]string{binary(t, "swapinit")}, args...)...)
		if r.Code != 125 {
			t.Errorf("%q with a wrong address: %v, want status 125", args, r)
		}
		oneLine(t, r.Stderr, "/nonexistent/socket")
	}
}
