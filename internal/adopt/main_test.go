package adopt

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/swapinit/swapinit/test/pristine"
	"golang.org/x/sys/unix"
)

// patience ends a wait that would otherwise never end; nothing is asserted
// about time.
const patience = 90 * time.Second

// mode makes another program of the test binary. None of them starts a process: so a
// mistake here stays one process.
const mode = "ADOPT_TEST"

// without says that the tests run without CAP_SYS_PTRACE, see confined.
const without = "ADOPT_TEST_WITHOUT"

func TestMain(m *testing.M) {
	how := os.Getenv(mode)
	os.Unsetenv(mode)
	switch how {
	case "":
		pristine.Signals()
		os.Exit(m.Run())
	case "install":
		beAdopted()
	case "without":
		loseTrace()
	case "server":
		beServer()
		os.Exit(0)
	}
	fmt.Fprintf(os.Stderr, "unknown mode %q\n", how)
	os.Exit(99)
}

// The descriptors that a server of the tests is started with.
const (
	fdSelf = 3 // this binary: its directory may be closed to another uid
	fdPair = 4 // a socket: the listener goes there
	fdHeld = 5 // a TCP socket that has been there before
)

// beAdopted is the exec stage in small: it installs the filter, sends the listener and
// becomes the server.
func beAdopted() {
	fd, err := Install()
	if err != nil {
		fmt.Println("error", err)
		os.Exit(98)
	}
	if err := unix.Sendmsg(fdPair, []byte("x"), unix.UnixRights(fd), nil, 0); err != nil {
		fmt.Println("error", err)
		os.Exit(98)
	}
	unix.CloseOnExec(fdPair)
	become("server")
}

// become executes this binary again. Nobody calls it but TestMain's modes, each of
// which leads to the server or to the tests, where no mode is set.
func become(next string, env ...string) {
	self := "/proc/self/exe"
	if next == "server" {
		self = fmt.Sprintf("/proc/self/fd/%d", fdSelf)
		env = append(env, mode+"="+next)
	}
	err := syscall.Exec(self, os.Args, append(os.Environ(), env...))
	fmt.Println("error", err)
	os.Exit(97)
}

// loseTrace runs the tests again, without CAP_SYS_PTRACE: what root in a container has.
func loseTrace() {
	runtime.LockOSThread()
	if os.Getenv(without) != "" {
		os.Exit(96)
	}
	if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_PTRACE, 0, 0, 0); err != nil {
		fmt.Println("error", err)
		os.Exit(96)
	}
	become("", without+"=1")
}

// confined runs the calling test alone in a process without CAP_SYS_PTRACE, and
// reports whether this is it.
func confined(t *testing.T) bool {
	t.Helper()
	if os.Getenv(without) != "" {
		return true
	}
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.count=1", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), mode+"=without")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("without CAP_SYS_PTRACE:\n%s", out)
	return false
}

// server is a process under the filter that does what it is told. It is a Go program
// of which one thread does all but what is said to be done "later".
type server struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    *os.File
	out   *os.File
	lines *bufio.Reader

	listener   int // until supervise takes it
	supervised bool
	ended      chan struct{}
	result     error // of Supervise
}

// start starts a server; uid 0 is ours.
func start(t *testing.T, uid int, held ...*os.File) *server {
	t.Helper()
	self, err := os.Open("/proc/self/exe")
	must(t, err)
	defer self.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	ours, theirs := os.NewFile(uintptr(pair[0]), "pair"), os.NewFile(uintptr(pair[1]), "pair")
	defer ours.Close()
	defer theirs.Close()
	inRead, inWrite, err := os.Pipe()
	must(t, err)
	defer inRead.Close()
	outRead, outWrite, err := os.Pipe()
	must(t, err)
	defer outWrite.Close()

	cmd := exec.Command(fmt.Sprintf("/proc/self/fd/%d", fdSelf), "server")
	cmd.ExtraFiles = append([]*os.File{self, theirs}, held...)
	cmd.Env = append(os.Environ(), mode+"=install", "GORACE=atexit_sleep_ms=0", "GOMAXPROCS=2")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = "/", inRead, outWrite, os.Stderr
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	must(t, cmd.Start())
	s := &server{t: t, cmd: cmd, in: inWrite, out: outRead, lines: bufio.NewReader(outRead), listener: -1, ended: make(chan struct{})}
	t.Cleanup(s.end)
	theirs.Close()

	limit := unix.NsecToTimeval(patience.Nanoseconds())
	must(t, unix.SetsockoptTimeval(int(ours.Fd()), unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit))
	control := make([]byte, 64)
	_, n, _, _, err := unix.Recvmsg(int(ours.Fd()), make([]byte, 1), control, unix.MSG_CMSG_CLOEXEC)
	must(t, err)
	messages, err := unix.ParseSocketControlMessage(control[:n])
	must(t, err)
	if len(messages) != 1 {
		t.Fatal("no listener came")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	must(t, err)
	s.listener = fds[0]
	return s
}

// supervise answers the server with b, until all of it has ended.
func (s *server) supervise(b Broker) *server {
	listener := s.listener
	s.listener, s.supervised = -1, true
	go func() {
		s.result = Supervise(listener, b)
		close(s.ended)
	}()
	return s
}

// end kills it and, if somebody supervised, waits for the end of that.
func (s *server) end() {
	if s.cmd.ProcessState != nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.in.Close()
	s.out.Close()
	switch {
	case s.listener >= 0:
		unix.Close(s.listener)
	case s.supervised:
		s.await(s.ended)
	}
}

// await waits for something of the other goroutine's.
func (s *server) await(c chan struct{}) {
	select {
	case <-c:
	case <-time.After(patience):
		s.t.Error("the supervisor does not come to it")
	}
}

// do has the server do something; a negative value is an errno.
func (s *server) do(words ...any) int {
	s.t.Helper()
	s.say(words...)
	answer := s.hear()
	n, err := strconv.Atoi(answer)
	if err != nil {
		s.t.Fatalf("%v: %s", words, answer)
	}
	return n
}

// say tells without waiting.
func (s *server) say(words ...any) {
	s.t.Helper()
	_, err := s.in.WriteString(fmt.Sprintln(words...))
	must(s.t, err)
}

func (s *server) hear() string {
	s.t.Helper()
	must(s.t, s.out.SetReadDeadline(time.Now().Add(patience)))
	line, err := s.lines.ReadString('\n')
	if err != nil {
		s.t.Fatalf("the server says nothing: %v", err)
	}
	return strings.TrimSpace(line)
}

// expect is do, with what has to come of it.
func (s *server) expect(want int, words ...any) {
	s.t.Helper()
	if got := s.do(words...); got != want {
		s.t.Errorf("%v: %d (%v), want %d (%v)", words, got, syscall.Errno(max(0, -got)), want, syscall.Errno(max(0, -want)))
	}
}

// stopped waits until a thread of the server is in the system call.
func (s *server) stopped(call int) {
	s.t.Helper()
	eventually(s.t, "a thread in the system call", func() bool { return s.calls(call) })
}

// calls reports whether one is.
func (s *server) calls(call int) bool {
	names, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", s.cmd.Process.Pid))
	return slices.ContainsFunc(names, func(name string) bool {
		text, _ := os.ReadFile(name)
		number, _, _ := strings.Cut(string(text), " ")
		return number == strconv.Itoa(call)
	})
}

// socket makes one.
func (s *server) socket(family, kind, proto int) int {
	s.t.Helper()
	fd := s.do("socket", family, kind, proto)
	if fd < 0 {
		s.t.Fatalf("socket: %v", syscall.Errno(-fd))
	}
	return fd
}

func (s *server) tcp4() int { return s.socket(unix.AF_INET, unix.SOCK_STREAM, 0) }
func (s *server) tcp6() int { return s.socket(unix.AF_INET6, unix.SOCK_STREAM, 0) }

// no is how the server tells of an errno.
func no(errno syscall.Errno) int { return -int(errno) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually polls until ok says yes.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// openFiles lists what this process has open.
func openFiles(t *testing.T) string {
	t.Helper()
	names, err := filepath.Glob("/proc/self/fd/*")
	must(t, err)
	var list []string
	for _, name := range names {
		if link, err := os.Readlink(name); err == nil {
			list = append(list, filepath.Base(name)+" "+link)
		}
	}
	return strings.Join(list, "\n")
}

// beServer does what it is told on standard input, one command a line, and answers each
// with a number.
func beServer() {
	runtime.LockOSThread()
	out := make(chan string)
	go func() {
		for line := range out {
			fmt.Println(line)
		}
	}()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		words := strings.Fields(in.Text())
		if words[0] == "later" {
			go func(words []string) { runtime.LockOSThread(); serve(words) }(words[1:])
			words = []string{"nothing"}
		}
		value, err := serve(words)
		var errno syscall.Errno
		switch {
		case errors.As(err, &errno):
			out <- strconv.Itoa(-int(errno))
		case err != nil:
			out <- err.Error()
		default:
			out <- strconv.Itoa(value)
		}
	}
}

// serve does one command.
func serve(words []string) (value int, err error) {
	n := make([]int, len(words))
	for i, word := range words {
		n[i], _ = strconv.Atoi(word)
	}
	call := func(number uintptr, args ...uintptr) (int, error) {
		args = append(args, make([]uintptr, 6-len(args))...)
		value, _, errno := unix.Syscall6(number, args[0], args[1], args[2], args[3], args[4], args[5])
		if errno != 0 {
			return 0, errno
		}
		return int(value), nil
	}
	switch words[0] {
	case "nothing":
		return 0, nil
	case "socket":
		return unix.Socket(n[1], n[2], n[3])
	case "bind": // fd, address, and another length
		b, err := hex.DecodeString(words[2])
		if err != nil {
			return 0, err
		}
		length := len(b)
		if len(words) > 3 {
			length = n[3]
		}
		defer runtime.KeepAlive(b)
		return call(unix.SYS_BIND, uintptr(n[1]), address0(b), uintptr(length))
	case "bindat": // fd, pointer, length
		return call(unix.SYS_BIND, uintptr(n[1]), uintptr(n[2]), uintptr(n[3]))
	case "page": // protection; with the address at its beginning or, -1, none
		return page(words, n)
	case "race": // two addresses, how often, the inode of ours
		return race(words, n)
	case "listen":
		return call(unix.SYS_LISTEN, uintptr(n[1]), uintptr(n[2]))
	case "set": // fd, level, name, bytes
		var b []byte
		if len(words) > 4 {
			b, err = hex.DecodeString(words[4])
		}
		if err != nil {
			return 0, err
		}
		defer runtime.KeepAlive(b)
		return call(unix.SYS_SETSOCKOPT, uintptr(n[1]), uintptr(n[2]), uintptr(n[3]), address0(b), uintptr(len(b)))
	case "setat": // fd, level, name, pointer, length
		return call(unix.SYS_SETSOCKOPT, uintptr(n[1]), uintptr(n[2]), uintptr(n[3]), uintptr(n[4]), uintptr(n[5]))
	case "get": // fd, level, name
		return unix.GetsockoptInt(n[1], n[2], n[3])
	case "status": // fd: O_NONBLOCK
		return unix.FcntlInt(uintptr(n[1]), unix.F_GETFL, 0)
	case "cloexec":
		return unix.FcntlInt(uintptr(n[1]), unix.F_GETFD, 0)
	case "inode":
		var st unix.Stat_t
		err := unix.Fstat(n[1], &st)
		return int(st.Ino), err
	case "port":
		return portOf(n[1])
	case "epoll": // fd
		fd, err := unix.EpollCreate1(0)
		if err == nil {
			err = unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, n[1], &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(n[1])})
		}
		return fd, err
	case "epollinto": // a pointer: it never returns, and the epoll instance is locked
		fd, err := unix.EpollCreate1(0)
		if err == nil {
			err = unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, 1, &unix.EpollEvent{Events: unix.EPOLLOUT})
		}
		if err != nil {
			return 0, err
		}
		return call(unix.SYS_EPOLL_PWAIT, uintptr(fd), uintptr(n[1]), 1, ^uintptr(0))
	case "dup":
		return unix.FcntlInt(uintptr(n[1]), unix.F_DUPFD_CLOEXEC, 0)
	case "close":
		return 0, unix.Close(n[1])
	case "many": // descriptors
		for range n[1] {
			if _, err := unix.Dup(0); err != nil {
				return 0, err
			}
		}
		return 0, nil
	case "limit": // RLIMIT_NOFILE
		return 0, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(n[1]), Max: uint64(n[1])})
	case "accept": // fd; the answer is how many bytes came
		fd, _, err := unix.Accept4(n[1], unix.SOCK_CLOEXEC)
		if err != nil {
			return 0, err
		}
		defer unix.Close(fd)
		return unix.Read(fd, make([]byte, 64))
	case "become": // uid, without an exec; this thread alone
		if _, err := call(unix.SYS_SETRESGID, uintptr(n[1]), uintptr(n[1]), uintptr(n[1])); err != nil {
			return 0, err
		}
		return call(unix.SYS_SETRESUID, uintptr(n[1]), uintptr(n[1]), uintptr(n[1]))
	case "x32bind":
		return call(unix.SYS_BIND|x32, uintptr(n[1]))
	case "install":
		return Install()
	case "confined":
		if Confined() {
			return 1, nil
		}
		return 0, nil
	case "netns":
		return 0, unix.Unshare(unix.CLONE_NEWNET)
	case "fault": // a page that nobody ever fills
		return fault()
	}
	return 0, fmt.Errorf("unknown command %q", words)
}
