package steer

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/swapinit/swapinit/internal/netip"

	"golang.org/x/sys/unix"
)

// message is one netlink message of the answer 1.
func message(kind, flags uint16, body ...byte) []byte {
	m := make([]byte, headerLen, headerLen+len(body)+4)
	binary.NativeEndian.PutUint32(m, uint32(headerLen+len(body)))
	binary.NativeEndian.PutUint16(m[4:], kind)
	binary.NativeEndian.PutUint16(m[6:], flags)
	binary.NativeEndian.PutUint32(m[8:], 1)
	m = append(m, body...)
	for len(m)%4 != 0 {
		m = append(m, 0)
	}
	return m
}

func attribute(kind uint16, value ...byte) []byte {
	a := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	a = binary.NativeEndian.AppendUint16(a, kind)
	a = append(a, value...)
	for len(a)%4 != 0 {
		a = append(a, 0)
	}
	return a
}

func errnoBody(code int32) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(code)) }

func diagBody(attributes ...[]byte) []byte {
	body := make([]byte, diagLen)
	body[0], body[1] = unix.AF_INET, established
	binary.BigEndian.PutUint16(body[4:], 8080)
	for _, a := range attributes {
		body = append(body, a...)
	}
	return body
}

func TestParse(t *testing.T) {
	one := message(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_MULTI, diagBody(attribute(77, 1, 2, 3), attribute(attrSockop, 4|16, 1))...)
	foreign := message(unix.NLMSG_DONE, 0)
	binary.NativeEndian.PutUint32(foreign[8:], 99)
	cut := message(unix.SOCK_DIAG_BY_FAMILY, 0, diagBody(attribute(attrSockop, 4, 0))...)
	binary.NativeEndian.PutUint16(cut[headerLen+diagLen:], 200)
	tiny := message(unix.SOCK_DIAG_BY_FAMILY, 0, diagBody(attribute(attrSockop, 4, 0))...)
	binary.NativeEndian.PutUint16(tiny[headerLen+diagLen:], 1)
	join := func(parts ...[]byte) (all []byte) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	for name, c := range map[string]struct {
		data    []byte
		sockets int
		done    bool
		err     error
	}{
		"nothing":              {nil, 0, false, nil},
		"one":                  {one, 1, false, nil},
		"three and the end":    {join(one, one, one, message(unix.NLMSG_DONE, 0, errnoBody(0)...)), 3, true, nil},
		"an end without more":  {message(unix.NLMSG_DONE, 0), 0, true, nil},
		"an end with an errno": {message(unix.NLMSG_DONE, 0, errnoBody(-int32(unix.ENOMEM))...), 0, false, unix.ENOMEM},
		"refused":              {message(unix.NLMSG_ERROR, 0, errnoBody(-int32(unix.ENOENT))...), 0, false, unix.ENOENT},
		"refused for nothing":  {message(unix.NLMSG_ERROR, 0), 0, false, errShort},
		"the least errno":      {message(unix.NLMSG_ERROR, 0, errnoBody(-1<<31)...), 0, true, nil},
		"another's":            {join(foreign, one), 1, false, nil},
		"unknown kind":         {join(message(99, 0, 1, 2, 3), one), 1, false, nil},
		"interrupted":          {join(one, message(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP_INTR, diagBody()...)), 1, false, errInterrupted},
		"half a header":        {one[:9], 0, false, errShort},
		"half a message":       {one[:len(one)-1], 0, false, errShort},
		"too short a message":  {message(unix.SOCK_DIAG_BY_FAMILY, 0, 1, 2), 0, false, errShort},
		"a cut attribute":      {cut, 0, false, errShort},
		"a tiny attribute":     {tiny, 0, false, errShort},
	} {
		sockets := 0
		done, err := parse(c.data, 1, func(s *socket) {
			sockets++
			if s.at.Port() != 8080 || !s.tagged && name != "interrupted" || s.tag != 1|2|4 && name != "interrupted" {
				t.Errorf("%s: %+v", name, s)
			}
		})
		if sockets != c.sockets || done != c.done || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%s: %d sockets, %v, %v", name, sockets, done, err)
		}
	}
}

func TestInfoThatIsShorterThanKnown(t *testing.T) {
	for _, size := range []int{0, 8, infoLen - 1, infoLen, infoLen + 100} {
		informed := false
		_, err := parse(message(unix.SOCK_DIAG_BY_FAMILY, 0, diagBody(attribute(attrInfo, make([]byte, size)...))...), 1, func(s *socket) { informed = s.informed })
		if err != nil || informed != (size >= infoLen) {
			t.Errorf("%d bytes: %v, %v", size, informed, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{})
	f.Add(message(unix.NLMSG_DONE, 0, errnoBody(0)...))
	f.Add(message(unix.NLMSG_ERROR, 0, errnoBody(-2)...))
	f.Add(message(unix.SOCK_DIAG_BY_FAMILY, 2, diagBody(attribute(attrInfo, make([]byte, infoLen)...), attribute(attrSockop, 4, 0))...))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := string(data)
		n := 0
		_, _ = parse(data, 1, func(s *socket) {
			n++
			if s.tag > tagMax {
				t.Error("an impossible tag")
			}
			_, _, _ = s.does(0)
		})
		if n > len(data)/(headerLen+diagLen) {
			t.Errorf("%d sockets in %d bytes", n, len(data))
		}
		if string(data) != before {
			t.Error("it writes to what it reads")
		}
	})
}

func idle(s *socket) bool {
	w, _, _ := s.does(1000)
	return w == idles
}

// Each of the conditions of idleness, alone, makes a connection busy, and is told.
func TestIdle(t *testing.T) {
	quiet := socket{state: established, inode: 7, informed: true, sent: 1000, recv: 1001, acked: 5, taken: 5}
	if !idle(&quiet) {
		t.Fatal("a quiet connection is not idle")
	}
	silent := quiet
	silent.acked, silent.taken = 0, 0
	if !idle(&silent) {
		t.Error("a connection on which nobody said anything is not idle")
	}
	// In one tick, so that the ages do not tell whether the answer came last.
	tie := quiet
	tie.sent, tie.recv, tie.ack = 1001, 1001, 1001
	if idle(&tie) {
		t.Error("a request that came in the tick of the answer before is idle")
	}
	tie.ack = 1000
	if !idle(&tie) {
		t.Error("an answer whose acknowledgement came later is not idle")
	}
	tie.sent, tie.recv, tie.ack = 5000, 5000, 5000
	if !idle(&tie) {
		t.Error("what was quiet for five times as long is not idle")
	}
	for name, c := range map[string]struct {
		change func(*socket)
		why    string
		age    int64
	}{
		"half closed":             {func(s *socket) { s.state = closeWait }, "closed by the client, not by the server", 990},
		"not accepted":            {func(s *socket) { s.inode, s.unread = 0, 9 }, "not accepted yet", 1001},
		"no info":                 {func(s *socket) { s.informed = false }, "the kernel tells nothing about it", 0},
		"unread":                  {func(s *socket) { s.unread, s.sent = 1, 2000 }, "1 byte unread by the server", 1001},
		"unsent":                  {func(s *socket) { s.unsent = 4711 }, "4711 bytes not acknowledged by the client", 990},
		"nothing answered":        {func(s *socket) { s.acked = 0 }, "a request without an answer", 1001},
		"the request is the last": {func(s *socket) { s.sent = 1002 }, "a request without an answer", 1001},
		"half closed after it":    {func(s *socket) { s.state, s.sent = closeWait, 1002 }, "a request without an answer", 1001},
		"sent just now":           {func(s *socket) { s.sent = 999 }, "data within the last 1s", 999},
		"received just now":       {func(s *socket) { s.sent, s.recv = 999, 999 }, "data within the last 1s", 999},
		"in one tick":             {func(s *socket) { s.sent, s.ack = 1001, 1001 }, "data within the last 5s", 1001},
	} {
		busy := quiet
		busy.ack, busy.peer = 990, netip.MustParseAddrPort("10.0.0.7:4711")
		c.change(&busy)
		if idle(&busy) {
			t.Errorf("%s: idle", name)
		}
		var l Look
		w, age, limit := busy.does(1000)
		l.name(&busy, w, age, limit)
		if got := l.Busy[0]; got.Why != c.why || got.AgeMS != c.age || got.Peer != "10.0.0.7:4711" || got.Idle {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
