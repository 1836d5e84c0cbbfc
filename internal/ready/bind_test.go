package ready

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/swapinit/swapinit/internal/procnet"
	"golang.org/x/sys/unix"
)

func plainName(dir string) string {
	return filepath.Join(dir, "swapinit-"+strconv.Itoa(os.Getpid())+"-7.notify")
}

func TestBindFirstUsableDir(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	n := newNotify(t, first+"/absent", "relative", "/dev/null", first, second)
	if n.Address() != plainName(first) {
		t.Errorf("address %q", n.Address())
	}
	st, err := os.Lstat(n.Address())
	if err != nil || st.Mode().Perm() != 0o666 || st.Mode()&os.ModeSocket == 0 {
		t.Errorf("mode %v, %v; want a socket that anybody may send to", st.Mode(), err)
	}
}

func TestBindMode(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	n := newNotify(t)
	if st, err := os.Lstat(n.Address()); err != nil || st.Mode().Perm() != 0o666 {
		t.Errorf("under umask 077: mode %v, %v", st.Mode(), err)
	}
}

// A directory where anybody can rename our socket is not used.
func TestBindSkipsUnsafeDir(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if n := newNotify(t, dir); n.Address()[0] != '@' {
		t.Errorf("address %q", n.Address())
	}
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if n := newNotify(t, dir); n.Address() != plainName(dir) {
		t.Errorf("address %q", n.Address())
	}
}

func TestBindReachable(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "run")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 && !usable(dir, 0) {
		t.Error("root cannot reach the directory")
	}
	if !usable(dir, -1) {
		t.Error("we cannot reach the directory")
	}
	if usable(dir, 54321) {
		t.Error("another uid can reach a directory below one of mode 700")
	}
	if !usable("/", 54321) {
		t.Skip("/ is not an ordinary root directory here")
	}
}

func TestBindAbstract(t *testing.T) {
	a, b := newNotify(t, "/absent"), newNotify(t, "/absent")
	if a.Address()[0] != '@' || a.Address() == b.Address() {
		t.Errorf("addresses %q and %q", a.Address(), b.Address())
	}
	if ns, err := procnet.Namespace("pid"); !strings.Contains(a.Address(), fmt.Sprintf("-%d-", ns)) || err != nil {
		t.Errorf("address %q lacks the pid namespace %d, %v", a.Address(), ns, err)
	}
	messages := make(chan Message, 1)
	a.Watch(anybody, func(m Message) { messages <- m })
	send(t, a, "READY=1")
	if m := receive(t, messages, "message"); !m.Ready {
		t.Errorf("got %+v", m)
	}
	a.Close()
}

func TestBindLongDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 100))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if n := newNotify(t, dir); n.Address()[0] != '@' {
		t.Errorf("address %q", n.Address())
	}
}

func TestBindTakenNames(t *testing.T) {
	dir := t.TempDir()
	// A stale socket is replaced.
	fd, err := socket(plainName(dir))
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	first := newNotify(t, dir)
	if first.Address() != plainName(dir) {
		t.Errorf("address %q with a stale socket", first.Address())
	}
	// A living one is left alone.
	second := newNotify(t, dir)
	if second.Address() == first.Address() || !strings.HasPrefix(second.Address(), dir) {
		t.Errorf("address %q beside %q", second.Address(), first.Address())
	}
	send(t, first, "READY=1")
	first.Close()
	// So is what is no socket.
	if err = os.Symlink("/etc/passwd", plainName(dir)); err != nil {
		t.Fatal(err)
	}
	third := newNotify(t, dir)
	if third.Address() == plainName(dir) || !strings.HasPrefix(third.Address(), dir) {
		t.Errorf("address %q beside a symbolic link", third.Address())
	}
	if target, err := os.Readlink(plainName(dir)); err != nil || target != "/etc/passwd" {
		t.Errorf("the link: %q, %v", target, err)
	}
}

func TestBindReadOnly(t *testing.T) {
	if os.Geteuid() == 0 {
		// Root writes anywhere but in a filesystem that is read-only.
		if n := newNotify(t, "/proc/self"); n.Address()[0] != '@' {
			t.Errorf("address %q", n.Address())
		}
		return
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if n := newNotify(t, dir); n.Address()[0] != '@' {
		t.Errorf("address %q", n.Address())
	}
}

// A server that dropped its privileges can still say that it is ready.
func TestNotifyOtherUid(t *testing.T) {
	python := lookPython(t)
	if os.Geteuid() != 0 {
		t.Skip("only root can start a process of another uid")
	}
	dir, err := os.MkdirTemp("/tmp", "ready")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err = os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	n, err := NewNotify(7, []string{dir}, 54321)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	if n.Address() != plainName(dir) {
		t.Skipf("%s cannot be reached by other uids", dir)
	}
	messages := make(chan Message, 1)
	n.Watch(anybody, func(m Message) { messages <- m })
	cmd := exec.Command(python, "-c", "import os,socket;os.setgid(54321);os.setuid(54321);s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);s.connect(os.environ['NOTIFY_SOCKET']);s.sendall(b'READY=1')")
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+n.Address())
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if m := receive(t, messages, "message"); m.Uid != 54321 || m.Pid != cmd.Process.Pid || !m.Ready {
		t.Errorf("got %+v from pid %d", m, cmd.Process.Pid)
	}
}
