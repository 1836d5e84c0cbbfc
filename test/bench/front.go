package main

import (
	"context"
	"fmt"
	"net"
	"strings"
)

// way is how a container of a new image takes the place of the one that serves.
type way int

const (
	hostGate   way = iota // the gate on the host's network, the new container first
	hostAgain             // the same gate, a plain recreate
	bridgeGate            // the gate in a bridge, with a published port
	plainAgain            // no gate: docker stop, docker rm, docker run
	proxied               // no gate: HAProxy in front, the new container first
)

var wayNames = [...]string{"gate on the host, overlap", "gate on the host, recreate", "gate in a bridge, overlap", "no gate, recreate", "HAProxy in front, overlap"}

// needs is the program that has to be installed for it.
func (w way) needs() string {
	if w == proxied {
		return "haproxy"
	}
	return ""
}

// front is what clients connect to, and the container behind it.
type front struct {
	bench   *bench
	docker  *docker
	way     way
	work    string // how long an answer takes
	address string
	gate    string // its container
	volume  string
	server  string // the container that serves
	proxy   *haproxy
	count   int // of servers, for their names
}

// openFront starts all of it, and waits until it answers.
func (b *bench) openFront(ctx context.Context, d *docker, w way, work string) (*front, error) {
	f := &front{bench: b, docker: d, way: w, work: work}
	err := f.open(ctx)
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *front) open(ctx context.Context) (err error) {
	if f.address, err = f.docker.free(); err != nil {
		return err
	}
	switch f.way {
	case hostGate, hostAgain:
		err = f.openGate(ctx, "--network", "host", "-e", "SWAPINIT_LISTEN=tcp4://"+f.address)
	case bridgeGate:
		err = f.openGate(ctx, "-p", f.address+":8080", "-e", "SWAPINIT_LISTEN=:8080")
	case proxied:
		f.proxy, err = f.bench.startHaproxy(f.address)
	}
	if err != nil {
		return err
	}
	return f.start(ctx)
}

func (f *front) openGate(ctx context.Context, args ...string) (err error) {
	if f.volume, err = f.docker.volume(ctx); err != nil {
		return err
	}
	f.gate, err = f.docker.start(ctx, append(args, "-v", f.volume+":/gate", "-e", "SWAPINIT_LOG=error", "--", "/swapinit", "gate")...)
	return err
}

// start starts a server, and returns when it has the traffic.
func (f *front) start(ctx context.Context) (err error) {
	f.count++
	if f.gate != "" {
		name := fmt.Sprintf("release%d", f.count)
		if f.server, err = f.docker.start(ctx, "--network", "none", "-v", f.volume+":/gate:ro",
			"-e", "SWAPINIT_GATE=/gate/gate.sock", "-e", "SWAPINIT_RELEASE="+name, "-e", "SWAPINIT_READY=fd", "-e", "SWAPINIT_SETTLE=0", "-e", "SWAPINIT_LOG=error",
			"--", "/swapinit", "--", "/fixture", "http", "-inherit", "-work", f.work); err != nil {
			return err
		}
		_, err = f.docker.do(ctx, "exec", f.gate, "/swapinit", "wait", name, "--timeout", "60s")
		return err
	}
	args := []string{"--", "/fixture", "http", "-work", f.work}
	at := f.address
	if f.proxy == nil {
		args = append([]string{"-p", f.address + ":8080"}, args...)
	}
	if f.server, err = f.docker.start(ctx, args...); err != nil {
		return err
	}
	if f.proxy != nil {
		if at, err = f.docker.address(ctx, f.server); err != nil {
			return err
		}
	}
	if err = until(ctx, "the server answers", func() bool { return answers(at) }); err == nil && f.proxy != nil {
		err = f.proxy.lead(ctx, at)
	}
	return err
}

// replace has a new container take over, and removes the old one.
func (f *front) replace(ctx context.Context) error {
	old := f.server
	if f.way == hostAgain || f.way == plainAgain {
		if err := f.docker.end(ctx, old); err != nil {
			return err
		}
		return f.start(ctx)
	}
	if err := f.start(ctx); err != nil {
		return err
	}
	return f.docker.end(ctx, old)
}

// close ends what belongs to this front: the others are to have the machine.
func (f *front) close() {
	if f.proxy != nil {
		f.proxy.close()
	}
	for _, id := range []string{f.server, f.gate} {
		if id != "" {
			f.docker.remove([]string{"ps", "-aq", "--no-trunc", "--filter", "id=" + id}, "rm", "-f", "-v")
		}
	}
}

// answers asks once.
func answers(address string) bool {
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return false
	}
	defer c.Close()
	var said [12]byte
	if _, err = fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"); err == nil {
		_, err = c.Read(said[:])
	}
	return err == nil && strings.HasPrefix(string(said[:]), "HTTP/1.1 200")
}
