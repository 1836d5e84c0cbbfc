package channel

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// deadline is for what must happen soon, on a machine that is very busy.
const deadline = time.Minute

func receive[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(deadline):
		t.Fatalf("no %s", what)
	}
	return v
}

func newChannel(t *testing.T, node bool) *Channel {
	t.Helper()
	c, err := New(node)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// watched returns a channel, what is said on it, and a blocking child's end
// that the test owns.
func watched(t *testing.T, node bool) (*Channel, chan Message, *os.File) {
	t.Helper()
	c := newChannel(t, node)
	said := make(chan Message, 1000)
	c.Watch(func(m Message) { said <- m })
	return c, said, childEnd(t, c)
}

// childEnd is what a child would have, and closes our copy.
func childEnd(t *testing.T, c *Channel) *os.File {
	t.Helper()
	fd, err := unix.FcntlInt(c.ChildEnd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "child's end")
	t.Cleanup(func() { f.Close() })
	c.CloseChildEnd()
	return f
}

func write(t *testing.T, f *os.File, s string) {
	t.Helper()
	if _, err := io.WriteString(f, s); err != nil {
		t.Fatal(err)
	}
}

func isOpen(fd uintptr) bool {
	_, err := unix.FcntlInt(fd, unix.F_GETFD, 0)
	return err == nil
}

// sockets counts those that this process has.
func sockets() (n int) {
	for fd := range 1000 {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFSOCK {
			n++
		}
	}
	return n
}

func TestDescriptors(t *testing.T) {
	c := newChannel(t, false)
	ours := c.file.Fd() // makes it blocking, so nothing else is done with it
	for _, fd := range []uintptr{ours, c.ChildEnd()} {
		flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC == 0 || fd <= 2 {
			t.Errorf("fd %d has flags %x: %v", fd, flags, err)
		}
	}
	status, err := unix.FcntlInt(c.ChildEnd(), unix.F_GETFL, 0)
	if err != nil || status&unix.O_NONBLOCK != 0 {
		t.Errorf("the child's end is not blocking: %x, %v", status, err)
	}
	child := c.ChildEnd()
	c.Close()
	c.Close()
	if isOpen(ours) || isOpen(child) {
		t.Error("an end is open after Close")
	}
}

// With no standard streams the socketpair would get their numbers.
func TestAboveStandardStreams(t *testing.T) {
	if os.Getenv("CHANNEL_TEST_LOW") != "" {
		for fd := range 1000 {
			var st unix.Stat_t
			if unix.Fstat(fd, &st) == nil && (fd <= 2 || st.Mode&unix.S_IFMT == unix.S_IFSOCK) {
				unix.Close(fd)
			}
		}
		c, err := New(false)
		if err != nil || c.ChildEnd() <= 2 || c.file.Fd() <= 2 || sockets() != 2 {
			os.Exit(3)
		}
		os.Exit(4)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestAboveStandardStreams$")
	cmd.Env = append(os.Environ(), "CHANNEL_TEST_LOW=1")
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != 4 {
		t.Errorf("%v", err)
	}
}

func TestSaidInOrder(t *testing.T) {
	_, said, child := watched(t, false)
	for _, piece := range []string{
		`{"swapinit":"rea`, "dy\"}\n" + `{"swapinit":"readyFor","resource":"a"}` + "\n" + `{"swapinit":`, `"released","resource":"b"}`, "\n",
		`{"swapinit":"unknown"}` + "\n", `{"swapinit":"ready"}` + "\n" + `{"swapinit":"ready"}`,
	} {
		write(t, child, piece)
	}
	child.Close()
	for _, want := range []Message{{Kind: Ready}, {Kind: ReadyFor, Resource: "a"}, {Kind: Released, Resource: "b"}, {Kind: Ready}, {Kind: Gone}} {
		if got := receive(t, said, "message"); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// A child may be any program: this one is a shell.
func TestShell(t *testing.T) {
	c := newChannel(t, false)
	said := make(chan Message, 8)
	c.Watch(func(m Message) { said <- m })
	if !c.Send(Message{Kind: Go, Resource: ":8080"}) {
		t.Fatal("nothing can be sent before the child is there")
	}
	cmd := exec.Command("/bin/sh", "-c", `read -r line <&3; [ "$line" = '{"swapinit":"go","resource":":8080"}' ] && echo '{"swapinit":"ready"}' >&3`)
	child := childEnd(t, c)
	cmd.ExtraFiles = []*os.File{child}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	child.Close()
	for _, want := range []Kind{Ready, Gone} {
		if got := receive(t, said, "message"); got.Kind != want {
			t.Errorf("%+v, want %v", got, want)
		}
	}
}

func TestGarbageIsBounded(t *testing.T) {
	_, said, child := watched(t, false)
	go func() {
		for range 1000 {
			io.WriteString(child, "garbage\n")
		}
		io.WriteString(child, `{"swapinit":"ready"}`+"\n")
		// Over the bound, and no end of it.
		io.WriteString(child, strings.Repeat("x", 20*lineMax))
		io.WriteString(child, "\n"+`{"swapinit":"released","resource":"a"}`+"\n")
		child.Close()
	}()
	var reasons []string
	ready := false
	for {
		m := receive(t, said, "message")
		if m.Kind == Garbage {
			reasons = append(reasons, m.Data)
			continue
		}
		if m.Kind == Ready {
			ready = true
			continue
		}
		if m.Kind != Released {
			t.Errorf("%+v", m)
		}
		break
	}
	if m := receive(t, said, "end"); m.Kind != Gone {
		t.Errorf("%+v", m)
	}
	// 1, 2, 4 … 512; the long line is the 1001st.
	if len(reasons) != 10 || reasons[0] != "a line is not JSON" || !ready {
		t.Errorf("ready %v, reasons %q", ready, reasons)
	}
}

func TestLongLineIsSaidOnce(t *testing.T) {
	_, said, child := watched(t, false)
	go io.WriteString(child, strings.Repeat("x", 5*lineMax)+"\n"+`{"swapinit":"ready"}`+"\n")
	if m := receive(t, said, "garbage"); m != garbage("a line is longer than 64 KiB") {
		t.Errorf("%+v", m)
	}
	if m := receive(t, said, "readiness"); m.Kind != Ready {
		t.Errorf("%+v", m)
	}
}

// While said is at work the child waits, and nothing piles up here.
func TestFloodWaits(t *testing.T) {
	c := newChannel(t, false)
	first, release := make(chan bool, 1), make(chan bool)
	count := 0
	end := make(chan int)
	c.Watch(func(m Message) {
		switch {
		case m.Kind == Gone:
			end <- count
			return
		case count == 0:
			first <- true
			<-release
		}
		count++
	})
	child := childEnd(t, c)
	const line = `{"swapinit":"ready"}` + "\n"
	write(t, child, line)
	receive(t, first, "message")
	if err := unix.SetNonblock(int(child.Fd()), true); err != nil {
		t.Fatal(err)
	}
	taken := 0 // bytes
	for {
		// Many lines a call: the kernel counts buffers, not bytes.
		n, err := unix.Write(int(child.Fd()), []byte(strings.Repeat(line, 100)))
		if err == unix.EAGAIN {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if taken += n; taken > 64<<20 {
			t.Fatal("the child never waits")
		}
	}
	close(release)
	child.Close()
	if got, want := receive(t, end, "end"), 1+taken/len(line); got != want {
		t.Errorf("%d messages, want %d", got, want)
	}
}

func TestEndWhenAllHoldersClosed(t *testing.T) {
	c, said, child := watched(t, false)
	fd, err := unix.FcntlInt(child.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	other := os.NewFile(uintptr(fd), "other holder") // as of a child that forked
	child.Close()
	write(t, other, `{"swapinit":"ready"}`+"\n")
	if m := receive(t, said, "message"); m.Kind != Ready {
		t.Errorf("%+v", m)
	}
	if !c.Send(Message{Kind: Deliver, Data: "1"}) {
		t.Error("nothing can be sent to the other holder")
	}
	// It leaves without having read that: the kernel then says "reset".
	other.Close()
	if m := receive(t, said, "end"); m.Kind != Gone {
		t.Errorf("%+v", m)
	}
	receive(t, c.done, "end of the reader")
	if c.Send(Message{Kind: Deliver, Data: "1"}) {
		t.Error("something was sent to nobody")
	}
}

// Even when the reader has not noticed yet, or never runs, and without SIGPIPE.
func TestSendToNobody(t *testing.T) {
	pipe := make(chan os.Signal, 1)
	notify(t, pipe, syscall.SIGPIPE)
	c := newChannel(t, false)
	c.CloseChildEnd()
	if c.Send(Message{Kind: Deliver, Data: "1"}) {
		t.Error("something was sent to nobody")
	}
	// The runtime hands out what is pending in the order of the numbers, so
	// that after this one no SIGPIPE is under way.
	later := make(chan os.Signal, 1)
	notify(t, later, syscall.SIGWINCH)
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	receive(t, later, "signal")
	if len(pipe) != 0 {
		t.Error("SIGPIPE")
	}
}

func TestClose(t *testing.T) {
	c, said, child := watched(t, false)
	write(t, child, `{"swapinit":"ready"}`+"\n")
	receive(t, said, "message")
	c.Close()
	receive(t, c.done, "end of the reader")
	if len(said) != 0 {
		t.Errorf("after Close: %+v", <-said)
	}
	if c.Send(Message{Kind: Deliver, Data: "1"}) {
		t.Error("something was sent after Close")
	}
	if n, err := child.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the child reads %d bytes, %v", n, err)
	}
}

// said may close the channel; what came behind is not said.
func TestCloseFromSaid(t *testing.T) {
	c := newChannel(t, false)
	said := make(chan Message, 8)
	c.Watch(func(m Message) {
		c.Close()
		said <- m
	})
	write(t, childEnd(t, c), strings.Repeat(`{"swapinit":"ready"}`+"\n", 3))
	receive(t, c.done, "end of the reader")
	if len(said) != 1 {
		t.Errorf("%d messages", len(said))
	}
}
