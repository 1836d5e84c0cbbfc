package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/test/e2e/ns"
)

const (
	// patience is how long anything may take. It is a net against hangs.
	patience = 5 * time.Minute
	stamp    = "15:04:05.000"
	pathEnv  = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// poll waits until cond holds. An error ends it.
func poll(ctx context.Context, what string, cond func() (bool, error)) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		if ok, err := cond(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline:
			return fmt.Errorf("waited %v for %s", patience, what)
		}
	}
}

// pause lets something go on for a moment.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// box is a container: a program as PID 1, and its log.
type box struct {
	*ns.Container
	ctx     context.Context
	name    string
	env     []string
	network *ns.Container // whose network it is in
	log     *logReader
	program string // swapinit, for verbs
	control string // the address of its control socket

	ok, failed int64 // swaps that were counted
}

// start starts swapinit with a log in the folder of the lap.
func (l *lap) start(name string, c ns.Config) (*box, error) {
	c.Env = ns.LastWins(append([]string{pathEnv, "SWAPINIT_LOG_FORMAT=json"}, c.Env...))
	c.Namespaces = true
	if c.Path == "" {
		c.Path = l.soak.swapinit
	}
	logs, err := newLog(filepath.Join(l.dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer logs.end.Close()
	out, err := os.OpenFile(filepath.Join(l.dir, name+".out"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	c.Stdout, c.Stderr = out, logs.end
	b := &box{ctx: l.ctx, name: name, env: c.Env, log: logs, program: l.soak.swapinit}
	if b.Container, err = ns.Start(c); err != nil {
		return nil, err
	}
	b.network = b.Container
	if c.Network != nil {
		b.network = c.Network
	}
	l.boxes = append(l.boxes, b)
	return b, poll(l.ctx, name+" to run", func() (bool, error) { return b.Running() || b.ended(), nil })
}

func (b *box) ended() bool {
	select {
	case <-b.Done():
		return true
	default:
		return false
	}
}

// exits waits for the end of the container.
func (b *box) exits(want ...int) error {
	select {
	case <-b.Done():
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	case <-time.After(patience):
		return fmt.Errorf("%s did not end within %v", b.name, patience)
	}
	b.Kill() // its descriptors here; everything in it has ended
	if s := b.Status(); !s.Exited() || !slices.Contains(want, s.ExitStatus()) {
		return fmt.Errorf("%s ended with status %#x, want exit status %v", b.name, uint32(s), want)
	}
	return b.log.wrong()
}

// kill ends it with all that is in it.
func (b *box) kill() error {
	b.Kill()
	return b.log.wrong()
}

// dialControl connects to the control socket, from the network that it is in.
func (b *box) dialControl() (net.Conn, error) {
	if b.control == "" {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", b.Pid()))
		if err != nil {
			return nil, err
		}
		b.control = "@swapinit/" + strings.Trim(link, "pid:[]")
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return b.network.Dial(ctx, "unix", b.control)
}

// reply is what the init answers.
type reply struct {
	OK         bool    `json:"ok"`
	Error      string  `json:"error"`
	Code       string  `json:"code"`
	Generation int     `json:"generation"`
	Container  string  `json:"container"`
	Status     *status `json:"status"`
}

// swapArgs are the args of swap, restart and wait that are used here.
type swapArgs struct {
	Command  []string `json:"command,omitempty"`
	Timeout  int      `json:"timeout_ms,omitempty"`
	NoWait   bool     `json:"no_wait,omitempty"`
	Canary   string   `json:"canary,omitempty"`
	Strategy string   `json:"strategy,omitempty"`
	Cancel   bool     `json:"cancel,omitempty"`
	Name     string   `json:"name,omitempty"`
}

// asks sends a request to the control socket and waits for the reply.
func (b *box) asks(verb string, args any) (r reply, err error) {
	c, err := b.dialControl()
	if err != nil {
		return r, fmt.Errorf("%s at %s: %w", verb, b.name, err)
	}
	defer c.Close()
	stop := context.AfterFunc(b.ctx, func() { _ = c.SetDeadline(time.Now()) })
	defer stop()
	request := map[string]any{"v": 1, "verb": verb}
	if args != nil {
		request["args"] = args
	}
	text, err := json.Marshal(request)
	if err != nil {
		return r, err
	}
	_ = c.SetDeadline(time.Now().Add(patience)) // a socket can
	if _, err := c.Write(append(text, '\n')); err != nil {
		return r, fmt.Errorf("%s at %s: %w", verb, b.name, err)
	}
	for in := bufio.NewReader(c); ; {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return r, fmt.Errorf("%s at %s has no reply: %w", verb, b.name, err)
		}
		if bytes.Contains(line, []byte(`"event":`)) {
			continue
		}
		if err := json.Unmarshal(line, &r); err != nil {
			return r, fmt.Errorf("%s at %s: %w in %q", verb, b.name, err, line)
		}
		return r, nil
	}
}

// must is a request that has to be carried out.
func (b *box) must(verb string, args any) (reply, error) {
	r, err := b.asks(verb, args)
	if err == nil && !r.OK {
		err = fmt.Errorf("%s at %s failed: %s", verb, b.name, r.Error)
	}
	return r, err
}

// verb runs the program inside, as docker exec does, and returns its exit status.
func (b *box) verb(args ...string) (int, string, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	cmd := b.Command(ctx, b.env, append([]string{b.program}, args...)...)
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || ctx.Err() != nil {
		return 0, "", fmt.Errorf("cannot run %q in %s: %w", args, b.name, err)
	}
	return cmd.ProcessState.ExitCode(), string(text), nil
}

// shell runs a script inside and waits for its end.
func (b *box) shell(script string) error {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if text, err := b.Command(ctx, b.env, "/bin/sh", "-c", script).CombinedOutput(); err != nil {
		return fmt.Errorf("a shell in %s: %w: %s", b.name, err, text)
	}
	return nil
}

// get is what a new connection is answered.
func (b *box) get() (string, error) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return b.dialWeb(ctx) }}}
	answer, err := client.Get("http://" + web + "/")
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return strings.TrimSpace(string(text)), err
}

// servedBy fails unless each of a few new connections is answered like that.
func (b *box) servedBy(want string) error {
	for range 4 {
		got, err := b.get()
		if err != nil {
			return fmt.Errorf("a new connection, to be answered by %q: %w", want, err)
		}
		if got != want {
			return fmt.Errorf("a new connection is answered by %q, want %q", got, want)
		}
	}
	return nil
}

// host is the pid here of a process of the container.
func (b *box) host(pid int) (int, error) {
	for _, p := range b.Procs() {
		if p.Pid == pid && p.State != "Z" {
			return p.Host, nil
		}
	}
	return 0, fmt.Errorf("no process %d in %s", pid, b.name)
}

// signal sends one to a process of the container.
func (b *box) signal(pid int, sig syscall.Signal) error {
	host, err := b.host(pid)
	if err != nil {
		return err
	}
	return syscall.Kill(host, sig)
}
