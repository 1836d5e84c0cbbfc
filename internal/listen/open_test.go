package listen

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/swapinit/swapinit/internal/procnet"
	"golang.org/x/sys/unix"
)

func option(t *testing.T, fd uintptr, level, name int) int {
	t.Helper()
	value, err := unix.GetsockoptInt(int(fd), level, name)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestOpenTCP(t *testing.T) {
	set := mustOpen(t, "web=tcp4://127.0.0.1:PORT")
	given := lent(t, set, 1)
	fd := given.Files[0]
	flags, _ := unix.FcntlInt(fd, unix.F_GETFD, 0)
	status, _ := unix.FcntlInt(fd, unix.F_GETFL, 0)
	if flags&unix.FD_CLOEXEC == 0 || status&unix.O_NONBLOCK != 0 || fd < 3 {
		t.Errorf("fd %d: flags %#x, status %#x", fd, flags, status)
	}
	if option(t, fd, unix.SOL_SOCKET, unix.SO_REUSEADDR) != 1 || option(t, fd, unix.IPPROTO_TCP, unix.TCP_NODELAY) == 0 ||
		option(t, fd, unix.SOL_SOCKET, unix.SO_PROTOCOL) != unix.IPPROTO_TCP || !procnet.Listens(int(fd)) {
		t.Error("socket options")
	}
	conn, err := net.Dial("tcp4", given.Endpoints[0].Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	accepted, _, err := unix.Accept(int(fd))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(accepted)
	if option(t, uintptr(accepted), unix.IPPROTO_TCP, unix.TCP_NODELAY) == 0 {
		t.Error("accepted socket did not inherit TCP_NODELAY")
	}
	link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if inode := given.Endpoints[0].Inode; err != nil || link != fmt.Sprintf("socket:[%d]", inode) || set.Endpoints()[0].Inode != inode {
		t.Errorf("inode %d, %s", inode, link)
	}
	if given.Stdin != NoFile || given.Endpoints[0].Address != "tcp4://"+given.Endpoints[0].Addr.String() {
		t.Errorf("%+v", given)
	}
}

func TestOpenFamilies(t *testing.T) {
	if _, err := os.Stat("/proc/sys/net/ipv6"); err != nil {
		t.Skip("no IPv6 on this system")
	}
	for list, v6only := range map[string]int{"tcp://:PORT": 0, "tcp6://:PORT": 1, "udp://:PORT": 0, "udp6://:PORT": 1, "tcp://[::1]:PORT": 1} {
		set := mustOpen(t, list)
		fd := lent(t, set, 1).Files[0]
		if got := option(t, fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY); got != v6only {
			t.Errorf("%s: IPV6_V6ONLY=%d", list, got)
		}
		if strings.HasPrefix(list, "udp") && option(t, fd, unix.SOL_SOCKET, unix.SO_REUSEADDR) != 0 {
			t.Error("udp: others could bind the same port")
		}
	}
	set := mustOpen(t, "tcp://:PORT")
	endpoint := set.Endpoints()[0]
	if want := fmt.Sprintf("tcp://[::]:%d", endpoint.Addr.Port()); endpoint.Address != want {
		t.Errorf("address %s, want %s", endpoint.Address, want)
	}
	conn, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", endpoint.Addr.Port()))
	if err != nil {
		t.Fatalf("dual-stack refuses IPv4: %v", err)
	}
	conn.Close()
	// Both families apart on one port.
	mustOpen(t, "four=tcp4://:PORT six=tcp6://:PORT")
}

// With fd=0 an endpoint is given as the child's stdin, whatever its place.
func TestOpenStdin(t *testing.T) {
	set := mustOpen(t, "java=tcp4://127.0.0.1:PORT?fd=0,a=unix://"+t.TempDir()+"/a")
	given := lent(t, set, 1)
	if given.Stdin == NoFile || given.Stdin < 3 || len(given.Files) != 1 || len(given.Endpoints) != 2 {
		t.Errorf("%+v", given)
	}
}

func TestOpenInUse(t *testing.T) {
	other, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	before := openFDs(t)
	dir := t.TempDir()
	text := "web=tcp4://" + other.Addr().String()
	specs, err := Parse("unix://" + dir + "/first " + text)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(specs, nil, nil)
	if !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(err.Error(), `"`+text+`": address already in use: another socket`) {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("a failed Open leaves %v", entries)
	}
	if after := openFDs(t); after != before {
		t.Errorf("a failed Open leaves %d fds", after-before)
	}
	specs, _ = Parse("tcp4://192.0.2.1:80") // TEST-NET-1: nobody's
	if _, err := Open(specs, nil, nil); !errors.Is(err, unix.EADDRNOTAVAIL) || !strings.Contains(err.Error(), "no interface here has this address") {
		t.Error(err)
	}
}

func TestOpenLowPort(t *testing.T) {
	var cred *syscall.Credential
	if os.Geteuid() == 0 {
		cred = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	runHelper(t, "low-port", cred, nil)
}

// helperLowPort is unprivileged.
func helperLowPort() error {
	specs, err := Parse("tcp4://127.0.0.1:1")
	if err != nil {
		return err
	}
	set, err := Open(specs, nil, nil)
	if err == nil {
		set.Close()
		start, _ := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
		if strings.TrimSpace(string(start)) == "1024" {
			return errors.New("port 1 opened without privileges")
		}
		return nil // Docker sets it to 0
	}
	if !errors.Is(err, unix.EACCES) || !strings.Contains(err.Error(), "CAP_NET_BIND_SERVICE") {
		return err
	}
	// All else works without privileges: see the other tests, run as any uid.
	dir, err := os.MkdirTemp("", "listen")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	specs, _ = Parse("unix://" + dir + "/a?mode=0666")
	if set, err = Open(specs, nil, nil); err != nil {
		return err
	}
	defer set.Close()
	lines := make(chan string, 10)
	if err := set.Guard(func(line string) { lines <- line }); err != nil {
		return err
	}
	if err := os.Remove(dir + "/a"); err != nil {
		return err
	}
	if line := <-lines; !strings.HasSuffix(line, "restored") {
		return errors.New(line)
	}
	return nil
}

// Where the kernel has no IPv6, all addresses are all IPv4 addresses.
func TestOpenWithoutIPv6(t *testing.T) { runHelper(t, "no-ipv6", nil, nil) }

func helperNoIPv6() error {
	// A seccomp filter plays the kernel: socket(AF_INET6) is EAFNOSUPPORT.
	const low = 16 // seccomp_data.args[0], little endian
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SOCKET, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: low},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.AF_INET6, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EAFNOSUPPORT)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return errno
	}
	var err error
	for range 20 {
		var l net.Listener
		if l, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
			return err
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		specs, _ := Parse(fmt.Sprintf("tcp://:%d", port))
		var set *Set
		if set, err = Open(specs, nil, nil); err != nil {
			continue
		}
		given := set.Generation(1)
		if want := fmt.Sprintf("tcp://0.0.0.0:%d", port); given.Endpoints[0].Address != want {
			return fmt.Errorf("address %s, want %s", given.Endpoints[0].Address, want)
		}
		if got, want := given.Environ([]string{"server-starter"}, 1, 1)[0], fmt.Sprintf("SERVER_STARTER_PORT=%d=3", port); got != want {
			return fmt.Errorf("%s, want %s", got, want)
		}
		set.Close()
		break
	}
	if err != nil {
		return err
	}
	specs, _ := Parse("tcp6://:9")
	if _, err := Open(specs, nil, nil); !errors.Is(err, unix.EAFNOSUPPORT) || !strings.Contains(err.Error(), "no IPv6") {
		return fmt.Errorf("tcp6: %v", err)
	}
	return nil
}

// Started with closed standard streams, swapinit still puts no descriptor of
// an endpoint where a child has its own.
func TestClosedStreams(t *testing.T) { runHelper(t, "streams", nil, nil) }

func helperClosedStreams() error {
	dir, err := os.MkdirTemp("", "listen")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// Go's own poller must not take one of the free numbers for this test.
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	defer write.Close()
	for fd := range 3 {
		unix.Close(fd)
	}
	specs, _ := Parse("a=unix://" + dir + "/a b=unix://" + dir + "/b c=udp4://127.0.0.1:9999?fd=0")
	set, err := Open(specs[:2], nil, nil)
	if err != nil {
		return err
	}
	if err := set.Guard(func(string) {}); err != nil {
		return err
	}
	fd, err := openInet(&specs[2], nil)
	if err == nil && fd < 3 {
		return fmt.Errorf("udp socket on %d", fd)
	}
	given, err := set.Lend(1)
	if err != nil {
		return err
	}
	defer given.Close()
	for _, fd := range append(given.Files, uintptr(set.listeners[0].unix.fd)) {
		if fd < 3 {
			return fmt.Errorf("endpoint on %d", fd)
		}
		if flags, _ := unix.FcntlInt(fd, unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
			return fmt.Errorf("fd %d is not close-on-exec", fd)
		}
	}
	if g := set.guard.Load(); g.epoll < 3 || g.inotify < 3 {
		return fmt.Errorf("guard on %d, %d", g.epoll, g.inotify)
	}
	for fd := range 3 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
			return fmt.Errorf("something is on fd %d: %v", fd, err)
		}
	}
	set.Close()
	return nil
}

func TestNoLeaks(t *testing.T) {
	dir := t.TempDir()
	specs, err := Parse("unix://" + dir + "/a b=unix://" + dir + "/b?mode=0600")
	if err != nil {
		t.Fatal(err)
	}
	cycle := func() {
		set, err := Open(specs, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := set.Guard(func(string) {}); err != nil {
			t.Fatal(err)
		}
		if err := set.Guard(func(string) {}); err == nil {
			t.Error("a second guard")
		}
		// A socket that is replaced must not leave the old one behind.
		given, err := set.Lend(1)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Shutdown(int(given.Files[0]), unix.SHUT_RDWR); err != nil {
			t.Fatal(err)
		}
		given.Close()
		set.Check()
		set.Close()
		set.Close()
		set.Check()
		if entries, _ := os.ReadDir(dir); len(entries) != 0 {
			t.Fatalf("left behind: %v", entries)
		}
	}
	cycle() // the runtime's poller opens its own on first use
	before := openFDs(t)
	for range 50 {
		cycle()
	}
	if after := openFDs(t); after != before {
		t.Errorf("%d fds, then %d", before, after)
	}
}
