package adopt

import (
	"cmp"
	"errors"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/internal/file"
	"github.com/swapinit/swapinit/internal/folder"
	"github.com/swapinit/swapinit/internal/lines"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// task is a thread that waits for our answer, as /proc shows it: proc_pid_mem(5),
// proc_pid_fd(5), proc_pid_fdinfo(5). All of it may be a lie of another process that
// has its number by now, until notification.valid has been asked.
type task struct {
	pid int // the thread's id
	fd  int // the descriptor that the call is about
}

func (t *task) path(name string) string { return "/proc/" + strconv.Itoa(t.pid) + "/" + name }

func (t *task) link() string { return t.path("fd/") + strconv.Itoa(t.fd) }

// look runs f, and if we may not look, once more as the user that the task is: the
// kernel lets see who is the same (PTRACE_MODE_FSCREDS, ptrace(2)), for which a
// root without CAP_SYS_PTRACE has to be it. User and group of file access are the
// thread's own, so no other goroutine runs with them.
func (t *task) look(f func() error) error {
	err := f()
	if !denied(err) {
		return err
	}
	uid, gid, known := t.user()
	if !known || uid == os.Geteuid() && gid == os.Getegid() {
		return err
	}
	runtime.LockOSThread()
	_ = unix.Setfsgid(gid) // setfsuid(2): errors cannot be seen, what follows fails
	_ = unix.Setfsuid(uid)
	err = f()
	_ = unix.Setfsuid(os.Geteuid())
	_ = unix.Setfsgid(os.Getegid())
	// Short of memory the kernel changes nothing and says nothing. Then the thread is not
	// for other goroutines: it ends with this one.
	isUID, _ := unix.SetfsuidRetUid(-1)
	isGID, _ := unix.SetfsgidRetGid(-1)
	if isUID == os.Geteuid() && isGID == os.Getegid() {
		runtime.UnlockOSThread()
	}
	return err
}

// denied reports whether we may not look.
func denied(err error) bool { return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) }

// process is the same descriptor for whichever thread of the process.
func (t *task) process() task {
	if group := t.status("Tgid"); len(group) == 1 {
		return task{group[0], t.fd}
	}
	return *t
}

// user is the task's effective uid and gid.
func (t *task) user() (uid, gid int, known bool) {
	uids, gids := t.status("Uid"), t.status("Gid") // real, effective, saved, file system
	if len(uids) != 4 || len(gids) != 4 {
		return 0, 0, false
	}
	return uids[1], gids[1], true
}

// status are the numbers behind a name in proc_pid_status(5), which everybody may
// read; none if it is not there.
func (t *task) status(name string) (numbers []int) {
	data, _ := file.Read(t.path("status"))
	for _, word := range strings.Fields(procnet.Field(string(data), name)) {
		n, err := strconv.Atoi(word)
		if err != nil {
			return nil
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// memory copies n bytes at address. It waits for no userfaultfd(2), and reads as a
// debugger does: what the task itself may not read is no EFAULT here (FOLL_FORCE).
func (t *task) memory(address uint64, n int) ([]byte, error) {
	data := make([]byte, n)
	err := t.look(func() error {
		fd, err := unix.Open(t.path("mem"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer syscall.Close(fd)
		got, err := unix.Pread(fd, data, int64(address))
		if err == nil && got != n {
			err = unix.EFAULT
		}
		return err
	})
	return data, err
}

// socket is what the descriptor is.
type socket struct {
	inode uint64
	proto string // TCP, TCPv6, MPTCP, UDP, UNIX-STREAM ...: /proc/net/protocols
	flags int    // O_NONBLOCK, O_CLOEXEC
}

var errNoSocket = errors.New("it is no socket")

// socket looks at the descriptor.
func (t *task) socket() (s socket, err error) {
	err = t.look(func() error {
		if s.inode, err = inodeAt(t.link()); err != nil {
			return err
		}
		name := make([]byte, 32)
		n, err := unix.Getxattr(t.link(), "system.sockprotoname", name)
		if err != nil {
			return err
		}
		s.proto = strings.TrimRight(string(name[:n]), "\x00")
		info, err := file.Read(t.path("fdinfo/") + strconv.Itoa(t.fd))
		flags, _ := strconv.ParseInt(procnet.Field(string(info), "flags"), 8, 64)
		s.flags = int(flags)
		return err
	})
	return s, err
}

// inodeAt is that of the socket behind a link in /proc/PID/fd.
func inodeAt(link string) (uint64, error) {
	text, err := os.Readlink(link)
	if err != nil {
		return 0, err
	}
	digits, ok := strings.CutPrefix(text, "socket:[")
	if !ok {
		return 0, errNoSocket
	}
	return strconv.ParseUint(strings.TrimSuffix(digits, "]"), 10, 64)
}

// namespace reports whether the task is in our network namespace: a socket of ours
// in another one would listen where nobody asks for it.
func (t *task) namespace() (same bool, err error) {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return false, err
	}
	err = t.look(func() error {
		theirs, err := os.Readlink(t.path("ns/net"))
		same = theirs == own
		return err
	})
	return same, err
}

// polled reports whether an epoll instance of the process watches the socket. It would
// go on watching it, and not the one in its place (epoll(7)).
func (t *task) polled(inode uint64) (yes bool) {
	_ = t.look(func() (refused error) {
		err := folder.Each(t.path("fd"), func(name string) bool {
			link, err := os.Readlink(t.path("fd/") + name)
			if denied(err) {
				refused = err // root may list what it may not look at
			}
			yes = link == "anon_inode:[eventpoll]" && watches(t.path("fdinfo/")+name, inode)
			return !yes && refused == nil
		})
		return cmp.Or(refused, err)
	})
	return yes
}

// watches reports whether the epoll instance with that fdinfo has the socket
// (proc_pid_fdinfo(5)). Its number there may be that of another one by now.
func watches(info string, inode uint64) bool {
	file, err := os.Open(info)
	if err != nil {
		return false
	}
	defer file.Close()
	in, mark := lines.Reader{From: file, Max: 4096}, "ino:"+strconv.FormatUint(inode, 16)
	for {
		line, err := in.Next()
		if err != nil {
			return false
		}
		if f := strings.Fields(string(line)); len(f) > 0 && f[0] == "tfd:" && slices.Contains(f, mark) {
			return true
		}
	}
}

// inode is that of the socket that the descriptor is.
func (t *task) inode() (inode uint64, err error) {
	err = t.look(func() (err error) {
		inode, err = inodeAt(t.link())
		return err
	})
	return inode, err
}

// holds reports whether the descriptor still is the socket.
func (t *task) holds(inode uint64) bool {
	at, err := t.inode()
	return err == nil && at == inode
}

// unreadable says why we cannot see what a task does, for people.
func unreadable(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		err = errno // the path names a process, and what is said of several is said once
	}
	return text.Sprintf("its process cannot be looked into (%v): it has changed its user without an exec, or is not dumpable", err)
}
