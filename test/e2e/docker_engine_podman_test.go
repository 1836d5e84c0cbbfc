//go:build linux

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// podman is Podman with an OCI runtime, all whose files are below a folder of the test's
// own. It runs the files of docker/engine/image as they are, without an image.
type podman struct {
	t       *testing.T
	dir     string
	runtime string
	space   string // a process where all of it runs
}

func newPodman(t *testing.T) *podman {
	t.Helper()
	dir, err := os.MkdirTemp("", "swapinit-podman-")
	if err != nil {
		t.Fatal(err)
	}
	p := &podman{t: t, dir: dir}
	// As docs/engine-init.md has it; and nothing that is shared with this machine's own.
	write(t, p.path("containers.conf"), fmt.Sprintf("[containers]\ninit_path = %q\n[engine]\nlock_type = \"file\"\nevents_logger = \"none\"\ntmp_dir = %q\n", p.path("init"), p.path("tmp")))
	p.open()
	rootfs := p.path("rootfs")
	if err := os.Mkdir(rootfs, 0o755); err != nil {
		t.Fatal(err)
	}
	id := docker(t, "create", "--label", "swapinit.test=1", "--label", dockerRunLabel, dockerEngineImage(t))
	dockerAdopt(t, id)
	export, extract := exec.Command("docker", "export", id), exec.Command("tar", "-x", "-C", rootfs)
	if extract.Stdin, err = export.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := export.Start(); err != nil {
		t.Fatal(err)
	}
	out, err := extract.CombinedOutput()
	if err != nil || export.Wait() != nil {
		t.Fatalf("cannot copy the image: %v: %s", err, out)
	}
	engineBinaries(t, p.path("init"), p.path("rootfs/usr/local/bin/fixture"))
	return p
}

// open makes the space, which ends with the test.
func (p *podman) open() {
	p.t.Helper()
	cmd := exec.Command("docker/engine/space", p.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait()
		if _, err := os.Stat(p.dir); err == nil {
			p.t.Errorf("%s is left", p.dir)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if p.space = strings.TrimSpace(line); err != nil || p.space == "" {
		p.t.Fatalf("no space for Podman: %q, %v", line, err)
	}
}

func (p *podman) path(name string) string { return filepath.Join(p.dir, name) }

// command is a podman command.
func (p *podman) command(args ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", slices.Concat([]string{"--target", p.space, "--mount", "--pid", "podman",
		"--root", p.path("root"), "--runroot", p.path("run"), "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--runtime", p.runtime}, args)...)
	cmd.Env = append(os.Environ(), "CONTAINERS_CONF="+p.path("containers.conf"))
	return cmd
}

func (p *podman) do(args ...string) string {
	p.t.Helper()
	r := dockerCommand(p.t, p.command(args...))
	if r.Code != 0 {
		p.t.Fatalf("podman %s: %v", strings.Join(args, " "), r)
	}
	return strings.TrimSpace(r.Stdout)
}

func (p *podman) with(t *testing.T, runtime string) *podman {
	return &podman{t, p.dir, runtime, p.space}
}

// run is podman run with the engine's init.
func (p *podman) run(flags, command []string) []string {
	// The default of these may be more than this machine allows.
	return slices.Concat([]string{"run", "--init", "--network", "none", "--ulimit", "nofile=1000:1000", "--ulimit", "nproc=2000:2000"}, flags,
		[]string{"--rootfs", p.path("rootfs")}, command)
}

// podman run --init, with either OCI runtime.
func TestDockerEnginePodman(t *testing.T) {
	t.Parallel()
	dockerNeed(t)
	if _, err := exec.LookPath("podman"); err != nil {
		skip(t, "podman", "it is not installed")
	}
	if os.Getuid() != 0 || !mappedRoot() {
		skip(t, "podman", "it needs root here")
	}
	p := newPodman(t)
	// One after the other: their containers have one file system.
	for _, runtime := range []string{"crun", "runc"} {
		t.Run(runtime, func(t *testing.T) {
			if _, err := exec.LookPath(runtime); err != nil {
				skip(t, "podman", "%s is not installed", runtime)
			}
			t.Run("settings", func(t *testing.T) { p.with(t, runtime).testSettings() })
			t.Run("plain", func(t *testing.T) { p.with(t, runtime).testPlain() })
		})
	}
}

// With a setting it is swapinit, and the verbs have Podman's path.
func (p *podman) testSettings() {
	t := p.t
	id := p.do(p.run([]string{"-d", "-e", "SWAPINIT_LISTEN=:8080", "-e", "SWAPINIT_SETTLE=100ms"}, []string{"exec-entrypoint", "fixture", "serve"})...)
	t.Cleanup(func() {
		if t.Failed() {
			logs, _ := p.command("logs", id).CombinedOutput()
			t.Logf("logs of the container:\n%s", logs)
		}
	})
	verb := func(args ...string) dockerResult {
		return dockerCommand(t, p.command(append([]string{"exec", id, "/run/podman-init"}, args...)...))
	}
	await := func(generation int) {
		t.Helper()
		dockerEventually(t, fmt.Sprintf("generation %d alone", generation), func() bool {
			r := verb("status", "--json")
			var s dockerStatus
			return r.Code == 0 && json.Unmarshal([]byte(r.Stdout), &s) == nil && s.Ready && s.Pid == 1 && s.only(generation)
		})
	}
	await(1)
	if r := verb("swap"); r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
	await(2)
	p.do("kill", "--signal", "HUP", id)
	await(3)
	r := verb("swap", "now")
	oneLine(t, r.Stderr, "accepted: /run/podman-init swap ")
	p.do("stop", "--time", "60", id)
	if code := p.do("wait", id); code != "0" {
		t.Errorf("exit status %s", code)
	}
}

// Without one it is what docker-init is.
func (p *podman) testPlain() {
	t := p.t
	tini, err := dockerInit()
	if err != nil {
		skip(t, "docker", "%v", err)
	}
	inherited, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer inherited.Close()
	for _, c := range []struct {
		name    string
		flags   []string
		command []string
	}{
		{"root", nil, []string{"sh", "-c", seenInContainer}},
		{"a user", []string{"--user", "www-data", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"}, []string{"sh", "-c", seenInContainer}},
		{"a descriptor", []string{"--preserve-fds", "1", "-e", "LISTEN_FDS=1", "-e", "LISTEN_PID=1"}, []string{"sh", "-c", seenInContainer}},
		{"exit status", nil, []string{"sh", "-c", "kill -KILL $$"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out [2]string
			for n, init := range []string{tini, p.path("init")} {
				cmd := p.command(p.run(append([]string{"--rm", "--hostname", "same", "--init-path", init}, c.flags...), c.command)...)
				cmd.ExtraFiles = []*os.File{inherited}
				r := dockerCommand(t, cmd)
				out[n] = r.String()
				if !strings.HasPrefix(out[n], "status 0") && c.name != "exit status" {
					t.Fatalf("podman: %s", out[n])
				}
				out[n] = strings.ReplaceAll(out[n], `\n`, "\n")
			}
			same(t, out[0], out[1])
		})
	}
}
