package member

import (
	"os"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/clock"

	"github.com/swapinit/swapinit/internal/gatewire"
	"golang.org/x/sys/unix"
)

type joinResult struct {
	m       *Member
	welcome *gatewire.Message
	err     error
}

func join(o Options) <-chan joinResult {
	done := make(chan joinResult, 1)
	go func() {
		m, welcome, err := Join(o)
		done <- joinResult{m, welcome, err}
	}()
	return done
}

func TestJoin(t *testing.T) {
	watch(t)
	g := newGate(t)
	done := join(g.options())
	p := g.accept()
	if h := p.hello; h.Kind != gatewire.Hello || h.Min != 1 || h.Max != 1 || h.Container != "c1" || h.Release != "v1" || h.Life != "abc" || h.State != "" || len(h.Sockets) != 0 {
		t.Errorf("%+v", h)
	}
	p.send(&gatewire.Message{Kind: "news"}, listener(t))
	p.send(&g.welcome)
	r := receive(t, done, "join")
	if r.err != nil || r.welcome.Role != gatewire.Holder || r.welcome.Endpoints[0].Text != ":8080" {
		t.Fatalf("%+v, %v", r.welcome, r.err)
	}
	r.m.Close()
}

// The gate may start later than its members, and be a hung one at first.
func TestJoinLater(t *testing.T) {
	watch(t)
	g := newGate(t)
	g.l.Close()
	done := join(g.options())
	g.open()
	g.accept().end()
	rude := g.accept()
	rude.send(&gatewire.Message{Kind: gatewire.Answer})
	rude.end()
	g.join()
	r := receive(t, done, "join")
	if r.err != nil {
		t.Fatal(r.err)
	}
	r.m.Close()
}

func TestJoinErrors(t *testing.T) {
	dir := t.TempDir()
	file, dead := dir+"/file", dir+"/dead"
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: dead})
	}
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	for path, want := range map[string]string{
		dir + "/none":              "/none within 1ms: no such file or directory, is the gate running, and is the volume",
		dead:                       "/dead within 1ms: connection refused, is the gate running?",
		file:                       "/file within 1ms: connection refused",
		"@swapinit-test-of-nobody": "cannot join the gate at @swapinit-test-of-nobody within 1ms: connection refused",
	} {
		m, _, err := Join(Options{Path: path, Timeout: time.Millisecond})
		if wantError(t, err, want); m != nil {
			t.Error("a member and an error")
		}
	}
}

// A gate that accepts and says nothing.
func TestJoinSilent(t *testing.T) {
	watch(t)
	g := newGate(t)
	o := g.options()
	o.Timeout = 100 * time.Millisecond
	_, _, err := Join(o)
	wantError(t, err, "within 100ms: it does not answer, see the gate's log")
	stop := make(chan struct{})
	o.Interrupt, o.Timeout = stop, 0
	done := join(o)
	g.accept() // of the first one
	g.accept()
	close(stop)
	wantIs(t, receive(t, done, "end").err, ErrInterrupted)
	o.Path += "-not-there"
	wantIs(t, receive(t, join(o), "end").err, ErrInterrupted)
}

// A gate that asks to wait has no limit, while it is there.
func TestJoinWait(t *testing.T) {
	watch(t)
	g := newGate(t)
	o := g.options()
	o.Timeout = 2 * time.Second // it has to do to begin
	m := newMember(o)
	m.patience = o.Timeout
	done := make(chan joinResult, 1)
	go func() {
		limit := clock.After(o.Timeout)
		conn, welcome, err := m.hello(nil, &limit)
		if err == nil {
			conn.Close()
		}
		done <- joinResult{m, welcome, err}
	}()
	p := g.accept()
	for range 2 {
		p.send(&gatewire.Message{Kind: gatewire.Wait, Reason: "it recovers"})
	}
	<-clock.After(o.Timeout + o.Timeout/4)
	p.send(&g.welcome)
	if r := receive(t, done, "welcome"); r.err != nil {
		t.Fatal(r.err)
	}

	again := join(o)
	p = g.accept()
	p.send(&gatewire.Message{Kind: gatewire.Wait})
	g.l.Close()
	p.end()
	wantError(t, receive(t, again, "end").err, "within 2s: ")
}

func TestJoinRefused(t *testing.T) {
	watch(t)
	g := newGate(t)
	for want, m := range map[string]gatewire.Message{
		"it refuses: uid 5 may not join": {Kind: gatewire.Refuse, Reason: "uid 5 may not join"},
		`it refuses: a\nb`:               {Kind: gatewire.Refuse, Reason: "a\nb"},
		"it gives no reason":             {Kind: gatewire.Refuse},
		"has version 7":                  {Kind: gatewire.Welcome, Version: 7},
	} {
		done := join(g.options())
		g.accept().send(&m)
		wantError(t, receive(t, done, "end").err, want)
	}
}

// A gate may turn us away before it has read anything.
func TestJoinTurnedAway(t *testing.T) {
	watch(t)
	g := newGate(t)
	for range 50 {
		done := join(g.options())
		conn, err := g.l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Send(&gatewire.Message{Kind: gatewire.Refuse, Reason: "uid 5 may not join"}, nil); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		wantError(t, receive(t, done, "end").err, "it refuses: uid 5 may not join")
	}
}

// Who waits is told of each try, and what to do.
func TestJoinFailed(t *testing.T) {
	watch(t)
	stop, told := make(chan struct{}), make(chan string, 1)
	o := Options{Path: t.TempDir() + "/none", Interrupt: stop, Failed: func(n int, why string) {
		if n == 2 {
			told <- why
		}
	}}
	done := join(o)
	if why := receive(t, told, "the second try"); why != "no such file or directory, is the gate running, and is the volume with its socket mounted here?" {
		t.Errorf("%q", why)
	}
	close(stop)
	wantIs(t, receive(t, done, "end").err, ErrInterrupted)
}
