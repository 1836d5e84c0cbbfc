package gatewire

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestListen(t *testing.T) {
	watch(t)
	for _, address := range []string{t.TempDir() + "/gate.sock", "@swapinit-test-" + strconv.Itoa(os.Getpid())} {
		l, err := Listen(address)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Lstat(address); address[0] == '/' && (err != nil || st.Mode() != os.ModeSocket|0o666) {
			t.Errorf("mode %v, %v", st, err)
		}
		a, err := Dial(address)
		if err != nil {
			t.Fatal(err)
		}
		b, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		cred, err := b.Peer()
		if err != nil || int(cred.Uid) != os.Getuid() || int(cred.Pid) != os.Getpid() {
			t.Errorf("%+v, %v", cred, err)
		}
		if _, err := Listen(address); !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("a second one: %v", err)
		}
		ended := make(chan error)
		go func() {
			for { // the second one has asked whether somebody is there
				c, err := l.Accept()
				if err != nil {
					ended <- err
					return
				}
				c.Close()
			}
		}()
		l.Close()
		if err := <-ended; err != os.ErrClosed {
			t.Errorf("Accept ended with %v", err)
		}
		if _, err := os.Lstat(address); err == nil {
			t.Error("its file is still there")
		}
		if _, err := Dial(address); err == nil {
			t.Error("reached one that is closed")
		}
		if err := b.Send(&Message{Kind: Ping}, nil); err != nil {
			t.Error(err)
		}
		if m, _, err := a.Recv(); err != nil || m.Kind != Ping {
			t.Errorf("%+v, %v", m, err)
		}
		a.Close()
		b.Close()
	}
	if _, err := Dial("/" + strings.Repeat("x", 108)); err != unix.ENAMETOOLONG {
		t.Errorf("%v", err)
	}
}

// A socket that is left of a gate that has died is replaced; what is none stays.
func TestListenStale(t *testing.T) {
	watch(t)
	path := t.TempDir() + "/gate.sock"
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	}
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	// One that somebody else has put there meanwhile is theirs.
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if text, err := os.ReadFile(path); err != nil || string(text) != "precious" {
		t.Errorf("%q, %v", text, err)
	}
	if l, err := Listen(path); err == nil {
		l.Close()
		t.Error("replaced a file")
	}
}
