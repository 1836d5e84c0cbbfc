package listen

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/steer"
	"github.com/swapinit/swapinit/internal/unixname"
	"golang.org/x/sys/unix"
)

// group is the group of a unix endpoint, and what it has of ours.
type group struct {
	*steer.Unix
	mu  sync.Mutex
	all map[*UnixSocket]bool // alive
}

type groupPath struct {
	*UnixSocket
	g *group
}

func (p groupPath) Another(n int) (steer.Path, error) {
	other, err := p.UnixSocket.Another(n)
	if err == nil {
		p.g.note(other, true)
	}
	return groupPath{other, p.g}, err
}

func (p groupPath) Drop() {
	p.g.note(p.UnixSocket, false)
	p.UnixSocket.Drop()
}

func (g *group) note(s *UnixSocket, alive bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all[s] = true; !alive {
		delete(g.all, s)
	}
}

// only is the one that is left.
func (g *group) only() *UnixSocket {
	for s := range g.all {
		return s
	}
	return nil
}

func (g *group) sockets() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.all)
}

// of is generation n's socket, nil if it has none.
func (g *group) of(n int) *UnixSocket {
	inode := g.Inode(n)
	g.mu.Lock()
	defer g.mu.Unlock()
	for s := range g.all {
		if s.inode == inode {
			return s
		}
	}
	return nil
}

// openGroup opens a unix endpoint, and has a group take it over.
func openGroup(text string) (*Set, *group, error) {
	specs, err := Parse(text)
	if err != nil {
		return nil, nil, err
	}
	set, err := Open(specs, nil, nil)
	if err != nil {
		return nil, nil, err
	}
	first, alone := set.Unix(0)
	g := &group{all: map[*UnixSocket]bool{first: true}}
	g.Unix = steer.NewUnix(groupPath{first, g}, alone)
	set.Steer(0, g)
	return set, g, nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mustGroup opens a unix endpoint with a socket for each generation, and gives
// them to the first ones.
func mustGroup(t *testing.T, name string, generations int) (*Set, *group) {
	t.Helper()
	set, p, err := openGroup("unix://" + name)
	must(t, err)
	t.Cleanup(set.Close)
	for n := 1; n <= generations; n++ {
		must(t, p.Add(n, false))
	}
	if reason := p.Reason(); reason != "" {
		t.Fatal(reason)
	}
	return set, p
}

// accepts takes one connection from generation n's socket, if one waits.
func accepts(t *testing.T, p *group, n int) bool {
	t.Helper()
	s := p.of(n)
	if s == nil {
		t.Fatalf("generation %d has no socket", n)
	}
	fd := s.fd
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if count, err := unix.Poll(poll, 0); err != nil || count == 0 {
		return false
	}
	conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
	if err == nil {
		unix.Close(conn)
	}
	return err == nil
}

// reaches: a connect to name ends in generation n's queue, and in no other's
// of those given.
func reaches(t *testing.T, p *group, name string, n int, others ...int) {
	t.Helper()
	if !connects(t, name) || !accepts(t, p, n) {
		t.Errorf("%s does not reach generation %d", name, n)
	}
	for _, other := range others {
		if accepts(t, p, other) {
			t.Errorf("%s reaches generation %d", name, other)
		}
	}
}

func TestPathsAim(t *testing.T) {
	name := t.TempDir() + "/a"
	set, p := mustGroup(t, name, 3)
	reaches(t, p, name, 1, 2, 3)
	must(t, p.Aim(2, 1, shares.Full, ""))
	reaches(t, p, name, 2, 1, 3)
	must(t, p.Aim(3, 2, shares.Full-1, "")) // cannot be divided: stays
	reaches(t, p, name, 2, 1, 3)
	for n, want := range map[int]int{1: 0, 2: shares.Full, 3: 0} {
		if share, ok := p.Share(n); !ok || share != want {
			t.Errorf("generation %d has %d, %v", n, share, ok)
		}
	}
	must(t, p.Aim(3, 1, 1, "")) // the rest is generation 1's: all is
	reaches(t, p, name, 1, 2, 3)
	if err := p.Aim(4, 1, shares.Full, ""); err == nil || !strings.Contains(err.Error(), "at generation 4: it has no socket") {
		t.Error(err)
	}
	reaches(t, p, name, 1, 2, 3)
	given := lent(t, set, 2)
	if inode, err := procnet.Inode(int(given.Files[0])); err != nil || inode != p.Inode(2) || given.Endpoints[0].Inode != inode {
		t.Errorf("%+v, want inode %d, %v", given, p.Inode(2), err)
	}
	// Servers match generation 1's by its name.
	for n, want := range map[int]string{1: name, 3: spareName(name) + ".3"} {
		fd := p.of(n).fd
		if local, err := unix.Getsockname(fd); err != nil || local.(*unix.SockaddrUnix).Name != want {
			t.Errorf("generation %d: %v, %v", n, local, err)
		}
	}
	set.Close()
	if entries, _ := os.ReadDir(filepath.Dir(name)); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
	p.Leave(1)
	if p.Add(5, false) == nil || p.Aim(2, 1, shares.Full, "") == nil {
		t.Error("closed, but goes on")
	}
	for n := -1; n <= 0; n++ {
		if first, err := set.Unix(n); first != nil || err != nil {
			t.Error("a socket where there is none")
		}
	}
}

// No connect fails while the path goes from one generation to another, on
// whatever file system.
func TestAlwaysAcceptingThroughAim(t *testing.T) {
	for _, base := range []string{"", "/dev/shm"} {
		dir, err := os.MkdirTemp(base, "listen")
		if err != nil && base != "" {
			t.Logf("%s: %v", base, err)
			continue
		}
		must(t, err)
		t.Cleanup(func() { os.RemoveAll(dir) })
		set, p := mustGroup(t, dir+"/a", 2)
		lines := mustGuard(t, set)
		for n := 1; n <= 2; n++ {
			drained(t, lent(t, set, n).Files[0])
		}
		crowd := newCrowd(t, "unix", dir+"/a")
		crowd.calm.Add(1)
		// Thousands, and as many as it takes for connects to be under way in some.
		for i := 0; i < 3000 || crowd.succeeded.Load() < 300 && crowd.failed.Load() == nil; i++ {
			must(t, p.Aim(2-i%2, 1, shares.Full, ""))
		}
		crowd.calm.Add(1)
		crowd.calmly(t)
		if n := crowd.succeeded.Load(); n == 0 || lines.text() != "" {
			t.Errorf("%d connects, lines: %s", n, lines.text())
		}
	}
}

// Generations come and go under load.
func TestAlwaysAcceptingThroughGenerations(t *testing.T) {
	dir := t.TempDir()
	set, p := mustGroup(t, dir+"/a", 1)
	lines := mustGuard(t, set)
	crowd := newCrowd(t, "unix", dir+"/a")
	drained(t, lent(t, set, 1).Files[0])
	fds := 0
	crowd.calm.Add(1)
	for n := 2; n <= 20; n++ {
		must(t, p.Add(n, false))
		drained(t, lent(t, set, n).Files[0])
		must(t, p.Aim(n, n-1, shares.Full, ""))
		crowd.renewed(t) // one that has looked the path up before may be refused by Leave
		p.Leave(n - 1)
		crowd.renewed(t)
		if err := crowd.failed.Load(); err != nil {
			t.Fatalf("generation %d: %v", n, *err)
		}
		if fds = p.sockets(); fds != 1 {
			t.Fatalf("%d sockets", fds)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 || lines.text() != "" {
		t.Errorf("%v, lines: %s", entries, lines.text())
	}
}

// The socket at the path stays when its generation leaves, until the next
// generation has it, or the path leads elsewhere.
func TestPathsLeaveAimed(t *testing.T) {
	name := t.TempDir() + "/a"
	_, p := mustGroup(t, name, 1)
	before := p.Inode(1)
	p.Leave(1)
	p.Leave(7)
	if !connects(t, name) {
		t.Error("refuses")
	}
	must(t, p.Add(2, false))
	if after := p.Inode(2); after != before || !accepts(t, p, 2) {
		t.Errorf("generation 2 has inode %d, want %d with what waits", after, before)
	}
	if p.Inode(1) != 0 {
		t.Error("generation 1 has a socket")
	}
	must(t, p.Add(3, false))
	p.Leave(2)
	if p.sockets() != 2 {
		t.Errorf("%d sockets", p.sockets())
	}
	must(t, p.Aim(3, 2, shares.Full, ""))
	if p.sockets() != 1 {
		t.Errorf("nobody's socket is kept: %d", p.sockets())
	}
	reaches(t, p, name, 3)
}

// A generation's socket is closed when it leaves, and what waits in it is
// told, even where a stray process holds it.
func TestPathsLeave(t *testing.T) {
	for _, stray := range []bool{false, true} {
		name := t.TempDir() + "/a"
		set, p := mustGroup(t, name, 2)
		guard, err := newGuard()
		must(t, err)
		set.guard.Store(guard)
		must(t, p.Watch())
		before := openFDs(t)
		var waiting []net.Conn
		for range 3 {
			conn, err := net.Dial("unix", name)
			must(t, err)
			waiting = append(waiting, conn)
		}
		fd := p.of(1).fd
		held := -1
		if stray {
			held, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
			must(t, err)
			before++
			t.Cleanup(func() { unix.Close(held) })
		}
		must(t, p.Aim(2, 1, shares.Full, ""))
		p.Leave(1)
		for _, conn := range waiting {
			must(t, conn.SetReadDeadline(time.Now().Add(patience)))
			if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("stray %v: it waits on: %v", stray, err)
			}
			conn.Close()
		}
		guard.drain(guard.epoll)
		if stray {
			if !isShut(held) {
				t.Error("a stray process may go on accepting")
			}
			must(t, unix.Shutdown(held, unix.SHUT_RDWR))
			if guard.drain(guard.epoll) {
				t.Error("a socket that was closed wakes the guard")
			}
		}
		if after := openFDs(t); after != before-1 {
			t.Errorf("stray %v: %d fds, then %d", stray, before, after)
		}
		if connects(t, spareName(name)) {
			t.Error("its hidden name is still there")
		}
		set.guard.Store(nil)
		close(guard.done)
		guard.stop()
		reaches(t, p, name, 2)
	}
}

// What was lent stays what it was, whatever becomes of the generation before the
// fork: not closed, and not another file's number.
func TestLentOutlivesLeave(t *testing.T) {
	set, p := mustGroup(t, t.TempDir()+"/a", 2)
	given := lent(t, set, 1)
	want := p.Inode(1)
	must(t, p.Aim(2, 1, shares.Full, ""))
	p.Leave(1)
	for range 50 { // whoever opens something now gets the lowest number
		fd, err := newSocket(unix.AF_UNIX, unix.SOCK_STREAM)
		must(t, err)
		defer unix.Close(fd)
	}
	if got, err := procnet.Inode(int(given.Files[0])); !reflect.DeepEqual(got, want) || err != nil {
		t.Errorf("the descriptor leads to socket %d, %v, want %d", got, err, want)
	}
	// The other way round: the loan's end is not the socket's.
	set, p = mustGroup(t, t.TempDir()+"/a", 1)
	before := openFDs(t)
	loan, err := set.Lend(1)
	must(t, err)
	loan.Close()
	if now, err := procnet.Inode(p.of(1).fd); now != p.Inode(1) || err != nil || openFDs(t) != before {
		t.Errorf("the socket is closed, or the loan is not: %v", err)
	}
}

// Forks borrow while generations come and go: each gets the socket that it was
// told of, or is refused.
func TestLendWhileLeaving(t *testing.T) {
	set, p := mustGroup(t, t.TempDir()+"/a", 1)
	stop, done := make(chan struct{}), make(chan struct{})
	current := atomic.Int64{}
	current.Store(1)
	before := openFDs(t)
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			given, err := set.Lend(int(current.Load()))
			if err != nil {
				if !errors.Is(err, steer.ErrNoSocket) {
					t.Error(err)
				}
				continue
			}
			if inode, err := procnet.Inode(int(given.Files[0])); inode != given.Endpoints[0].Inode || err != nil {
				t.Errorf("socket %d, %v, want %d", inode, err, given.Endpoints[0].Inode)
			}
			given.Close()
		}
	}()
	for n := 2; n < 200; n++ {
		must(t, p.Add(n, false))
		must(t, p.Aim(n, n-1, shares.Full, ""))
		p.Leave(n - 1)
		current.Store(int64(n))
	}
	close(stop)
	<-done
	if after := openFDs(t); after != before {
		t.Errorf("%d descriptors, then %d", before, after)
	}
}

// A stranger removes or replaces the path: it leads to the aimed one again.
func TestPathsSurviveStranger(t *testing.T) {
	dir := t.TempDir()
	name := dir + "/a"
	set, p := mustGroup(t, name, 3)
	must(t, p.Aim(2, 1, shares.Full, ""))
	lines := mustGuard(t, set)
	file := &p.of(2).file
	for i := range 20 {
		switch i % 4 {
		case 0:
			must(t, os.Remove(name))
		case 1:
			must(t, os.Rename(name, dir+"/away"))
		case 2: // another generation's
			must(t, os.Link(spareName(name)+".3", dir+"/other"))
			must(t, os.Rename(dir+"/other", name))
		case 3:
			must(t, os.Remove(spareName(name)+".2"))
		}
		until(t, "path and hidden name", func() bool { return file.leads(name) && file.leads(file.spare) })
		reaches(t, p, name, 2, 1, 3)
	}
	if !strings.Contains(lines.text(), "a process removed or replaced its path, restored") {
		t.Errorf("lines: %s", lines.text())
	}
	// One that has lost its hidden name cannot have the path.
	must(t, os.Remove(spareName(name)))
	if err := p.Aim(1, 2, shares.Full, ""); err == nil || !strings.Contains(err.Error(), "a process removed "+spareName(name)) {
		t.Error(err)
	}
	reaches(t, p, name, 2, 1, 3)
	// Data is never destroyed.
	must(t, os.WriteFile(dir+"/data", []byte("data"), 0o600))
	must(t, os.Rename(dir+"/data", name))
	if err := p.Aim(3, 2, shares.Full, ""); err == nil || !strings.Contains(err.Error(), "is a regular file") {
		t.Error(err)
	}
	if data, err := os.ReadFile(name); err != nil || string(data) != "data" {
		t.Errorf("%q, %v", data, err)
	}
}

// A socket that its server shut down is replaced if it is the one at the
// path, and is then the next generation's.
func TestPathsShutDown(t *testing.T) {
	for _, aimed := range []int{1, 2} {
		name := t.TempDir() + "/a"
		set, p := mustGroup(t, name, 2)
		must(t, p.Aim(aimed, 1, shares.Full, ""))
		fd, inode := p.of(aimed).fd, p.Inode(aimed)
		held, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		must(t, err)
		defer unix.Close(held)
		other := p.of(3 - aimed).fd
		must(t, unix.Shutdown(other, unix.SHUT_RDWR))
		must(t, unix.Shutdown(fd, unix.SHUT_RDWR))
		set.Check()
		if !connects(t, name) {
			t.Fatal("not replaced")
		}
		if err := p.Aim(3-aimed, aimed, shares.Full, ""); err == nil || !strings.Contains(err.Error(), "shut its socket down") {
			t.Error(err)
		}
		if p.Observe(aimed) != nil {
			t.Error("the new socket's connections count as the dead one's")
		}
		must(t, p.Add(3, false))
		if renewed := p.Inode(3); renewed == inode || !accepts(t, p, 3) {
			t.Errorf("generation 3 has inode %d; it was %d", renewed, inode)
		}
		p.Leave(aimed)
		p.Leave(3 - aimed)
		reaches(t, p, name, 3)
		// All links gone.
		for _, file := range []string{name, p.of(3).file.spare} {
			must(t, os.Remove(file))
		}
		set.Check()
		must(t, p.Add(4, false))
		reaches(t, p, name, 4)
		set.Close()
		if entries, _ := os.ReadDir(filepath.Dir(name)); len(entries) != 0 {
			t.Errorf("left behind: %v", entries)
		}
	}
}

// What a killed container has left on a volume is removed, what is alive or
// not ours is not.
func TestPathsAfterKill(t *testing.T) {
	dir := t.TempDir()
	name := dir + "/a"
	_, p := mustGroup(t, name, 3)
	must(t, p.Aim(2, 1, shares.Full, ""))
	must(t, os.Link(spareName(name)+".3", spareName(name)+".3~"))
	for s := range p.all {
		unix.Close(s.fd)
		s.fd, s.file = -1, path{}
	}
	must(t, os.WriteFile(dir+"/.a.swapinit.12", []byte("data"), 0o600))
	deadSocket(t, dir+"/.a.swapinit.x")
	deadSocket(t, dir+"/.ab.swapinit.1")
	other, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: dir + "/.b.swapinit.2"})
	must(t, err)
	defer other.Close()
	set, p := mustGroup(t, name, 2)
	reaches(t, p, name, 1, 2)
	var left []string
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	if got, want := strings.Join(left, " "), ".a.swapinit .a.swapinit.12 .a.swapinit.2 .a.swapinit.x .ab.swapinit.1 .b.swapinit.2 a"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	set.Close()
	// One of another swapinit's sockets is alive: it is about to take the path.
	if err := openError(t, "unix://"+dir+"/b"); !errors.Is(err, unixname.ErrLive) || !strings.Contains(err.Error(), ".b.swapinit.2 is in use") {
		t.Error(err)
	}
	if !connects(t, dir+"/.b.swapinit.2") {
		t.Error("harmed the live one")
	}
}

// deadSocket leaves a socket at name that nobody listens on.
func deadSocket(t *testing.T, name string) {
	t.Helper()
	fd, err := newSocket(unix.AF_UNIX, unix.SOCK_STREAM)
	must(t, err)
	must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: name}))
	unix.Close(fd)
}

// A hidden name that is taken: a dead socket gives way, anything else does not.
func TestPathsNameTaken(t *testing.T) {
	name := t.TempDir() + "/a"
	_, p := mustGroup(t, name, 1)
	deadSocket(t, spareName(name)+".2")
	must(t, p.Add(2, false))
	must(t, p.Aim(2, 1, shares.Full, ""))
	reaches(t, p, name, 2, 1)
	must(t, os.WriteFile(spareName(name)+".3", nil, 0o600))
	must(t, p.Add(3, false))
	if reason := p.Reason(); !strings.Contains(reason, spareName(name)+".3 exists and is a regular file") {
		t.Errorf("%q", reason)
	}
	reaches(t, p, name, 3, 1)
	must(t, p.Add(4, false))
	if reason := p.Reason(); reason != "" {
		t.Errorf("passing trouble stays: %q", reason)
	}
}

// A socket that was renewed is watched in the old one's place, though a
// child still has that.
func TestRenewUnwatches(t *testing.T) {
	name := t.TempDir() + "/a"
	set, p := mustGroup(t, name, 1)
	guard, err := newGuard()
	must(t, err)
	set.guard.Store(guard)
	defer func() { set.guard.Store(nil); close(guard.done); guard.stop() }()
	must(t, p.Watch())
	held, err := unix.FcntlInt(uintptr(p.of(1).fd), unix.F_DUPFD_CLOEXEC, 3)
	must(t, err)
	defer unix.Close(held)
	must(t, unix.Shutdown(held, unix.SHUT_RDWR))
	set.Check()
	guard.drain(guard.epoll)
	must(t, unix.Shutdown(held, unix.SHUT_RDWR))
	if guard.drain(guard.epoll) {
		t.Error("the old one wakes the guard")
	}
	must(t, unix.Shutdown(p.only().fd, unix.SHUT_RDWR))
	if !guard.drain(guard.epoll) {
		t.Error("the new one does not")
	}
}

// Where the hidden name would be too long, generations share.
func TestPathsTooLong(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct{ length, alone int }{
		{unixname.MaxPath - len("..swapinit.9"), 9}, // generation 10 has a digit too many
		{unixname.MaxPath - len("..swapinit.9") + 1, 1},
		{unixname.MaxPath, 1},
	} {
		name := dir + "/" + strings.Repeat("x", test.length-len(dir)-1)
		set, p, err := openGroup("unix://" + name)
		must(t, err)
		if early := p.Reason() != ""; early != (test.alone == 1) {
			t.Errorf("%d: at once: %q", test.length, p.Reason())
		}
		for n := 1; n <= test.alone; n++ {
			must(t, p.Add(n, false))
			must(t, p.Aim(n, n-1, shares.Full, ""))
		}
		n := test.alone + 1
		must(t, p.Add(n, false))
		must(t, p.Aim(n, n-1, shares.Full, ""))
		shared, before := p.Inode(n), p.Inode(n-1)
		_, ok := p.Share(n)
		if shared != before || ok || !strings.Contains(p.Reason(), "the kernel accepts 107") || p.Observe(n) != nil {
			t.Errorf("%d: generation %d has inode %d, the one before %d; %q", test.length, n, shared, before, p.Reason())
		}
		// Alone again when the other one has left.
		p.Leave(n - 1)
		if p.Observe(n) == nil {
			t.Errorf("%d: cannot be observed", test.length)
		}
		reaches(t, p, name, n)
		set.Close()
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

// The directory refuses later on: generations share, and the path stays.
func TestPathsReadOnlyDirectory(t *testing.T) {
	var cred *syscall.Credential
	if os.Geteuid() == 0 {
		cred = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	runHelper(t, "readonly", cred, nil)
}

func helperReadOnly() error {
	dir, err := os.MkdirTemp("", "listen")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	set, p, err := openGroup("unix://" + dir + "/a")
	if err != nil {
		return err
	}
	defer set.Close()
	if err := errors.Join(p.Add(1, false), p.Add(2, false), os.Chmod(dir, 0o500)); err != nil {
		return err
	}
	defer os.Chmod(dir, 0o700)
	if err := p.Aim(2, 1, shares.Full, ""); !errors.Is(err, unix.EACCES) || !strings.Contains(err.Error(), "may not do this in "+dir) {
		return fmt.Errorf("aim: %w", err)
	}
	if share, ok := p.Share(1); share != shares.Full || !ok {
		return fmt.Errorf("generation 1 has %d, %v", share, ok)
	}
	if err := p.Add(3, false); err != nil {
		return err
	}
	if p.Inode(3) != p.Inode(1) || !strings.Contains(p.Reason(), "permission denied: uid 65534 may not do this") && os.Geteuid() == 65534 {
		return errors.New("generation 3 has another socket, or " + p.Reason())
	}
	conn, err := net.Dial("unix", dir+"/a")
	if err != nil {
		return err
	}
	conn.Close()
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	if err := errors.Join(p.Add(4, false), p.Aim(4, 1, shares.Full, "")); err != nil || p.Reason() != "" {
		return fmt.Errorf("writable again: %s: %w", p.Reason(), err)
	}
	return nil
}

// What a server did to the path's permissions holds for the next generations.
func TestPathsMode(t *testing.T) {
	name := t.TempDir() + "/a"
	_, p := mustGroup(t, name, 1)
	gid := os.Getgid()
	if os.Geteuid() == 0 {
		gid = 1234
	}
	must(t, os.Chown(name, -1, gid))
	for n, mode := range []os.FileMode{0o660, 0o2606, 0} {
		must(t, syscall.Chmod(name, uint32(mode)))
		must(t, p.Add(n+2, false))
		must(t, p.Aim(n+2, n+1, shares.Full, ""))
		var stat syscall.Stat_t
		must(t, syscall.Lstat(name, &stat))
		if stat.Ino == 0 || stat.Mode&0o7777 != uint32(mode) || int(stat.Gid) != gid || p.of(n+2).file.ino != stat.Ino {
			t.Errorf("mode %#o, gid %d; want %#o, %d", stat.Mode&0o7777, stat.Gid, mode, gid)
		}
	}
	if reason := p.Reason(); reason != "" || p.sockets() != 4 {
		t.Errorf("%d sockets, %q", p.sockets(), reason)
	}
}

func TestPathsSetShared(t *testing.T) {
	name := t.TempDir() + "/a"
	_, p := mustGroup(t, name, 2)
	must(t, p.Aim(2, 1, shares.Full, ""))
	p.SetShared("asked for")
	must(t, p.Add(3, false))
	must(t, p.Aim(3, 2, shares.Full, ""))
	if _, ok := p.Share(3); p.Inode(2) != p.Inode(3) || ok || p.Reason() != "asked for" {
		t.Errorf("inodes %d and %d, %v, %q", p.Inode(2), p.Inode(3), ok, p.Reason())
	}
	p.Leave(2)
	reaches(t, p, name, 3, 1)
}

func TestObservePaths(t *testing.T) {
	name := t.TempDir() + "/a"
	_, p := mustGroup(t, name, 2)
	look := func(n, open, queued int) {
		t.Helper()
		observe := p.Observe(n)
		if observe == nil {
			t.Fatal("cannot observe")
		}
		want := steer.Look{Open: open, Queued: queued}
		if got, err := observe(time.Hour); !reflect.DeepEqual(got, want) || err != nil {
			t.Errorf("generation %d: %+v, %v; want %+v", n, got, err, want)
		}
		counted := false
		must(t, p.Counts(time.Hour, func(of int, got steer.Look) {
			if of == n {
				if counted = true; !reflect.DeepEqual(got, want) {
					t.Errorf("generation %d: counted %+v, want %+v", n, got, want)
				}
			}
		}))
		if !counted {
			t.Errorf("generation %d is not counted", n)
		}
	}
	dial := func() (client net.Conn) {
		t.Helper()
		client, err := net.Dial("unix", name)
		must(t, err)
		t.Cleanup(func() { client.Close() })
		return client
	}
	accept := func(n int) int {
		t.Helper()
		fd := p.of(n).fd
		conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
		must(t, err)
		return conn
	}
	look(1, 0, 0)
	dial()
	dial()
	look(1, 2, 2)
	first := accept(1)
	defer unix.Close(first)
	look(1, 2, 1)
	must(t, p.Aim(2, 1, shares.Full, ""))
	client := dial()
	look(1, 2, 1)
	look(2, 1, 1)
	// The client has gone, the server has not noticed.
	client.Close()
	look(2, 1, 1)
	second := accept(2)
	look(2, 1, 0)
	unix.Close(second)
	look(2, 0, 0)
	must(t, os.Rename(name, name+".away"))
	look(1, 2, 1)
	// Somebody else's connections cannot be told from ours.
	observe := p.Observe(1)
	stranger, err := net.Listen("unix", name)
	must(t, err)
	if _, err := observe(0); err == nil || !strings.Contains(err.Error(), "another socket listens under the same name") || p.Observe(1) != nil {
		t.Errorf("a namesake: %v", err)
	}
	must(t, p.Counts(0, func(n int, _ steer.Look) {
		if n == 1 {
			t.Error("a namesake's connections are counted")
		}
	}))
	stranger.Close()
	look(1, 2, 1)
	if p.Observe(3) != nil {
		t.Error("observes nobody")
	}
}

// The kernel's table is read piece by piece.
func TestObserveManyPaths(t *testing.T) {
	name := t.TempDir() + "/a"
	_, p := mustGroup(t, name, 1)
	const many = 400
	for range many {
		fd, err := newSocket(unix.AF_UNIX, unix.SOCK_STREAM)
		must(t, err)
		defer unix.Close(fd)
		must(t, unix.Connect(fd, &unix.SockaddrUnix{Name: name}))
	}
	if l, err := p.Observe(1)(0); !reflect.DeepEqual(l, steer.Look{Open: many, Queued: many}) || err != nil {
		t.Errorf("%+v, %v", l, err)
	}
}
