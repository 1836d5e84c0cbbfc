package listen

import (
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"golang.org/x/sys/unix"
)

func TestAnnounced(t *testing.T) {
	for _, test := range []struct {
		environ string
		count   int
		names   []string
		bad     bool
	}{
		{"LISTEN_PID=7 LISTEN_FDS=2 LISTEN_FDNAMES=a:b", 2, []string{"a", "b"}, false},
		{"LISTEN_PID=7 LISTEN_FDS=0", 0, nil, false},
		{"LISTEN_PID=8 LISTEN_FDS=2", 0, nil, false},
		{"LISTEN_FDS=2", 0, nil, false},
		{"LISTEN_PID=7", 0, nil, false},
		{"LISTEN_PID=7 LISTEN_PID=8 LISTEN_FDS=1", 1, nil, false},
		{"LISTEN_PID=8 LISTEN_PID=7 LISTEN_FDS=1", 0, nil, false},
		{"LISTEN_PID=7 LISTEN_FDS=two", 0, nil, true},
		{"LISTEN_PID=7 LISTEN_FDS=-1", 0, nil, true},
		{"LISTEN_PID=7 LISTEN_FDS=99999999999999999999", 0, nil, true},
		{"LISTEN_PID=7 LISTEN_FDS=", 0, nil, true},
	} {
		count, names, err := announced(strings.Fields(test.environ), 7)
		if count != test.count || !reflect.DeepEqual(names, test.names) || (err != nil) != test.bad {
			t.Errorf("%s: %d %q %v", test.environ, count, names, err)
		}
	}
}

func FuzzAnnounced(f *testing.F) {
	f.Add("LISTEN_PID=7\nLISTEN_FDS=2\nLISTEN_FDNAMES=a:b")
	f.Add("LISTEN_FDS=\nLISTEN_PID=7\n=\nx")
	f.Fuzz(func(t *testing.T, text string) {
		environ := strings.Split(text, "\n")
		count, _, err := announced(environ, 7)
		if count < 0 || count > 1<<20 || err != nil && count != 0 {
			t.Errorf("%d, %v", count, err)
		}
		if pid, _ := lookup(environ, "LISTEN_PID"); pid != "7" && (count != 0 || err != nil) {
			t.Errorf("not meant for 7, but %d, %v", count, err)
		}
	})
}

// A process that is given four sockets as systemd does finds out what they
// are, keeps them from its children, and puts them before its own.
func TestInherited(t *testing.T) {
	var files []*os.File
	add := func(file *os.File, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		files = append(files, file)
	}
	tcp, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	add(tcp.File())
	name := t.TempDir() + "/i.sock"
	stream, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	add(stream.File())
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	add(udp.File())
	netlink, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	add(os.NewFile(uintptr(netlink), "netlink"), err)

	runHelper(t, "inherited", nil, []string{
		"WANT_TCP=" + tcp.Addr().String(), "WANT_UNIX=" + name, "WANT_UDP=" + udp.LocalAddr().String()}, files...)
	// The helper's guard has revived it, at the same port although the kernel had chosen that.
	if conn, err := net.Dial("tcp4", tcp.Addr().String()); err != nil {
		t.Error(err)
	} else {
		conn.Close()
	}
}

func helperInherited() error {
	environ := []string{fmt.Sprintf("LISTEN_PID=%d", os.Getpid()), "LISTEN_FDS=4", "LISTEN_FDNAMES=web::bad{name"}
	if files, err := Inherited(environ, os.Getpid()+1); err != nil || len(files) != 0 {
		return fmt.Errorf("meant for another: %v, %v", files, err)
	}
	if _, err := Inherited(append([]string{"LISTEN_FDS=300"}, environ...), os.Getpid()); err == nil || !strings.Contains(err.Error(), "cannot take over fd") {
		return fmt.Errorf("300 promised: %v", err)
	}
	files, err := Inherited(environ, os.Getpid())
	if err != nil {
		return err
	}
	port := files[2].Addr.Port()
	want := []string{"3 web tcp4 " + os.Getenv("WANT_TCP"), "4 i.sock unix " + os.Getenv("WANT_UNIX"),
		fmt.Sprintf("5 %d udp4 ", port) + os.Getenv("WANT_UDP"), "6 unknown other "}
	for i, file := range files {
		where := file.Path
		if file.Addr.IsValid() {
			where = file.Addr.String()
		}
		if got := fmt.Sprintf("%d %s %s %s", file.FD, file.Name, file.Network, where); got != want[i] {
			return fmt.Errorf("got %q, want %q", got, want[i])
		}
		if flags, _ := unix.FcntlInt(uintptr(file.FD), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
			return fmt.Errorf("fd %d would leak into children", file.FD)
		}
	}
	own, _ := Parse("own=unix://" + os.Getenv("WANT_UNIX") + ".own")
	set, err := Open(own, files, nil)
	if err != nil {
		return err
	}
	given, err := set.Lend(1)
	if err != nil {
		return err
	}
	defer given.Close()
	for i, fd := range given.Files[:4] {
		want, _ := procnet.Inode(3 + i)
		if got, err := procnet.Inode(int(fd)); got != want || err != nil || len(given.Files) != 5 {
			return fmt.Errorf("files %v", given.Files)
		}
	}
	if fd, _ := given.FD("own"); fd != 7 || !given.Endpoints[0].Inherited || given.Endpoints[4].Inherited {
		return fmt.Errorf("endpoints %+v", given.Endpoints)
	}
	if got := given.Endpoints[0].Address + " " + given.Endpoints[1].Address; got != "tcp4://"+os.Getenv("WANT_TCP")+" unix://"+os.Getenv("WANT_UNIX") {
		return fmt.Errorf("addresses %s", got)
	}
	// A shut down inherited TCP listener listens again; a unix one is reported once.
	lines := make(chan string, 16)
	if err := set.Guard(func(line string) { lines <- line }); err != nil {
		return err
	}
	if err := errors.Join(unix.Shutdown(3, unix.SHUT_RDWR), unix.Shutdown(4, unix.SHUT_RDWR)); err != nil {
		return err
	}
	for _, part := range []string{"listens again", "whoever passed it"} {
		if a := <-lines; !strings.Contains(a, part) {
			// the two may come in either order
			if b := <-lines; !strings.Contains(b, part) {
				return fmt.Errorf("lines %q, %q", a, b)
			}
			break
		}
	}
	set.Check()
	set.mu.Lock()
	dead := !set.listeners[1].guarded
	set.mu.Unlock()
	if !dead {
		return errors.New("a unix socket that cannot be revived is looked at, and told of, again and again")
	}
	if _, err := os.Lstat(os.Getenv("WANT_UNIX")); err != nil {
		return fmt.Errorf("touched a path that is not ours: %w", err)
	}
	if !procnet.Listens(3) {
		return errors.New("does not listen again")
	}
	set.Close()
	if _, err := os.Lstat(os.Getenv("WANT_UNIX")); err != nil {
		return fmt.Errorf("unlinked a path that is not ours: %w", err)
	}
	// A pipe is no endpoint.
	read, write, _ := os.Pipe()
	defer write.Close()
	if err := unix.Dup3(int(read.Fd()), 3, 0); err != nil && read.Fd() != 3 {
		return err
	}
	if _, err := Inherited([]string{fmt.Sprintf("LISTEN_PID=%d", os.Getpid()), "LISTEN_FDS=1"}, os.Getpid()); !errors.Is(err, unix.ENOTSOCK) {
		return fmt.Errorf("pipe: %v", err)
	}
	return nil
}

func TestInheritedNameClash(t *testing.T) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	described := File{FD: fd}
	if err := described.describe(); err != nil {
		t.Fatal(err)
	}
	described.Name = "web"
	specs, _ := Parse("web=unix://" + t.TempDir() + "/a")
	if _, err := Open(specs, []File{described}, nil); err == nil || !strings.Contains(err.Error(), `"web" is also that of inherited`) {
		t.Error(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("a failed Open keeps what it took over: %v", err)
	}
}

// What the kernel says of a socket, read as it lies in memory.
func TestDescribe(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		family, kind int
		bind         unix.Sockaddr // nil: unnamed
		network      string
		name, path   string // "" = the port
	}{
		{unix.AF_INET, unix.SOCK_STREAM, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, "tcp4", "", ""},
		{unix.AF_INET6, unix.SOCK_STREAM, &unix.SockaddrInet6{Addr: [16]byte{15: 1}}, "tcp6", "", ""}, // bound to an IPv6 address, it takes no other family
		{unix.AF_INET6, unix.SOCK_DGRAM, &unix.SockaddrInet6{}, "udp", "", ""},
		{unix.AF_UNIX, unix.SOCK_STREAM, &unix.SockaddrUnix{Name: dir + "/s"}, "unix", "s", dir + "/s"},
		{unix.AF_UNIX, unix.SOCK_DGRAM, &unix.SockaddrUnix{Name: dir + "/d"}, "unixgram", "d", dir + "/d"},
		{unix.AF_UNIX, unix.SOCK_SEQPACKET, &unix.SockaddrUnix{Name: "@" + t.Name() + dir}, "unixpacket", dir[strings.LastIndexByte(dir, '/')+1:], "@" + t.Name() + dir},
		{unix.AF_UNIX, unix.SOCK_STREAM, nil, "unix", "unknown", ""},
	} {
		fd, err := unix.Socket(test.family, test.kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Skipf("family %d: %v", test.family, err)
		}
		defer unix.Close(fd)
		if test.family == unix.AF_INET6 { // whatever net.ipv6.bindv6only says
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
				t.Fatal(err)
			}
		}
		if test.bind != nil {
			if err := unix.Bind(fd, test.bind); err != nil {
				t.Skipf("bind %s: %v", test.network, err)
			}
		}
		f := File{FD: fd}
		if err := f.describe(); err != nil {
			t.Errorf("%s: %v", test.network, err)
		}
		where, name := "", test.name
		local, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		switch local := local.(type) {
		case *unix.SockaddrInet4:
			name, where = fmt.Sprint(local.Port), fmt.Sprintf("127.0.0.1:%d", local.Port)
		case *unix.SockaddrInet6:
			name, where = fmt.Sprint(local.Port), netip.AddrPortFrom(netip.AddrFrom16(local.Addr), uint16(local.Port)).String()
		}
		if f.Addr.IsValid() != (where != "") || where != "" && f.Addr.String() != where {
			t.Errorf("%s: address %v, want %q", test.network, f.Addr, where)
		}
		if f.Network != test.network || f.Name != name || f.Path != test.path {
			t.Errorf("got %+v, want %s %q %q", f, test.network, name, test.path)
		}
	}
}
