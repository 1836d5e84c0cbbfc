package steer

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/swapinit/swapinit/internal/procnet"
	"golang.org/x/sys/unix"
)

// The oldest of many, whatever the order in which they come.
func TestInsert(t *testing.T) {
	for n := range 2 * BusyMost {
		all := []Conn{}
		for i := range n {
			all = append(all, Conn{AgeMS: int64(i / 2), Idle: i%3 == 0, Peer: fmt.Sprint(i)})
		}
		rand.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
		var got []Conn
		for _, c := range all {
			got = insert(got, c)
		}
		slices.SortStableFunc(all, func(a, b Conn) int {
			if older(&a, &b) {
				return -1
			}
			return 1
		})
		for i, c := range got {
			if c.AgeMS != all[i].AgeMS || c.Idle != all[i].Idle {
				t.Errorf("of %d number %d is %+v, want %+v", n, i, c, all[i])
			}
		}
		if len(got) != min(n, BusyMost) {
			t.Errorf("%d of %d", len(got), n)
		}
	}
}

func TestBusyOfLooks(t *testing.T) {
	idle, busy := Conn{Peer: "i", Idle: true, AgeMS: 9}, Conn{Peer: "b", AgeMS: 1}
	for name, c := range map[string]struct {
		looks []Look
		gone  bool
		want  Busy
	}{
		"nothing":    {nil, false, Busy{}},
		"idle":       {[]Look{{Open: 7, Idle: 7, Busy: []Conn{idle}}}, false, Busy{}},
		"gone":       {[]Look{{Open: 7, Idle: 7, Busy: []Conn{idle}}}, true, Busy{List: []Conn{idle}, More: 6}},
		"both":       {[]Look{{Open: 2, Idle: 1, Busy: []Conn{busy, idle}}}, true, Busy{List: []Conn{busy, idle}}},
		"several":    {[]Look{{Open: 7, Idle: 1, Busy: []Conn{busy, busy, busy, busy, busy}}, {Open: 1, Half: 1, Busy: []Conn{busy, busy}}}, false, Busy{List: []Conn{busy, busy, busy, busy, busy}, More: 3}},
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
