package config

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// args splits a command line that has no quotes.
func args(s string) []string { return strings.Fields(s) }

func TestFlags(t *testing.T) {
	plain := func() *Settings { return mustLoad(t, nil, []string{"x"}) }
	for _, c := range []struct {
		line string
		want func(s *Settings)
	}{
		{"x", func(*Settings) {}},
		{"-- x", func(*Settings) {}},
		{"-s x", func(*Settings) {}},
		{"-c x", func(*Settings) {}},
		{"--single-child x", func(*Settings) {}},
		{"-g x", func(s *Settings) { s.KillGroup = true }},
		{"-g -c x", func(*Settings) {}},
		{"-cg x", func(s *Settings) { s.KillGroup = true }},
		{"-w x", func(s *Settings) { s.LogOrphans = true }},
		{"-v x", func(s *Settings) { s.Log = "debug" }},
		{"-vvv x", func(s *Settings) { s.Log = "debug" }},
		{"--verbose -v x", func(s *Settings) { s.Log = "debug" }},
		{"-gv x", func(s *Settings) { s.KillGroup, s.Log = true, "debug" }},
		{"-gwsc x", func(s *Settings) { s.LogOrphans = true }},
		{"-p KILL x", func(s *Settings) { s.ParentDeath = kill }},
		{"-pSIGKILL x", func(s *Settings) { s.ParentDeath = kill }},
		{"-p 15 -p stop x", func(s *Settings) { s.ParentDeath = syscall.SIGSTOP }},
		{"-e 143 x", func(s *Settings) { s.ExitMap = exitsOf{143: 0} }},
		{"-e143 -e0 -e 255 x", func(s *Settings) { s.ExitMap = exitsOf{143: 0, 0: 0, 255: 0} }},
		{"-ge143 x", func(s *Settings) { s.KillGroup, s.ExitMap = true, exitsOf{143: 0} }},
		{"-ge 143 x", func(s *Settings) { s.KillGroup, s.ExitMap = true, exitsOf{143: 0} }},
		{"-r 15:3 x", func(s *Settings) { s.SignalMap = sigMap{term: quit} }},
		{"-r15:3 -rINT:TERM -r 10:0 x", func(s *Settings) { s.SignalMap = sigMap{term: quit, intr: term, usr1: 0} }},
		{"-r 15:3 -r TERM:2 x", func(s *Settings) { s.SignalMap = sigMap{term: intr} }},
		{"--rewrite 15:3 x", func(s *Settings) { s.SignalMap = sigMap{term: quit} }},
		{"--rewrite=15:3 x", func(s *Settings) { s.SignalMap = sigMap{term: quit} }},
		{"x -g", func(s *Settings) { s.Command = args("x -g") }},
		{"echo -h", func(s *Settings) { s.Command = args("echo -h") }},
		{"-v echo -- -V", func(s *Settings) { s.Log, s.Command = "debug", args("echo -- -V") }},
		{"-- -g x", func(s *Settings) { s.Command = args("-g x") }},
		{"-- -- x", func(s *Settings) { s.Command = args("-- x") }},
		{"- x", func(s *Settings) { s.Command = args("- x") }},
		{"-g swap", func(s *Settings) { s.KillGroup, s.Command = true, args("swap") }},
		{"-- swap", func(s *Settings) { s.Command = args("swap") }},
	} {
		want := plain()
		c.want(want)
		if got := mustLoad(t, nil, args(c.line)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v\nwant %+v", c.line, got, want)
		}
	}
	if got := mustLoad(t, nil, []string{"", "-g"}); !slices.Equal(got.Command, []string{"", "-g"}) {
		t.Errorf("an empty argument is a command: got %q", got.Command)
	}
}

func TestBadFlags(t *testing.T) {
	unknown := `see "swapinit help"`
	for _, c := range []struct{ line, flag, problem string }{
		{"-x y", `"-x"`, unknown},
		{"-gx y", `"-x"`, unknown},
		{"-gé y", `"-é"`, unknown},
		{"-g-v y", `"--"`, unknown},
		{"--foo y", `"--foo"`, unknown},
		{"--foo=1 y", `"--foo"`, unknown},
		{"--g y", `"--g"`, unknown},
		{"--=1 y", `"--"`, unknown},
		{"---help y", `"---help"`, unknown},
		{"-l y", `"-l"`, unknown},
		{"-gxh y", `"-x"`, unknown},
		{"--verbose=1 y", "--verbose", "takes no value"},
		{"--help= y", "--help", "takes no value"},
		{"--single-child=no y", "--single-child", "takes no value"},
		{"-e", "-e", "needs a value: want an exit status"},
		{"-ge", "-e", "needs a value"},
		{"-p", "-p", "needs a value: want a signal"},
		{"-r", "-r", "needs a value: want FROM:TO"},
		{"--rewrite", "--rewrite", "needs a value: want FROM:TO"},
		{"-e 256 y", `-e "256"`, "want an exit status, 0 to 255"},
		{"-e -1 y", `-e "-1"`, "want an exit status"},
		{"-e=1 y", `-e "=1"`, "want an exit status"},
		{"-e1g y", `-e "1g"`, "want an exit status"},
		{"-p FOO y", `-p "FOO"`, "want a signal"},
		{"-p 0 y", `-p "0"`, "want a signal"},
		{"-r 15 y", `-r "15"`, "want FROM:TO"},
		{"-r 15: y", `-r "15:"`, "want FROM:TO"},
		{"-r :15 y", `-r ":15"`, "want FROM:TO"},
		{"-r 0:15 y", `-r "0:15"`, "want FROM:TO"},
		{"-r 15:65 y", `-r "15:65"`, "want FROM:TO"},
		{"-r 9:15 y", `-r "9:15"`, "KILL cannot be caught"},
		{"-r PROF:15 y", `-r "PROF:15"`, "never reaches"},
		{"--rewrite=STOP:0 y", `--rewrite "STOP:0"`, "STOP cannot be caught"},
		{"--rewrite= y", `--rewrite ""`, "want FROM:TO"},
	} {
		_, err := Load(nil, args(c.line), testParsers())
		wantError(t, err, c.flag, c.problem)
		var use *UsageError
		if !errors.As(err, &use) || ExitStatus != 125 {
			t.Errorf("%s: got %T, want a *UsageError", c.line, err)
		}
	}
}

func TestPrecedence(t *testing.T) {
	s := mustLoad(t, []string{
		"SWAPINIT_KILL_GROUP=true", "SWAPINIT_LOG=error", "SWAPINIT_EXIT_MAP=143=7,2=3", "SWAPINIT_SIGNAL_MAP=INT=TERM,USR1=",
	}, args("-v -c -e 143 -r 10:12 -r WINCH:0 x"))
	if s.KillGroup || s.Log != "warn" {
		t.Errorf("group %v, log %q", s.KillGroup, s.Log)
	}
	if want := (exitsOf{143: 0, 2: 3}); !reflect.DeepEqual(s.ExitMap, want) {
		t.Errorf("exit map %v, want %v", s.ExitMap, want)
	}
	if want := (sigMap{intr: term, usr1: usr2, syscall.SIGWINCH: 0}); !reflect.DeepEqual(s.SignalMap, want) {
		t.Errorf("signal map %v, want %v", s.SignalMap, want)
	}
	s = mustLoad(t, []string{"SWAPINIT_KILL_GROUP=false", "SWAPINIT_LOG=debug"}, args("-gv x"))
	if !s.KillGroup || s.Log != "debug" {
		t.Errorf("group %v, log %q", s.KillGroup, s.Log)
	}
	_, err := Load([]string{"SWAPINIT_LOG=loud"}, args("-v x"), testParsers())
	wantError(t, err, `SWAPINIT_LOG="loud"`)
}

// Help is for somebody whose settings are wrong.
func TestHelpAndVersion(t *testing.T) {
	for _, c := range []struct {
		line string
		want Settings
	}{
		{"-h", Settings{Help: true}}, {"--help", Settings{Help: true}}, {"-gh", Settings{Help: true}}, {"-h --foo", Settings{Help: true}},
		{"-V", Settings{Version: true}}, {"--version", Settings{Version: true}}, {"-Vx", Settings{Version: true}}, {"-V -h", Settings{Version: true}},
	} {
		s, err := Load([]string{"SWAPINIT_FOO=1", "SWAPINIT_LOG=loud"}, args(c.line), testParsers())
		if err != nil || !reflect.DeepEqual(*s, c.want) {
			t.Errorf("%s: got %+v, %v", c.line, s, err)
		}
	}
}

func TestCommandIsACopy(t *testing.T) {
	given := args("-g x y")
	s := mustLoad(t, nil, given)
	given[1] = "z"
	if s.Command[0] != "x" {
		t.Error("Command shares its array with args")
	}
}
