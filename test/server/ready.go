package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tellReady announces readiness. auto uses the pipe where there is one.
func tellReady(how string) {
	if how == "auto" {
		switch {
		case os.Getenv("SWAPINIT_READY_FD") != "":
			how = "pipe"
		case os.Getenv("NOTIFY_SOCKET") != "":
			how = "notify"
		default:
			return
		}
	}
	switch how {
	case "none":
	case "notify":
		notify("READY=1\nSTATUS=serving\n")
	case "pipe":
		writePipe("ready\n")
	case "pieces": // a slow writer, more after the newline, closed early
		writePipe("re", "ady", " at last", "\n", "and more\n")
	case "bare": // everything up to the newline, but not the newline
		writePipe("ready")
	case "eof":
		writePipe()
	case "channel":
		tell(note{Swapinit: "ready"})
	default:
		fatal("unknown -ready %q", how)
	}
}

// writePipe writes the pieces one by one to the readiness pipe and closes it.
func writePipe(pieces ...string) {
	fd, err := strconv.Atoi(os.Getenv("SWAPINIT_READY_FD"))
	if err != nil {
		fatal("SWAPINIT_READY_FD: %v", err)
	}
	pipe := os.NewFile(uintptr(fd), "readiness pipe")
	for _, piece := range pieces {
		if _, err := pipe.WriteString(piece); err != nil {
			fatal("cannot write to the readiness pipe: %v", err)
		}
		<-time.After(time.Millisecond)
	}
	if err := pipe.Close(); err != nil {
		fatal("cannot close the readiness pipe: %v", err)
	}
}

// notify sends one sd_notify datagram.
func notify(text string) {
	conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		fatal("cannot notify: %v", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(text)); err != nil {
		fatal("cannot notify: %v", err)
	}
}

// notifyAs sends text as another uid and ends.
func notifyAs(uid, text string) {
	id, err := strconv.Atoi(uid)
	if err == nil {
		err = syscall.Setuid(id)
	}
	if err != nil {
		fatal("cannot become uid %s: %v", uid, err)
	}
	notify(text)
}

// barrier is sd_notify_barrier(3): it returns when everything that was sent
// earlier has been processed.
func barrier() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	to := &unix.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")}
	err = unix.Sendmsg(fd, []byte("BARRIER=1"), unix.UnixRights(int(w.Fd())), to, 0)
	_, _ = unix.Close(fd), w.Close()
	if err != nil {
		return err
	}
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		return err
	}
	return nil
}

// startWatchdog pings as sd_watchdog_enabled(3) asks: at half the time.
func startWatchdog(how string) {
	if how == "" {
		return
	}
	usec, err := strconv.Atoi(os.Getenv("WATCHDOG_USEC"))
	if err != nil {
		fatal("WATCHDOG_USEC: %v", err)
	}
	if pid := os.Getenv("WATCHDOG_PID"); pid != strconv.Itoa(os.Getpid()) {
		fatal("WATCHDOG_PID is %s, this process is %d", pid, os.Getpid())
	}
	if how == "off" {
		notify("WATCHDOG_USEC=0")
		return
	}
	notify("WATCHDOG=1")
	switch how {
	case "once":
	case "trigger":
		notify("WATCHDOG=trigger")
	case "always":
		go func() {
			for range time.Tick(time.Duration(usec) * time.Microsecond / 8) {
				notify("WATCHDOG=1")
			}
		}()
	default:
		fatal("unknown -watchdog %q", how)
	}
}

// daemonize forks twice, as an old-fashioned daemon does: the process that
// swapinit started announces its grandchild as the main process and exits
// once the grandchild runs.
func daemonize() {
	if os.Getenv("SERVER_FORKED") == "" {
		child := exec.Command("/proc/self/exe", os.Args[1:]...)
		child.Env = append(os.Environ(), "SERVER_FORKED=1")
		inherit(child)
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := child.Run(); err != nil {
			fatal("cannot fork: %v", err)
		}
		say("first process leaves")
		return
	}
	grandchild := exec.Command("/proc/self/exe", os.Args[1:]...)
	grandchild.Env = append(os.Environ(), "SERVER_DAEMON=1")
	inherit(grandchild)
	if err := grandchild.Start(); err != nil {
		fatal("cannot fork: %v", err)
	}
	notify(fmt.Sprintf("MAINPID=%d\n", grandchild.Process.Pid))
}

// inherit passes on the standard streams and every socket and pipe from fd 3.
func inherit(c *exec.Cmd) {
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	for fd := 3; fd < 32; fd++ {
		flags, err := fcntl(fd, syscall.F_GETFD)
		if err != nil || flags&syscall.FD_CLOEXEC != 0 {
			c.ExtraFiles = append(c.ExtraFiles, nil)
			continue
		}
		c.ExtraFiles = append(c.ExtraFiles, os.NewFile(uintptr(fd), "inherited"))
	}
}

func fcntl(fd, cmd int) (int, error) {
	r, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), uintptr(cmd), 0)
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}
