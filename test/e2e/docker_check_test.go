//go:build linux

package e2e

import (
	"cmp"
	"slices"
	"strings"
	"testing"
)

// checks runs check and fails unless each finding has the words of one of wanted, and
// there are no others.
func (c *dockerContainer) checks(wanted ...string) {
	c.t.Helper()
	r := c.try("/swapinit", "check")
	lines := strings.Split(strings.TrimSpace(r.Stdout), "\n")
	if len(wanted) == 0 {
		if r.Code != 0 || r.Stdout != "nothing to mend\n" {
			c.t.Errorf("check: %v, want nothing to mend", r)
		}
		return
	}
	if r.Code != 1 || len(lines) != len(wanted) {
		c.t.Errorf("check: %v, want %d findings", r, len(wanted))
	}
	for _, words := range wanted {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, words) }) {
			c.t.Errorf("check: %v, want %q", r, words)
		}
	}
}

// checked starts a server of the zoo under swapinit and waits until it is ready.
func zooChecked(t *testing.T, s zooServer, env ...string) *dockerContainer {
	t.Helper()
	var run []string
	if s.only == "1000" {
		run = append(run, "--user", "1000")
	}
	for _, e := range env {
		run = append(run, "-e", e)
	}
	c := zooRun(t, s, []string{"/swapinit", "--"}, run...)
	c.awaitReady()
	return c
}

func zooNamed(t *testing.T, name string) zooServer {
	t.Helper()
	k := slices.IndexFunc(zooServers, func(s zooServer) bool { return s.name == name })
	if k < 0 {
		t.Fatalf("no server %s", name)
	}
	return zooServers[k]
}

// Servers that know nothing of swapinit, told to stop as each wants it, leave nothing to
// mend.
func TestZooCheckHealthy(t *testing.T) {
	t.Parallel()
	for _, s := range zooServers {
		if s.refused() != "" && !strings.HasPrefix(s.name, "postgres") {
			continue
		}
		if !often("check " + s.name) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			env := zooEnv(cmp.Or(s.stop, "TERM"), s.settings...)
			zooChecked(t, s, env...).checks()
		})
	}
	for _, command := range []string{"gunicorn --workers 2 app:application", "sh -c 'exec gunicorn --workers 2 app:application'"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			s := zooNamed(t, "gunicorn")
			s.command = strings.Fields(command)
			if s.command[0] == "sh" {
				s.command = []string{"sh", "-c", "exec gunicorn --workers 2 app:application"}
			}
			zooChecked(t, s, "SWAPINIT_LISTEN=tcp4://:8080").checks()
		})
	}
}

// The same servers told to stop by TERM, of which some make something else.
func TestZooCheckSignals(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"nginx": "nginx (pid ", "apache-event": "apache2 (pid ", "lighttpd": "lighttpd (pid ", "haproxy": "haproxy (pid ", "unicorn": "unicorn (pid ",
	} {
		if !often("signals " + name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := zooNamed(t, name)
			zooChecked(t, s, "SWAPINIT_LISTEN=:8080").checks("the stop signal TERM: " + want)
		})
	}
	t.Run("uwsgi", func(t *testing.T) {
		t.Parallel()
		s := zooNamed(t, "uwsgi")
		s.command = []string{"uwsgi", "--plugin", "python3", "--http-socket", ":8080", "--master", "--wsgi-file", "/zoo/app.py"}
		zooChecked(t, s, "SWAPINIT_LISTEN=:8080").checks("LISTEN_FDS: uwsgi", "reloads itself at it, and goes on; hook-master-start = unix_signal:15")
		zooChecked(t, s, "SWAPINIT_LISTEN=:8080", "SWAPINIT_EXPORT=").checks("the stop signal TERM: uwsgi")
	})
	t.Run("gunicorn", func(t *testing.T) {
		t.Parallel()
		zooChecked(t, zooNamed(t, "gunicorn"), "SWAPINIT_LISTEN=:8080", "SWAPINIT_STOP_SIGNAL=QUIT").checks("the stop signal QUIT: gunicorn (pid ")
	})
}

// gunicorn looks at LISTEN_PID, which is the shell's, and binds its own default.
func TestZooCheckWrapper(t *testing.T) {
	t.Parallel()
	s := zooNamed(t, "gunicorn")
	s.command = []string{"sh", "-c", "gunicorn --workers 2 app:application; echo ended"}
	c := zooChecked(t, s, "SWAPINIT_LISTEN=:8080")
	c.checks("LISTEN_PID: it is ", "tcp://127.0.0.1:8000 for itself")
}

// Limits that are too small for two, and those that are not.
func TestDockerCheckLimits(t *testing.T) {
	image := dockerImage(t, "scratch")
	for _, tc := range []struct {
		name, limit string
		flags       []string
		want        []string
	}{
		{"memory", "--memory=64m", []string{"-memory", "30"}, []string{"the memory limit: it is 64 MiB, of which "}},
		{"memory for two", "--memory=128m", []string{"-memory", "30"}, nil},
		{"processes", "--pids-limit=30", nil, []string{"the limit of processes: it is 30 (threads count)"}},
		{"processes for two", "--pids-limit=200", nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := dockerRun(t, append([]string{tc.limit, image, "/fixture", "serve"}, tc.flags...)...)
			c.awaitReady()
			c.checks(tc.want...)
		})
	}
}

// A port that is published leads to no loopback address, but on the host's network it is right.
func TestDockerCheckLoopback(t *testing.T) {
	image := dockerImage(t, "scratch")
	for _, tc := range []struct {
		name string
		args []string
		want []string
	}{
		{"a bridge", nil, []string{"SWAPINIT_LISTEN: its addresses are on the loopback interface of the container"}},
		{"no network", []string{"--network=none"}, nil},
		{"another listener", []string{"-e", "SWAPINIT_METRICS=:9180"}, nil}, // such as a proxy beside it
		{"a side", []string{"-e", "SWAPINIT_SIDE_TUNNEL=/fixture serve"}, nil},
		{"all addresses", []string{"-e", "SWAPINIT_LISTEN=:8080"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := dockerRun(t, append(append([]string{"-e", "SWAPINIT_LISTEN=127.0.0.1:8080"}, tc.args...), image, "/fixture", "serve")...)
			c.awaitReady()
			c.checks(tc.want...)
		})
	}
}
