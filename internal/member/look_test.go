package member

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/netip"

	"github.com/swapinit/swapinit/internal/busy"
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/steer"
	"golang.org/x/sys/unix"
)

type looked struct {
	look steer.Look
	err  error
}

func TestGroupLooks(t *testing.T) {
	m, _, p, said := started(t)
	g := m.Group(gatewire.Endpoint{Name: "8080"})
	add(t, g, p, 1, false, listener(t))
	add(t, g, p, 2, false, listener(t))
	observe := g.Observe(1)
	look := func() <-chan looked {
		return run(func() looked {
			l, err := observe(1500 * time.Millisecond)
			return looked{l, err}
		})
	}
	done := look()
	c := p.call(gatewire.OpLook)
	if c.Generation != 1 || c.IdleMS != 1500 || c.Endpoint != "8080" {
		t.Errorf("%+v", c)
	}
	p.answer(c, gatewire.Message{Looks: []gatewire.Look{{Generation: 1, Open: 5, Idle: 3, Half: 1, Queued: 2, Unseen: true}}})
	if r := receive(t, done, "look"); r.err != nil || !reflect.DeepEqual(r.look, steer.Look{Open: 5, Idle: 3, Half: 1, Queued: 2, Unseen: true}) {
		t.Errorf("%+v", r)
	}
	done = look()
	one, long := busy.Conn{Peer: "10.0.0.7:1", Why: "unread", AgeMS: 5, Idle: true}, busy.Conn{Peer: strings.Repeat("p", 1000), Why: strings.Repeat("w", 1000), AgeMS: -1}
	p.answer(p.call(gatewire.OpLook), gatewire.Message{Looks: []gatewire.Look{{Busy: []busy.Conn{one, long, one, one, one, one, one}}}})
	if r := receive(t, done, "look"); r.err != nil || len(r.look.Busy) != busy.Most || !reflect.DeepEqual(r.look.Busy[0], busy.Conn{Peer: "10.0.0.7:1", Why: "unread", AgeMS: 5, Idle: true}) ||
		len(r.look.Busy[1].Peer) > textMost || len(r.look.Busy[1].Why) > textMost || r.look.Busy[1].AgeMS != 0 {
		t.Errorf("%+v", r)
	}
	for want, a := range map[string]gatewire.Message{
		"sent 0 looks":      {},
		"a negative number": {Looks: []gatewire.Look{{Generation: 1, Open: -1}}},
		"it has no socket":  {Code: gatewire.CodeNone, Looks: []gatewire.Look{{}}},
	} {
		done = look()
		p.answer(p.call(gatewire.OpLook), a)
		wantError(t, receive(t, done, "look").err, want)
	}

	got := map[int]steer.Look{}
	counted := run(func() error { return g.Counts(time.Second, func(n int, l steer.Look) { got[n] = l }) })
	p.answer(p.call(gatewire.OpCounts), gatewire.Message{Looks: []gatewire.Look{{Generation: 1, Open: 1}, {Generation: 2, Open: 2}, {Generation: 9, Open: 3}, {Generation: 2, Open: 4}}})
	if err := receive(t, counted, "Counts"); err != nil || !reflect.DeepEqual(got, map[int]steer.Look{1: {Open: 1}, 2: {Open: 2}}) {
		t.Errorf("%+v, %v", got, err)
	}

	type part struct {
		share int
		ok    bool
	}
	for _, c := range []struct {
		answer gatewire.Message
		want   part
	}{
		{gatewire.Message{Share: 7}, part{7, true}},
		{gatewire.Message{Share: shares.Full + 1}, part{}},
		{gatewire.Message{Share: -1}, part{}},
		{gatewire.Message{Code: gatewire.CodeNone, Share: 7}, part{}},
	} {
		done := run(func() part {
			share, ok := g.Share(1)
			return part{share, ok}
		})
		p.answer(p.call(gatewire.OpShare), c.answer)
		if got := receive(t, done, "Share"); got != c.want {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}

	// A drain waits on while nobody can look; and what has left is found empty.
	p.end()
	expect(t, said, "away")
	wantIs(t, receive(t, look(), "look").err, ErrAway)
	go g.Leave(1)
	until(t, "generation 1 has left", func() bool { return g.Inode(1) == 0 })
	if r := receive(t, look(), "look"); r.err != nil || !reflect.DeepEqual(r.look, steer.Look{}) {
		t.Errorf("%+v", r)
	}
}

func TestGroupDial(t *testing.T) {
	m, _, p, _ := started(t)
	g := m.Group(gatewire.Endpoint{Name: "8080"})
	l := listener(t)
	at, err := unix.Getsockname(l)
	if err != nil {
		t.Fatal(err)
	}
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Connect(client, at)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(client)
	to := netip.MustParseAddrPort("[::1]:8080")
	dial := func(fds ...int) error {
		done := run(func() error {
			conn, err := g.Dial(2, to)
			if err == nil {
				conn.SetDeadline(time.Now().Add(time.Minute))
				_, err = conn.Write([]byte("x"))
				conn.Close()
			}
			return err
		})
		c := p.call(gatewire.OpProbe)
		if c.Generation != 2 || c.Address != "[::1]:8080" || c.Endpoint != "8080" {
			t.Errorf("%+v", c)
		}
		p.answer(c, gatewire.Message{}, fds...)
		return receive(t, done, "Dial")
	}
	if err := dial(client); err != nil {
		t.Error(err)
	}
	wantError(t, dial(), "sent 0 descriptors in place of a connection")
	wantError(t, dial(client, client), "sent 2 descriptors")
	wantError(t, dial(l), "a socket that listens")

	accepted := run(func() bool {
		yes, err := g.Accepted(to)
		return yes && err == nil
	})
	c := p.call(gatewire.OpAccepted)
	p.answer(c, gatewire.Message{Yes: true})
	if !receive(t, accepted, "Accepted") || c.Address != "[::1]:8080" {
		t.Errorf("%+v", c)
	}
}

func TestGroupOthers(t *testing.T) {
	m, _, p, _ := started(t)
	g := m.Group(gatewire.Endpoint{Name: "8080"})
	twin := func(answer gatewire.Message) error {
		done := run(func() error {
			e, err := g.Twin()
			if err == nil && e.name != "t" {
				t.Errorf("%+v", e)
			}
			return err
		})
		p.answer(p.call(gatewire.OpTwin), answer)
		return receive(t, done, "Twin")
	}
	wantError(t, twin(gatewire.Message{}), "sent 0 endpoints")
	wantError(t, twin(gatewire.Message{Error: "no IPv6"}), "the gate: no IPv6")
	if err := twin(gatewire.Message{Endpoints: []gatewire.Endpoint{{Name: "t"}}}); err != nil {
		t.Error(err)
	}
	if again, err := g.Twin(); err != nil || again.name != "t" { // asks nobody
		t.Errorf("%+v, %v", again, err)
	}

	if err := g.Wake(); err != nil { // asks nobody
		t.Error(err)
	}
	slept := run(func() bool { g.Sleep(); return true })
	p.answer(p.call(gatewire.OpSleep), gatewire.Message{})
	receive(t, slept, "Sleep")
	g.Sleep()
	if !g.Asleep() {
		t.Error("awake")
	}
	woken := run(g.Wake)
	p.answer(p.call(gatewire.OpWake), gatewire.Message{Error: "no"}) // nobody waits for it
	if err := receive(t, woken, "Wake"); err != nil {
		t.Error(err)
	}

	for _, answer := range []gatewire.Message{{}, {Yes: true}, {Yes: true, Address: "192.0.2.7"}, {Error: "no", Yes: true, Address: "x"}} {
		done := run(func() string {
			from, known, err := g.Peer()
			return fmt.Sprint(from, " ", known, " ", err != nil)
		})
		p.answer(p.call(gatewire.OpPeer), answer)
		want := fmt.Sprint(answer.Address, " ", answer.Yes, " false")
		if answer.Error != "" {
			want = " false true"
		}
		if got := receive(t, done, "Peer"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}

	heard := run(func() error { return g.Listen(4096) })
	c := p.call(gatewire.OpListening)
	p.answer(c, gatewire.Message{})
	if err := receive(t, heard, "Listen"); err != nil || c.Backlog != 4096 {
		t.Errorf("%+v, %v", c, err)
	}
	if n, err := g.Foreign(); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if line, err := g.Mend(); line != "" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
}
