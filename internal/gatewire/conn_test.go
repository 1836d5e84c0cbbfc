package gatewire

import (
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/swapinit/swapinit/internal/busy"
	"time"

	"golang.org/x/sys/unix"
)

// pair returns two ends of a connection, as fds.
func pair(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fds[0], fds[1]
}

func conns(t *testing.T) (a, b *Conn) {
	t.Helper()
	one, other := pair(t)
	a, b = NewConn(one), NewConn(other)
	t.Cleanup(a.Close)
	t.Cleanup(b.Close)
	return a, b
}

// watch fails the test if descriptors are left over at its end. What other goroutines
// close takes a moment.
func watch(t *testing.T) {
	t.Helper()
	before := open(t)
	t.Cleanup(func() {
		for end := time.Now().Add(time.Minute); ; <-time.After(time.Millisecond) {
			if now := open(t); now <= before {
				return
			} else if time.Now().After(end) {
				t.Errorf("%d descriptors are open, %d were before", now, before)
				return
			}
		}
	})
}

func open(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// pipes returns n descriptors that differ.
func pipes(t *testing.T, n int) (fds []int) {
	t.Helper()
	for len(fds) < n {
		var p [2]int
		if err := syscall.Pipe2(p[:], syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		fds = append(fds, p[0], p[1])
	}
	for _, fd := range fds[n:] {
		syscall.Close(fd)
	}
	fds = fds[:n]
	t.Cleanup(func() { closeAll(fds) })
	return fds
}

func inode(t *testing.T, fd int) uint64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

// What is sent arrives, in this order, with its descriptors.
func TestConn(t *testing.T) {
	watch(t)
	a, b := conns(t)
	sent := []*Message{
		{Kind: Hello, Min: 1, Max: 1, Container: "c", Sockets: []Socket{{"8080", 1}}},
		{Kind: Welcome, Version: 1, Role: Holder, Endpoints: []Endpoint{{Name: "8080", Text: ":8080", Twin: true, Unseen: "no"}}},
		{Kind: Answer, ID: 3, Looks: []Look{{Generation: 1, Open: 2, Unseen: true, Busy: []busy.Conn{{Peer: "[::1]:1", Why: "x", AgeMS: 7}}}}},
		{Kind: Ping},
		{Kind: Lost, Reason: strings.Repeat("x", MaxLine-100)},
		{Kind: Kind("new"), Op: "new"},
	}
	fds := pipes(t, MaxFDs)
	for i, m := range sent {
		n := []int{1, 0, 2, 0, MaxFDs, 3}[i]
		m.FDs = 77 // counts for nothing
		if err := a.Send(m, fds[:n]); err != nil {
			t.Fatal(err)
		}
		m.FDs = n
	}
	for _, want := range sent {
		m, got, err := b.Recv()
		if err != nil || !reflect.DeepEqual(m, want) || len(got) != want.FDs {
			t.Fatalf("%+v with %d descriptors, %v, want %+v", m, len(got), err, want)
		}
		for i, fd := range got {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			if inode(t, fd) != inode(t, fds[i]) || fd <= 2 || err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("descriptor %d is another one, or not close-on-exec: %v", i, err)
			}
		}
		closeAll(got)
	}
	a.Close()
	for range 2 {
		if m, _, err := b.Recv(); err != io.EOF {
			t.Errorf("after the end: %+v, %v", m, err)
		}
	}
}

// What cannot be sent does no harm.
func TestTooLarge(t *testing.T) {
	watch(t)
	a, b := conns(t)
	if err := a.Send(&Message{Kind: Lost, Reason: strings.Repeat("x", MaxLine)}, nil); err == nil {
		t.Error("sent a line that is too long")
	}
	if err := a.Send(&Message{Kind: Lost}, pipes(t, MaxFDs+1)); err == nil {
		t.Error("sent too many descriptors")
	}
	if err := a.Send(&Message{Kind: Ping}, nil); err != nil {
		t.Fatal(err)
	}
	if m, _, err := b.Recv(); err != nil || m.Kind != Ping {
		t.Errorf("%+v, %v", m, err)
	}
}

// rawSend sends bytes as they are, with descriptors at the first one.
func rawSend(t *testing.T, fd int, text string, fds ...int) {
	t.Helper()
	var rights []byte
	if len(fds) > 0 {
		rights = syscall.UnixRights(fds...)
	}
	n, err := syscall.SendmsgN(fd, []byte(text), rights, nil, syscall.MSG_NOSIGNAL)
	if err == nil && n < len(text) {
		_, err = syscall.SendmsgN(fd, []byte(text[n:]), nil, nil, syscall.MSG_NOSIGNAL)
	}
	if err != nil && err != syscall.EPIPE { // the other end may have had enough
		t.Error(err)
	}
}

// Whoever breaks the rules is told apart, and leaves nothing behind.
func TestRules(t *testing.T) {
	const line, two = `{"v":1,"kind":"ping"}` + "\n", `{"v":1,"kind":"ping","fds":2}` + "\n"
	long := `{"v":1,"kind":"` + strings.Repeat("x", MaxLine) + "\"}\n"
	type piece struct {
		text string
		fds  int
	}
	for name, c := range map[string]struct {
		pieces []piece
		good   int // lines before the error
		want   string
	}{
		"no number":               {[]piece{{line, 0}, {line, 1}, {line, 0}}, 1, "fds is not there"},
		"no number, then another": {[]piece{{line + line, 1}, {two, 2}}, 1, "fds is not there"},
		"too few":                 {[]piece{{two, 1}}, 0, "fds is 2, and 1 came"},
		"too many":                {[]piece{{two, 3}}, 0, "fds is 2, and 3 came"},
		"none":                    {[]piece{{two, 0}}, 0, "fds is 2, and none came"},
		"those of another line":   {[]piece{{two, 2}, {two, 0}}, 1, "and none came"},
		"in the middle of a line": {[]piece{{two[:5], 2}, {two[5:9], 2}, {two[9:], 0}}, 0, "in the middle of a line"},
		"more than a line may":    {[]piece{{two, MaxFDs + 1}}, 0, "more than 64"},
		"a large number":          {[]piece{{`{"v":1,"kind":"ping","fds":65}` + "\n", 64}}, 0, "accepted are up to 64"},
		"a negative number":       {[]piece{{`{"v":1,"kind":"ping","fds":-1}` + "\n", 1}}, 0, "accepted are up to 64"},
		"another version":         {[]piece{{`{"v":2,"kind":"ping","fds":1}` + "\n", 1}}, 0, "v is 2, accepted: 1"},
		"no kind":                 {[]piece{{`{"v":1}` + "\n", 1}}, 0, "kind is missing"},
		"garbage":                 {[]piece{{line, 0}, {"GET / HTTP/1.1\r\n", 3}}, 1, "is not JSON"},
		"an empty line":           {[]piece{{"\n", 0}}, 0, "is not JSON"},
		"too long":                {[]piece{{long, 2}}, 0, "more than 65536 bytes"},
		"too long, without end":   {[]piece{{long[:len(long)-1], 2}}, 0, "more than 65536 bytes"},
		"it ends in a line":       {[]piece{{two[:7], 2}}, 0, "EOF"},
		"it ends behind a line":   {[]piece{{line, 0}, {two, 2}}, 2, "EOF"},
		"two lines in one":        {[]piece{{line + two, 2}}, 2, "EOF"},
		"in pieces":               {[]piece{{two[:5], 2}, {two[5:], 0}, {two[:3], 2}, {two[3:], 0}}, 2, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			watch(t)
			a, b := pair(t)
			in := NewConn(a)
			defer in.Close()
			defer syscall.Close(b)
			var done sync.WaitGroup
			done.Go(func() {
				for _, p := range c.pieces {
					rawSend(t, b, p.text, pipes(t, p.fds)...)
				}
				syscall.Shutdown(b, syscall.SHUT_WR)
			})
			good := 0
			for {
				m, fds, err := in.Recv()
				if err != nil {
					if good != c.good || !strings.Contains(err.Error(), c.want) {
						t.Errorf("%v after %d lines, want %q after %d", err, good, c.want, c.good)
					}
					break
				}
				if good++; m.FDs != len(fds) {
					t.Errorf("%d descriptors, %d are said", len(fds), m.FDs)
				}
				closeAll(fds)
			}
			if m, fds, err := in.Recv(); err == nil {
				t.Errorf("%+v, %v after the end", m, fds)
			}
			in.Close()
			done.Wait()
		})
	}
}

// Nobody waits for a peer that does not read; it is disconnected.
func TestSlowReader(t *testing.T) {
	watch(t)
	a, b := conns(t)
	fds := pipes(t, 3)
	sent, err := 0, error(nil)
	for ; err == nil; sent++ {
		if sent > 1<<20 {
			t.Fatal("there is no end to it")
		}
		err = a.Send(&Message{Kind: Lost, ID: sent + 1, Reason: strings.Repeat("x", 1000)}, fds)
	}
	if !errors.Is(err, ErrSlow) {
		t.Errorf("%v after %d lines", err, sent)
	}
	if err = a.Send(&Message{Kind: Ping}, nil); !errors.Is(err, ErrSlow) {
		t.Errorf("again: %v", err)
	}
	if _, _, err = a.Recv(); !errors.Is(err, ErrSlow) {
		t.Errorf("received %v", err)
	}
	// What it has not read is whole, as far as it goes.
	got := 0
	for ; ; got++ {
		m, fds, err := b.Recv()
		if err != nil {
			break
		}
		if closeAll(fds); m.ID != got+1 || len(fds) != 3 {
			t.Fatalf("%+v after %d lines", m, got)
		}
	}
	if got < 10 {
		t.Errorf("only %d of %d lines arrived", got, sent)
	}
}

// A reader that comes late gets all, though the kernel had no room for it; with little
// room each line goes in pieces.
func TestLateReader(t *testing.T) {
	for _, room := range []int{0, 4096} {
		watch(t)
		one, other := pair(t)
		if room > 0 {
			if err := unix.SetsockoptInt(one, unix.SOL_SOCKET, unix.SO_SNDBUF, room); err != nil {
				t.Fatal(err)
			}
		}
		a, b := NewConn(one), NewConn(other)
		defer a.Close()
		defer b.Close()
		fds := pipes(t, 2)
		const lines = 4 // more than the socket takes, not more than the limit
		for i := range lines {
			if err := a.Send(&Message{Kind: Lost, ID: i + 1, Reason: strings.Repeat("x", MaxLine-100)}, fds); err != nil {
				t.Fatal(err)
			}
		}
		for i := range lines {
			m, got, err := b.Recv()
			if err != nil || m.ID != i+1 || len(got) != 2 {
				t.Fatalf("%d: %+v, %v", i, m, err)
			}
			closeAll(got)
		}
	}
}

// Several senders, and a Close in the middle of it.
func TestSenders(t *testing.T) {
	watch(t)
	a, b := conns(t)
	fds := pipes(t, 4)
	const each = 50
	var senders sync.WaitGroup
	for s := range 4 {
		senders.Go(func() {
			for i := range each {
				if err := a.Send(&Message{Kind: Answer, ID: i, Generation: s, Reason: strings.Repeat("x", 100*s)}, fds[:s]); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	next := [4]int{}
	for range 4 * each {
		m, got, err := b.Recv()
		if err != nil || m.ID != next[m.Generation] || len(got) != m.Generation {
			t.Fatalf("%+v with %d, %v", m, len(got), err)
		}
		next[m.Generation]++
		closeAll(got)
	}
	senders.Wait()

	for range 4 {
		senders.Go(func() {
			for a.Send(&Message{Kind: Lost, Reason: strings.Repeat("x", 5000)}, fds) == nil {
			}
		})
	}
	received := make(chan error)
	go func() {
		for range 5 {
			_, got, _ := b.Recv()
			closeAll(got)
		}
		b.Close()
		received <- nil
	}()
	<-received
	senders.Wait()
	a.Close()
	if err := a.Send(&Message{Kind: Ping}, nil); err == nil {
		t.Error("sent after Close")
	}
}

// Close ends a Recv that waits.
func TestCloseEndsRecv(t *testing.T) {
	watch(t)
	a, b := conns(t)
	if err := b.Send(&Message{Kind: Ping}, nil); err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		_, _, err := a.Recv()
		got <- err
		_, _, err = a.Recv()
		got <- err
	}()
	if err := <-got; err != nil {
		t.Error(err)
	}
	a.Close()
	if err := <-got; !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v", err)
	}
}

func TestDeadline(t *testing.T) {
	a, _ := conns(t)
	a.SetReadDeadline(time.Now())
	if _, _, err := a.Recv(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
