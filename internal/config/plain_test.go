package config

import (
	"reflect"
	"slices"
	"testing"
)

// An engine's init is a plain one until the container has a setting.
func TestPlain(t *testing.T) {
	for _, c := range []struct {
		program string
		environ []string
		plain   bool
	}{
		{"/sbin/docker-init", nil, true},
		{"/run/podman-init", []string{"PATH=/bin"}, true},
		{"docker-init", []string{"swapinit_log=debug", "SWAPINIT=1", "SWAPINIT_LOG"}, true},
		{"docker-init", []string{"SWAPINIT_GENERATION=1", "SWAPINIT_CONTROL=@x", "SWAPINIT_READY_FD=5"}, true}, // of a swapinit above
		{"docker-init", []string{"SWAPINIT_LOG=info"}, false},
		{"docker-init", []string{"SWAPINIT_LISTEN=", "SWAPINIT_CONTROL="}, true},
		{"docker-init", []string{"SWAPINIT_SWAP_SIGNALS="}, false},
		{"docker-init", []string{"SWAPINIT_SIDE_CRON=cron -f"}, false},
		{"docker-init", []string{"SWAPINIT_SIDE_CRON="}, true},
		{"docker-init", []string{"SWAPINIT_CONTROL=@x"}, false},
		{"/sbin/docker-init/swapinit", nil, false},
		{"/sbin/xdocker-init", nil, false},
		{"swapinit", nil, false},
		{"", nil, false},
	} {
		p := testParsers()
		p.Program = c.program
		s, err := Load(c.environ, []string{"--", "x"}, p)
		if err != nil {
			t.Errorf("%q %q: %v", c.program, c.environ, err)
			continue
		}
		if s.Plain != c.plain || (len(s.SwapSignals)+len(s.StopSignals) == 0) != c.plain || (s.Control == "off") != c.plain || (len(s.SignalMap) > 0) != c.plain {
			t.Errorf("%q %q: %+v", c.program, c.environ, s)
		}
	}
}

// What is not plain's business stays: the flags, the times, what tini reads.
func TestPlainKeeps(t *testing.T) {
	p := testParsers()
	p.Program = "docker-init"
	load := func(environ []string, args ...string) *Settings {
		t.Helper()
		s, err := Load(environ, args, p)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	plain := load(nil, "x")
	want := mustLoad(t, nil, []string{"x"})
	want.Plain, want.SwapSignals, want.StopSignals, want.Control, want.SignalMap = true, nil, nil, "off", plain.SignalMap
	if !reflect.DeepEqual(plain, want) {
		t.Errorf("got %+v\nwant %+v", plain, want)
	}
	if load([]string{"TINI_KILL_PROCESS_GROUP="}, "x").KillGroup != true || plain.KillGroup || load([]string{"TINI_KILL_PROCESS_GROUP_=1"}, "x").KillGroup {
		t.Error("TINI_KILL_PROCESS_GROUP counts when it is there")
	}
	s := load(nil, "-r", "ABRT:TERM", "-e", "143", "x")
	if s.SignalMap[6] != 15 || len(s.SignalMap) != len(notForwarded) || s.ExitMap[143] != 0 {
		t.Errorf("with flags: %+v", s)
	}
	if !slices.Contains(notForwarded[:], 22) || slices.Contains(notForwarded[:], hup) {
		t.Errorf("not forwarded: %v", notForwarded)
	}
	p.Program = "/sbin/docker-init"
	_, err := Load([]string{"SWAPINIT_XYZZY_PLUGH_QUUX=1"}, []string{"x"}, p)
	wantError(t, err, `; "/sbin/docker-init help" lists all`)
	_, err = Load(nil, []string{"-x"}, p)
	wantError(t, err, `see "/sbin/docker-init help"`)
	_, err = Load(nil, nil, p)
	wantError(t, err, `as in "/sbin/docker-init nginx"`, `see "/sbin/docker-init help"`)
}
