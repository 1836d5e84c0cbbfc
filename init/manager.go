package pid1

import (
	"strconv"
	"time"

	"github.com/swapinit/swapinit/internal/clock"

	"github.com/swapinit/swapinit/swap"
	"golang.org/x/sys/unix"
)

// manager is the service manager above us, if it has given us a NOTIFY_SOCKET (systemd,
// Podman with Notify=true). It hears of the container as a whole, whose main process
// we are, see sd_notify(3). Its fields are the loop's.
type manager struct {
	fd     int    // connected, so that a send looks up no path
	state  string // what it heard last
	status string
	ping   <-chan struct{} // when it has to hear that the loop lives; nil: never
	again  *time.Timer     // runs out when it is to be told again; nil: there is no manager
}

const (
	managerReady     = "READY=1"
	managerReloading = "RELOADING=1"
	managerStopping  = "STOPPING=1"
	managerRetry     = time.Second // when its queue was full
)

// openManager connects to whom environ names. It is no error that nobody is there:
// the variables may be a leftover.
func (i *Init) openManager(environ []string) {
	name := lookup(environ, "NOTIFY_SOCKET")
	if name == "" || name[0] != '/' && name[0] != '@' {
		return
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err == nil {
		if err = unix.Connect(fd, &unix.SockaddrUnix{Name: name}); err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		i.debug("manager", "cannot reach NOTIFY_SOCKET="+name+": "+err.Error(), 0, 0)
		return
	}
	m := &i.manager
	m.fd, m.again = fd, time.AfterFunc(time.Hour, func() { i.post(i.tellManager) })
	m.again.Stop()
	usec, _ := strconv.ParseInt(lookup(environ, "WATCHDOG_USEC"), 10, 64)
	if pid := lookup(environ, "WATCHDOG_PID"); usec > 0 && (pid == "" || pid == itoa(unix.Getpid())) {
		m.ping = clock.NewTicker(max(time.Duration(min(usec, 1<<50))*time.Microsecond/2, time.Millisecond)).C // 2^64-1 is none
	}
}

// tellManager says what has changed since the last time. A swap is a reload to it.
func (i *Init) tellManager() {
	m := &i.manager
	if m.again == nil {
		return
	}
	g := i.gens.live[i.machine.Active()]
	state, status := m.state, m.status
	switch {
	case i.machine.Phase() != swap.Running:
		state = managerStopping
	case state != "" && i.machine.Swapping():
		state = managerReloading
	case state != "" || g != nil && g.readyAfter > 0:
		state = managerReady
	}
	if g != nil {
		status = g.statusText
	}
	text := ""
	if state != m.state {
		text = "\n" + state
	}
	if text != "" && state == managerReloading {
		var now unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // knows this clock
		text += "\nMONOTONIC_USEC=" + strconv.FormatInt(now.Nano()/1000, 10)
	}
	if status != m.status {
		text += "\nSTATUS=" + status
	}
	if text == "" {
		return
	}
	if m.send(text[1:]) == unix.EAGAIN {
		m.again.Reset(managerRetry)
		return
	}
	m.state, m.status = state, status // or it has gone
}

func (m *manager) send(text string) error {
	return unix.Send(m.fd, []byte(text), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}
