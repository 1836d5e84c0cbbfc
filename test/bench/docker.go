package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// docker is this machine's daemon, with an image of swapinit and the server of the
// Docker tests. Its owner calls close.
type docker struct {
	image string
	run   string   // the label of all that is started, by which close finds it
	mark  []string // the options for it, and for the label that the tests use
	port  int      // the last one that was given out
}

const dockerfile = `FROM scratch
LABEL swapinit.test=1 swapinit.test.kind=app
COPY swapinit fixture /
`

// errNoDocker is why the gate is not measured.
type errNoDocker struct{ why string }

func (e errNoDocker) Error() string { return e.why }

// openDocker builds the image. Its error is an errNoDocker where there is no Docker.
func (b *bench) openDocker(ctx context.Context) (*docker, error) {
	if _, err := exec.LookPath("docker"); err != nil {
		return nil, errNoDocker{"docker is not installed"}
	}
	run := fmt.Sprintf("swapinit.test.run=%d", os.Getpid())
	d := &docker{run: run, mark: []string{"--label", "swapinit.test=1", "--label", run}, port: 20000 + os.Getpid()%1000*10}
	if _, err := d.do(ctx, "version", "--format", "{{.Server.Version}}"); err != nil {
		return nil, errNoDocker{"its daemon does not answer: " + err.Error()}
	}
	folder, err := os.MkdirTemp(b.dir, "image-")
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		copyFile(b.peers[0].path, filepath.Join(folder, us)),
		build(ctx, filepath.Join(folder, "fixture"), "./test/e2e/docker/fixture"),
		os.WriteFile(filepath.Join(folder, "Dockerfile"), []byte(dockerfile), 0o644))
	if err == nil {
		image := fmt.Sprintf("swapinit-test/bench:%d", os.Getpid())
		if _, err = d.do(ctx, "build", "-q", "-t", image, folder); err == nil {
			d.image = image
		}
	}
	return d, err
}

// dockerOr is openDocker, or nil and a line that says what is left out.
func (b *bench) dockerOr(ctx context.Context, what string) (*docker, error) {
	d, err := b.openDocker(ctx)
	var none errNoDocker
	if errors.As(err, &none) {
		fmt.Fprintf(os.Stderr, "bench: %s left out: %v\n", what, none)
		return nil, nil
	}
	return d, err
}

// do runs docker and returns its trimmed stdout. An interrupt lets it end: one that is
// killed may still have started something.
func (d *docker) do(ctx context.Context, args ...string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), 2*patience, errSilent)
	defer cancel()
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(ctx, "docker", args...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // no ^C of the terminal's
	c.Env = append(os.Environ(), "DOCKER_BUILDKIT=0")
	c.Stdout, c.Stderr, c.WaitDelay = &stdout, &stderr, time.Second
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// start starts a container of the image: options, then "--", then the command.
func (d *docker) start(ctx context.Context, args ...string) (id string, err error) {
	at := slices.Index(args, "--")
	all := slices.Concat([]string{"run", "-d"}, d.mark, args[:at], []string{d.image}, args[at+1:])
	return d.do(ctx, all...)
}

// end stops a container as a deploy does, and removes it.
func (d *docker) end(ctx context.Context, id string) error {
	if _, err := d.do(ctx, "stop", "-t", "60", id); err != nil {
		return err
	}
	_, err := d.do(ctx, "rm", "-v", id)
	return err
}

// volume makes one with a name of the engine's choice.
func (d *docker) volume(ctx context.Context) (name string, err error) {
	return d.do(ctx, append([]string{"volume", "create"}, d.mark...)...)
}

// address is where a container is reached without a published port.
func (d *docker) address(ctx context.Context, id string) (string, error) {
	ip, err := d.do(ctx, "inspect", "-f", "{{.NetworkSettings.IPAddress}}", id)
	return net.JoinHostPort(ip, "8080"), err
}

// free is an address on loopback whose port is free. It is below those that the kernel
// gives to clients, which could take it while a container is recreated.
func (d *docker) free() (string, error) {
	for range 100 {
		d.port++
		a := fmt.Sprintf("127.0.0.1:%d", d.port)
		if l, err := net.Listen("tcp", a); err == nil {
			return a, l.Close()
		}
	}
	return "", errors.New("no port is free")
}

// close removes everything, also after an interrupt.
func (d *docker) close() {
	d.remove([]string{"ps", "-aq", "--filter", "label=" + d.run}, "rm", "-f", "-v")
	d.remove([]string{"volume", "ls", "-q", "--filter", "label=" + d.run}, "volume", "rm")
	if d.image != "" {
		d.remove([]string{"images", "-q", d.image}, "rmi", "-f")
	}
}

// remove removes what is listed.
func (d *docker) remove(list []string, how ...string) {
	all, err := d.do(context.Background(), list...)
	if names := strings.Fields(all); len(names) > 0 {
		_, err = d.do(context.Background(), append(how, names...)...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: left over:", err)
	}
}
