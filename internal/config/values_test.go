package config

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// good and bad values of every setting; TestEverySettingIsTested watches that
// none is missing.
var goodValues = []struct {
	name, value string
	want        any
}{
	{"LISTEN", ":8080", ":8080"},
	{"METRICS", ":9180", ":9180"},
	{"METRICS", "off", ""},
	{"WATCHDOG", "off", time.Duration(0)},
	{"LISTEN", "web=:80\nunix:///run/a.sock?mode=0660", "web=:80\nunix:///run/a.sock?mode=0660"},
	{"EXPORT", "systemd", Names{"systemd"}},
	{"EXPORT", "einhorn systemd,einhorn", Names{"einhorn", "systemd"}},
	{"EXPORT", "", Names{}},
	{"SWAP_SIGNALS", "USR1", sigs{usr1}},
	{"SWAP_SIGNALS", "SIGHUP,\n usr1 10\tRTMIN+3,", sigs{hup, usr1, 37}},
	{"SWAP_SIGNALS", "", sigs{}},
	{"SWAP_SIGNALS", " ", sigs{}},
	{"SWAP_COMMAND", `sh -c 'exec "$0"' a\ b`, []string{"sh", "-c", `exec "$0"`, "a b"}},
	{"TARGET_FILE", "/run/target", "/run/target"},
	{"DIR", "/srv/my app/current", "/srv/my app/current"},
	{"ENV_FILE", "/etc/app.env", "/etc/app.env"},
	{"READY", "delay:5s", "delay:5s"},
	{"READY_TIMEOUT", "90s", 90 * time.Second},
	{"READY_TIMEOUT", "0", time.Duration(0)},
	{"WATCHDOG", "500ms", 500 * time.Millisecond},
	{"WATCHDOG", "0", time.Duration(0)},
	{"SETTLE", "1m30s", 90 * time.Second},
	{"SETTLE", "1.5s", 1500 * time.Millisecond},
	{"STOP_SIGNAL", "QUIT", quit},
	{"STOP_SIGNAL", "TERM", term},
	{"STOP_SIGNAL", "kill", kill},
	{"RETIRE_SIGNAL", "sigkill", kill},
	{"RETIRE_SIGNAL", "RTMIN+3", syscall.Signal(37)},
	{"RETIRE_TIMEOUT", "1h", time.Hour},
	{"STOP_SIGNALS", "TERM INT", sigs{term, intr}},
	{"STOP_TIMEOUT", "8760h", MaxDuration},
	{"LEFTOVER_TIMEOUT", "0s", time.Duration(0)},
	{"STOP_DELAY", "1ms", time.Millisecond},
	{"SIGNAL_MAP", "INT=TERM,USR1=", sigMap{intr: term, usr1: 0}},
	{"SIGNAL_MAP", "2=15 USR1=0", sigMap{intr: term, usr1: 0}},
	{"SIGNAL_MAP", "INT=KILL", sigMap{intr: kill}},
	{"SIGNAL_MAP", "", sigMap{}},
	{"KILL_GROUP", "true", true},
	{"KILL_GROUP", "1", true},
	{"KILL_GROUP", "Yes", true},
	{"KILL_GROUP", "on", true},
	{"KILL_GROUP", "off", false},
	{"KILL_GROUP", "no", false},
	{"KILL_GROUP", "0", false},
	{"KILL_GROUP", "FALSE", false},
	{"EXIT_MAP", "143=0", exitsOf{143: 0}},
	{"EXIT_MAP", "0=255, 255=0", exitsOf{0: 255, 255: 0}},
	{"MAX_GENERATIONS", "2", 2},
	{"MAX_GENERATIONS", "1000", 1000},
	{"ADOPT", "auto", Adopt("auto")},
	{"ADOPT", "on", Adopt("on")},
	{"ADOPT", "off", Adopt("off")},
	{"ADOPT", "8080", Adopt("8080")},
	{"ADOPT", "8080, 8443 1,65535", Adopt("8080, 8443 1,65535")},
	{"STEER", "auto", "auto"},
	{"STEER", "off", "off"},
	{"STEER", "require", "require"},
	{"DRAIN", "idle", "idle"},
	{"DRAIN", "gone", "gone"},
	{"DRAIN", "off", "off"},
	{"DRAIN_TIMEOUT", "0", time.Duration(0)},
	{"DRAIN_TIMEOUT", "10m", 10 * time.Minute},
	{"IDLE_AFTER", "500ms", 500 * time.Millisecond},
	{"CANARY", "1%/10s,25%/30s", []Stage{{100, 10 * time.Second}, {2500, 30 * time.Second}}},
	{"CANARY", " 99.99%/1ms\n0.01%/8760h, 0.5%/1m30s ", []Stage{{9999, time.Millisecond}, {1, MaxDuration}, {50, 90 * time.Second}}},
	{"CANARY", "50%/1s 50%/1s 05.10%/1s", []Stage{{5000, time.Second}, {5000, time.Second}, {510, time.Second}}},
	{"CANARY", strings.Repeat("1%/1s,", 100), slices.Repeat([]Stage{{100, time.Second}}, 100)},
	{"CANARY_BY", "client", "client"},
	{"CANARY_BY", "random", "random"},
	{"CANARY_BY", "10.0.0.0/8,2001:db8::/32\n192.0.2.7", "10.0.0.0/8,2001:db8::/32\n192.0.2.7"},
	{"CANARY_CHECK", "/bin/check --url 'a b'", []string{"/bin/check", "--url", "a b"}},
	{"KEEP", "0", time.Duration(0)},
	{"KEEP", "5m", 5 * time.Minute},
	{"WORKERS", "1", 1},
	{"WORKERS", "256", 256},
	{"WORKERS", "auto", 0},
	{"BATCH", "all", Batch("all")},
	{"BATCH", "1", Batch("1")},
	{"BATCH", "1%", Batch("1%")},
	{"BATCH", "100%", Batch("100%")},
	{"STRATEGY", "overlap", "overlap"},
	{"STRATEGY", "handover", "handover"},
	{"STRATEGY", "replace", "replace"},
	{"RESPAWN", "auto", "auto"},
	{"RESPAWN", "never", "never"},
	{"RESPAWN", "on-failure", "on-failure"},
	{"RESPAWN", "always", "always"},
	{"PRE_SWAP", "/bin/fetch 'a b'", []string{"/bin/fetch", "a b"}},
	{"POST_SWAP", "sh -c 'echo \"$SWAPINIT_RESULT\"'", []string{"sh", "-c", `echo "$SWAPINIT_RESULT"`}},
	{"HOOK_TIMEOUT", "0", time.Duration(0)},
	{"HOOK_TIMEOUT", "2m", 2 * time.Minute},
	{"NODE_IPC", "true", true},
	{"NODE_IPC", "off", false},
	{"WATCH", "/srv/app", Paths{"/srv/app"}},
	{"WATCH", " /srv/a,b\n/srv/a , ../ä ", Paths{"/srv/a", "b", "../ä"}},
	{"GATE", "/run/g/gate.sock", "/run/g/gate.sock"},
	{"GATE", "@gate", "@gate"},
	{"GATE_ALLOW", "1000, 33", UIDs{List: []uint32{1000, 33}}},
	{"GATE_ALLOW", "any", UIDs{Any: true}},
	{"RELEASE", "registry/app:v1.2@sha", "registry/app:v1.2@sha"},
	{"STOP_DRAIN", "1m30s", 90 * time.Second},
	{"WATCH_SPLAY", "30s", 30 * time.Second},
	{"WATCH_SPLAY", "0", time.Duration(0)},
	{"USER", "1000:1000", "1000:1000"},
	{"CONTROL", "off", "off"},
	{"CONTROL", "auto", "auto"},
	{"CONTROL", "/run/swapinit.sock", "/run/swapinit.sock"},
	{"CONTROL", "@web", "@web"},
	{"CONTROL", "@" + strings.Repeat("x", 106), "@" + strings.Repeat("x", 106)},
	{"LOG", "error", "error"},
	{"LOG", "debug", "debug"},
	{"LOG_FORMAT", "json", "json"},
	{"COLOR", "always", "always"},
	{"COLOR", "never", "never"},
}

var badValues = []struct {
	name, value, problem string
}{
	{"LISTEN", "ftp://x", `no network is named "ftp"\n\x1b[31mftp://x`},
	{"EXPORT", "systemd,launchd", `no dialect is named "launchd"`},
	{"EXPORT", "Systemd", `no dialect is named "Systemd"`},
	{"SWAP_SIGNALS", "HUP,HUPP", `no signal is named "HUPP"`},
	{"SWAP_SIGNALS", "none", `no signal is named "none"`},
	{"SWAP_SIGNALS", "KILL", "KILL cannot be caught"},
	{"SWAP_SIGNALS", "STOP", "STOP cannot be caught"},
	{"SWAP_SIGNALS", "PROF", "PROF never reaches"},
	{"SWAP_SIGNALS", "32", "never reaches"},
	{"SWAP_SIGNALS", "33", "never reaches"},
	{"SWAP_SIGNALS", "34", "never reaches"},
	{"SWAP_SIGNALS", "CHLD", "never forwarded"},
	{"SWAP_SIGNALS", "HUP,TERM", `TERM is in SWAPINIT_STOP_SIGNALS="TERM" too`},
	{"SWAP_COMMAND", "echo 'a", "unclosed single quote"},
	{"SWAP_COMMAND", "  ", "no command in it"},
	{"SWAP_COMMAND", "'' a", "no command in it"},
	{"TARGET_FILE", "/run/a\n", "control character"},
	{"DIR", "/srv\x01", "control character"},
	{"ENV_FILE", "/etc/app.env\r", "control character"},
	{"READY", "maybe", "no such way to be ready"},
	{"READY_TIMEOUT", "30", "no unit, write 30s"},
	{"READY_TIMEOUT", "1.5", "no unit, write 1.5s"},
	{"READY_TIMEOUT", "-5s", "negative"},
	{"READY_TIMEOUT", "-5", "negative"},
	{"READY_TIMEOUT", " ", "not a duration"},
	{"READY_TIMEOUT", ".", "not a duration"},
	{"READY_TIMEOUT", "30 s", "not a duration"},
	{"READY_TIMEOUT", "30s\n", "not a duration"},
	{"READY_TIMEOUT", "+30s", "not a duration"},
	{"READY_TIMEOUT", "1d", "not a duration"},
	{"WATCHDOG", "1us", "shorter than 1ms"},
	{"SETTLE", "NaN", "not a duration"},
	{"STOP_SIGNAL", "STOP", "STOP freezes"},
	{"STOP_SIGNAL", "TERM,INT", `no signal is named "TERM,INT"`},
	{"STOP_SIGNAL", "0", `no signal is named "0"`},
	{"RETIRE_SIGNAL", "19", "STOP freezes"},
	{"RETIRE_SIGNAL", "65", `no signal is named "65"`},
	{"RETIRE_TIMEOUT", "8761h", "too long"},
	{"STOP_SIGNALS", ",", "no signal in it"},
	{"STOP_SIGNALS", "KILL", "KILL cannot be caught"},
	{"STOP_SIGNALS", "TERM,HUP", `HUP is in SWAPINIT_SWAP_SIGNALS="HUP,USR2" too`},
	{"STOP_TIMEOUT", "999999999999h", "not a duration"},
	{"LEFTOVER_TIMEOUT", "five", "not a duration"},
	{"STOP_DELAY", "--1s", "negative"},
	{"SIGNAL_MAP", "INT", `no = in "INT"`},
	{"SIGNAL_MAP", "=TERM", `no signal is named ""`},
	{"SIGNAL_MAP", "INT=FOO", `no signal is named "FOO"`},
	{"SIGNAL_MAP", "INT=TERM=HUP", `no signal is named "TERM=HUP"`},
	{"SIGNAL_MAP", "INT=TERM,2=HUP", "INT is mapped twice"},
	{"SIGNAL_MAP", "STOP=TERM", "STOP cannot be caught"},
	{"SIGNAL_MAP", "PROF=", "PROF never reaches"},
	{"SIGNAL_MAP", "PIPE=", "never forwarded"},
	{"SIGNAL_MAP", "URG=USR1", "never forwarded"},
	{"KILL_GROUP", "maybe", "neither true nor false"},
	{"KILL_GROUP", "2", "neither true nor false"},
	{"EXIT_MAP", "143", `no = in "143"`},
	{"EXIT_MAP", "256=0", `"256" is not an exit status`},
	{"EXIT_MAP", "143=-1", `"-1" is not an exit status`},
	{"EXIT_MAP", "143=", `"" is not an exit status`},
	{"EXIT_MAP", "1=0,01=2", "1 is mapped twice"},
	{"ADOPT", "true", ""},
	{"ADOPT", "On", ""},
	{"ADOPT", "0", ""},
	{"ADOPT", "65536", ""},
	{"ADOPT", "8080,auto", ""},
	{"ADOPT", "-80", ""},
	{"ADOPT", ":80", ""},
	{"ADOPT", ",", ""},
	{"MAX_GENERATIONS", "1", "out of range"},
	{"MAX_GENERATIONS", "0", "out of range"},
	{"MAX_GENERATIONS", "1001", "out of range"},
	{"MAX_GENERATIONS", "-2", "not a number"},
	{"MAX_GENERATIONS", "two", "not a number"},
	{"STEER", "on", ""},
	{"STEER", "Auto", ""},
	{"DRAIN", "busy", ""},
	{"DRAIN", "0", ""},
	{"DRAIN_TIMEOUT", "30", "no unit, write 30s"},
	{"IDLE_AFTER", "-1s", "negative"},
	{"CANARY", ", ", "no stage in it"},
	{"CANARY", "1%", `no /DURATION in "1%"`},
	{"CANARY", "1%/", `no /DURATION in "1%/"`},
	{"CANARY", "1%/10s,25%", `no /DURATION in "25%"`},
	{"CANARY", "1/10s", `no % before the / in "1/10s"`},
	{"CANARY", "0.01/10s", "no % before the /"},
	{"CANARY", "1%/10s;25%/30s", `a duration that cannot be used (not a duration) in "1%/10s;25%/30s"`},
	{"CANARY", "0%/10s", `a share that is not from 0.01% to 99.99% in "0%/10s"`},
	{"CANARY", "0.00%/10s", "a share that is not"},
	{"CANARY", "100%/10s", "a share that is not"},
	{"CANARY", "001%/10s", "a share that is not"},
	{"CANARY", "%/10s", "a share that is not"},
	{"CANARY", ".5%/10s", "a share that is not"},
	{"CANARY", "1.%/10s", "a share that is not"},
	{"CANARY", "0.005%/10s", "a share that is not"},
	{"CANARY", "-1%/10s", "a share that is not"},
	{"CANARY", "+1%/10s", "a share that is not"},
	{"CANARY", "1.-1%/10s", "a share that is not"},
	{"CANARY", "1e%/10s", "a share that is not"},
	{"CANARY", "1%%/10s", "a share that is not"},
	{"CANARY", "1 %/10s", `no /DURATION in "1"`},
	{"CANARY", "1%/10", "no unit, write 10s"},
	{"CANARY", "1%/0", "a duration of 0"},
	{"CANARY", "1%/0s", "a duration of 0"},
	{"CANARY", "1%/-1s", "negative"},
	{"CANARY", "1%/1us", "shorter than 1ms"},
	{"CANARY", "1%/8761h", "too long"},
	{"CANARY", "1%/10s/2", "not a duration"},
	{"CANARY", strings.Repeat("1%/1s,", 101), "101 stages in it"},
	{"CANARY_BY", "clients", `"clients" is not an address and /bits`},
	{"CANARY_BY", "10.0.0.1/8", "with no bit set behind these"},
	{"CANARY_BY", ",", "no network in it"},
	{"CANARY_BY", networks(65), "65 networks in it"},
	{"CANARY_CHECK", "check 'a", "unclosed single quote"},
	{"CANARY_CHECK", " ", "no command in it"},
	{"KEEP", "5", "no unit, write 5s"},
	{"WORKERS", "0", "out of range"},
	{"WORKERS", "00", "out of range"},
	{"WORKERS", "257", "out of range"},
	{"WORKERS", "-1", "not a number"},
	{"WORKERS", "2.5", "not a number"},
	{"WORKERS", "Auto", "not a number"},
	{"MAX_GENERATIONS", "auto", "out of range"},
	{"BATCH", "0", ""},
	{"BATCH", "0%", ""},
	{"BATCH", "101%", ""},
	{"BATCH", "-1", ""},
	{"BATCH", "+1", ""},
	{"BATCH", "1.5%", ""},
	{"BATCH", "%", ""},
	{"BATCH", "1%%", ""},
	{"BATCH", "All", ""},
	{"BATCH", "99999999999", ""},
	{"STRATEGY", "Replace", ""},
	{"STRATEGY", "overlap, handover", ""},
	{"RESPAWN", "on_failure", ""},
	{"PRE_SWAP", "fetch 'a", "unclosed single quote"},
	{"POST_SWAP", "''", "no command in it"},
	{"HOOK_TIMEOUT", "60", "no unit, write 60s"},
	{"NODE_IPC", "json", "neither true nor false"},
	{"WATCH", " , ", "no path in it"},
	{"WATCH", "/srv/a,/srv/\x1bb", `control character in "/srv/\x1bb"`},
	{"GATE", "gate.sock", ""},
	{"GATE", "/gate/", ""},
	{"GATE_ALLOW", "1000,www", `"www" is not a uid`},
	{"GATE_ALLOW", "4294967295", `"4294967295" is not a uid`},
	{"GATE_ALLOW", "1000,any", `"any" is not a uid`},
	{"RELEASE", "v1 beta", ""},
	{"RELEASE", strings.Repeat("v", 65), ""},
	{"STOP_DRAIN", "8", "no unit, write 8s"},
	{"WATCH_SPLAY", "-1s", "negative"},
	{"USER", "root\n", "control character"},
	{"CONTROL", "on", ""},
	{"CONTROL", "run/a.sock", ""},
	{"CONTROL", "@", ""},
	{"CONTROL", "/", ""},
	{"CONTROL", "/run/", ""},
	{"CONTROL", "@" + strings.Repeat("x", 107), ""},
	{"LOG", "loud", ""},
	{"METRICS", "9180", "not one address"},
	{"LOG", "INFO", ""},
	{"LOG", "error, warn", ""},
	{"LOG_FORMAT", "xml", ""},
	{"COLOR", "yes", ""},
}

func TestGoodValues(t *testing.T) {
	for _, c := range goodValues {
		s := mustLoad(t, []string{"PATH=/bin", "SWAPINIT_" + c.name + "=" + c.value}, []string{"x"})
		if got := get(t, s, c.name); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s=%q: got %#v, want %#v", c.name, c.value, got, c.want)
		}
	}
}

func TestBadValues(t *testing.T) {
	for _, c := range badValues {
		t.Run(c.name+"="+c.value, func(t *testing.T) {
			s, err := Load([]string{"SWAPINIT_" + c.name + "=" + c.value}, []string{"x"}, testParsers())
			if s != nil {
				t.Error("settings in spite of an error")
			}
			parts := []string{"SWAPINIT_" + c.name + "=" + quote(c.value) + ": ", c.problem, "want "}
			wantError(t, err, parts...)
			var bad *ValueError
			if !errors.As(err, &bad) || ExitStatus != 125 {
				t.Errorf("got %T, want a *ValueError with exit status 125", err)
			}
		})
	}
}

func TestEverySettingIsTested(t *testing.T) {
	good, bad := map[string]bool{}, map[string]bool{}
	for _, c := range goodValues {
		good[Prefix+c.name] = true
	}
	for _, c := range badValues {
		bad[Prefix+c.name] = true
	}
	for _, r := range table(new(Settings)) {
		if !good[r.Name] || !bad[r.Name] {
			t.Errorf("%s: good value tested: %v, bad value tested: %v", r.Name, good[r.Name], bad[r.Name])
		}
		if help := r.Help; help == "" || r.Accepts == "" {
			t.Errorf("%s: help %q, accepts %q", r.Name, help, r.Accepts)
		}
		if strings.Contains(r.Accepts, "^") {
			t.Errorf("%s: accepts is printed as it is, no ^ in it", r.Name)
		}
	}
}

// Every field has a row, a field of its own, unless it comes from elsewhere. Tags are read
// as package reflect reads them: none has an escape, or looks like another tag.
func TestEachField(t *testing.T) {
	s := &Settings{}
	missing := map[uintptr]string{}
	for f := range reflect.TypeFor[Settings]().Fields() {
		if !slices.Contains([]string{"Sides", "AsGate", "Plain", "ParentDeath", "LogOrphans", "Version", "Help", "Command"}, f.Name) {
			missing[reflect.ValueOf(s).Pointer()+f.Offset] = f.Name
		}
	}
	s.each(func(field any, row string) {
		at := reflect.ValueOf(field).Pointer()
		if missing[at] == "" {
			t.Errorf("there is a row without a field of its own: %s", row)
		}
		delete(missing, at)
		got := map[string]string{}
		for rest := row; rest != ""; {
			key, value, left := tag(rest)
			got[key], rest = value, left
		}
		for _, key := range []string{"env", "envDefault", "shown", "empty", "oneof", "accepts", "help"} {
			if got, want := got[key], reflect.StructTag(row).Get(key); got != want {
				t.Errorf("%s: %s is %q, want %q", row, key, got, want)
			}
		}
	})
	if len(missing) > 0 {
		t.Errorf("there is no row for %v", missing)
	}
}

// networks are so many different ones.
func networks(n int) (list string) {
	for i := range n {
		list += "10.0.0." + strconv.Itoa(i) + " "
	}
	return list
}
