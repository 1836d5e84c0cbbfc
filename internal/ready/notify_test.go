package ready

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newNotify(t *testing.T, dirs ...string) *Notify {
	t.Helper()
	if len(dirs) == 0 {
		dirs = []string{t.TempDir()}
	}
	n, err := NewNotify(7, dirs, -1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func anybody(int, uint32) bool { return true }

// watched returns a socket and the channel of its messages.
func watched(t *testing.T) (*Notify, chan Message) {
	t.Helper()
	n := newNotify(t)
	messages := make(chan Message, 1000)
	n.Watch(anybody, func(m Message) { messages <- m })
	return n, messages
}

// client returns a blocking socket that is connected to n.
func client(t testing.TB, n *Notify) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err = unix.Connect(fd, &unix.SockaddrUnix{Name: n.Address()}); err != nil {
		t.Fatal(err)
	}
	return fd
}

func send(t testing.TB, n *Notify, text string, fds ...int) {
	t.Helper()
	var control []byte
	if len(fds) > 0 {
		control = unix.UnixRights(fds...)
	}
	if err := unix.Sendmsg(client(t, n), []byte(text), control, nil, 0); err != nil {
		t.Fatal(err)
	}
}

func newFDs(t *testing.T) (read, write int) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]) })
	return fds[0], fds[1]
}

func TestNotifyMessage(t *testing.T) {
	n, messages := watched(t)
	send(t, n, "STATUS=warm\nMAINPID="+strconv.Itoa(os.Getppid())+"\nREADY=1\n")
	m := receive(t, messages, "message")
	if m.Pid != os.Getpid() || m.Uid != uint32(os.Getuid()) || !m.Ready || m.Status == nil || *m.Status != "warm" || m.Barrier != nil {
		t.Errorf("got %+v", m)
	}
	if want := os.Getppid(); want > 1 && m.MainPid != want {
		t.Errorf("main pid %d, want %d", m.MainPid, want)
	}
	send(t, n, fmt.Sprintf("MAINPID=%d\nSTATUS=x", os.Getpid()))
	if m = receive(t, messages, "message"); m.MainPid != 0 {
		t.Errorf("swapinit itself became the main process: %+v", m)
	}
}

// What is not a notification is dropped and does not hold up what follows.
func TestNotifyRubbish(t *testing.T) {
	n, messages := watched(t)
	for _, text := range []string{"", "\x00", "x", strings.Repeat("y", datagramMax), strings.Repeat("\n", 5000),
		"READY=1\n" + strings.Repeat("z", datagramMax)} {
		send(t, n, text)
	}
	send(t, n, "STATUS=last\n"+strings.Repeat("z", datagramMax-12))
	if m := receive(t, messages, "message"); m.Status == nil || *m.Status != "last" || m.Ready {
		t.Errorf("got %+v", m)
	}
}

func TestNotifyAccept(t *testing.T) {
	n := newNotify(t)
	type sender struct {
		pid int
		uid uint32
	}
	asked := make(chan sender, 10)
	messages := make(chan Message, 10)
	let := false
	n.Watch(func(pid int, uid uint32) bool {
		asked <- sender{pid, uid}
		defer func() { let = true }()
		return let
	}, func(m Message) { messages <- m })
	read, write := newFDs(t)
	send(t, n, "BARRIER=1", write)
	unix.Close(write)
	send(t, n, "STATUS=second")
	if m := receive(t, messages, "message"); m.Status == nil {
		t.Errorf("the refused message was delivered: %+v", m)
	}
	for range 2 {
		if got := receive(t, asked, "question"); got != (sender{os.Getpid(), uint32(os.Getuid())}) {
			t.Errorf("asked for %+v", got)
		}
	}
	if !hungUp(t, read) {
		t.Error("the fd of a refused sender is still open")
	}
}

// Messages whose sender the kernel cannot name, because it lives outside the
// pid namespace, and messages without credentials are nobody's.
func TestNotifyNoCredentials(t *testing.T) {
	n := newNotify(t)
	var got []Message
	n.accept = anybody
	n.deliver = func(m Message) { got = append(got, m) }
	cred := func(pid int32) []byte { return unix.UnixCredentials(&unix.Ucred{Pid: pid, Uid: 5}) }
	n.handle([]byte("READY=1"), nil, 0)
	n.handle([]byte("READY=1"), cred(0), 0)
	n.handle([]byte("READY=1"), cred(-1), 0)
	n.handle([]byte("READY=1"), cred(9), unix.MSG_TRUNC)
	n.handle([]byte("READY=1"), []byte{1, 2, 3}, 0)
	if len(got) != 0 {
		t.Errorf("delivered %+v", got)
	}
	n.handle([]byte("READY=1"), cred(9), 0)
	if len(got) != 1 || got[0].Pid != 9 || got[0].Uid != 5 {
		t.Errorf("delivered %+v", got)
	}
}

func TestNotifyBarrier(t *testing.T) {
	n, messages := watched(t)
	read, write := newFDs(t)
	send(t, n, "STATUS=before")
	send(t, n, "BARRIER=1", write)
	unix.Close(write)
	if m := receive(t, messages, "message"); m.Barrier != nil || m.Status == nil {
		t.Errorf("first %+v", m)
	}
	m := receive(t, messages, "barrier")
	if m.Barrier == nil || m.Status != nil || m.Ready {
		t.Fatalf("second %+v", m)
	}
	if hungUp(t, read) {
		t.Error("the fd was closed before Barrier was called")
	}
	m.Barrier()
	if !hungUp(t, read) {
		t.Error("the fd is open after Barrier was called")
	}
	// The number may be somebody else's by now.
	again, err := unix.Dup(read)
	if err != nil {
		t.Fatal(err)
	}
	m.Barrier()
	if _, err := unix.FcntlInt(uintptr(again), unix.F_GETFD, 0); err != nil {
		t.Errorf("the second call closed another fd: %v", err)
	}
	unix.Close(again)
}

// Every fd but a barrier's is closed at once.
func TestNotifyForeignFDs(t *testing.T) {
	n, messages := watched(t)
	for _, c := range []struct {
		text string
		fds  int
	}{
		{"BARRIER=1", 2}, {"BARRIER=1", 3}, {"BARRIER=1", 253}, {"BARRIER=1", 0}, {"READY=1\nBARRIER=1", 1},
		{"FDSTORE=1\nFDNAME=a", 1}, {"FDSTORE=1", 40}, {"", 1}, {"rubbish", 2},
		{"READY=1\n" + strings.Repeat("x", datagramMax), 1},
	} {
		read, write := newFDs(t)
		var fds []int
		for range c.fds {
			fds = append(fds, write)
		}
		send(t, n, c.text, fds...)
		unix.Close(write)
		eventually(t, fmt.Sprintf("%d fds with %.20q are closed", c.fds, c.text), func() bool { return hungUp(t, read) })
	}
	if len(messages) != 0 {
		t.Errorf("delivered %+v", <-messages)
	}
	// What else such a datagram says still counts.
	for _, count := range []int{1, 2, 100} {
		read, write := newFDs(t)
		var fds []int
		for range count {
			fds = append(fds, write)
		}
		send(t, n, "READY=1\nFDSTORE=1", fds...)
		unix.Close(write)
		if m := receive(t, messages, "message"); !m.Ready || m.Barrier != nil {
			t.Errorf("got %+v", m)
		}
		eventually(t, "the fds are closed", func() bool { return hungUp(t, read) })
	}
}

func TestNotifyCloseUnlinks(t *testing.T) {
	n := newNotify(t)
	if n.Address() != n.bound.path || n.Address()[0] != '/' {
		t.Fatalf("address %q, path %q", n.Address(), n.bound.path)
	}
	n.Close()
	if _, err := os.Lstat(n.Address()); !os.IsNotExist(err) {
		t.Errorf("the path is left: %v", err)
	}
	n = newNotify(t)
	if err := os.Rename(n.Address(), n.Address()+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(n.Address(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n.Close()
	if _, err := os.Lstat(n.Address()); err != nil {
		t.Errorf("somebody else's file was unlinked: %v", err)
	}
}

func TestNotifyCloexec(t *testing.T) {
	n, messages := watched(t)
	err := n.conn.Control(func(fd uintptr) {
		if flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("the socket is not close-on-exec: %x, %v", flags, err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	before := openFDs(t)
	read, write := newFDs(t)
	send(t, n, "BARRIER=1", write)
	m := receive(t, messages, "barrier")
	defer m.Barrier()
	defer unix.Close(write)
	for fd, target := range openFDs(t) {
		if _, old := before[fd]; old || !strings.HasPrefix(target, "pipe:") {
			continue
		}
		number, _ := strconv.Atoi(fd)
		if flags, err := unix.FcntlInt(uintptr(number), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("fd %d (read end is %d, write end %d) is not close-on-exec", number, read, write)
		}
	}
}

// The wait for a message costs no thread and no wakeup: it is the poller's.
func TestNotifyWaitsInPoller(t *testing.T) {
	n, messages := watched(t)
	// A deadline works on a pollable file only.
	if err := n.file.SetReadDeadline(time.Time{}); err != nil {
		t.Errorf("the socket is not in the poller: %v", err)
	}
	p, _ := newPipe(t)
	if err := p.read.SetReadDeadline(time.Time{}); err != nil {
		t.Errorf("the pipe is not in the poller: %v", err)
	}
	send(t, n, "READY=1")
	receive(t, messages, "message")
}
