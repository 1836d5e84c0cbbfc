package control

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/swapinit/swapinit/internal/procnet"
	"golang.org/x/sys/unix"
)

func TestIsAuto(t *testing.T) {
	for name, want := range map[string][]uint64{
		"/var/run/docker.sock":       nil,
		"@swapinit/4026531836":       {4026531836},
		"@swapinit/40265318360":      {40265318360},
		"@swapinit/4026531836/77":    {4026531836},
		"@swapinit/4026531836/":      nil,
		"@swapinit/4026531836/x":     nil,
		"@swapinit/4026531836/1":     nil,
		"@swapinit/4026531836/077":   nil,
		"@swapinit/4026531836 x":     nil,
		"@swapinit/4026531836/77 /8": nil,
		"x@swapinit/4026531836":      nil,
		"":                           nil,
	} {
		for _, inode := range []uint64{4026531836, 40265318360, 402653183} {
			for _, u := range []procnet.Unix{
				{Listens: true, Type: unix.SOCK_STREAM}, {Listens: true, Type: unix.SOCK_SEQPACKET}, {Type: unix.SOCK_STREAM, State: procnet.Connected},
			} {
				u.Name = []byte(name)
				if got := isAuto(&u, inode); got != (slices.Contains(want, inode) && u.Listens && u.Type == unix.SOCK_STREAM) {
					t.Errorf("%+v, %s, %d: %v", u, name, inode, got)
				}
			}
		}
	}
}

func FuzzIsAuto(f *testing.F) {
	f.Add("@swapinit/4026531836", uint64(4026531836))
	f.Add("@swapinit/7/77", uint64(7))
	f.Fuzz(func(t *testing.T, name string, inode uint64) {
		if !isAuto(&procnet.Unix{Listens: true, Type: unix.SOCK_STREAM, Name: []byte(name)}, inode) {
			return
		}
		if pid, ok := autoPid(name, inode); !ok || name != autoName(inode, pid) {
			t.Errorf("%q is no name of %d", name, inode)
		}
	})
}

func TestFindSetting(t *testing.T) {
	for _, s := range []string{"/run/x.sock", "@x"} {
		if got, err := Find(s); got != s || err != nil {
			t.Errorf("%s: %q, %v", s, got, err)
		}
	}
	for s, want := range map[string]string{"off": "control is off", "x": "accepted: auto, off", "@": "accepted: auto, off"} {
		_, err := Find(s)
		var none *NoInit
		if !errors.As(err, &none) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", s, err)
		}
	}
	if _, err := Find("off"); !errors.Is(err, ErrOff) {
		t.Errorf("off: %v", err)
	}
	for _, s := range []string{"off", "x", "@", "a/b"} {
		if _, err := Listen(s, 1, 0); err == nil {
			t.Errorf("Listen(%q) worked", s)
		}
	}
}

// Find in the real table: none, one, two, and none again when they are closed. In
// a network namespace of its own, as others may run swapinits in this one.
func TestFindReal(t *testing.T) {
	if os.Getenv("CONTROL_TEST_NETNS") == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestFindReal$", "-test.v")
		cmd.Env = append(os.Environ(), "CONTROL_TEST_NETNS=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if os.Getuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
		}
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
			t.Skipf("cannot make a network namespace: %v", err)
		}
		if err != nil || !strings.Contains(string(out), "--- PASS: TestFindReal") {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	inode, err := procnet.Namespace("pid")
	if err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{"", "auto"} {
		var none *NoInit
		if _, err := Find(setting); !errors.As(err, &none) || !strings.Contains(err.Error(), "no swapinit is running in this pid namespace: is this the right container? (looked for @swapinit/") {
			t.Fatalf("none: %v", err)
		}
		a := listenAt(t, setting)
		if want := fmt.Sprintf("@swapinit/%d/%d", inode, os.Getpid()); a.Address() != want {
			t.Errorf("address %s, want %s", a.Address(), want)
		}
		serve(t, a, nil)
		open := connectTo(t, a) // its accepted socket has the same name
		defer open.Close()
		if got, err := Find(setting); err != nil || got != a.Address() {
			t.Errorf("one: %q, %v", got, err)
		}
		// Names beside it: not the process that they say, with no time, another uid's.
		stop := []func(){occupied(t, autoName(inode, 1)), occupied(t, autoName(inode, 1<<22+1))}
		if os.Getuid() == 0 {
			_, end := initOf(t, 4321)
			stop = append(stop, end)
		}
		if got, err := Find(setting); err != nil || got != a.Address() {
			t.Errorf("one and others: %q, %v", got, err)
		}
		for _, end := range stop {
			end()
		}
		other, end := initOf(t, os.Getuid())
		if _, err := Find(setting); err == nil || !strings.Contains(err.Error(), "2 swapinits") || !strings.Contains(err.Error(), a.Address()) || !strings.Contains(err.Error(), other) {
			t.Errorf("two: %v", err)
		}
		if _, err := Listen(setting, os.Getpid(), 0); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("another swapinit running (pid %d of uid %d)?", os.Getpid(), os.Getuid())) {
			t.Errorf("the same name again: %v", err)
		}
		a.Close()
		if got, err := Find(setting); err != nil || got != other {
			t.Errorf("the other one: %q, %v", got, err)
		}
		end()
	}
}

// busy listens at name and accepts nothing; its queue is full.
func occupied(t *testing.T, name string) (stop func()) {
	t.Helper()
	var fds [4]int
	for k := range fds {
		var err error
		if fds[k], err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
		sa := &unix.SockaddrUnix{Name: name}
		if k == 0 {
			err = errors.Join(unix.Bind(fds[k], sa), unix.Listen(fds[k], 0))
		} else if err = unix.Connect(fds[k], sa); err == unix.EAGAIN {
			err = nil
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
}

// initOf is another process with a control socket of its own.
func initOf(t *testing.T, uid int) (address string, stop func()) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestFindOther$", "-test.v")
	cmd.Dir, cmd.Env = "/", []string{"CONTROL_TEST_INIT=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(os.Getgid()), NoSetGroups: true}}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "listens at "); ok {
			return rest, func() {
				in.Close()
				io.Copy(io.Discard, out)
				if err := cmd.Wait(); err != nil {
					t.Error(err)
				}
			}
		}
	}
	t.Fatalf("no other init of uid %d: %v", uid, cmd.Wait())
	return "", nil
}

// TestFindOther is the other process of initOf.
func TestFindOther(t *testing.T) {
	if os.Getenv("CONTROL_TEST_INIT") == "" {
		return
	}
	s := listenAt(t, "auto")
	serve(t, s, nil)
	fmt.Println("listens at " + s.Address())
	io.Copy(io.Discard, os.Stdin)
}

// Whoever takes the init's name first is not taken for the init.
func TestImpostor(t *testing.T) {
	inode, err := procnet.Namespace("pid")
	if err != nil {
		t.Skipf("no /proc: %v", err)
	}
	name := autoName(inode, 1<<22+2)
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var none *NoInit
	if _, err := Do(name, Request{Verb: VerbHealth}, nil); !errors.As(err, &none) || !strings.Contains(err.Error(), fmt.Sprintf("belongs to pid %d", os.Getpid())) {
		t.Errorf("error %v", err)
	}
}

func TestPath(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	s := listenAt(t, path)
	if fi, err := os.Lstat(path); err != nil || fi.Mode() != os.ModeSocket|0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	if _, err := Listen(path, 1, 0); err == nil || !strings.Contains(err.Error(), "another swapinit") {
		t.Errorf("a live one: %v", err)
	}
	// One that was left over is replaced; the old server then leaves the new
	// one's path alone.
	os.Rename(path, path+".moved")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	s2 := listenAt(t, path)
	s.Close()
	serve(t, s2, nil)
	if r, err := Do(path, Request{Verb: VerbHealth}, nil); err != nil || !r.OK {
		t.Errorf("%+v, %v", r, err)
	}
	file := filepath.Join(dir, "file")
	os.WriteFile(file, []byte("precious"), 0o600)
	for p, want := range map[string]string{
		file:                              "not a socket",
		filepath.Join(dir, "no", "where"): "no such file",
		"/" + strings.Repeat("x", 200):    "107",
		"@" + strings.Repeat("x", 200):    "107",
	} {
		if _, err := Listen(p, 1, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30s: %v", p, err)
		}
		var none *NoInit
		if _, err := Do(p, Request{Verb: VerbHealth}, nil); !errors.As(err, &none) {
			t.Errorf("Do %.30s: %v", p, err)
		}
	}
	if b, err := os.ReadFile(file); string(b) != "precious" || err != nil {
		t.Errorf("the file has %q, %v", b, err)
	}
}

// Another uid is turned away, told so, and logged; own uid and root are let in.
func TestPeers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to run clients of other uids")
	}
	name := fmt.Sprintf("@swapinit-peers-%d", os.Getpid())
	s, err := Listen(name, 1, 1234)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	lines := make(chan string, 100)
	peers := make(chan Peer, 16)
	s.Serve(func(c *Call) { peers <- c.Peer; c.Done(&Reply{OK: true}) }, func(l string) { lines <- l })
	// The test binary is the client; another uid must be able to run it.
	exe := filepath.Join(t.TempDir(), "peer")
	for dir := filepath.Dir(exe); dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755)
	}
	b, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(exe, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	run := func(uid uint32) (string, int) {
		cmd := exec.Command(exe, "-test.run=^TestPeerClient$", "-test.v")
		cmd.Dir = "/"
		cmd.Env = []string{"CONTROL_TEST_PEER=" + name}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out), cmd.Process.Pid
	}
	for _, uid := range []uint32{0, 1234} {
		out, pid := run(uid)
		if !strings.Contains(out, "ok=true") {
			t.Errorf("uid %d: %s", uid, out)
			continue
		}
		if p := receive(t, "the call", peers); p != (Peer{pid, uid}) {
			t.Errorf("peer %+v, want pid %d, uid %d", p, pid, uid)
		}
	}
	for range 3 {
		out, _ := run(65534)
		if !strings.Contains(out, "ok=false code=refused error=uid 65534 may not control this swapinit, only uid 0 and uid 1234: use docker exec -u 0 err=<nil>") {
			t.Errorf("uid 65534: %s", out)
		}
	}
	if l := receive(t, "a log line", lines); !strings.Contains(l, "uid 65534") || !strings.Contains(l, "pid ") {
		t.Errorf("logged %q", l)
	}
	if len(peers) != 0 {
		t.Error("a request of a stranger was handled")
	}
}

// TestPeerClient is the other half of TestPeers.
func TestPeerClient(t *testing.T) {
	addr := os.Getenv("CONTROL_TEST_PEER")
	if addr == "" {
		t.Skip("run by TestPeers")
	}
	r, err := Do(addr, Request{Verb: VerbHealth}, nil)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("ok=%v code=%s error=%s err=%v\n", r.OK, r.Code, r.Error, err)
}

func TestLimiter(t *testing.T) {
	var l limiter
	if s, ok := l.note(); !ok || s != "" {
		t.Errorf("first: %q %v", s, ok)
	}
	for range 5 {
		if _, ok := l.note(); ok {
			t.Error("a second one at once")
		}
	}
	l.last = l.last.Add(-logEvery)
	if s, ok := l.note(); !ok || !strings.Contains(s, "5 times") {
		t.Errorf("later: %q %v", s, ok)
	}
}
