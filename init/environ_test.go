package pid1

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/listen"
)

func TestServerEnviron(t *testing.T) {
	i := testInit(t)
	i.launcher.environ = []string{"A=old", "PATH=/bin", "WEB={fd.web};", "LOG=/log/{generation}", "odd{generation}", "JSON={\"a\":1}", "A=second"}
	i.set.EnvFile = filepath.Join(t.TempDir(), "env")
	i.set.Watchdog = 2 * time.Second
	i.set.Export = []string{listen.Systemd}
	if err := os.WriteFile(i.set.EnvFile, []byte("A=new{generation}\nB=added\nLISTEN_FDS=9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	given := listen.Given{Stdin: listen.NoFile, Files: []uintptr{9}, Endpoints: []listen.Endpoint{{Spec: listen.Spec{Name: "web", Network: "tcp"}}}}
	env, pidVars, err := i.launcher.serverEnviron(testWorker(4), given, "/run/n")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"A=new4", "PATH=/bin", "WEB=3;", "LOG=/log/4", "odd{generation}", "JSON={\"a\":1}", "A=second", "B=added",
		"SWAPINIT_GENERATION=4", "LISTEN_FDS=1", "LISTEN_PID=0", "LISTEN_FDNAMES=web",
		"SWAPINIT_WORKER=0", "SWAPINIT_READY_FD=4", "SWAPINIT_CHANNEL_FD=5", "NOTIFY_SOCKET=/run/n", "WATCHDOG_USEC=2000000", "WATCHDOG_PID=0"}
	if !slices.Equal(env, want) {
		t.Errorf("%q\nwant %q", env, want)
	}
	if want := []string{"LISTEN_PID", "WATCHDOG_PID"}; !slices.Equal(pidVars, want) {
		t.Errorf("variables with the pid: %q, want %q", pidVars, want)
	}
	if i.launcher.environ[0] != "A=old" || i.launcher.environ[2] != "WEB={fd.web};" {
		t.Errorf("the environment of later generations has changed: %q", i.launcher.environ)
	}
}

// Without endpoints and a watchdog nobody needs the exec stage.
func TestServerEnvironPlain(t *testing.T) {
	i := testInit(t)
	env, pidVars, err := i.launcher.serverEnviron(testWorker(1), listen.Given{Stdin: listen.NoFile}, "@n")
	if want := []string{"SWAPINIT_GENERATION=1", "SWAPINIT_WORKER=0", "SWAPINIT_READY_FD=3", "SWAPINIT_CHANNEL_FD=4", "NOTIFY_SOCKET=@n"}; err != nil || !slices.Equal(env, want) || pidVars != nil {
		t.Errorf("%q, %q, %v, want %q", env, pidVars, err, want)
	}
}

func TestBadEnviron(t *testing.T) {
	i := testInit(t)
	i.launcher.environ = []string{"ARGS={fd.nope}"}
	if _, err := i.launcher.sharedEnviron(1, listen.Given{}); err == nil || !strings.Contains(err.Error(), "ARGS") || !strings.Contains(err.Error(), "nope") {
		t.Errorf("an unknown endpoint: %v", err)
	}
	i.launcher.environ, i.set.EnvFile = nil, filepath.Join(t.TempDir(), "missing")
	if _, err := i.launcher.sharedEnviron(1, listen.Given{}); err == nil || !strings.Contains(err.Error(), "SWAPINIT_ENV_FILE") {
		t.Errorf("a missing environment file: %v", err)
	}
}

func TestLookup(t *testing.T) {
	env := []string{"PATHS=no", "odd", "PATH=/first=x", "PATH=/second"}
	if got := lookup(env, "PATH"); got != "/first=x" {
		t.Errorf("PATH is %q", got)
	}
	if got := lookup(env, "odd"); got != "" {
		t.Errorf("odd is %q", got)
	}
	if got := set(set(slices.Clone(env), "PATH", "/new"), "odd", "1"); !slices.Equal(got, []string{"PATHS=no", "odd=1", "PATH=/new", "PATH=/second"}) {
		t.Errorf("set: %q", got)
	}
}
