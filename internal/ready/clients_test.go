package ready

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
)

func lookPython(t *testing.T) string {
	t.Helper()
	// A version manager's shim can exist without an interpreter behind it,
	// and it starts others, whose pid is not the one we started.
	python, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		if python, err = exec.LookPath("python3"); err != nil {
			t.Skip("no python3 here")
		}
	}
	out, err := exec.Command(python, "-c", "import sys; print(sys.executable, end='')").Output()
	if err != nil || len(out) == 0 {
		t.Skipf("python3 does not run: %v", err)
	}
	return string(out)
}

// both runs a test with a path and with an abstract name.
func both(t *testing.T, test func(t *testing.T, n *Notify)) {
	t.Run("path", func(t *testing.T) { test(t, newNotify(t)) })
	t.Run("abstract", func(t *testing.T) { test(t, newNotify(t, "/absent")) })
}

// run starts a sender, delivers its messages and calls each barrier, as the
// init does; it returns the sender's pid and what arrived until it ended.
func run(t *testing.T, n *Notify, name string, args ...string) (int, []Message) {
	t.Helper()
	messages := make(chan Message, 100)
	n.Watch(anybody, func(m Message) {
		messages <- m
		if m.Barrier != nil {
			m.Barrier()
		}
	})
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+n.Address())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
	// The sender is dead: what it said is in the queue or delivered.
	n.Drain()
	var got []Message
	for len(messages) > 0 {
		got = append(got, <-messages)
	}
	return cmd.Process.Pid, got
}

// systemd-notify waits at a barrier until its message is processed. As root
// it speaks in the name of its parent.
func TestSystemdNotify(t *testing.T) {
	if _, err := exec.LookPath("systemd-notify"); err != nil {
		t.Skip("no systemd-notify here")
	}
	both(t, func(t *testing.T, n *Notify) {
		pid, got := run(t, n, "systemd-notify", "--ready", "--status=half way", "--pid="+strconv.Itoa(os.Getppid()))
		if len(got) == 0 {
			t.Fatal("nothing arrived")
		}
		m := got[0]
		if !m.Ready || m.Status == nil || *m.Status != "half way" || m.Barrier != nil {
			t.Errorf("got %+v", m)
		}
		if want := os.Getppid(); want > 1 && m.MainPid != want {
			t.Errorf("main pid %d, want %d", m.MainPid, want)
		}
		// Before version 246 there was no barrier.
		if len(got) > 2 || len(got) == 2 && (got[1].Barrier == nil || got[1].Ready || got[1].Pid != pid) {
			t.Errorf("then got %+v", got[1:])
		}
	})
}

// libsystemd through ctypes: the calls that C, C++ and Rust servers make.
func TestLibsystemd(t *testing.T) {
	python := lookPython(t)
	const program = `
import ctypes, os, sys
try:
    lib = ctypes.CDLL("libsystemd.so.0")
    barrier = lib.sd_notify_barrier
except (OSError, AttributeError):
    sys.exit(0)
barrier.argtypes = [ctypes.c_int, ctypes.c_uint64]
assert lib.sd_notify(0, b"EXTEND_TIMEOUT_USEC=2000000") > 0
r, w = os.pipe()
fds = (ctypes.c_int * 2)(r, w)
assert lib.sd_pid_notify_with_fds(0, 0, b"FDSTORE=1\nFDNAME=state\nREADY=1", fds, 2) > 0
assert barrier(0, 60000000) > 0
assert lib.sd_notify(1, b"STOPPING=1") > 0
`
	both(t, func(t *testing.T, n *Notify) {
		pid, got := run(t, n, python, "-c", program)
		if len(got) == 0 {
			t.Skip("no libsystemd with barriers here")
		}
		if len(got) != 4 || got[0].Extend.Seconds() != 2 || !got[1].Ready || got[2].Barrier == nil || !got[3].Stopping {
			t.Fatalf("got %+v", got)
		}
		for _, m := range got {
			if m.Pid != pid {
				t.Errorf("pid %d, want %d", m.Pid, pid)
			}
		}
	})
}

// Most libraries do what these lines do: connect, write, close, and the
// process may be gone before the message is read.
func TestPlainSender(t *testing.T) {
	python := lookPython(t)
	const program = `
import os, socket
address = os.environ["NOTIFY_SOCKET"]
if address[0] == "@":
    address = "\0" + address[1:]
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
    s.connect(address)
    s.sendall(b"STATUS=worker 1\nREADY=1\nMONOTONIC_USEC=1")
if os.fork() == 0:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto(b"WATCHDOG=1", address)
    os._exit(0)
os.wait()
`
	both(t, func(t *testing.T, n *Notify) {
		pid, got := run(t, n, python, "-c", program)
		if len(got) != 2 || got[0].Pid != pid || !got[0].Ready || *got[0].Status != "worker 1" || !got[1].Watchdog || got[1].Pid == pid {
			t.Errorf("pid %d, got %+v", pid, got)
		}
	})
}
