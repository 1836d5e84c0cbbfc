package steer

import (
	"reflect"
	"strings"
	"testing"

	"github.com/swapinit/swapinit/internal/busy"
	"github.com/swapinit/swapinit/internal/procnet"
	"golang.org/x/sys/unix"
)

func TestBusyOfLooks(t *testing.T) {
	quiet, loud := busy.Conn{Peer: "i", Idle: true, AgeMS: 9}, busy.Conn{Peer: "b", AgeMS: 1}
	for name, c := range map[string]struct {
		looks []Look
		gone  bool
		want  Busy
	}{
		"nothing":    {nil, false, Busy{}},
		"idle":       {[]Look{{Open: 7, Idle: 7, Busy: []busy.Conn{quiet}}}, false, Busy{}},
		"gone":       {[]Look{{Open: 7, Idle: 7, Busy: []busy.Conn{quiet}}}, true, Busy{List: []busy.Conn{quiet}, More: 6}},
		"both":       {[]Look{{Open: 2, Idle: 1, Busy: []busy.Conn{loud, quiet}}}, true, Busy{List: []busy.Conn{loud, quiet}}},
		"several":    {[]Look{{Open: 7, Idle: 1, Busy: []busy.Conn{loud, loud, loud, loud, loud}}, {Open: 1, Half: 1, Busy: []busy.Conn{loud, loud}}}, false, Busy{List: []busy.Conn{loud, loud, loud, loud, loud}, More: 3}},
		"no address": {[]Look{{Open: 3}}, false, Busy{More: 3}},
		"unseen":     {[]Look{{Queued: 2, Half: 1, Unseen: true}}, false, Busy{More: 2}},
	} {
		var got Busy
		for i := range c.looks {
			got.add(&c.looks[i], c.gone)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// What is named, of real connections, for both families.
func TestBusyOfTheKernel(t *testing.T) {
	for _, host := range hosts {
		g, to := newGroup(t, host)
		look := g.Observe(1)
		names := func(near client, why string) {
			t.Helper()
			from, err := procnet.Local(near.fd)
			must(t, err)
			got := Look{}
			eventually(t, why, func() bool {
				got = seen(t, look, never)
				return len(got.Busy) == 1 && strings.HasPrefix(got.Busy[0].Why, why)
			})
			if c := got.Busy[0]; c.Peer != from.String() || c.AgeMS < 0 || c.Idle {
				t.Errorf("%s: %+v, of %v", why, c, from)
			}
		}
		near := dial(t, to)
		names(near, "not accepted yet")
		far := accept(t, socketOf(t, g, 1))
		names(near, "data within the last ")
		must(t, near.send("request"))
		names(near, "7 bytes unread by the server")
		far.read(make([]byte, 16))
		names(near, "a request without an answer")
		eventually(t, "its age", func() bool { return seen(t, look, never).Busy[0].AgeMS > 20 })
		must(t, far.send("answer"))
		near.read(make([]byte, 16))
		names(near, "data within the last ")
		sees(t, "idle", look, soon, Look{Open: 1, Idle: 1})
		if c := seen(t, look, soon).Busy[0]; !c.Idle || c.Why != "open, idle" {
			t.Errorf("%+v", c)
		}
		must(t, unix.Shutdown(near.fd, unix.SHUT_WR))
		names(near, "closed by the client, not by the server")
		near.close()
		far.close()
		sees(t, "closed", look, 0, Look{})
		if r := seen(t, look, 0); r.Busy != nil {
			t.Errorf("%+v", r)
		}
	}
}
