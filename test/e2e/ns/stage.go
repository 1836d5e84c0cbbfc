package ns

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// stageName is argv[0] of this binary when it is the stage between clone and
// exec.
const stageName = "ns-stage"

// stageFailed is the exit status of a stage that could not exec its program.
const stageFailed = 99

// setup is what the stage does; it travels as JSON in its argv[1].
type setup struct {
	Path       string
	Argv, Env  []string
	Dir        string
	Namespaces bool
	Ignore     []int
	Umask      int
	Nice       int
	NoFile     uint64
	Uid        int
	ListenPid  bool
	ReadOnly   bool
	HideTmp    bool
	OuterProc  bool
	Network    string // a path, "" for its own
	Name       string
	Mounts     []Mount
}

// Stage returns at once, unless this process is the stage; then it sets up the
// namespaces and becomes the program.
func Stage() {
	if len(os.Args) != 2 || os.Args[0] != stageName {
		return
	}
	var s setup
	err := json.Unmarshal([]byte(os.Args[1]), &s)
	if err == nil {
		err = s.run()
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", stageName, err)
	os.Exit(stageFailed)
}

func (s setup) run() error {
	runtime.LockOSThread() // it is the one that becomes the program
	if s.Namespaces {
		if err := s.enter(); err != nil {
			return fmt.Errorf("cannot enter the network: %w", err)
		}
		if err := s.mounts(); err != nil {
			return err
		}
		if err := loopback(); err != nil {
			return fmt.Errorf("cannot bring lo up: %w", err)
		}
		if err := s.named(); err != nil {
			return fmt.Errorf("cannot have the name: %w", err)
		}
	}
	for _, n := range s.Ignore {
		signal.Ignore(syscall.Signal(n))
	}
	if s.Umask >= 0 {
		syscall.Umask(s.Umask)
	}
	if s.Nice != 0 {
		raw, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
		if err == nil { // the raw value is 20 minus the niceness
			err = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 20-raw+s.Nice)
		}
		if err != nil {
			return fmt.Errorf("cannot set the niceness: %w", err)
		}
	}
	if s.NoFile != 0 {
		limit := syscall.Rlimit{Cur: s.NoFile, Max: s.NoFile}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			return fmt.Errorf("cannot limit the files: %w", err)
		}
	}
	if s.Dir != "" {
		if err := os.Chdir(s.Dir); err != nil {
			return err
		}
	}
	if s.ListenPid {
		s.Env = append(s.Env, "LISTEN_PID="+strconv.Itoa(os.Getpid()))
	}
	if s.Uid != 0 {
		if err := syscall.Setgroups(nil); err != nil {
			return fmt.Errorf("cannot drop groups: %w", err)
		}
		if err := syscall.Setgid(s.Uid); err != nil {
			return fmt.Errorf("cannot set the group: %w", err)
		}
		if err := syscall.Setuid(s.Uid); err != nil {
			return fmt.Errorf("cannot set the user: %w", err)
		}
	}
	return &os.PathError{Op: "exec", Path: s.Path, Err: syscall.Exec(s.Path, s.Argv, s.Env)}
}

// mounts makes the mount namespace private before anything else: with shared
// propagation the mounts below would appear on the host.
func (s setup) mounts() error {
	all := []Mount{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		{"tmpfs", "/run", "tmpfs", unix.MS_NODEV, "mode=755"},
	}
	if !s.OuterProc {
		all = append(all, Mount{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""})
	}
	if s.HideTmp {
		all = append(all, Mount{"tmpfs", "/tmp", "tmpfs", 0, ""})
	}
	if s.ReadOnly {
		all = append(all,
			Mount{"tmpfs", "/dev/shm", "tmpfs", unix.MS_RDONLY, ""},
			Mount{"tmpfs", "/tmp", "tmpfs", unix.MS_RDONLY, ""},
			Mount{"", "/run", "", unix.MS_REMOUNT | unix.MS_RDONLY, ""})
	}
	for _, m := range append(all, s.Mounts...) {
		if err := unix.Mount(m.Source, m.Target, m.Kind, m.Flags, m.Data); err != nil {
			return fmt.Errorf("cannot mount %s: %w", m.Target, err)
		}
	}
	return nil
}

// enter goes to the network of another container.
func (s setup) enter() error {
	if s.Network == "" {
		return nil
	}
	fd, err := unix.Open(s.Network, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Setns(fd, unix.CLONE_NEWNET)
}

// named makes the container known by a name, as an engine does: the host's, and a mount
// of /etc/hostname from a folder that has it.
func (s setup) named() error {
	if s.Name == "" {
		return nil
	}
	file := "/run/containers/" + s.Name + "/hostname"
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(s.Name+"\n"), 0o644); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(s.Name)); err != nil {
		return err
	}
	if err := unix.Mount(file, "/etc/hostname", "", unix.MS_BIND, ""); err != unix.ENOENT {
		return err
	}
	return nil
}

func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}
