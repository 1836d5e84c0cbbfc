//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A daemon whose init-path is swapinit: any image runs under it.
func TestDockerEngine(t *testing.T) {
	t.Parallel()
	e := dockerEngine(t)
	t.Run("each", func(t *testing.T) {
		t.Run("version", func(t *testing.T) { t.Parallel(); e.testVersion(t) })
		t.Run("like docker-init", func(t *testing.T) { t.Parallel(); e.testLike(t) })
		t.Run("signals and stop", func(t *testing.T) { t.Parallel(); e.testSignals(t) })
		t.Run("terminal", func(t *testing.T) { t.Parallel(); e.testTerminal(t) })
		t.Run("servers", func(t *testing.T) { t.Parallel(); e.testServers(t) })
		t.Run("compose", func(t *testing.T) { t.Parallel(); e.testCompose(t) })
	})
}

// dockerd asks its init for its version, and can read the answer.
func (e *engine) testVersion(t *testing.T) {
	out, err := exec.Command(e.path("docker-init"), "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, want, ok := strings.Cut(strings.TrimSpace(string(out)), " - git.")
	if !ok {
		t.Fatalf("--version prints %q", out)
	}
	if got := e.do(t, "info", "--format", "{{.InitBinary}} {{.InitCommit.ID}}"); got != e.path("docker-init")+" "+want {
		t.Errorf("docker info says %q, want commit %q", got, want)
	}
	if log := e.log(); strings.Contains(log, "unknown output format") || strings.Contains(strings.ToLower(log), "docker-init version") {
		t.Errorf("the daemon warns of its init:\n%s", log)
	}
}

// seenInContainer prints what a process finds in a container, but for what differs from
// one container or daemon to another.
const seenInContainer = `
umask; pwd; id; hostname
grep -E '^(Sig(Blk|Ign)|ShdPnd|Cap[A-Za-z]*|NoNewPrivs|Seccomp[a-z_]*):' /proc/self/status
grep 'open files' /proc/self/limits
cat /proc/self/oom_score_adj
tr '\0' '\n' </proc/self/environ | sort
for f in /proc/$$/fd/*; do echo "fd ${f##*/} $(readlink $f | sed 's/:.*//')"; done
read -r line </proc/$$/stat
set -- ${line##*) }
echo "parent $2, own group $(($3 - $$)), session $4, terminal $5"
[ $5 = 0 ] || echo "foreground $(($6 - $$))"
tr '\0' ' ' </proc/1/cmdline; echo
ls -A /run /tmp /dev/shm /dev
wc -l </proc/net/unix
grep -c . /proc/mounts
grep docker-init /proc/mounts | sed 's/.* \/sbin/\/sbin/; s/ .* ro,.*/ ro/'
sort /proc/1/status | grep -E '^(Uid|Gid|Cap[A-Za-z]*|NoNewPrivs|Seccomp[a-z_]*):'
`

// In a container everything is as under docker-init.
func (e *engine) testLike(t *testing.T) {
	sh := func(text string) []string { return []string{"sh", "-c", text} }
	for _, c := range []struct {
		name    string
		flags   []string
		command []string
		own     bool // the words on stderr are each one's own
	}{
		{"nothing special", nil, sh(seenInContainer), false},
		{"a user", []string{"--user", "1000:1001"}, sh(seenInContainer), false},
		{"a user and no capabilities", []string{"--user", "1000", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only"}, sh(seenInContainer), false},
		{"no capabilities", []string{"--cap-drop", "ALL"}, sh(seenInContainer), false},
		{"privileged", []string{"--privileged"}, sh(seenInContainer), false},
		{"no seccomp", []string{"--security-opt", "seccomp=unconfined", "--tmpfs", "/run", "--tmpfs", "/tmp"}, sh(seenInContainer), false},
		{"an environment", []string{"-e", "EMPTY=", "-e", "X={generation} {fd.80}", "-e", "LISTEN_FDS=1", "-e", "NOTIFY_SOCKET=/none", "-w", "/var"}, sh(seenInContainer), false},
		{"a terminal", []string{"-t"}, sh(seenInContainer), false},
		{"standard input", []string{"-i"}, sh("cat; " + seenInContainer), false},
		{"an entrypoint", []string{"--entrypoint", "gosu-entrypoint"}, sh(seenInContainer), false},
		{"an entrypoint that does not exec", []string{"--entrypoint", "sh-entrypoint"}, sh("id; exit 42"), false},
		{"killed", nil, sh("kill -KILL $$"), false},
		{"not found", nil, []string{"no-such-command"}, true},
		{"not executable", nil, []string{"/etc/passwd"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := slices.Concat([]string{"run", "--rm", "--init", "--label", "swapinit.test=1", "--label", dockerRunLabel, "--network", "none", "--hostname", "same",
				"--ulimit", "nofile=1000:1000"}, c.flags, []string{e.image}, c.command)
			var out [2]string
			for n, cmd := range []*exec.Cmd{exec.Command("docker", args...), e.command(args...)} {
				cmd.Stdin = strings.NewReader("a line\n")
				r := dockerCommand(t, cmd)
				if out[n] = fmt.Sprintf("status %d\n", r.Code) + r.Stdout; !c.own {
					out[n] += r.Stderr
				}
			}
			same(t, out[0], out[1])
		})
	}
	// And the engine sees no other change of the file system.
	t.Run("files", func(t *testing.T) {
		t.Parallel()
		args := []string{"create", "--init", "--label", "swapinit.test=1", "--label", dockerRunLabel, "--network", "none", e.image, "sh", "-c", "sleep 0.1; exit 3"}
		theirs := dockerAdopt(t, docker(t, args...)).id
		ours := e.do(t, args...)
		t.Cleanup(func() { _ = e.command("rm", "-f", ours).Run() })
		var diff [2]string
		for n, do := range []func(args ...string) string{
			func(args ...string) string { return docker(t, append(args, theirs)...) },
			func(args ...string) string { return e.do(t, append(args, ours)...) },
		} {
			do("start")
			if code := do("wait"); code != "3" {
				t.Errorf("exit status %s, want 3", code)
			}
			diff[n] = do("diff")
		}
		same(t, diff[0], diff[1])
	})
}

// HUP and USR2 are forwarded like the rest, the verbs say that this is a plain init, and
// what is left when the server ends gets its time.
func (e *engine) testSignals(t *testing.T) {
	const server = `for s in HUP USR1 USR2 WINCH; do trap "echo got $s." $s; done; trap 'echo got TERM.; exit 7' TERM
		(trap 'sleep 0.1; echo a stray has finished; exit' TERM; echo up; while :; do sleep 0.1; done) & while :; do wait; done`
	c := e.run(t, "--stop-signal", "TERM", e.image, "sh", "-c", server)
	c.awaitLog("up")
	for _, sig := range []string{"HUP", "USR2", "USR1", "WINCH"} {
		e.do(t, "kill", "-s", sig, c.id)
		c.awaitLog("got " + sig + ".")
	}
	for _, verb := range []string{"swap", "status", "health"} {
		r := c.verb(verb)
		oneLine(t, r.Stderr, "swapinit: ", "its environment is a plain one")
		if r.Code != 125 {
			t.Errorf("%s: %v, want status 125", verb, r)
		}
	}
	if r := c.verb("--version"); r.Code != 0 || !strings.Contains(r.Stdout, " - git.") {
		t.Errorf("--version: %v", r)
	}
	if code := c.stop(); code != "7" {
		t.Errorf("exit status %s, want 7", code)
	}
	c.awaitLog("a stray has finished")
	if r := e.try(t, "logs", c.id); strings.Contains(r.Stderr, "swapinit") {
		t.Errorf("the init says something: %q", r.Stderr)
	}
}

// docker run -it: the keys and the size reach the command.
func (e *engine) testTerminal(t *testing.T) {
	c := &engineContainer{e, t, e.do(t, "create", "-it", "--init", "--label", "swapinit.test=1", "--network", "none",
		"--volume", e.path("fixture")+":/usr/local/bin/fixture:ro", e.image, "fixture", "keys")}
	t.Cleanup(func() { _ = e.command("rm", "-f", c.id).Run() })
	args := e.command("start", "-a", "-i", c.id).Args
	d := dockerOnTerminal(t, args[0], args[1:]...)
	d.await("keys: started [")
	dockerEventually(t, "the terminal has its size", func() bool {
		d.press("hello\r")
		return strings.Contains(d.text(), "keys: line hello [80x24]")
	})
	d.press("\x03")
	d.await("keys: signal 2 [")
	d.press("\x1c")
	d.await("keys: signal 3 [")
	d.resize(101, 37)
	d.await("keys: signal 28 [101x37]")
	d.press("end\r")
	if code := d.wait(); code != 5 {
		t.Errorf("exit status %d, want 5", code)
	}
	if n := strings.Count(d.text(), "keys: signal 2 ["); n != 1 {
		t.Errorf("Ctrl-C arrived %d times", n)
	}
}

// Images whose entrypoints know nothing, and servers that know nothing, are swapped under
// load, with settings from the environment alone.
func (e *engine) testServers(t *testing.T) {
	nginx := []string{"-e", "SWAPINIT_LISTEN=:80", "-e", "SWAPINIT_STOP_SIGNAL=QUIT"}
	fixture := []string{"-e", "SWAPINIT_LISTEN=:8080", "-e", "SWAPINIT_SETTLE=100ms", "--stop-signal", "TERM"}
	for _, c := range []struct {
		name, port string
		flags      []string
		entrypoint string
		command    []string
	}{
		{"nginx's own style", "80", nginx, "nginx-entrypoint", []string{"nginx", "-g", "daemon off;"}},
		{"a script that does not exec", "80", nginx, "sh-entrypoint", []string{"nginx", "-g", "daemon off;"}},
		{"a script that ends in exec", "8080", fixture, "exec-entrypoint", []string{"fixture", "http"}},
		{"gosu", "8080", fixture, "gosu-entrypoint", []string{"fixture", "http"}},
		{"a user without capabilities", "8080", append([]string{"--user", "1000", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only", "--tmpfs", "/tmp"}, fixture...),
			"exec-entrypoint", []string{"fixture", "http"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := e.run(t, slices.Concat(c.flags, []string{"--entrypoint", c.entrypoint, e.image}, c.command)...)
			s.await("ready", func(s dockerStatus) bool { return s.Ready && s.Pid == 1 })
			load := s.load("-port", c.port, "-rate", "50")
			load.atLeast(20)
			for n := 2; n < 4; n++ {
				if r := s.verb("swap"); r.Code != 0 {
					t.Fatalf("swap: %v", r)
				}
				load.more(20)
				s.await("the predecessor is gone", func(s dockerStatus) bool { return s.only(n) })
			}
			r := s.verb("swap", "--", "/nonexistent")
			if r.Code != 1 {
				t.Errorf("swap to nothing: %v, want status 1", r)
			}
			r = s.verb("swap", "now")
			oneLine(t, r.Stderr, "accepted: /sbin/docker-init swap [--no-wait]")
			load.more(20)
			load.stop().wantNoFailure(t)
			if r := s.verb("health"); r.Code != 0 {
				t.Errorf("health: %v", r)
			}
			code := s.stop()
			// A shell that does not exec dies of the signal; nginx ends well by QUIT.
			if want := map[string]string{"sh-entrypoint": "131"}[c.entrypoint]; code != "0" && code != want {
				t.Errorf("exit status %s", code)
			}
		})
	}
}

// compose's init: true is all that a file says.
func (e *engine) testCompose(t *testing.T) {
	file := filepath.Join(t.TempDir(), "compose.yaml")
	write(t, file, regexp.MustCompile(`(?m)^\t+`).ReplaceAllStringFunc(`version: "2.4"
services:
	web:
		image: `+e.image+`
		entrypoint: [exec-entrypoint]
		command: [fixture, http]
		init: true
		network_mode: none
		stop_signal: SIGTERM
		environment:
			SWAPINIT_LISTEN: ":8080"
			SWAPINIT_SETTLE: 100ms
		volumes: ["`+e.path("fixture")+`:/usr/local/bin/fixture:ro"]
		labels: {swapinit.test: "1"}
`, func(tabs string) string { return strings.Repeat("  ", len(tabs)) }))
	p := dockerCompose(t, "engine", []string{"DOCKER_HOST=unix://" + e.path("s.sock")}, file)
	p.do("up", "-d")
	ready := func(n int) func() bool {
		return func() bool {
			r := p.try("exec", "-T", "web", "/sbin/docker-init", "status", "--json")
			var s dockerStatus
			return r.Code == 0 && json.Unmarshal([]byte(r.Stdout), &s) == nil && s.Ready && s.only(n)
		}
	}
	dockerEventually(t, "ready", ready(1))
	p.do("exec", "-T", "web", "/sbin/docker-init", "swap")
	dockerEventually(t, "swapped", ready(2))
	p.do("stop", "-t", "60")
}
